"""INI304: what scales by a fan runs only where the parameter has one."""

from __future__ import annotations

import ast

from initlint.fix.fixers.scene import Scene, fix
from initlint.fix.guard import guarded
from initlint.fix.recommend import Refusal
from initlint.model import Fix


def guard(scene: Scene) -> Fix | Refusal:
    """``if p.dim() > 1:`` around the call, where a loop or a callback meets other parameters, too."""
    call = scene.call
    if call is None or scene.spot.statement is not scene.spot.around[0] or not call.args:
        return Refusal("the call is part of another statement")
    target = call.args[0]
    name = target.value if isinstance(target, ast.Attribute) and target.attr == "data" else target
    if not isinstance(name, ast.Name):
        return Refusal("the parameter is always a vector")
    minimum = scene.details("minimum")
    if len(minimum) != 1:
        return Refusal("what it needs is not one number")
    (least,) = minimum
    condition = f"{name.id}.dim() > 1" if least == 2 else f"{name.id}.dim() >= {least}"
    edits = guarded(scene.spot, [scene.spot.statement], condition)
    return fix(f"Test for {condition} first", "safe", edits)
