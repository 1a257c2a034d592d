"""Tracing by running: the forward pass on an input, written down call by call, whatever Python decides on the way."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from initlint.graph.calls import Call, Result, Stored, class_name, function_name, is_leaf
from initlint.graph.frames import call_site, pass_on
from initlint.graph.lineage import Lineage
from initlint.knowledge import Knowledge
from initlint.model import Site


class Observer(Protocol):
    """Sees every tensor that a call makes."""

    def __call__(self, call: Call, tensor: torch.Tensor) -> None:
        """`tensor` was made by `call`."""


class Execution(TorchFunctionMode):
    """One run of `model`, as calls.

    Tensors are known by identity and kept by nobody: a new one at the address of one that is gone is told by its weak reference.
    `strangers` are the modules, by id, that were called and that `model` does not register.
    """

    def __init__(self, model: nn.Module, knowledge: Knowledge, observer: Observer | None = None) -> None:
        super().__init__()
        self.calls: list[Call] = []
        self.strangers: set[int] = set()
        self._knowledge = knowledge
        self._observer = observer
        self._paths = {id(module): path for path, module in model.named_modules()}
        self._stored = {
            id(tensor): Stored(name, tensor) for name, tensor in (*model.named_parameters(), *model.named_buffers())
        }
        self._lineage = Lineage(knowledge, self._stored)
        self._made: dict[int, tuple[int, weakref.ref[torch.Tensor]]] = {}
        self._unseen = 0

    def run(self, model: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """The output of `model`; what it raises is the user's error."""
        names = [*(f"args.{position}" for position in range(len(args))), *kwargs]
        for name, value in zip(names, (*args, *kwargs.values()), strict=True):
            for tensor in tensors_in(value):
                self._append(Call(len(self.calls), "input", name), tensor)
        with _intercepted_modules(self._call_module), self:
            output = pass_on(model, args, kwargs)
        for tensor in tensors_in(output):
            source = self._stand_in(tensor)  # may add calls, before which this one has no number
            self.calls.append(Call(len(self.calls), "output", "output", (source,)))
        return output

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run `func` and write down what it made."""
        kwargs = kwargs or {}
        if self._unseen:
            return pass_on(func, args, kwargs)
        before = self._replaced(args), self._replaced(kwargs)
        result = pass_on(func, args, kwargs)
        tensors = tensors_in(result)
        if tensors:
            site = call_site(sys._getframe(1))
            call = Call(len(self.calls), "function", function_name(func), *before, site=site)
            self._append(call, *tensors)
        return result

    def _call_module(
        self, module: nn.Module, original: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        path = self._paths.get(id(module))
        if path is None:
            self.strangers.add(id(module))
        if self._unseen or path is None or not is_leaf(module, self._knowledge):
            return pass_on(original, (module, *args), kwargs)
        before = self._replaced(args), self._replaced(kwargs)
        self._unseen += 1
        try:
            result = pass_on(original, (module, *args), kwargs)
        finally:
            self._unseen -= 1
        site: Site | None = call_site(sys._getframe(1))
        name = class_name(type(module))
        self._append(
            Call(len(self.calls), "module", name, *before, module=module, path=path, site=site), *tensors_in(result)
        )
        return result

    def _append(self, call: Call, *tensors: torch.Tensor) -> None:
        self.calls.append(call)
        for index, tensor in enumerate(tensors):
            maker = call.id
            if len(tensors) > 1:
                maker = len(self.calls)
                self.calls.append(Call(maker, "function", "operator.getitem", (Result(call.id), index), site=call.site))
            self._made[id(tensor)] = (maker, weakref.ref(tensor))
            self._lineage.note(tensor, maker)
            if self._observer is not None:
                self._observe(self.calls[maker], tensor)

    def _observe(self, call: Call, tensor: torch.Tensor) -> None:
        """Let the observer look; what it computes is no part of the run."""
        self._unseen += 1
        try:
            self._observer(call, tensor)  # type: ignore[misc]
        finally:
            self._unseen -= 1

    def _stand_in(self, value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        made = self._made.get(id(value))
        if made is not None and made[1]() is value:
            return Result(made[0])
        return self._stored.get(id(value)) or self._lineage.steps_to(value, self.calls)

    def _replaced(self, value: Any) -> Any:
        """`value` with every tensor replaced by what stands for it; None for one that came from nowhere known."""
        if isinstance(value, tuple | list):
            return tuple(self._replaced(item) for item in value)
        if isinstance(value, dict):
            return {key: self._replaced(item) for key, item in value.items()}
        return self._stand_in(value)


def tensors_in(value: Any) -> list[torch.Tensor]:
    """The tensors inside a result: of tuples and dicts, of registered output classes and of plain objects' fields."""
    found = [leaf for leaf in tree_leaves(value) if isinstance(leaf, torch.Tensor)]
    if not found and hasattr(value, "__dict__"):
        found = [leaf for leaf in tree_leaves(list(vars(value).values())) if isinstance(leaf, torch.Tensor)]
    return found


@contextmanager
def _intercepted_modules(intercept: Callable[..., Any]) -> Iterator[None]:
    """Have `intercept` called in place of every module, with the original."""
    original = nn.Module.__call__

    def call(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        return intercept(self, original, args, kwargs)

    setattr(nn.Module, "__call__", call)  # noqa: B010 (mypy forbids assigning to a method)
    try:
        yield
    finally:
        setattr(nn.Module, "__call__", original)  # noqa: B010
