"""INI316: the loop runs over all modules below, not over the direct children."""

from __future__ import annotations

import ast

from initlint.fix.fixers.scene import Scene, fix
from initlint.fix.recommend import Refusal
from initlint.model import Edit, Fix
from initlint.syntax import nodes_of

_SUCCESSORS = {"children": "modules", "named_children": "named_modules"}


def walk_deeper(scene: Scene) -> Fix | Refusal:
    """``children()`` becomes ``modules()`` where the loop does nothing but initialize by type."""
    loop = scene.spot.statement
    walk = next((node for node in nodes_of(scene.spot.node) if _is_walk(node)), None)
    if not isinstance(loop, ast.For) or not isinstance(walk, ast.Call) or not isinstance(walk.func, ast.Attribute):
        return Refusal("the loop is no statement")
    if scene.spot.node is not walk or loop.orelse:
        return Refusal("the loop counts or orders the children")
    variable = _variable(loop, walk.func.attr)
    if variable is None:
        return Refusal("the loop uses the names of the children")
    if not all(_initializes_by_type(statement, variable) for statement in loop.body):
        return Refusal("the loop does more than initialize by type")
    function = scene.spot.function
    if function is not None and _calls(loop, function.name):
        return Refusal("the loop goes down by itself")
    successor = _SUCCESSORS[walk.func.attr]
    line, column = scene.source.end(walk.func)
    edit = Edit(scene.source.file, line, column - len(walk.func.attr), line, column, successor)
    return fix(f"Loop over {successor}()", "unsafe", [edit])


def _is_walk(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _SUCCESSORS


def _variable(loop: ast.For, walk: str) -> str | None:
    """The name of the module in the loop; None where the loop also uses the names."""
    match loop.target:
        case ast.Name(id=name) if walk == "children":
            return name
        case ast.Tuple(elts=[ast.Name(id=label), ast.Name(id=name)]) if walk == "named_children":
            used = any(isinstance(node, ast.Name) and node.id == label for each in loop.body for node in nodes_of(each))
            return None if used else name
        case _:
            return None


def _initializes_by_type(statement: ast.stmt, variable: str) -> bool:
    """Whether a statement is a test on the type of the module, with calls and assignments to its attributes inside."""
    if not isinstance(statement, ast.If) or not _tests_type(statement.test, variable):
        return False
    rest = [each for each in statement.orelse if not (isinstance(each, ast.If) and len(statement.orelse) == 1)]
    deeper = all(_initializes_by_type(each, variable) for each in statement.orelse if each not in rest)
    return not rest and deeper and all(_is_plain(inner, variable) for inner in statement.body)


def _tests_type(test: ast.expr, variable: str) -> bool:
    """Whether a test lets in modules of certain classes only: ``isinstance(m, ...)``, ``type(m) == ...``."""
    match test:
        case ast.Call(func=ast.Name(id="isinstance"), args=[ast.Name(id=name), _]):
            return name == variable
        case ast.Compare(
            left=ast.Call(func=ast.Name(id="type"), args=[ast.Name(id=name)]), ops=[ast.Eq() | ast.Is() | ast.In()]
        ):
            return name == variable
        case ast.BoolOp(op=ast.And(), values=values):
            return any(_tests_type(each, variable) for each in values)
        case ast.BoolOp(op=ast.Or(), values=values):
            return all(_tests_type(each, variable) for each in values)
        case _:
            return False


def _is_plain(statement: ast.stmt, variable: str) -> bool:
    """Whether a statement is a call, an assignment to an attribute of the module, or a test around such."""
    match statement:
        case ast.If():
            return all(_is_plain(inner, variable) for inner in (*statement.body, *statement.orelse))
        case ast.Expr(value=ast.Call(func=function)):
            return not _is_collecting(function, variable)
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript() as target]):
            return any(isinstance(node, ast.Name) and node.id == variable for node in nodes_of(target))
        case ast.Pass():
            return True
        case _:
            return False


def _is_collecting(function: ast.expr, variable: str) -> bool:
    """Whether a call hands the module to something that keeps it, or runs it."""
    if isinstance(function, ast.Name):
        return function.id == variable
    return isinstance(function, ast.Attribute) and function.attr in ("append", "add", "add_module", "extend", "insert")


def _calls(loop: ast.For, name: str) -> bool:
    return any(
        isinstance(node, ast.Call) and name in (getattr(node.func, "id", None), getattr(node.func, "attr", None))
        for node in nodes_of(loop)
    )
