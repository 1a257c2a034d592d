"""What a tensor was made from, read off the autograd graph: for what compiled code and subclasses of Tensor do without a Python call."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from initlint.graph.calls import Call, Result, Stored
from initlint.knowledge import Knowledge

_HOMES = ("torch", "torch.nn.functional", "Tensor")
_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


class Lineage:
    """The nodes of the autograd graph that calls are known to have made; of the others it tells what they did.

    Such a node has a name and sometimes its numbers: enough for an activation or a sum, and where it is not, for what went in.
    """

    def __init__(self, knowledge: Knowledge, stored: Mapping[int, Stored]) -> None:
        self._knowledge = knowledge
        self._stored = stored
        self._calls: dict[Any, int] = {}

    def note(self, tensor: torch.Tensor, call: int) -> None:
        """`tensor` was made by `call`."""
        node = _node(tensor)
        if node is not None:
            self._calls[node] = call

    def steps_to(self, tensor: torch.Tensor, calls: list[Call]) -> Any:
        """What stands for a tensor that no call made, after the steps that led to it were added to `calls`; None if it came from nowhere."""
        last = _node(tensor)
        if last is None:
            return None
        for node in self._unseen_before(last):
            sources = tuple(self._stand_in(each) for each, _ in node.next_functions)
            if any(source is not None for source in sources):
                call = self._call(len(calls), node, sources)
                calls.append(call)
                self._calls[node] = call.id
        return self._stand_in(last)

    def _unseen_before(self, last: Any) -> Iterator[Any]:
        """The nodes that no call is known to have made, each after those it takes from."""
        done: set[Any] = set()
        pending = [(last, False)]
        while pending:
            node, is_ready = pending.pop()
            if node is None or node in done or self._stand_in(node) is not None or _is_leaf(node):
                continue
            if is_ready:
                done.add(node)
                yield node
                continue
            pending.append((node, True))
            pending += [(each, False) for each, _ in node.next_functions]

    def _stand_in(self, node: Any) -> Result | Stored | None:
        if node in self._calls:
            return Result(self._calls[node])
        return self._stored.get(id(node.variable)) if _is_leaf(node) else None

    def _call(self, number: int, node: Any, sources: tuple[Any, ...]) -> Call:
        """The step as the function that it is named after; opaque where that has numbers which the node does not tell."""
        words = re.sub(r"Backward\d*$", "", node.name().rpartition("::")[2])
        name = _WORD.sub("_", words).lower()
        for home in _HOMES:
            full = self._knowledge.resolve(f"{home}.{name}")
            activation = self._knowledge.activation_of.get(full)
            if activation is not None:
                wanted = [key for key, _ in self._knowledge.activations[activation].functional_parameters]
                told = {key: getattr(node, f"_saved_{key}") for key in wanted if hasattr(node, f"_saved_{key}")}
                if len(told) < len(wanted):
                    break
                return Call(number, "function", full, sources, told)
            if full in self._knowledge.operations:
                return Call(number, "function", full, sources)
        if name in _VIEWS:
            return Call(number, "function", "Tensor.data", sources)
        return Call(number, "opaque", name, sources)


_VIEWS = frozenset({"alias", "unsafe_view", "reshape_alias", "to_copy"})
"""Nodes that do what a view does, and have the name of no function that a user can call."""


def _is_leaf(node: Any) -> bool:
    """Whether the node stands for a tensor that nothing made, and holds it."""
    return node is not None and bool(node.name().endswith("AccumulateGrad"))


def _node(tensor: torch.Tensor) -> Any:
    """The node that made `tensor`; asked for in a way that no mode and no subclass hears of."""
    with torch._C.DisableTorchFunction():
        return tensor.grad_fn
