"""Where ``self.proj`` may be None, what happens under ``if self.proj is not None`` happens to every such layer."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from initlint.source.torch_modules import all_parameters
from initlint.source.values import Choice, Instance, ParamV, View

if TYPE_CHECKING:
    from initlint.source.machine import Flow, Frame, Machine
    from initlint.source.values import Write


class Parts:
    """Parameters that exist only if a test takes one of two ways: 0 where it holds, 1 where it does not."""

    __slots__ = ("_fates", "_params", "way")

    def __init__(self, way: int, params: Sequence[ParamV]) -> None:
        self.way = way
        self._params = params
        self._fates: list[tuple[ParamV, tuple[Write, ...]]] = []

    def watch(self, run: Callable[[], Flow]) -> Flow:
        """Run the branch in which they exist, and note what it leaves in them."""
        flow = run()
        self._fates = [(param, param.data) for param in self._params]
        return flow

    def settle(self, machine: Machine) -> None:
        """Behind the test they are what that branch left, whatever the other did without them."""
        for param, writes in self._fates:
            if param.data is not writes:
                machine.touch(param)
                param.data = writes


def tested_parts(machine: Machine, test: ast.expr, frame: Frame) -> Parts | None:
    """The parameters that a test asks for: ``self.proj is None``, ``not self.proj``; None for another test, or without any."""
    if machine.forwarding:
        return None
    way = 0
    while isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        test, way = test.operand, 1 - way
    if isinstance(test, ast.Compare):
        match test:
            case ast.Compare(ops=[ast.IsNot() | ast.NotEq()], comparators=[ast.Constant(value=None)]):
                pass
            case ast.Compare(ops=[ast.Is() | ast.Eq()], comparators=[ast.Constant(value=None)]):
                way = 1 - way
            case _:
                return None
        test = test.left
    value = machine.evaluate(test, frame) if isinstance(test, ast.Name | ast.Attribute) else None
    if not isinstance(value, Choice) or None not in value.alternatives:
        return None
    params = [param for each in value.alternatives for param in _parameters(machine, each)]
    return Parts(way, params) if params else None


def _parameters(machine: Machine, value: object) -> Iterator[ParamV]:
    """The parameters of what a branch has built; what is built in any case may be used elsewhere under another name."""
    if isinstance(value, Instance) and value.torch_class and not machine.is_certain(value):
        yield from all_parameters(value)
    elif isinstance(value, View) and value.whole:
        yield value.param
    elif isinstance(value, ParamV):
        yield value
