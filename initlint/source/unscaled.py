"""Weights drawn with a spread that no width explains: standard normal, uniform from 0 to 1, an embedding that serves as a head."""

from __future__ import annotations

from typing import TYPE_CHECKING

from initlint.source.scales import Fans, fact_of, value_of
from initlint.source.symmetry import consumers_of
from initlint.source.torch_modules import number
from initlint.source.values import Instance, ParamV, Write

if TYPE_CHECKING:
    from initlint.source.dataflow import Graph, Node
    from initlint.source.machine import Machine

_FANS = {"conv": "conv", "linear": "linear"}
_RESCALING = frozenset({"norm", "scale", "softmax", "matmul", "gate"})
_THROUGH = frozenset({"transparent", "shift", "add"})
_LEAST_WIDTH = 8


def inspect_scales(machine: Machine) -> None:
    """Note weights of unit spread, at the end of a context."""
    consumers: dict[int, list[int]] | None = None
    seen: set[ParamV] = set()
    for index, node in enumerate(machine.graph.nodes, machine.graph.first):
        weight = _weight_of(node)
        if weight is None or weight in seen or not weight.data or weight.frozen:
            continue
        kind = _spread_of(machine, weight.data[-1]) if _is_plain(node) else None
        tied = _is_tied_embedding(machine, node, weight)
        if kind is None and not tied:
            continue
        seen.add(weight)
        if consumers is None:
            consumers = consumers_of(machine.graph)
        if tied:
            _note_tied(machine, node, weight, index, consumers)
        elif kind == "uniform" or not _is_rescaled(machine.graph, consumers, index):
            _note_unscaled(machine, node, weight, kind or "")


def _weight_of(node: Node) -> ParamV | None:
    if node.kind != "layer":
        return None
    weight = node.layer if isinstance(node.layer, ParamV) else node.layer.data.get("weight") if node.layer else None
    return weight if isinstance(weight, ParamV) else None


def _is_plain(node: Node) -> bool:
    """Whether the op is a product with a weight that nothing recomputes."""
    layer = node.layer
    if isinstance(layer, ParamV):
        return layer.owner is not None and not layer.owner.uncertain
    if layer is None or layer.fact is None or layer.parametrization is not None or layer.uncertain:
        return False
    return layer.fact.role == "weight" and layer.fact.fans in _FANS


def _spread_of(machine: Machine, write: Write) -> str | None:
    """``normal`` for N(0, 1), ``uniform`` for U[0, 1), None for anything else."""
    if write.source != "explicit" or write.conditional or write.partial:
        return None
    fact = fact_of(machine.knowledge, write)
    if fact is None or fact.formula not in ("normal", "uniform"):
        return None
    given = {**{name: value for name, value in fact.signature if value is not ...}, **dict(write.arguments)}
    if fact.formula == "normal":
        return "normal" if (number(given.get("mean")), number(given.get("std"))) == (0.0, 1.0) else None
    low, high = (number(given.get(one, given.get(other))) for one, other in (("a", "from"), ("b", "to")))
    return "uniform" if (low, high) == (0.0, 1.0) else None


def _is_rescaled(graph: Graph, consumers: dict[int, list[int]], index: int) -> bool:
    """Whether the product is normalized, multiplied or compared right away, or nobody knows what becomes of it."""
    pending = list(consumers.get(index, ()))
    while pending:
        node = graph.node(each := pending.pop())
        if node.kind in _RESCALING or node.kind == "opaque":
            return True
        if node.kind in _THROUGH:
            pending += consumers.get(each, ())
    return False


def _true_fan_in(node: Node, weight: ParamV) -> tuple[bool, float | None]:
    """Whether the number of inputs to a unit is known as a number or a formula, and the number."""
    layer = node.layer
    kind = weight.fans
    if isinstance(layer, Instance) and layer.fact is not None:
        kind = _FANS.get(layer.fact.fans, "linear")
    fan = Fans(weight.shape, kind=kind).true_in
    return fan is not None, value_of(fan)


def _note_unscaled(machine: Machine, node: Node, weight: ParamV, kind: str) -> None:
    last = weight.data[-1]
    known, fan_in = _true_fan_in(node, weight)
    if last.place is None or not known or (fan_in is not None and fan_in < _LEAST_WIDTH):
        return
    place = weight.place if last is weight.data[0] and weight.place is not None else last.place
    subject = weight.owner
    machine.reached.add(place.node)
    machine.occur(
        "unscaled-random-weight",
        place,
        subject,
        parameter=weight.name,
        spread=kind,
        width=None if fan_in is None else int(fan_in),
    )


# -- tied embeddings -----------------------------------------------------------------------------------------------------


def _is_tied_embedding(machine: Machine, node: Node, weight: ParamV) -> bool:
    """Whether a layer multiplies with the weight that an embedding looks up and torch's N(0, 1) filled."""
    owner = weight.owner
    if owner is None or owner is node.layer or owner.fact is None or owner.fact.role != "embedding" or owner.uncertain:
        return False
    return all(write.source == "default" for write in weight.data)


def _note_tied(machine: Machine, node: Node, weight: ParamV, index: int, consumers: dict[int, list[int]]) -> None:
    owner = weight.owner
    graph = machine.graph
    scaled = any(graph.node(source).kind == "scale" for source in node.inputs) or _is_rescaled(graph, consumers, index)
    if owner is None or owner.place is None or scaled:
        return
    machine.reached.add(owner.place.node)
    width = number(owner.arguments.get("embedding_dim"))
    related = () if not isinstance(node.layer, Instance) or node.layer.place is None else (node.layer.place,)
    machine.occur(
        "tied-embedding-scale", owner.place, owner, related=related, width=None if width is None else int(width)
    )
