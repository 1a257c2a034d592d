"""Arithmetic on tensors: products that are gates, activations or weights, sums that are branches or shifts."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import TYPE_CHECKING

from initlint.source.symbols import ABSENT, UNKNOWN, monomial, multiply
from initlint.source.torch_modules import number
from initlint.source.values import (
    Arguments,
    Choice,
    DictV,
    Filling,
    Instance,
    ListV,
    Method,
    ParamV,
    Place,
    TensorV,
    View,
    Write,
)

if TYPE_CHECKING:
    from initlint.source.machine import Frame, Machine


def is_tensor(value: object) -> bool:
    """Whether `value` is certainly a tensor."""
    return isinstance(value, (TensorV, ParamV, View))


def as_tensor(machine: Machine, value: object) -> TensorV:
    """`value` as the result of an op: a parameter becomes an input of the graph, anything unknown an opaque op."""
    if isinstance(value, TensorV):
        return value
    if isinstance(value, (ParamV, View)):
        param = value.param if isinstance(value, View) else value
        return TensorV(machine.graph.add("input", "parameter"), param=param, shape=param.shape)
    if isinstance(value, Choice):
        parts = [each for each in value.alternatives if each is not ABSENT and each is not None]
        joined = machine.join([as_tensor(machine, each) for each in parts]) if parts else UNKNOWN
        if isinstance(joined, TensorV):
            return joined
    if isinstance(value, (ListV, tuple)):
        items = [each for each in (value.data if isinstance(value, ListV) else value) if is_tensor(each)]
        if items:
            return TensorV(machine.graph.add("opaque", "list", tuple(as_tensor(machine, each).op for each in items)))
    return TensorV(machine.graph.add("opaque", "unknown"))


def first_tensor(machine: Machine, arguments: Arguments) -> TensorV:
    """The signal among the arguments of a call: the first positional one, or the first tensor given by name."""
    if arguments.positional:
        return as_tensor(machine, arguments.positional[0])
    for name in ("input", "x", "query", "self"):
        if name in arguments.keywords:
            return as_tensor(machine, arguments.keywords[name])
    given = next((each for each in arguments.keywords.values() if is_tensor(each)), UNKNOWN)
    return as_tensor(machine, given)


def op_on(machine: Machine, kind: str, name: str, source: TensorV, place: Place, **params: float | None) -> TensorV:
    """One op on one tensor; parameters that are None are left out."""
    known = tuple((key, value) for key, value in params.items() if value is not None)
    op = machine.graph.add(kind, name, (source.op,), params=known, place=place)
    return TensorV(op, param=source.param)


def tensor_arithmetic(
    machine: Machine, kind: type[ast.operator], left: object, right: object, node: ast.AST, frame: Frame
) -> object:
    """``left OP right`` with a tensor on at least one side."""
    place = machine.place(node, frame)
    handler = _ARITHMETIC.get(kind)
    if handler is None:
        tensors = [as_tensor(machine, each) for each in (left, right) if is_tensor(each)]
        return TensorV(
            machine.graph.add("opaque", kind.__name__.lower(), tuple(each.op for each in tensors), place=place)
        )
    return handler(machine, left, right, place)


def multiply_tensors(machine: Machine, left: object, right: object, place: Place) -> TensorV:
    """A product: an activation by hand, a gate, or a signal scaled."""
    if isinstance(left, TensorV) and isinstance(right, TensorV):
        if left.param is not None or right.param is not None:
            return _weighted(machine, left, right, place)
        return TensorV(machine.graph.multiply(left.op, right.op, place))
    signal, other = (left, right) if isinstance(left, TensorV) or not is_tensor(right) else (right, left)
    return scaled(machine, signal, other, place, "mul")


def _weighted(machine: Machine, left: TensorV, right: TensorV, place: Place) -> TensorV:
    signal, weight = (left, right) if left.param is None else (right, left)
    made = op_on(machine, "scale", "mul", signal, place)
    return TensorV(made.op, param=weight.param if signal.param is not None else None)


def may_be_signal(value: object) -> bool:
    """Whether something that is no tensor as far as is known may be one when the program runs: no number takes its place."""
    return value is UNKNOWN or value is None or isinstance(value, (Choice, Instance, Method))


def scaled(machine: Machine, signal: object, other: object, place: Place, name: str) -> TensorV:
    """A tensor times (or divided by) something that is no signal: a number, a symbol or a parameter."""
    source = as_tensor(machine, signal)
    factor = number(other)
    if factor is not None and name == "div":
        factor = 1 / factor if factor else None
    if may_be_signal(other) or isinstance(other, (ListV, DictV)):
        return op_on(machine, "opaque", name, source, place)
    made = op_on(machine, "scale", name, source, place, factor=None if factor is None else abs(factor))
    drawn = scaled_draw(source.drawn, factor, other, name)
    return TensorV(made.op, None if drawn is None else Filling(drawn), source.shape, source.param)


def scaled_draw(drawn: Write | None, factor: float | None, other: object, name: str) -> Write | None:
    """A fresh random tensor times a number is a fresh random tensor."""
    if drawn is None or drawn.function not in ("normal_", "uniform_", "constant_", "trunc_normal_"):
        return None
    by = monomial(other)
    if by is None:
        return None
    arguments = []
    for key, value in drawn.arguments:
        each = monomial(value)
        if each is None:
            return None
        arguments.append((key, multiply(each, by, -1 if name == "div" else 1)))
    return Write(drawn.function, tuple(arguments), drawn.place, drawn.source)


def divide(machine: Machine, left: object, right: object, place: Place) -> TensorV:
    """A quotient."""
    if isinstance(left, TensorV) and isinstance(right, TensorV) and left.param is None and right.param is None:
        return TensorV(machine.graph.divide(left.op, right.op, place))
    if not is_tensor(left):
        return op_on(machine, "opaque", "div", as_tensor(machine, right), place)
    return scaled(machine, left, right, place, "div")


def add(machine: Machine, left: object, right: object, place: Place) -> TensorV:
    """A sum: of two signals, or of one and something that only shifts it."""
    tensors = [each for each in (left, right) if isinstance(each, TensorV) and each.param is None]
    if len(tensors) == 2:
        return TensorV(machine.graph.sum(tensors[0].op, tensors[1].op, place))
    signal, other = (left, right) if tensors and tensors[0] is left else (right, left) if tensors else (left, right)
    source = as_tensor(machine, signal)
    if may_be_signal(other):
        return TensorV(machine.graph.add("add", "add", (source.op, as_tensor(machine, other).op), place=place))
    made = op_on(machine, "shift", "add", source, place)
    return TensorV(made.op, None if source.drawn is None else Filling(source.drawn), source.shape, source.param)


def _matmul(machine: Machine, left: object, right: object, place: Place) -> TensorV:
    return matmul(machine, left, right, place)


def _power(machine: Machine, left: object, right: object, place: Place) -> TensorV:
    source = as_tensor(machine, left)
    if number(right) == 2:
        return TensorV(machine.graph.squared(source.op, place))
    return op_on(machine, "opaque", "pow", source, place)


_ARITHMETIC: dict[type[ast.operator], Callable[[Machine, object, object, Place], TensorV]] = {
    ast.Mult: multiply_tensors,
    ast.Div: divide,
    ast.Add: add,
    ast.Sub: add,
    ast.MatMult: _matmul,
    ast.Pow: _power,
}


def matmul(machine: Machine, left: object, right: object, place: Place) -> TensorV:
    """A matrix product: of two signals, or of a signal and a weight."""
    weights = [weight_of(each) for each in (left, right)]
    if weights[1] is not None and weights[0] is None:
        return weight_op(machine, left, right, place, orientation="in_out")
    if weights[0] is not None and weights[1] is None:
        return weight_op(machine, right, left, place, orientation="out_in")
    ops = [as_tensor(machine, each).op for each in (left, right)]
    return TensorV(machine.graph.add("matmul", "matmul", tuple(dict.fromkeys(ops)), place=place))


def weight_of(value: object) -> ParamV | None:
    """The parameter that `value` is, or was computed from."""
    if isinstance(value, ParamV):
        return value
    if isinstance(value, View):
        return value.param
    return value.param if isinstance(value, TensorV) else None


_OTHER_WAY = {"in_out": "out_in", "out_in": "in_out"}


def _seen_from(weight: ParamV | View, orientation: str) -> str:
    """The orientation of the parameter itself, where a view of it has the one given."""
    turned = isinstance(weight, View) and weight.turned
    return "unknown" if turned is None else _OTHER_WAY.get(orientation, orientation) if turned else orientation


def weight_op(machine: Machine, signal: object, weight: object, place: Place, *, orientation: str) -> TensorV:
    """The signal through a weight that is an argument: the layer that owns the weight, or the bare parameter."""
    source = as_tensor(machine, signal)
    param = weight_of(weight)
    if param is None:
        other = as_tensor(machine, weight)
        return TensorV(machine.graph.add("matmul", "matmul", (source.op, other.op), place=place))
    owner = param.owner
    judged: Instance | ParamV = param
    if owner is not None and owner.fact is not None and owner.fact.role in ("weight", "embedding", "head"):
        judged = owner
        if not isinstance(weight, (ParamV, View)) and owner.parametrization is None:
            owner.parametrization = "other"
    elif not isinstance(weight, (ParamV, View)):
        return TensorV(machine.graph.add("opaque", "weight", (source.op,), place=place))
    elif param.fans == "plain":
        param.fans = _seen_from(weight, orientation)
    return TensorV(machine.graph.add("layer", "matmul", (source.op,), layer=judged, place=place))
