"""Who consumes what in one forward pass, and what a tensor can still reach."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from initlint.model import Model, Op

CARRYING = frozenset({"transparent", "scale", "join"})
"""Ops out of which comes what went into one of them, in another place or size."""


LARGEST_BRANCH = 64
"""Ops in a branch beside a layer, or in one that computes a gate; a longer way back is a model of its own."""


@dataclass(frozen=True, slots=True)
class Wiring:
    """The op graph of a model seen from its producers; tensors go by the position of the op that makes them.

    `consumers` leaves out what comes to nothing, such as a mean that was read off, where anything else consumes a tensor.
    `uses` are the positions at which a layer, by id, is applied. `reaches_layer`: some layer lies ahead. `reaches_output`: the
    tensor leaves the model without passing a layer. `reaches_unknown`: something that was not understood, and may be either,
    lies ahead, or nothing at all.
    """

    ops: tuple[Op, ...]
    consumers: tuple[tuple[int, ...], ...]
    uses: Mapping[int, tuple[int, ...]]
    reaches_layer: tuple[bool, ...]
    reaches_output: tuple[bool, ...]
    reaches_unknown: tuple[bool, ...]

    def comes_from(self, position: int, origins: Container[int]) -> bool:
        """Whether the tensor at `position` was made of one of `origins`, not far before."""
        seen: set[int] = set()
        waiting = [position]
        while waiting and len(seen) < LARGEST_BRANCH:
            each = waiting.pop()
            if each in origins:
                return True
            if each not in seen:
                seen.add(each)
                waiting += self.ops[each].inputs
        return False


def wire(model: Model) -> Wiring:
    """The wiring of `model`, in time linear in its edges."""
    consumers: list[list[int]] = [[] for _ in model.ops]
    uses: dict[int, list[int]] = {}
    for position, op in enumerate(model.ops):
        for source in dict.fromkeys(op.inputs):
            consumers[source].append(position)
        if op.kind == "layer" and op.layer is not None:
            uses.setdefault(op.layer, []).append(position)
    reaches_layer = [False] * len(model.ops)
    reaches_output = [False] * len(model.ops)
    reaches_unknown = [not after for after in consumers]
    for position in range(len(model.ops) - 1, -1, -1):
        for consumer in consumers[position]:
            kind = model.ops[consumer].kind
            if kind == "layer":
                reaches_layer[position] = True
            elif kind == "opaque":
                reaches_unknown[position] = True
            elif kind == "output":
                reaches_output[position] = True
            else:
                reaches_layer[position] |= reaches_layer[consumer]
                reaches_output[position] |= reaches_output[consumer]
                reaches_unknown[position] |= reaches_unknown[consumer]
    return Wiring(
        ops=model.ops,
        consumers=_living(model.ops, consumers),
        uses=MappingProxyType({layer: tuple(positions) for layer, positions in uses.items()}),
        reaches_layer=tuple(reaches_layer),
        reaches_output=tuple(reaches_output),
        reaches_unknown=tuple(reaches_unknown),
    )


_PASSIVE = frozenset({"transparent", "scale", "add", "gate", "concat", "norm", "join"})


def _living(ops: Sequence[Op], consumers: Sequence[Sequence[int]]) -> tuple[tuple[int, ...], ...]:
    """The consumers of each op without those whose results nothing uses; all of them where that is true of each."""
    idle: set[int] = set()
    for position in range(len(ops) - 1, -1, -1):
        if ops[position].kind in _PASSIVE and idle.issuperset(consumers[position]):
            idle.add(position)
    return tuple(
        tuple(all_) if idle.isdisjoint(all_) else tuple(one for one in all_ if one not in idle) or tuple(all_)
        for all_ in consumers
    )
