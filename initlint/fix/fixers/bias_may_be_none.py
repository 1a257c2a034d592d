"""INI305: what writes to the parameter runs only where the layer has one."""

from __future__ import annotations

import ast

from initlint.fix.fixers.scene import Scene, fix
from initlint.fix.fixers.target import target_of
from initlint.fix.guard import guarded, neighbours
from initlint.fix.recommend import Refusal
from initlint.fix.spot import spot_of
from initlint.model import Fix

_PARAMETERS = ("bias", "weight")


def guard(scene: Scene) -> Fix | Refusal:
    """``if m.bias is not None:`` around the write and the ones next to it."""
    statement = scene.spot.statement
    target = _parameter(scene, scene.spot.node)
    if target is None or not isinstance(statement, ast.Expr | ast.Assign | ast.AugAssign):
        return Refusal("the write is part of another statement")
    text = scene.source.snippet(target)
    if "(" in text or "\n" in text:
        return Refusal("what it writes to is computed")
    statements = neighbours(scene.spot, lambda each: _writes(scene, each, text))
    first = spot_of(scene.source, statements[0])
    return fix(f"Test for {text} first", "safe", guarded(first, statements, f"{text} is not None"))


def _parameter(scene: Scene, node: ast.AST) -> ast.Attribute | None:
    """The parameter that a call or an attribute of it writes to: ``m.bias`` in ``m.bias.data.fill_(0)``."""
    target = target_of(scene.source, node)
    return target if isinstance(target, ast.Attribute) and target.attr in _PARAMETERS else None


def _writes(scene: Scene, statement: ast.stmt, text: str) -> bool:
    """Whether a statement holds another finding about the same parameter."""
    return any(
        isinstance(node, ast.expr)
        and scene.is_found(node)
        and (target := _parameter(scene, node)) is not None
        and scene.source.snippet(target) == text
        for node in ast.walk(statement)
    )
