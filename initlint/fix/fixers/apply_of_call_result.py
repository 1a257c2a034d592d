"""INI308: `apply` gets the function, or a function that walks by itself is called without `apply`."""

from __future__ import annotations

import ast

from initlint.fix.fixers.scene import Scene, fix
from initlint.fix.lines import replaced
from initlint.fix.recommend import Refusal
from initlint.fix.spot import Function
from initlint.model import Fix
from initlint.syntax import nodes_of

_WALKS = frozenset(
    {"apply", "modules", "named_modules", "children", "named_children", "parameters", "named_parameters"}
)


def pass_function(scene: Scene) -> Fix | Refusal:
    """``self.apply(init(self))`` becomes ``self.apply(init)``, or ``init(self)`` where `init` walks over the modules itself."""
    match scene.call:
        case ast.Call(func=ast.Attribute(value=receiver), args=[ast.Call() as inner], keywords=[]) as outer:
            function = _called(scene, inner)
        case _:
            return Refusal("what is applied is not called in one argument")
    if function is None:
        return Refusal("the function that is called is not in the same class or file")
    required, most = _parameters(function, bound=isinstance(inner.func, ast.Attribute))
    is_statement = isinstance(scene.spot.around[0], ast.Expr)
    source = scene.source
    called = source.snippet(inner.func)
    given = [source.snippet(one) for one in inner.args]
    walks = any(isinstance(node, ast.Attribute) and node.attr in _WALKS for node in nodes_of(function))
    if inner.keywords or (given and given != [source.snippet(receiver)]):
        return Refusal(f"{called} is called with other arguments")
    if is_statement and required == len(given) and (walks or most == 0):
        return fix(f"Call {called} without apply", "safe", [replaced(source, outer, source.snippet(inner))])
    if required == 1 and given:
        return fix(f"Apply {called} itself", "safe", [replaced(source, inner, called)])
    return Refusal(f"{called} cannot be called with one module")


def _called(scene: Scene, call: ast.Call) -> Function | None:
    """The definition of the function that a call names, in the class around it or at the top of the file."""
    match call.func:
        case ast.Attribute(value=ast.Name(id="self"), attr=name) if scene.spot.definition is not None:
            body = scene.spot.definition.body
        case ast.Name(id=name):
            body = scene.source.tree.body
        case _:
            return None
    found = [node for node in body if isinstance(node, Function) and node.name == name]
    return found[0] if len(found) == 1 else None


def _parameters(function: Function, *, bound: bool) -> tuple[int, int]:
    """How many positional arguments a call must and may give."""
    arguments = function.args
    static = any(isinstance(node, ast.Name) and node.id == "staticmethod" for node in function.decorator_list)
    most = len(arguments.posonlyargs) + len(arguments.args) - (bound and not static)
    return max(most - len(arguments.defaults), 0), most
