"""INI302: the walk moves behind the layers that it is meant to reach."""

from __future__ import annotations

import ast

from initlint.fix.fixers.constructor import Constructor, attributes, initializes, names
from initlint.fix.fixers.scene import Scene, fix
from initlint.fix.lines import moved
from initlint.fix.recommend import Refusal
from initlint.model import Fix


def move_down(scene: Scene) -> Fix | Refusal:
    """The statement moved to the end of `__init__`, or at least behind the last layer that it misses."""
    statement = scene.spot.statement
    constructor = Constructor.around(scene.spot)
    if constructor is None or statement not in constructor.body or not _is_walk(scene, statement):
        return Refusal("it is no statement of its own in __init__")
    if constructor.returns:
        return Refusal("__init__ returns early")
    below = constructor.body[constructor.body.index(statement) + 1 :]
    target = _target(scene, below)
    if target is None:
        return Refusal("what is initialized below it would be overwritten")
    crossed = below[: below.index(target) + 1]
    if names(statement) & names(*crossed, context=ast.Store):
        return Refusal("what it uses is assigned again below it")
    if attributes(statement) & attributes(*crossed, context=ast.Store):
        return Refusal("what it uses is assigned again below it")
    if constructor.holds_what_it_is_given(crossed):
        return Refusal("a module that was built and initialized elsewhere would be initialized anew")
    where = "the end of __init__" if target is below[-1] else "below the last layer"
    return fix(f"Move it to {where}", "unsafe", moved(scene.source, statement, below=target))


def _is_walk(scene: Scene, statement: ast.stmt) -> bool:
    match statement:
        case ast.Expr(value=value):
            return value is scene.spot.node
        case ast.For(iter=iterable):
            return iterable is scene.spot.node
        case _:
            return False


def _target(scene: Scene, below: list[ast.stmt]) -> ast.stmt | None:
    """The statement to move behind: the last, or the last that builds a missed layer; None if writes lie on the way."""
    initializing = next((index for index, each in enumerate(below) if initializes(each)), len(below))
    if below and initializing == len(below):
        return below[-1]
    sites = [site for event in scene.events for site in event.related]
    building = [each for each in below if any(scene.source.contains(each, site) for site in sites)]
    if not all(any(scene.source.contains(each, site) for each in below) for site in sites) or not building:
        return None
    return building[-1] if below.index(building[-1]) < initializing else None
