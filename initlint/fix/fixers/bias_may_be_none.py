"""INI305: what writes to the parameter runs only where the layer has one, and goes where it never has."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from initlint.fix.fixers.construction import argument, construction
from initlint.fix.fixers.scene import Scene, fix
from initlint.fix.fixers.target import target_of
from initlint.fix.guard import guarded, neighbours
from initlint.fix.lines import is_apart, own_comments, removed
from initlint.fix.recommend import Refusal
from initlint.fix.spot import spot_of
from initlint.model import Edit, Fix
from initlint.syntax import nodes_of

_PARAMETERS = ("bias", "weight")


def guard(scene: Scene) -> Fix | Refusal:
    """``if m.bias is not None:`` around the write and the ones next to it; none of them where it surely is None."""
    statement = scene.spot.statement
    target = _parameter(scene, scene.spot.node)
    if target is None or not isinstance(statement, ast.Expr | ast.Assign | ast.AugAssign):
        return Refusal("the write is part of another statement")
    text = scene.source.snippet(target)
    if "(" in text or "\n" in text:
        return Refusal("what it writes to is computed")
    statements = neighbours(scene.spot, lambda each: _writes(scene, each, text))
    if _is_never_there(scene, target) and (without := _without(scene, statements)) is not None:
        return fix(f"Do not write {text}, which is None", "safe", without)
    first = spot_of(scene.source, statements[0])
    return fix(f"Test for {text} first", "safe", guarded(first, statements, f"{text} is not None"))


def _parameter(scene: Scene, node: ast.AST) -> ast.Attribute | None:
    """The parameter that a call or an attribute of it writes to: ``m.bias`` in ``m.bias.data.fill_(0)``."""
    target = target_of(scene.source, node)
    return target if isinstance(target, ast.Attribute) and target.attr in _PARAMETERS else None


def _is_never_there(scene: Scene, target: ast.Attribute) -> bool:
    """Whether the layer is built with ``bias=False`` in the same class, in so many words."""
    built = construction(scene.spot, scene.source.snippet(target.value))
    given = None if built is None else argument(built, scene.word("argument"))
    return isinstance(given, ast.Constant) and given.value is False


def _without(scene: Scene, statements: Sequence[ast.stmt]) -> list[Edit] | None:
    """The statements taken out; None where they are all that a block has, or say something in a comment."""
    source = scene.source
    first, last = source.start(statements[0])[0], source.end(statements[-1])[0]
    rest = [each for each in scene.spot.block if each not in statements]
    spoken = any("#" in source.lines.line(line) for line in range(own_comments(source, statements[0]), last + 1))
    if not rest or spoken or not all(is_apart(source, each) for each in statements):
        return None
    return [removed(source, first, last)]


def _writes(scene: Scene, statement: ast.stmt, text: str) -> bool:
    """Whether a statement holds another finding about the same parameter."""
    return any(
        isinstance(node, ast.expr)
        and scene.is_found(node)
        and (target := _parameter(scene, node)) is not None
        and scene.source.snippet(target) == text
        for node in nodes_of(statement)
    )
