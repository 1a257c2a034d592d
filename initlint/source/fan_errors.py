"""Initializers that scale by a fan which is not the one the signal meets.

torch reads a weight as (out, in, kernel): that is wrong for transposed convolutions, blind to groups, and wrong for matrices that are
multiplied from the left, for stacks of them and for tensors that an equation contracts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from initlint.source.scales import LEADING, Fans, fact_of, over, times, value_of
from initlint.source.symbols import Sym, monomial, power
from initlint.source.symmetry import consumers_of
from initlint.source.values import Instance, ParamV, Write

if TYPE_CHECKING:
    from initlint.knowledge import InitializerFact
    from initlint.source.dataflow import Graph, Node
    from initlint.source.machine import Machine

_KINDS = {"conv": "conv", "conv_transpose": "conv_transpose"}
_FITS = (0.75, 1.33)
_TURNING = frozenset({"transpose", "permute", "t", "swapaxes", "swapdims", "movedim", "T", "mT", "rearrange"})


@dataclass(frozen=True, slots=True)
class _Reading:
    """What torch takes for the fans of a weight, what they are, and why the two differ."""

    torch: Fans
    true_in: Sym | None
    true_out: Sym | None
    reason: str


def inspect_fans(machine: Machine) -> None:
    """Note weights whose last initializer went by a wrong fan, at the end of a context."""
    consumers: dict[int, list[int]] | None = None
    seen: set[ParamV] = set()
    for index, node in enumerate(machine.graph.nodes, machine.graph.first):
        weight = _weight_of(node)
        if weight is None or weight in seen or weight.frozen or not weight.data:
            continue
        seen.add(weight)
        last = weight.data[-1]
        if last.source != "explicit" or last.partial or last.reshaped or last.conditional or last.place is None:
            continue
        fact = fact_of(machine.knowledge, last)
        reading = None if fact is None else _read(node, weight)
        if fact is None or reading is None:
            continue
        ratio = _ratio(fact, last, reading)
        if ratio is None or _FITS[0] <= ratio <= _FITS[1]:
            continue
        consumers = consumers_of(machine.graph) if consumers is None else consumers
        if reading.reason == "stack" and _makes_matrices(machine.graph, consumers, index):
            continue
        if not _is_normalized(machine.graph, consumers, index):
            known = None if math.isnan(ratio) else ratio
            owner = node.layer if isinstance(node.layer, Instance) else weight.owner
            machine.occur(
                "wrong-fan",
                last.place,
                owner,
                function=fact.canonical,
                parameter=weight.name,
                reason=reading.reason,
                ratio=known,
            )


def _weight_of(node: Node) -> ParamV | None:
    """The weight of a layer that torch may misread."""
    layer = node.layer
    if node.kind != "layer" or layer is None:
        return None
    if isinstance(layer, ParamV):
        return layer if layer.owner is not None and not layer.owner.uncertain else None
    if layer.fact is None or layer.fact.fans not in _KINDS or layer.parametrization is not None or layer.uncertain:
        return None
    weight = layer.data.get("weight")
    return weight if isinstance(weight, ParamV) else None


def _read(node: Node, weight: ParamV) -> _Reading | None:
    """How torch misreads the weight, None where it does not."""
    shape = weight.shape
    if shape is None or len(shape) < 2:
        return None
    if isinstance(node.layer, Instance):
        return _read_convolution(node.layer, shape)
    if weight.fans.startswith(LEADING):
        true = Fans(shape, kind=weight.fans)
        return _Reading(Fans(shape), true.true_in, true.true_out, "tensor")
    if len(shape) == 3 and weight.fans not in ("out_in", "unstacked"):
        rows, columns = monomial(shape[1]), monomial(shape[2])
        return _Reading(Fans(shape), rows, columns, "stack")
    if weight.fans == "in_out" and len(shape) == 2:
        plain = Fans(shape)
        return _Reading(plain, plain.fan_out, plain.fan_in, "left")
    return None


def _read_convolution(layer: Instance, shape: tuple[object, ...]) -> _Reading | None:
    kind = _KINDS.get(layer.fact.fans) if layer.fact is not None else None
    groups = layer.arguments.get("groups", 1)
    if kind is None or (kind == "conv" and groups == 1):
        return None
    true = Fans(shape, kind=kind, groups=groups, stride=layer.arguments.get("stride", ()))
    reason = "transposed" if kind == "conv_transpose" else "groups"
    return _Reading(Fans(shape), true.true_in, true.true_out, reason)


def _ratio(fact: InitializerFact, write: Write, reading: _Reading) -> float | None:
    """The std that is drawn over the one that the same formula gives with the true fans; NaN where only that they differ is known."""
    given = {
        **{name: value for name, value in fact.signature if value is not ...},
        **dict(write.arguments),
        **fact.fixed,
    }
    if fact.formula == "kaiming":
        return _kaiming_ratio(given, reading)
    if fact.formula == "xavier":
        return _xavier_ratio(reading)
    if fact.formula in ("normal", "uniform") and reading.reason == "left":
        return _formula_ratio(fact, given, reading)
    return None


def _kaiming_ratio(given: dict[str, object], reading: _Reading) -> float | None:
    backward = str(given.get("mode", "fan_in")).lower() == "fan_out"
    used = reading.torch.fan_out if backward else reading.torch.fan_in
    wanted = reading.true_out if backward and reading.reason != "transposed" else reading.true_in
    if reading.reason == "stack":
        return _closest(_root_over(reading.true_in, used), _root_over(reading.true_out, used))
    return _root_over(wanted, used)


def _closest(one: float | None, other: float | None) -> float | None:
    known = [each for each in (one, other) if each is not None and not math.isnan(each)]
    return min(known, key=lambda each: abs(math.log(each))) if known else None


def _root_over(wanted: Sym | None, used: Sym | None) -> float | None:
    """sqrt(wanted / used); NaN where they differ by a symbol."""
    quotient = over(wanted, used)
    if quotient is None:
        return None
    known = value_of(quotient)
    return math.nan if known is None else math.sqrt(known)


def _xavier_ratio(reading: _Reading) -> float | None:
    fans = (reading.torch.fan_in, reading.torch.fan_out, reading.true_in, reading.true_out)
    fan_in, fan_out, true_in, true_out = (value_of(each) for each in fans)
    if not fan_in or not fan_out or not true_in or not true_out:
        return None
    return math.sqrt((true_in + true_out) / (fan_in + fan_out))


def _formula_ratio(fact: InitializerFact, given: dict[str, object], reading: _Reading) -> float | None:
    """A spread that was computed from the fan torch would use, where the true one is another."""
    spread = given.get("std") if fact.formula == "normal" else given.get("b", given.get("to"))
    width = monomial(spread)
    if width is None or not width.powers:
        return None
    variance = monomial(power(width, 2))
    if value_of(times(variance, reading.torch.fan_in)) is None:
        return None
    return _root_over(reading.true_in, reading.torch.fan_in)


def _is_normalized(graph: Graph, consumers: dict[int, list[int]], index: int) -> bool:
    """Whether a normalization comes before anything else that changes the signal."""
    pending = list(consumers.get(index, ()))
    while pending:
        node = graph.node(each := pending.pop())
        if node.kind == "norm":
            return True
        if node.kind in ("transparent", "shift", "scale"):
            pending += consumers.get(each, ())
    return False


def _makes_matrices(graph: Graph, consumers: dict[int, list[int]], index: int) -> bool:
    """Whether what a stack makes of one tensor is the matrix that another is multiplied with: its fan is that of both products.

    Keys come turned, and values meet the weights of a softmax.
    """
    pending = [(index, each) for each in consumers.get(index, ())]
    while pending:
        source, each = pending.pop()
        node = graph.node(each)
        if node.kind == "transparent" and node.name not in _TURNING:
            pending += [(each, further) for further in consumers.get(each, ())]
        elif node.kind == "matmul" and node.inputs[-1] == source and not _is_weights(graph, node.inputs[0]):
            return len(node.inputs) > 1
    return False


def _is_weights(graph: Graph, position: int) -> bool:
    """Whether a tensor comes out of a softmax."""
    while (node := graph.node(position)).kind in ("transparent", "scale") and node.inputs:
        position = node.inputs[0]
    return node.kind == "softmax"
