"""Operations on tensors: what each lays down in the op graph, by the table of facts."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from initlint.source.arithmetic import (
    add,
    as_tensor,
    divide,
    first_tensor,
    is_tensor,
    matmul,
    multiply_tensors,
    op_on,
    scaled,
    weight_of,
    weight_op,
)
from initlint.source.attributes import shape_of
from initlint.source.equations import contraction, multiplies, sums_over
from initlint.source.escape import escape
from initlint.source.masks import masked
from initlint.source.symbols import ABSENT, UNKNOWN, Sym
from initlint.source.torch_modules import bind, number
from initlint.source.values import (
    Arguments,
    External,
    Filling,
    ListV,
    ParamV,
    Place,
    TensorV,
    View,
)

if TYPE_CHECKING:
    from initlint.knowledge import OperationFact
    from initlint.source.machine import Frame, Machine

_MOST_PARTS = 16
_COUNTS = frozenset({"dim", "ndimension", "numel", "nelement", "item"})
_SOFTMAX = frozenset({"softmax", "log_softmax", "softmin"})


def activation_op(machine: Machine, name: str, arguments: dict[str, object], source: TensorV, place: Place) -> TensorV:
    """The output of an activation, with the parameters that are known numbers."""
    if name == "identity":
        return source
    if name in _SOFTMAX:
        return op_on(machine, "softmax", name, source, place)
    fact = machine.knowledge.activations[name]
    if name == "glu":
        return op_on(machine, "gate", name, source, place)
    params: dict[str, float] = {}
    for key, default in fact.parameters:
        value = arguments.get(key, default)
        known = number(value)
        if known is None:
            matters = fact.slope_parameter is None and not isinstance(value, (str, bool))
            if matters or key == fact.slope_parameter:  # of a leaky rectifier nothing but its slope matters
                return op_on(machine, "opaque", name, source, place)
            continue
        params[key] = known
    if name == "threshold" and any(params.values()):
        return op_on(machine, "opaque", name, source, place)
    return TensorV(machine.graph.add("activation", name, (source.op,), params=tuple(params.items()), place=place))


def call_activation(machine: Machine, name: str, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    """``F.relu(x)``, ``x.relu_()``: the functional forms, the tensor first."""
    fact = machine.knowledge.activations[name]
    source = first_tensor(machine, arguments)
    rest = Arguments(arguments.positional[1:], arguments.keywords, arguments.open)
    if name == "prelu" and rest.positional and isinstance(rest.positional[0], ParamV):
        return activation_op(machine, name, {}, source, machine.place(node, frame))
    return activation_op(machine, name, bind(fact.functional_parameters, rest), source, machine.place(node, frame))


def index_tensor(machine: Machine, value: TensorV, node: ast.AST, frame: Frame) -> TensorV:
    """``x[...]``: a part of the tensor."""
    made = op_on(
        machine, "transparent", "channels" if _is_of_channels(node) else "getitem", value, machine.place(node, frame)
    )
    return TensorV(made.op, value.filling, param=value.param, part=True)


def _is_of_channels(node: ast.AST) -> bool:
    """Whether a subscript takes a range of the second axis, on which the units of nearly every layer lie."""
    match node:
        case ast.Subscript(slice=ast.Tuple(elts=[ast.Slice(), ast.Slice(lower, upper, step), *_])):
            return any(bound is not None for bound in (lower, upper, step))
    return False


def call_operation(
    machine: Machine, name: str, fact: OperationFact, arguments: Arguments, node: ast.AST, frame: Frame
) -> object:
    """A torch function or Tensor method; for a method the tensor is the first positional argument."""
    signature = fact.signature
    if name.startswith("Tensor."):
        signature = (("input", ...), *signature)
    bound = bind(signature, arguments)
    if fact.effect == "masked":
        return masked(machine, bound, node, frame)
    return operation_result(machine, fact, bound, arguments, node, frame)


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
        made = op_on(machine, "transparent", name, source, place)
        filling = source.filling
        if filling is not None and name == "clone":
            filling = Filling(filling.data)
        return TensorV(made.op, filling, None, source.param, source.part)
    slope = {} if fact.slope is None else {"slope": fact.slope}
    return op_on(machine, "transparent", name, source, place, factor=_factor(fact, bound), **slope)


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
    return op_on(machine, "norm", fact.name.rpartition(".")[2], first_tensor(machine, arguments), place)


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
    if name.startswith("lerp") and is_tensor(weight := bound.get("weight", UNKNOWN)):
        left = multiply_tensors(machine, left, weight, place)
        right = multiply_tensors(machine, bound.get("end", UNKNOWN), weight, place)
    elif name.startswith("addcmul"):
        right = multiply_tensors(machine, bound.get("tensor1", UNKNOWN), bound.get("tensor2", UNKNOWN), place)
    return add(machine, left, right, place)


def _gated(
    machine: Machine, fact: OperationFact, bound: dict[str, object], arguments: Arguments, place: Place
) -> object:
    left, right = _operands(bound, arguments)
    if fact.factor_by == "divisor":
        return divide(machine, left, right, place)
    return multiply_tensors(machine, left, right, place)


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
        return tuple(_part_of(machine, source, place) for _ in range(count))
    return _part_of(machine, source, place)


def _part_of(machine: Machine, source: TensorV, place: Place) -> TensorV:
    """A view of some of the elements."""
    made = op_on(machine, "transparent", "split", source, place)
    return TensorV(made.op, source.filling, None, made.param, part=True)


def _softmax(
    machine: Machine, fact: OperationFact, bound: dict[str, object], arguments: Arguments, place: Place
) -> object:
    return op_on(machine, "softmax", fact.name.rpartition(".")[2], first_tensor(machine, arguments), place)


def _product(
    machine: Machine, fact: OperationFact, bound: dict[str, object], arguments: Arguments, place: Place
) -> object:
    given = list(arguments.positional)
    if fact.name.endswith("einsum"):
        written = given[:-1] if fact.name.startswith("einops.") else given[1:]
        operands = [each for each in written if not isinstance(each, str)]
        equation, spaced = next((each for each in given if isinstance(each, str)), ""), fact.name.startswith("einops.")
        if len(operands) == 1 and isinstance(operands[0], (ListV, tuple)):
            operands = list(operands[0].data if isinstance(operands[0], ListV) else operands[0])
        weights = [each for each in operands if weight_of(each) is not None]
        signals = [each for each in operands if weight_of(each) is None]
        if len(weights) == 1 and len(signals) == 1:
            position = operands.index(weights[0])
            if not sums_over(equation, position, spaced=spaced):
                return multiply_tensors(machine, signals[0], weights[0], place)
            orientation = "unknown"
            if isinstance(weights[0], ParamV) and not spaced:
                orientation = contraction(equation, position)
            return weight_op(machine, signals[0], weights[0], place, orientation=orientation)
        if len(signals) == len(operands) == 2 and multiplies(equation, spaced=spaced):
            left, right = (as_tensor(machine, each) for each in operands)
            return multiply_tensors(machine, left, right, place)
        ops = tuple(dict.fromkeys(as_tensor(machine, each).op for each in operands))
        return TensorV(machine.graph.add("matmul", "einsum", ops, place=place))
    return matmul(machine, *_operands(bound, arguments), place)


def _linear(
    machine: Machine, fact: OperationFact, bound: dict[str, object], arguments: Arguments, place: Place
) -> object:
    name = fact.name.rpartition(".")[2]
    orientation = "transposed" if "transpose" in name else "out_in"
    if name == "embedding":
        return op_on(machine, "opaque", name, TensorV(machine.graph.add("input", "indices")), place)
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
    return op_on(
        machine, "transparent" if name.startswith("clamp") or name == "clip" else "opaque", name, source, place
    )


def maximum(machine: Machine, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    """``torch.maximum(x, y)``: with a tensor of zeros, a ReLU."""
    place = machine.place(node, frame)
    tensors = [as_tensor(machine, each) for each in arguments.positional[:2]]
    for signal, floor in (tensors, tensors[::-1]):
        is_shifted = machine.graph.node(floor.op).name == "add"
        if floor.drawn is not None and dict(floor.drawn.arguments).get("val") == 0 and not is_shifted:
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
    source = arguments.positional[0] if arguments.positional else UNKNOWN
    name = fact.name.rpartition(".")[2]
    if not isinstance(source, TensorV):
        return UNKNOWN
    machine.graph.measure(source.op)
    if name in _COUNTS:
        return Sym.named(f"%{source.op}.{name}")
    return size_of(source, arguments.get(1, "dim", None)) if name == "size" else UNKNOWN


def _handed_over(
    machine: Machine, fact: OperationFact, bound: dict[str, object], arguments: Arguments, place: Place
) -> object:
    """Numbers for numpy or Python: the tensor leaves the model."""
    source = arguments.positional[0] if arguments.positional else UNKNOWN
    if isinstance(source, TensorV):
        machine.graph.add("output", fact.name.rpartition(".")[2], (source.op,), place=place)
    return UNKNOWN


def size_of(source: TensorV, index: object) -> object:
    """``x.size(index)``, or all sizes: a number, named where it is not known."""
    shape = shape_of(source)
    if index is None or not isinstance(index, int):
        return shape if index is None else UNKNOWN
    if isinstance(shape, Sym):
        return Sym.named(f"{shape}[{index}]")
    known = isinstance(shape, tuple) and -len(shape) <= index < len(shape)
    return shape[index] if isinstance(shape, tuple) and known else UNKNOWN


_SOURCES = ("src", "source", "values", "value", "tensor")


def signal_put_in(machine: Machine, arguments: Arguments) -> TensorV | None:
    """The signal whose elements a call puts somewhere in its tensor, the last of its arguments: ``scatter_add(0, index, x)``."""
    named = [arguments.keywords[name] for name in _SOURCES if name in arguments.keywords]
    given = [*arguments.positional[1:][-1:], *named][-1:]
    return as_signal(machine, given[0]) if given else None


def as_signal(machine: Machine, value: object) -> TensorV | None:
    """The tensor that a value is if it is made of what a model is given, None for anything else."""
    if not isinstance(value, TensorV) or value.param is not None or machine.graph.is_constant(value.op):
        return None
    return value


SCATTERING = re.compile(r"(?:masked_)?scatter|index_(?:add|copy|put)|put_|copy_")


def _summed(
    machine: Machine, fact: OperationFact, bound: dict[str, object], arguments: Arguments, place: Place
) -> object:
    name, source = fact.name.rpartition(".")[2], first_tensor(machine, arguments)
    put_in = signal_put_in(machine, arguments) if SCATTERING.match(name) else None
    if put_in is not None:
        return TensorV(machine.graph.add("opaque", name, (source.op, put_in.op), place=place))
    if isinstance(source, TensorV) and (name == "square" or (name == "pow" and arguments.get(1, "exponent") == 2)):
        return TensorV(machine.graph.squared(source.op, place))
    return op_on(machine, "opaque", name, source, place)


def _lost(
    machine: Machine, fact: OperationFact, bound: dict[str, object], arguments: Arguments, place: Place
) -> object:
    """What is compared with a target leaves the model; a loss that is made of it is no signal."""
    name = fact.name.rpartition(".")[2]
    for value in (*arguments.positional, *arguments.keywords.values()):
        if isinstance(value, TensorV):
            machine.graph.add("output", name, (value.op,), place=place)
    return TensorV(machine.graph.add("constant", name))


def _scale(
    machine: Machine, fact: OperationFact, bound: dict[str, object], arguments: Arguments, place: Place
) -> object:
    source = first_tensor(machine, arguments)
    other = bound.get("other", bound.get("value"))
    if other is not None and other is not UNKNOWN:
        return scaled(machine, source, other, place, "div" if fact.factor_by == "divisor" else "mul")
    return op_on(machine, "scale", fact.name.rpartition(".")[2], source, place, factor=fact.factor)


_EFFECTS: dict[str, Callable[..., object]] = {
    "transparent": _transparent,
    "select": _transparent,
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
    "loss": _lost,
    "output": _handed_over,
    "opaque": _summed,
}
