"""While a model is built, it is known which modules a loop over `modules()`, `children()` or `parameters()`, or `apply`, is at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import torch
from torch import nn

_WALKS = ("named_modules", "named_children")
"""Every other walk runs over one of these: `modules` and `named_parameters` over the first, `children` and `apply` over the second."""


class Walks:
    """The walks that are under way: each stands at the module it returned last, until it is asked for the next one or left."""

    def __init__(self) -> None:
        self._at: dict[object, nn.Module] = {}

    def listening(self) -> AbstractContextManager[object]:
        """Hear of every walk that begins inside."""
        stack = ExitStack()
        for name in _WALKS:
            stack.enter_context(_replaced(name, self._follow))
        return stack

    def meet(self, is_it: Callable[[torch.Tensor], bool]) -> bool:
        """Whether a walk stands at a module that holds such a parameter, by itself or further below."""
        return any(is_it(parameter) for module in reversed(self._at.values()) for parameter in _parameters(module))

    def _follow(self, walk: Iterator[tuple[str, nn.Module]]) -> Iterator[tuple[str, nn.Module]]:
        mark = object()
        for name, module in walk:
            self._at[mark] = module
            try:
                yield name, module
            finally:
                del self._at[mark]


def _parameters(module: nn.Module) -> Iterator[torch.Tensor]:
    """The parameters of a module and of those below it; unlike `Module.parameters`, no walk of its own."""
    pending: list[nn.Module | None] = [module]
    while pending:
        each = pending.pop()
        if each is not None:
            yield from (parameter for parameter in each._parameters.values() if parameter is not None)
            pending += each._modules.values()


@contextmanager
def _replaced(name: str, follow: Callable[[Any], Iterator[Any]]) -> Iterator[None]:
    """Have the walk that a method of `nn.Module` returns go through `follow`."""
    original = getattr(nn.Module, name)

    def walk(self: nn.Module, *args: Any, **kwargs: Any) -> Iterator[Any]:
        return follow(original(self, *args, **kwargs))

    setattr(nn.Module, name, walk)
    try:
        yield
    finally:
        setattr(nn.Module, name, original)
