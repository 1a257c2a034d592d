"""A class that has an init method of its own, which nothing calls, wants that method called, and no second scheme beside it."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from initlint.fix.recommend import Refusal
from initlint.fix.spot import find_spot
from initlint.model import Finding, Layer
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
        if any(source.is_header(spot.definition, layer.owner_site) and _is_for(spot.node, layer) for layer in left):
            return Refusal(f"{spot.node.name} of its class is there for that, and nothing calls it")
    return None


def draws_as_torch(finding: Finding, layers: Iterable[Layer]) -> bool:
    """Whether all that a method is known to write, now that it is called, starts as torch had it start: its call is for nothing.

    `layers` are those of the program with the call. Such a method is there to draw again.
    """
    owners = {event.detail("owner") for event in finding.events}
    written = [
        layer
        for layer in layers
        if layer.owner in owners and layer.site.file == finding.site.file and layer.weight.source == "explicit"
    ]
    return bool(written) and all(map(_is_drawn_as_before, written))


def _is_drawn_as_before(layer: Layer) -> bool:
    before = layer.history[0] if layer.history else None
    if before is None or before.source != "default" or before.gain is None or layer.weight.gain is None:
        return False
    is_alike = "uniform" in (layer.weight.function or "") and math.isclose(layer.weight.gain, before.gain, rel_tol=1e-3)
    return is_alike and (layer.bias is None or not layer.bias.is_constant)


def _is_for(method: ast.FunctionDef, layer: Layer) -> bool:
    """Whether a method would initialize a layer: it names what holds it, walks over all, or takes one module after the other."""
    root = layer.path.partition(".")[0]
    attributes = {node.attr for node in nodes_of(method) if isinstance(node, ast.Attribute)}
    required = len(method.args.args) - len(method.args.defaults)
    return root in attributes or not attributes.isdisjoint(_WALKS) or required > 1
