"""Units that start equal: layers filled with one number, two zero layers in a row, copies of one layer side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from initlint.source.histories import constant_of
from initlint.source.symbols import UNKNOWN
from initlint.source.torch_modules import CONTAINERS, all_parameters, children
from initlint.source.values import Choice, Instance, ParamV, Place, Write

if TYPE_CHECKING:
    from initlint.source.dataflow import Graph
    from initlint.source.machine import Machine

_PASSING = frozenset({"activation", "norm", "transparent", "scale", "shift", "fused"})
"""Ops behind which equal units are still equal, and zeros still stop a gradient."""

_WIDTHS = ("out_features", "out_channels")


class Clone:
    """One ``copy.deepcopy`` of a module: the copy, what it was made from, where, and what its parameters held then."""

    __slots__ = ("held", "place", "source", "twin")

    def __init__(self, source: Instance, twin: Instance, place: Place) -> None:
        self.source = source
        self.twin = twin
        self.place = place
        self.held = {param: param.data for param in all_parameters(twin) if param.shape is None or len(param.shape) > 1}

    def untouched(self, machine: Machine) -> list[str]:
        """The random weights of the copy that are still those of its source."""
        return [
            param.name for param, data in self.held.items() if _is_as_copied(param, data) and _is_random(machine, data)
        ]

    def loaded(self) -> bool:
        """Whether all of its weights come from a checkpoint: how they start is told by contexts that load none."""
        return bool(self.held) and all(param.data and _is_loaded(param.data[-1]) for param in self.held)

    def redrawn(self) -> bool:
        """Whether some of its weights were written again since."""
        return not all(_is_as_copied(param, data) for param, data in self.held.items())


def _is_as_copied(param: ParamV, data: tuple[Write, ...]) -> bool:
    """Whether nothing was written since, but perhaps a checkpoint."""
    since = param.data[len(data) :]
    return param.data[: len(data)] == data and all(write.source == "loaded" and write.conditional for write in since)


def _is_loaded(write: Write) -> bool:
    return write.source == "loaded" and not write.conditional


def _is_random(machine: Machine, history: tuple[Write, ...]) -> bool:
    if not history or history[-1].source not in ("default", "explicit"):
        return False
    function = history[-1].function
    return bool(function) and constant_of(machine, history[-1]) is None and function not in ("assignment", "copy")


def inspect_symmetry(machine: Machine) -> None:
    """Note what starts equal, at the end of a context."""
    _inspect_constants(machine)
    _inspect_clones(machine)


# -- constants -----------------------------------------------------------------------------------------------------------


def _inspect_constants(machine: Machine) -> None:
    filled: dict[int, tuple[Instance, Write, float]] = {}
    for index, node in enumerate(machine.graph.nodes, machine.graph.first):
        if node.kind == "layer" and isinstance(node.layer, Instance):
            write = _constant_write(machine, node.layer)
            value = None if write is None else constant_of(machine, write)
            if write is not None and value is not None:
                filled[index] = (node.layer, write, value)
    if not filled:
        return
    consumers = consumers_of(machine.graph)
    for index, (layer, write, value) in filled.items():
        following = _next_layers(machine.graph, consumers, index)
        if write.place is None or not following:
            continue
        if value:
            biased = _bias_differs(machine, layer)
            if _has_several_units(layer) and biased is not None:
                machine.occur("identical-units", write.place, layer, value=value, next=None, biased=biased)
            continue
        after = next((filled[each] for each in following if each in filled and not filled[each][2]), None)
        if after is not None and after[0] is not layer:
            related = () if after[1].place is None else (after[1].place,)
            machine.occur("identical-units", write.place, layer, related=related, value=0.0)


def _constant_write(machine: Machine, layer: Instance) -> Write | None:
    """The write that gave all weights of a trained layer one value."""
    weight = layer.data.get("weight")
    if layer.fact is None or layer.fact.role != "weight" or layer.fact.fans == "conv_transpose" or layer.uncertain:
        return None
    if not isinstance(weight, ParamV) or weight.frozen or layer.parametrization is not None or not weight.data:
        return None
    last = weight.data[-1]
    return None if last.conditional or last.partial or last.source != "explicit" else last


def _bias_differs(machine: Machine, layer: Instance) -> bool | None:
    """Whether the bias, as torch draws it, differs from unit to unit; None where the program wrote what may tell them apart."""
    bias = layer.data.get("bias")
    if not isinstance(bias, ParamV) or not bias.data:
        return None if bias is UNKNOWN or isinstance(bias, Choice) else False
    last = bias.data[-1]
    if constant_of(machine, last) is not None:
        return False
    return True if last.source == "default" else None


def _has_several_units(layer: Instance) -> bool:
    """Whether symmetry is there to break: more than one unit, and not one filter for each channel."""
    width = next((layer.arguments[name] for name in _WIDTHS if name in layer.arguments), None)
    return width != 1 and layer.arguments.get("groups", 1) == 1


def consumers_of(graph: Graph) -> dict[int, list[int]]:
    """For every op the ops that read it."""
    found: dict[int, list[int]] = {}
    for index, node in enumerate(graph.nodes, graph.first):
        for source in node.inputs:
            found.setdefault(source, []).append(index)
    return found


def _next_layers(graph: Graph, consumers: dict[int, list[int]], start: int) -> list[int]:
    """The layers that read this one's output with nothing mixed in on the way."""
    found: list[int] = []
    pending = list(consumers.get(start, ()))
    seen: set[int] = set()
    while pending:
        index = pending.pop()
        if index in seen:
            continue
        seen.add(index)
        kind = graph.node(index).kind
        if kind == "layer":
            found.append(index)
        elif kind in _PASSING:
            pending += consumers.get(index, ())
        elif kind in ("add", "gate", "concat", "matmul"):
            return []
    return sorted(found)


# -- clones --------------------------------------------------------------------------------------------------------------


def _inspect_clones(machine: Machine) -> None:
    groups: dict[tuple[object, Instance], list[Clone]] = {}
    present = set(machine.instances) if machine.clones else set()
    for clone in machine.clones:
        if clone.twin not in present or clone.loaded():
            continue
        machine.reached.add(clone.place.node)
        if clone.untouched(machine):
            groups.setdefault((clone.place.node, clone.source), []).append(clone)
    if not groups:
        return
    holders = [[child for _, child in children(each)] for each in machine.instances if each.torch_class in CONTAINERS]
    for clones in groups.values():
        twins = {clone.twin for clone in clones}
        if any(_is_several([child for child in held if child in twins]) for held in holders):
            first = clones[0]
            equal = first.untouched(machine)[0] if first.redrawn() else None
            machine.occur("identical-clones", first.place, first.twin, copied=first.source.class_name, equal=equal)


def _is_several(siblings: list[Instance]) -> bool:
    return len(siblings) > 1 or any(each.repeats for each in siblings)
