"""A class that has an init method of its own, which nothing calls, wants that method called, and no second scheme beside it."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from initlint.fix.recommend import Refusal
from initlint.fix.spelling import Source
from initlint.fix.spot import find_spot
from initlint.model import Finding, Initializer, Layer
from initlint.syntax import nodes_of

if TYPE_CHECKING:
    from initlint.fix.workshop import Workshop

_UNCALLED = "INI301"
_WALKS = frozenset({"modules", "named_modules", "children", "named_children", "parameters", "named_parameters"})


def objection(finding: Finding, findings: Iterable[Finding], workshop: Workshop) -> Refusal | None:
    """Why the layers of a finding that were left to torch get no calls: a method to initialize them waits to be called."""
    left = [one.layer for one in finding.judgements if one.layer.weight.source == "default"]
    for other in findings:
        source = workshop.source(other.site.file) if other.code == _UNCALLED and left else None
        spot = None if source is None else find_spot(source, other.site)
        if source is None or spot is None or spot.definition is None or not isinstance(spot.node, ast.FunctionDef):
            continue
        definition, method = spot.definition, spot.node
        if any(_is_held_by(definition, layer, source) and _is_for(method, layer) for layer in left):
            return Refusal(f"{spot.node.name} of its class is there for that, and nothing calls it")
    return None


def _is_held_by(definition: ast.ClassDef, layer: Layer, source: Source) -> bool:
    """Whether a class holds a layer, or builds it for the classes that inherit from it."""
    return source.is_header(definition, layer.owner_site) or source.contains(definition, layer.site)


def draws_as_torch(finding: Finding, layers: Iterable[Layer]) -> bool:
    """Whether all that a method is known to write, now that it is called, starts as torch had it start: its call is for nothing.

    `layers` are those of the program with the call. Such a method is there to draw again.
    """
    owners = {event.detail("owner") for event in finding.events}
    own = [layer for layer in layers if layer.owner in owners and layer.site.file == finding.site.file]
    written = [layer for layer in own if any(map(_is_explicit, _writes(layer)))]
    return bool(written) and all(map(_is_drawn_as_before, written))


def _writes(layer: Layer) -> tuple[Initializer, ...]:
    return (*layer.history, layer.weight)


def _is_explicit(write: Initializer) -> bool:
    return write.source == "explicit"


def _is_drawn_as_before(layer: Layer) -> bool:
    """Whether all that code draws for a layer is as wide as torch's default, and its bias is not made constant."""
    before, *others = _writes(layer)
    if before.source != "default" or before.gain is None or (layer.bias is not None and layer.bias.is_constant):
        return False
    return all(
        "uniform" in (one.function or "") and one.gain is not None and math.isclose(one.gain, before.gain, rel_tol=1e-3)
        for one in filter(_is_explicit, others)
    )


def _is_for(method: ast.FunctionDef, layer: Layer) -> bool:
    """Whether a method would initialize a layer: it names what holds it, walks over all, or takes one module after the other."""
    root = layer.path.partition(".")[0]
    attributes = {node.attr for node in nodes_of(method) if isinstance(node, ast.Attribute)}
    required = len(method.args.args) - len(method.args.defaults)
    return root in attributes or not attributes.isdisjoint(_WALKS) or required > 1
