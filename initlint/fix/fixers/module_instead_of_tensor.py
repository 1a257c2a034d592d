"""INI307: the initializer is given the module's weight."""

from __future__ import annotations

import ast

from initlint.fix.fixers.scene import Scene, fix
from initlint.fix.lines import inserted
from initlint.fix.recommend import Refusal
from initlint.model import Fix

_NAMES = ("tensor", "input")
_CONSTANT = "constant"


def take_weight(scene: Scene) -> Fix | Refusal:
    """``.weight`` behind the module; not for a constant, which may have been meant for the bias."""
    target = None if scene.call is None else _target(scene.call)
    if not isinstance(target, ast.Name | ast.Attribute | ast.Subscript):
        return Refusal("what it is given has no name")
    fact = scene.knowledge.initializers.get(f"torch.nn.init.{scene.word('function')}")
    if scene.details("weighted") != {True}:
        return Refusal("not every module that it is given has a weight")
    if fact is None or fact.formula == _CONSTANT:
        return Refusal("a constant may be meant for the bias")
    return fix("Initialize the weight", "safe", [inserted(scene.source, scene.source.end(target), ".weight")])


def _target(call: ast.Call) -> ast.expr | None:
    if call.args:
        return call.args[0]
    return next((each.value for each in call.keywords if each.arg in _NAMES), None)
