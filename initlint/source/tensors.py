"""Operations on tensors: what each lays down in the op graph, by the table of facts."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from initlint.source.escape import escape
from initlint.source.torch_modules import bind, number
from initlint.source.values import (
    ABSENT,
    UNKNOWN,
    Arguments,
    Choice,
    DictV,
    External,
    Instance,
    ListV,
    ParamV,
    Place,
    TensorV,
    View,
    Write,
)

if TYPE_CHECKING:
    from initlint.knowledge import OperationFact
    from initlint.source.machine import Frame, Machine

_MOST_PARTS = 16
_SOFTMAX = frozenset({"softmax", "log_softmax", "softmin"})


# -- operands ------------------------------------------------------------------------------------------------------------


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


def _op(machine: Machine, kind: str, name: str, source: TensorV, place: Place, **params: float | None) -> TensorV:
    known = tuple((key, value) for key, value in params.items() if value is not None)
    op = machine.graph.add(kind, name, (source.op,), params=known, place=place)
    return TensorV(op, param=source.param)


# -- activations ---------------------------------------------------------------------------------------------------------


def activation_op(machine: Machine, name: str, arguments: dict[str, object], source: TensorV, place: Place) -> TensorV:
    """The output of an activation, with the parameters that are known numbers."""
    if name == "identity":
        return source
    if name in _SOFTMAX:
        return _op(machine, "softmax", name, source, place)
    fact = machine.knowledge.activations[name]
    if name == "glu":
        return _op(machine, "gate", name, source, place)
    params: dict[str, float] = {}
    for key, default in fact.parameters:
        value = arguments.get(key, default)
        known = number(value)
        if known is None:
            if key == fact.slope_parameter or not isinstance(value, (str, bool)):
                return _op(machine, "opaque", name, source, place)
            continue
        params[key] = known
    if name == "threshold" and any(params.values()):
        return _op(machine, "opaque", name, source, place)
    return TensorV(machine.graph.add("activation", name, (source.op,), params=tuple(params.items()), place=place))


def call_activation(machine: Machine, name: str, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    """``F.relu(x)``, ``x.relu_()``: the functional forms, the tensor first."""
    fact = machine.knowledge.activations[name]
    source = first_tensor(machine, arguments)
    rest = Arguments(arguments.positional[1:], arguments.keywords, arguments.open)
    if name == "prelu" and rest.positional and isinstance(rest.positional[0], ParamV):
        return activation_op(machine, name, {}, source, machine.place(node, frame))
    return activation_op(machine, name, bind(fact.functional_parameters, rest), source, machine.place(node, frame))


# -- arithmetic ----------------------------------------------------------------------------------------------------------


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


def _multiply(machine: Machine, left: object, right: object, place: Place) -> TensorV:
    if isinstance(left, TensorV) and isinstance(right, TensorV):
        if left.param is not None or right.param is not None:
            return _weighted(machine, left, right, place)
        return TensorV(machine.graph.multiply(left.op, right.op, place))
    signal, other = (left, right) if isinstance(left, TensorV) or not is_tensor(right) else (right, left)
    return scaled(machine, signal, other, place, "mul")


def _weighted(machine: Machine, left: TensorV, right: TensorV, place: Place) -> TensorV:
    signal, weight = (left, right) if left.param is None else (right, left)
    made = _op(machine, "scale", "mul", signal, place)
    return TensorV(made.op, param=weight.param if signal.param is not None else None)


def scaled(machine: Machine, signal: object, other: object, place: Place, name: str) -> TensorV:
    """A tensor times (or divided by) something that is no signal: a number, a symbol or a parameter."""
    source = as_tensor(machine, signal)
    factor = number(other)
    if factor is not None and name == "div":
        factor = 1 / factor if factor else None
    if other is UNKNOWN or isinstance(other, (Choice, Instance, ListV, DictV)):
        return _op(machine, "opaque", name, source, place)
    made = _op(machine, "scale", name, source, place, factor=None if factor is None else abs(factor))
    return TensorV(made.op, scaled_draw(source.drawn, factor, other, name), source.shape, source.param)


def scaled_draw(drawn: Write | None, factor: float | None, other: object, name: str) -> Write | None:
    """A fresh random tensor times a number is a fresh random tensor."""
    from initlint.source.values import monomial, multiply

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


def _divide(machine: Machine, left: object, right: object, place: Place) -> TensorV:
    if isinstance(left, TensorV) and isinstance(right, TensorV) and left.param is None and right.param is None:
        constant = machine.graph.is_constant(right.op)
        return TensorV(
            machine.graph.add(
                "scale" if constant else "gate", "div", (left.op,) if constant else (left.op, right.op), place=place
            )
        )
    if not is_tensor(left):
        return TensorV(machine.graph.add("opaque", "div", (as_tensor(machine, right).op,), place=place))
    return scaled(machine, left, right, place, "div")


def _add(machine: Machine, left: object, right: object, place: Place) -> TensorV:
    tensors = [each for each in (left, right) if isinstance(each, TensorV) and each.param is None]
    if len(tensors) == 2:
        return TensorV(machine.graph.sum(tensors[0].op, tensors[1].op, place))
    signal, other = (left, right) if tensors and tensors[0] is left else (right, left) if tensors else (left, right)
    source = as_tensor(machine, signal)
    if other is UNKNOWN or isinstance(other, (Choice, Instance)):
        return TensorV(machine.graph.add("add", "add", (source.op, as_tensor(machine, other).op), place=place))
    made = _op(machine, "shift", "add", source, place)
    return TensorV(made.op, source.drawn, source.shape, source.param)


def _matmul(machine: Machine, left: object, right: object, place: Place) -> TensorV:
    return matmul(machine, left, right, place)


def _power(machine: Machine, left: object, right: object, place: Place) -> TensorV:
    source = as_tensor(machine, left)
    if number(right) == 2:
        return TensorV(machine.graph.squared(source.op, place))
    return _op(machine, "opaque", "pow", source, place)


_ARITHMETIC: dict[type[ast.operator], Callable[[Machine, object, object, Place], TensorV]] = {
    ast.Mult: _multiply,
    ast.Div: _divide,
    ast.Add: _add,
    ast.Sub: _add,
    ast.MatMult: _matmul,
    ast.Pow: _power,
}


def matmul(machine: Machine, left: object, right: object, place: Place) -> TensorV:
    """A matrix product: of two signals, or of a signal and a weight."""
    weights = [_weight_of(each) for each in (left, right)]
    if weights[1] is not None and weights[0] is None:
        return weight_op(machine, left, right, place, orientation="in_out")
    if weights[0] is not None and weights[1] is None:
        return weight_op(machine, right, left, place, orientation="out_in")
    ops = [as_tensor(machine, each).op for each in (left, right)]
    return TensorV(machine.graph.add("matmul", "matmul", tuple(dict.fromkeys(ops)), place=place))


def _weight_of(value: object) -> ParamV | None:
    if isinstance(value, ParamV):
        return value
    if isinstance(value, View):
        return value.param
    return value.param if isinstance(value, TensorV) else None


def weight_op(machine: Machine, signal: object, weight: object, place: Place, *, orientation: str) -> TensorV:
    """The signal through a weight that is an argument: the layer that owns the weight, or the bare parameter."""
    source = as_tensor(machine, signal)
    param = _weight_of(weight)
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
        param.fans = orientation
    return TensorV(machine.graph.add("layer", "matmul", (source.op,), layer=judged, place=place))


def index_tensor(machine: Machine, value: TensorV, node: ast.AST, frame: Frame) -> TensorV:
    """``x[...]``: a part of the tensor."""
    made = _op(machine, "transparent", "getitem", value, machine.place(node, frame))
    return TensorV(made.op, param=value.param)


# -- the table -----------------------------------------------------------------------------------------------------------


def call_operation(
    machine: Machine, name: str, fact: OperationFact, arguments: Arguments, node: ast.AST, frame: Frame
) -> object:
    """A torch function or Tensor method; for a method the tensor is the first positional argument."""
    signature = fact.signature
    if name.startswith("Tensor."):
        signature = (("input", ...), *signature)
    return operation_result(machine, fact, bind(signature, arguments), arguments, node, frame)


def operation_result(
    machine: Machine, fact: OperationFact, bound: dict[str, object], arguments: Arguments, node: ast.AST, frame: Frame
) -> object:
    """What an operation makes of its tensors. `bound` are the arguments (a module's: those it was constructed with)."""
    handler = _EFFECTS.get(fact.effect)
    place = machine.place(node, frame)
    if handler is None:
        return escape(machine, External(f"torch.{fact.name}"), arguments, node, frame)
    return handler(machine, fact, bound, arguments, place)


def _transparent(
    machine: Machine, fact: OperationFact, bound: dict[str, object], arguments: Arguments, place: Place
) -> object:
    source = first_tensor(machine, arguments)
    name = fact.name.rpartition(".")[2]
    if fact.factor is None and fact.factor_by is None:
        made = _op(machine, "transparent", name, source, place)
        return TensorV(made.op, source.drawn, None, source.param)
    return _op(machine, "transparent", name, source, place, factor=_factor(fact, bound))


def _factor(fact: OperationFact, bound: dict[str, object]) -> float | None:
    if fact.factor_by == "dropout":
        p = number(bound.get("p", 0.5))
        return 1 / math.sqrt(1 - p) if p is not None and 0 <= p < 1 else None
    if fact.factor_by == "interpolation":
        mode = bound.get("mode")
        return fact.factor if isinstance(mode, str) and "linear" in mode else None
    return fact.factor


def _norm(
    machine: Machine, fact: OperationFact, bound: dict[str, object], arguments: Arguments, place: Place
) -> object:
    return _op(machine, "norm", fact.name.rpartition(".")[2], first_tensor(machine, arguments), place)


def _operands(bound: dict[str, object], arguments: Arguments) -> tuple[object, object]:
    given = arguments.positional
    left = given[0] if given else bound.get("input", UNKNOWN)
    right = given[1] if len(given) > 1 else bound.get("other", bound.get("mat2", bound.get("vec", UNKNOWN)))
    return left, right


def _added(
    machine: Machine, fact: OperationFact, bound: dict[str, object], arguments: Arguments, place: Place
) -> object:
    name = fact.name.rpartition(".")[2]
    if name in ("addmm", "baddbmm", "addbmm", "addmv"):
        given = arguments.positional
        if len(given) >= 3:
            return matmul(machine, given[1], given[2], place)
    left, right = _operands(bound, arguments)
    return _add(machine, left, right, place)


def _gated(
    machine: Machine, fact: OperationFact, bound: dict[str, object], arguments: Arguments, place: Place
) -> object:
    left, right = _operands(bound, arguments)
    if fact.factor_by == "divisor":
        return _divide(machine, left, right, place)
    return _multiply(machine, left, right, place)


def _listed(machine: Machine, arguments: Arguments) -> tuple[int, ...]:
    first = arguments.positional[0] if arguments.positional else arguments.keywords.get("tensors", UNKNOWN)
    items: object = first
    if isinstance(first, ListV):
        items = tuple(first.data)
    if not isinstance(items, tuple):
        items = tuple(each for each in arguments.positional if is_tensor(each)) or (first,)
    flat = [each for each in items if each is not ABSENT and each is not None]
    return tuple(dict.fromkeys(as_tensor(machine, each).op for each in flat))


def _concat(
    machine: Machine, fact: OperationFact, bound: dict[str, object], arguments: Arguments, place: Place
) -> object:
    inputs = _listed(machine, arguments)
    return TensorV(machine.graph.add("concat", fact.name.rpartition(".")[2], inputs, place=place))


def _split(
    machine: Machine, fact: OperationFact, bound: dict[str, object], arguments: Arguments, place: Place
) -> object:
    first = arguments.positional[0] if arguments.positional else UNKNOWN
    source = first_tensor(machine, arguments)
    count = bound.get("chunks", bound.get("split_size_or_sections", bound.get("split_size")))
    if isinstance(count, (ListV, tuple)):
        count = len(count.data if isinstance(count, ListV) else count)
    elif "chunks" not in bound:
        count = None
    if isinstance(first, (ParamV, View)):
        param = first.param if isinstance(first, View) else first
        return (
            ListV([View(param, whole=False)], repeats=True)
            if not isinstance(count, int)
            else (View(param, whole=False),) * count
        )
    if isinstance(count, int) and not isinstance(count, bool) and 0 < count <= _MOST_PARTS:
        return tuple(_op(machine, "transparent", "split", source, place) for _ in range(count))
    return _op(machine, "transparent", "split", source, place)


def _softmax(
    machine: Machine, fact: OperationFact, bound: dict[str, object], arguments: Arguments, place: Place
) -> object:
    return _op(machine, "softmax", fact.name.rpartition(".")[2], first_tensor(machine, arguments), place)


def _product(
    machine: Machine, fact: OperationFact, bound: dict[str, object], arguments: Arguments, place: Place
) -> object:
    given = list(arguments.positional)
    if fact.name.endswith("einsum"):
        operands = [each for each in given[1:] if not isinstance(each, str)]
        if len(operands) == 1 and isinstance(operands[0], (ListV, tuple)):
            operands = list(operands[0].data if isinstance(operands[0], ListV) else operands[0])
        weights = [each for each in operands if _weight_of(each) is not None]
        signals = [each for each in operands if _weight_of(each) is None]
        if len(weights) == 1 and len(signals) == 1:
            return weight_op(machine, signals[0], weights[0], place, orientation="unknown")
        ops = tuple(dict.fromkeys(as_tensor(machine, each).op for each in operands))
        return TensorV(machine.graph.add("matmul", "einsum", ops, place=place))
    left, right = _operands(bound, arguments)
    return matmul(machine, left, right, place)


def _linear(
    machine: Machine, fact: OperationFact, bound: dict[str, object], arguments: Arguments, place: Place
) -> object:
    name = fact.name.rpartition(".")[2]
    orientation = "transposed" if "transpose" in name else "out_in"
    if name == "embedding":
        return _op(machine, "opaque", name, TensorV(machine.graph.add("input", "indices")), place)
    signal = bound.get("input", UNKNOWN)
    weight = bound.get("weight", UNKNOWN)
    return weight_op(machine, signal, weight, place, orientation=orientation)


def _attend(
    machine: Machine, fact: OperationFact, bound: dict[str, object], arguments: Arguments, place: Place
) -> object:
    ops = [each.op for each in (*arguments.positional[:3], *arguments.keywords.values()) if isinstance(each, TensorV)]
    return TensorV(machine.graph.add("matmul", "attention", tuple(dict.fromkeys(ops)), place=place))


def _clamp(
    machine: Machine, fact: OperationFact, bound: dict[str, object], arguments: Arguments, place: Place
) -> object:
    source = first_tensor(machine, arguments)
    low = bound.get("min", bound.get("min_val"))
    high = bound.get("max", bound.get("max_val"))
    name = fact.name.rpartition(".")[2].rstrip("_")
    if number(low) == 0 and (number(high) is None or number(high) != 1):
        return activation_op(machine, "relu6" if number(high) == 6 else "relu", {}, source, place)
    if number(low) == -1 and number(high) == 1:
        return activation_op(machine, "hardtanh", {}, source, place)
    return _op(machine, "transparent" if name.startswith("clamp") or name == "clip" else "opaque", name, source, place)


def maximum(machine: Machine, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    """``torch.maximum(x, y)``: with a tensor of zeros, a ReLU."""
    place = machine.place(node, frame)
    tensors = [as_tensor(machine, each) for each in arguments.positional[:2]]
    for signal, floor in (tensors, tensors[::-1]):
        if floor.drawn is not None and dict(floor.drawn.arguments).get("val") == 0:
            return activation_op(machine, "relu", {}, signal, place)
    return TensorV(machine.graph.add("opaque", "maximum", tuple(each.op for each in tensors), place=place))


def _fresh(
    machine: Machine, fact: OperationFact, bound: dict[str, object], arguments: Arguments, place: Place
) -> object:
    from initlint.source.initialization import fresh_tensor

    return fresh_tensor(machine, fact.name.rpartition(".")[2], bound, arguments, place)


def _sizes(
    machine: Machine, fact: OperationFact, bound: dict[str, object], arguments: Arguments, place: Place
) -> object:
    return UNKNOWN


def _summed(
    machine: Machine, fact: OperationFact, bound: dict[str, object], arguments: Arguments, place: Place
) -> object:
    return _op(machine, "opaque", fact.name.rpartition(".")[2], first_tensor(machine, arguments), place)


def _scale(
    machine: Machine, fact: OperationFact, bound: dict[str, object], arguments: Arguments, place: Place
) -> object:
    source = first_tensor(machine, arguments)
    other = bound.get("other", bound.get("value"))
    if other is not None and other is not UNKNOWN:
        return scaled(machine, source, other, place, "div" if fact.factor_by == "divisor" else "mul")
    return _op(machine, "scale", fact.name.rpartition(".")[2], source, place, factor=fact.factor)


_EFFECTS: dict[str, Callable[..., object]] = {
    "transparent": _transparent,
    "norm": _norm,
    "scale": _scale,
    "add": _added,
    "gate": _gated,
    "concat": _concat,
    "split": _split,
    "matmul": _product,
    "linear": _linear,
    "softmax": _softmax,
    "attention": _attend,
    "clamp": _clamp,
    "constant": _fresh,
    "shape": _sizes,
    "loss": _summed,
    "opaque": _summed,
}
