"""Calls become the ops of a `Model`: each by the effect that rules/facts give it, hand-written activations by their formula."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import EllipsisType
from typing import Any

import torch

from initlint.graph.calls import Call, Result, Stored, known_class, leaves
from initlint.knowledge import Activation, Knowledge, OperationFact
from initlint.model import Op, OpKind, Site


@dataclass(frozen=True, slots=True)
class Use:
    """A parameter used as the weight of a call: its `fan_in` there, and whether it was `rebuilt` from what is stored first."""

    name: str
    fan_in: int | None
    rebuilt: bool = False


@dataclass(frozen=True, slots=True)
class _Weight:
    """What a tensor made of parameters alone still is of `stored`: `turned` around, or `rebuilt` from it."""

    stored: Stored
    turned: bool = False
    rebuilt: bool = False


@dataclass(slots=True)
class Lowered:
    """The ops of a model, the calls they came from, and the bare parameters used as weights."""

    ops: list[Op] = field(default_factory=list)
    op_of: dict[int, int] = field(default_factory=dict)
    uses: dict[str, Use] = field(default_factory=dict)


class Lowering:
    """Lowers the calls of one model.

    `layers` are the ids of its layers by module path or parameter name; `built` says where a module was.
    """

    def __init__(
        self,
        knowledge: Knowledge,
        layers: Mapping[str, int],
        built: Callable[[torch.nn.Module], Site | None] | None = None,
    ) -> None:
        self._built = built
        self._knowledge = knowledge
        self._layers = layers
        self._calls: Mapping[int, Call] = {}
        self._weights: dict[int, _Weight] = {}
        self._absorbed: set[int] = set()
        self._out = Lowered()

    def lower(self, calls: tuple[Call, ...]) -> Lowered:
        """The ops of `calls`; what depends on neither an input nor a layer is no signal and makes no op."""
        self._calls = {call.id: call for call in calls}
        for call in calls:
            self._lower(call)
        self._drop_absorbed()
        return self._out

    def _drop_absorbed(self) -> None:
        """Forget the steps of an activation that is one op now, where nothing else uses them."""
        needed = [op.id not in self._absorbed for op in self._out.ops]
        for op in reversed(self._out.ops):
            if needed[op.id]:
                for source in op.inputs:
                    needed[source] = True
        kept = [op for op in self._out.ops if needed[op.id]]
        places = {op.id: place for place, op in enumerate(kept)}
        self._out.ops = [
            replace(op, id=places[op.id], inputs=tuple(places[source] for source in op.inputs)) for op in kept
        ]
        self._out.op_of = {call: places[op] for call, op in self._out.op_of.items() if op in places}

    def _lower(self, call: Call) -> None:
        match call.kind:
            case "input":
                self._emit(call, "input", call.name)
            case "output":
                self._leave(call, "output")
            case "opaque":
                self._emit(call, "opaque", call.name, self._signals(call))
            case "module":
                self._module(call)
            case "function":
                self._function(call)

    def _leave(self, call: Call, name: str) -> None:
        """What is returned or compared with a target leaves the model; a loss that is made of it is no signal."""
        for source in dict.fromkeys(self._signals(call)):
            self._emit(call, "output", name, (source,))
        self._out.op_of.pop(call.id, None)

    def _signals(self, call: Call) -> tuple[int, ...]:
        """The ops whose tensors a call takes."""
        return tuple(self._out.op_of[source] for source in call.results() if source in self._out.op_of)

    def _emit(
        self,
        call: Call,
        kind: OpKind,
        name: str,
        inputs: tuple[int, ...] = (),
        params: Mapping[str, float] | None = None,
        layer: int | None = None,
        site: Site | None = None,
    ) -> None:
        number = len(self._out.ops)
        self._out.ops.append(Op(number, kind, name, inputs, layer, tuple((params or {}).items()), site or call.site))
        self._out.op_of[call.id] = number

    def _module(self, call: Call) -> None:
        assert call.module is not None
        signals = self._signals(call)
        layer = self._layers.get(call.path)
        if layer is not None:
            self._emit(call, "layer", call.name, signals[:1], layer=layer)
            projection = self._layers.get(f"{call.path}.out_proj")
            if projection is not None:
                self._emit(call, "layer", f"{call.name}.out_proj", (self._out.op_of[call.id],), layer=projection)
            return
        name = known_class(call.module, self._knowledge) or call.name
        activation = self._knowledge.activation_of.get(name)
        if activation is not None:
            self._activation(call, activation, signals, self._module_parameters(call.module, activation))
            return
        fact = self._knowledge.layers.get(name)
        if fact is not None and fact.role == "norm":
            self._emit(call, "norm", _short(name), signals[:1])
            return
        operation = self._knowledge.operations.get(name)
        if operation is None:
            self._emit(call, "opaque", name, signals)
            return
        arguments = {key: getattr(call.module, key, default) for key, default in operation.signature}
        self._operation(call, operation, signals, arguments)

    def _module_parameters(self, module: torch.nn.Module, name: str) -> dict[str, float]:
        fact = self._knowledge.activations[name]
        if fact.slope_parameter == "init" and isinstance(getattr(module, "weight", None), torch.Tensor):
            weight = module.weight
            assert isinstance(weight, torch.Tensor)
            return {"init": 0.25 if weight.is_meta else float(weight.detach().float().mean())}
        values = {key: getattr(module, key, default) for key, default in fact.parameters}
        return {key: float(value) for key, value in values.items() if isinstance(value, int | float)}

    def _activation(self, call: Call, name: str, signals: tuple[int, ...], params: Mapping[str, float]) -> None:
        fact = self._knowledge.activations.get(name)
        changed = {
            key: value for key, value in params.items() if fact is None or value != dict(fact.parameters).get(key)
        }
        self._emit(call, "activation", name, signals[:1], changed, site=self._written(call))

    def _written(self, call: Call) -> Site | None:
        """Where an activation is to be seen that is a member of a container: whoever calls that does not name it."""
        member = call.kind == "module" and call.path.rpartition(".")[2].isdigit()
        return self._built(call.module) if self._built and member and call.module is not None else None

    def _function(self, call: Call) -> None:
        name = self._knowledge.resolve(call.name)
        activation = self._knowledge.activation_of.get(name)
        signals = self._signals(call)
        if not signals:
            self._derive(call, name)
            return
        if activation is not None:
            self._activation(call, activation, signals, self._arguments(call, self._knowledge.activations[activation]))
            return
        operation = self._knowledge.operations.get(name) or self._knowledge.operations.get(name.removesuffix("_"))
        if operation is None:
            self._unlisted(call, name, signals)
            return
        self._operation(call, operation, signals, _bound(call, operation))

    def _arguments(self, call: Call, fact: Activation) -> dict[str, float]:
        known = dict(fact.functional_parameters)
        given: dict[str, Any] = dict(zip(known, call.args[1:], strict=False)) | dict(call.kwargs)
        if fact.slope_parameter == "init":
            slopes = next((value for value in leaves((call.args, call.kwargs)) if isinstance(value, Stored)), None)
            return {} if slopes is None or slopes.tensor.is_meta else {"init": float(slopes.tensor.float().mean())}
        values = {key: given.get(key, default) for key, default in known.items()}
        return {key: float(value) for key, value in values.items() if isinstance(value, int | float)}

    def _derive(self, call: Call, name: str) -> None:
        """What is made of parameters alone: still a weight, if rearranged; rebuilt, if anything else."""
        sources = [value for value in leaves((call.args, call.kwargs)) if isinstance(value, Stored | Result)]
        known = [self._weight_of(value) for value in sources]
        weight = next((found for found in known if found is not None), None)
        if weight is None:
            return
        operation = self._knowledge.operations.get(name)
        plain = name in _IDENTITIES or (
            operation is not None and operation.effect in {"transparent", "select", "split"}
        )
        turned = weight.turned != (_short(name) in _TURNS)
        self._weights[call.id] = _Weight(weight.stored, turned, weight.rebuilt or not plain)

    def _weight_of(self, value: Any) -> _Weight | None:
        """The trained matrix that `value` is or was made of."""
        if isinstance(value, Stored):
            return _Weight(value) if value.trained and value.tensor.dim() >= 2 else None
        return self._weights.get(value.call) if isinstance(value, Result) else None

    def _unlisted(self, call: Call, name: str, signals: tuple[int, ...]) -> None:
        if name in _IDENTITIES or name.startswith("Tensor.__"):
            self._emit(call, "transparent", _short(name), signals[:1])
        elif name in {"operator.pow", "operator.neg"}:
            self._power(call, signals)
        else:
            self._emit(call, "opaque", name, signals)

    def _operation(
        self, call: Call, fact: OperationFact, signals: tuple[int, ...], arguments: Mapping[str, Any]
    ) -> None:
        name = _short(fact.name)
        match fact.effect:
            case "transparent" | "select" | "split" | "container":
                changes = {"factor": _factor(fact, arguments), "slope": fact.slope}
                known = {key: value for key, value in changes.items() if value is not None}
                self._emit(call, "transparent", name, signals[:1], known)
            case "norm" | "concat" | "softmax":
                taken = signals if fact.effect == "concat" else signals[:1]
                self._emit(call, fact.effect, name, taken)
            case "add":
                self._add(call, name, signals)
            case "gate" | "scale":
                self._product(call, name, fact, signals, arguments)
            case _ if fact.effect in {"matmul", "linear"} or name.startswith("embedding"):
                self._matmul(call, name, signals)
            case "attention":
                self._emit(call, "matmul", name, signals)
            case "loss" | "output":
                self._leave(call, name)
            case "clamp" | "masked":
                read = self._clamp if fact.effect == "clamp" else self._mask
                read(call, signals, arguments)
            case "constant" | "shape":
                return
            case _ if name in {"max", "min"} and _takes_dimension(call):
                self._emit(call, "transparent", name, signals[:1])
            case _ if name in {"pow", "square"}:
                self._power(call, signals)
            case _:
                self._emit(call, "opaque", fact.name, signals)

    def _add(self, call: Call, name: str, signals: tuple[int, ...]) -> None:
        if len(signals) > 1:
            self._emit(call, "add", name, signals)
        else:
            self._emit(call, "transparent", name, signals)

    def _product(
        self, call: Call, name: str, fact: OperationFact, signals: tuple[int, ...], arguments: Mapping[str, Any]
    ) -> None:
        if len(signals) > 1:
            self._gate(call, name, signals)
            return
        divides = fact.factor_by == "divisor" or "div" in name
        if divides and not isinstance(next(leaves(call.args), None), Result):
            self._emit(call, "opaque", fact.name, signals)
            return
        factor = _multiplier(call, divides=divides)
        if factor is None and fact.effect == "scale":
            factor = _factor(fact, arguments)
        self._emit(call, "scale", name, signals, {} if factor is None else {"factor": factor})

    def _gate(self, call: Call, name: str, signals: tuple[int, ...]) -> None:
        """A product of tensors, or the activation it spells out: x * sigmoid(x)."""
        for squashed, plain in ((signals[0], signals[-1]), (signals[-1], signals[0])):
            root = self._unscaled(plain)
            spelled = self._spelled(squashed, root)
            if spelled is not None and spelled in self._knowledge.activations:
                self._absorbed.update(self._between(squashed, root), self._between(plain, root))
                self._emit(call, "activation", spelled, (root,))
                return
            if self._normalizes(squashed, plain):
                self._absorbed.update(self._between(squashed, plain))
                self._emit(call, "norm", "norm", (plain,))
                return
        if len(set(signals)) == 1:
            self._power(call, signals)
            return
        self._emit(call, "gate", name, signals)

    def _normalizes(self, squashed: int, plain: int) -> bool:
        """Whether `squashed` is the inverse size of `plain`: x * rsqrt(mean(x * x)), or (x - mean(x)) / sqrt(var(x))."""
        ops = self._out.ops
        names: set[str] = set()
        origins = {plain, *(ops[plain].inputs if _short(ops[plain].name) in _SUMS else ())}
        pending = [squashed]
        while pending:
            position = pending.pop()
            op = ops[position]
            if position in origins:
                continue
            if not op.inputs or _short(op.name) not in _SIZES | _SUMS | _AVERAGES | {"mul", "imul"}:
                return False
            names.add(_short(op.name))
            pending += op.inputs
        return bool(names & _AVERAGES) and bool(names & _SIZES)

    def _between(self, position: int, root: int) -> set[int]:
        """The ops on the way from `root` to `position`."""
        if position == root:
            return set()
        return {position}.union(*(self._between(source, root) for source in self._out.ops[position].inputs))

    def _unscaled(self, position: int) -> int:
        """The op before multiplications by and sums with numbers."""
        op = self._out.ops[position]
        while len(op.inputs) == 1 and (op.kind == "scale" or (op.kind == "transparent" and op.name in _SUMS)):
            position = op.inputs[0]
            op = self._out.ops[position]
        return position

    def _spelled(self, squashed: int, root: int) -> str | None:
        """What the tensor of `root` times the tensor of `squashed` is, if the second was made of the first."""
        ops = self._out.ops
        source = ops[self._unscaled(squashed)]
        name = _short(source.name)
        if len(source.inputs) != 1:
            return None
        entering = source.inputs[0]
        if name == "tanh" and ops[entering].name == "softplus" and ops[entering].inputs == (root,):
            return "mish"
        direct = entering == root
        if not direct and not self._is_polynomial(entering, root):
            return None
        if name == "sigmoid" and ops[entering].kind == "scale":
            return "quick_gelu" if abs((ops[entering].param("factor") or 0.0) - 1.702) < 0.01 else "silu"
        return _FORMULAS.get((name, direct))

    def _is_polynomial(self, position: int, root: int) -> bool:
        """Whether sums, products and powers alone lead from `root` to `position`."""
        op = self._out.ops[position]
        if position == root:
            return True
        polynomial = op.kind in {"scale", "add", "gate"} or _short(op.name) in _SUMS | {"pow", "square"}
        return polynomial and bool(op.inputs) and all(self._is_polynomial(source, root) for source in op.inputs)

    def _power(self, call: Call, signals: tuple[int, ...]) -> None:
        source = self._out.ops[signals[0]]
        if source.kind == "activation" and source.name == "relu" and "relu_squared" in self._knowledge.activations:
            self._absorbed.add(signals[0])
            self._emit(call, "activation", "relu_squared", source.inputs)
        else:
            self._emit(call, "opaque", call.name, signals)

    def _clamp(self, call: Call, signals: tuple[int, ...], arguments: Mapping[str, Any]) -> None:
        low, high = arguments.get("min"), arguments.get("max")
        if low == 0 and high is None:
            self._emit(call, "activation", "relu", signals[:1])
        elif low == 0 and high == 6:
            self._emit(call, "activation", "relu6", signals[:1])
        elif isinstance(low, int | float) and isinstance(high, int | float) and low < 0 < high:
            params = {} if (low, high) == (-1, 1) else {"min_val": float(low), "max_val": float(high)}
            self._emit(call, "activation", "hardtanh", signals[:1], params)
        else:
            self._emit(call, "opaque", "clamp", signals[:1])

    def _mask(self, call: Call, signals: tuple[int, ...], arguments: Mapping[str, Any]) -> None:
        """Every element out of one of two tensors; where the mask compares one of them this is a function by hand."""
        masks = [each.call for each in leaves(arguments.get("condition")) if isinstance(each, Result)]
        made = {self._out.op_of.get(mask) for mask in masks}
        compared = {self._out.op_of.get(each) for mask in masks for each in self._calls[mask].results()}
        values = tuple(dict.fromkeys(each for each in signals if each not in made))
        if not values or not compared.isdisjoint(values):
            self._emit(call, "opaque", call.name, signals)
        else:
            self._emit(call, "transparent" if len(values) == 1 else "join", "where", values)

    def _matmul(self, call: Call, name: str, signals: tuple[int, ...]) -> None:
        """Tensor by tensor, or by a parameter: then it is a layer."""
        operands = [value for value in leaves(call.args) if isinstance(value, Result | Stored)]
        operands += [value for value in leaves(call.kwargs) if isinstance(value, Result | Stored)]
        for position, value in enumerate(operands):
            weight = self._weight_of(value)
            if weight is None:
                continue
            stored = weight.stored
            layer = self._layers.get(stored.name, self._layers.get(stored.name.rpartition(".")[0]))
            if layer is None:
                break
            fan_in = None if weight.rebuilt else _fan_in(call, name, position, weight)
            self._out.uses[stored.name] = Use(stored.name, fan_in, weight.rebuilt)
            self._emit(call, "layer", stored.name, signals[:1], layer=layer)
            return
        if len(signals) > 1:
            self._emit(call, "matmul", name, signals)
        else:
            self._emit(call, "opaque", name, signals)


_TURNS = frozenset({"t", "T", "mT", "transpose", "swapaxes", "swapdims", "adjoint"})
_SUMS = frozenset({"add", "iadd", "sub", "isub"})
_AVERAGES = frozenset({"mean", "var", "std", "norm", "sum"})
_SIZES = frozenset({"rsqrt", "sqrt", "pow", "square", "var", "std", "norm", "reciprocal", "clamp", "clamp_min"})
_FORMULAS = {
    ("sigmoid", True): "silu",
    ("hardsigmoid", True): "hardswish",
    ("erf", False): "gelu",
    ("tanh", False): "gelu",
    ("relu6", False): "hardswish",
}
"""What x times f(x), or f of a polynomial in x, is."""

_IDENTITIES = frozenset({"builtins.getattr", "Tensor.grad"})
"""Access to a part of a tensor, beside what the facts call a view of it."""


def _takes_dimension(call: Call) -> bool:
    """Whether an extreme is taken over one dimension, as a pool does, and not of two tensors or of everything."""
    return "dim" in call.kwargs or any(type(value) is int for value in call.args[1:2])


def _short(name: str) -> str:
    return name.rpartition(".")[2]


def _bound(call: Call, fact: OperationFact) -> dict[str, Any]:
    """The arguments of a call by name; a method's tensor is left out, as in its signature."""
    positional = call.args[1:] if fact.name.startswith("Tensor.") else call.args
    defaults = {key: value for key, value in fact.signature if not isinstance(value, EllipsisType)}
    return defaults | dict(zip((key for key, _ in fact.signature), positional, strict=False)) | dict(call.kwargs)


def _factor(fact: OperationFact, arguments: Mapping[str, Any]) -> float | None:
    """What an operation multiplies the rms of a signal by."""
    match fact.factor_by:
        case "dropout":
            rate = arguments.get("p")
            return 1 / math.sqrt(1 - rate) if isinstance(rate, int | float) and 0 <= rate < 1 else None
        case "interpolation":
            return fact.factor if "linear" in str(arguments.get("mode")) else 1.0
        case _:
            return fact.factor


def _multiplier(call: Call, *, divides: bool) -> float | None:
    """The number that a product multiplies its one tensor by; that of a stored tensor is its rms."""
    values = list(leaves((call.args, call.kwargs)))
    number = next((value for value in values if isinstance(value, int | float) and not isinstance(value, bool)), None)
    stored = next((value.tensor for value in values if isinstance(value, Stored)), None)
    if number is None and stored is not None and stored.is_floating_point() and not stored.is_meta:
        number = float(stored.detach().float().square().mean().sqrt())
    if number is None or (divides and number == 0):
        return None
    return 1 / number if divides else float(number)


def _fan_in(call: Call, name: str, position: int, weight: _Weight) -> int | None:
    """How many products are summed for one output of a call with this weight; None where that is not known."""
    shape = tuple(weight.stored.tensor.shape)
    if name == "einsum":
        return None if weight.turned else _einsum_fan_in(call, position, weight.stored)
    if name == "linear" or (name.startswith("conv") and "transpose" not in name):
        return math.prod(shape[1:])
    if "mm" in name or "matmul" in name:
        first = position == (1 if name.startswith(("add", "badd")) else 0)
        return int(shape[-1] if first != weight.turned else shape[-2])
    return None


def _einsum_fan_in(call: Call, position: int, stored: Stored) -> int | None:
    equation = next((value for value in call.args if isinstance(value, str)), "").replace(" ", "")
    inputs, arrow, output = equation.partition("->")
    terms = inputs.split(",")
    if not arrow or position >= len(terms) or len(terms[position]) != stored.tensor.dim():
        return None
    contracted = [
        size for letter, size in zip(terms[position], stored.tensor.shape, strict=True) if letter not in output
    ]
    return math.prod(contracted)
