"""INI204: the number is named as the standard deviation that it was meant to be."""

from __future__ import annotations

import ast

from initlint.fix.fixers.scene import Scene, fix
from initlint.fix.lines import inserted
from initlint.fix.recommend import Refusal
from initlint.model import Fix

_FUNCTIONS = ("normal_", "normal", "trunc_normal_")


def name_spread(scene: Scene) -> Fix | Refusal:
    """``normal_(w, 0.02)`` becomes ``normal_(w, mean=0.0, std=0.02)``."""
    call = scene.call
    if call is None or _name(scene, call.func) not in _FUNCTIONS:
        return Refusal("the call does not name the function")
    position = 0 if _is_method(scene, call) else 1
    if len(call.args) != position + 1 or any(isinstance(one, ast.Starred) for one in call.args):
        return Refusal("the number is not written in the call")
    value = call.args[position]
    if isinstance(value, ast.UnaryOp):
        return Refusal("a standard deviation is not negative")
    edit = inserted(scene.source, scene.source.start(value), "mean=0.0, std=")
    return fix(f"Name std={scene.source.snippet(value)}", "unsafe", [edit])


def _name(scene: Scene, function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return scene.source.dotted(function).rpartition(".")[2]


def _is_method(scene: Scene, call: ast.Call) -> bool:
    """Whether the tensor stands in front of the call, where one number is all that is given."""
    return isinstance(call.func, ast.Attribute) and len(call.args) == 1
