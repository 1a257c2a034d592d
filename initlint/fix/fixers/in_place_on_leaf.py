"""INI309: the parameter is written where autograd does not watch, in the way the function around does it already."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from initlint.fix.fixers.scene import Scene, fix
from initlint.fix.fixers.target import method_receiver
from initlint.fix.guard import neighbours
from initlint.fix.importing import import_of
from initlint.fix.lines import bare, inserted, wrapped
from initlint.fix.recommend import Refusal
from initlint.fix.spelling import Source, bound_names, spell
from initlint.fix.spot import spot_of
from initlint.model import Edit, Fix
from initlint.syntax import nodes_of

_FUNCTIONS: Mapping[str, tuple[str, Mapping[str, str]]] = MappingProxyType(
    {
        "normal_": ("normal_", {"mean": "mean", "std": "std"}),
        "uniform_": ("uniform_", {"to": "b"}),
        "zero_": ("zeros_", {}),
        "fill_": ("constant_", {"value": "val"}),
    }
)
"""The functions of torch.nn.init that do what a tensor method does, and its keywords by their names there."""


def unwatch(scene: Scene) -> Fix | Refusal:
    """``w.data.normal_()`` where the function writes so elsewhere, else the initializer, else ``with torch.no_grad():``."""
    call = scene.call
    receiver = None if call is None else method_receiver(scene.source, call)
    if call is None or receiver is None:
        return Refusal("the tensor does not stand in front of the call")
    if _uses_data(scene):
        tensor = receiver.value if isinstance(receiver, ast.Subscript) else receiver
        if isinstance(tensor, ast.Attribute | ast.Name):
            edit = inserted(scene.source, scene.source.end(tensor), ".data")
            return fix("Write to its data", "safe", [edit])
    if not isinstance(scene.spot.around[0], ast.Expr):
        return Refusal("the write is part of another statement")
    statements = neighbours(scene.spot, lambda each: isinstance(each, ast.Expr) and scene.is_found(each.value))
    calls = [each.value for each in statements if isinstance(each, ast.Expr)]
    if all(_function_of(scene, each) is not None for each in calls):
        return _as_function(scene, call, receiver)
    return _under_no_grad(scene, statements)


def _uses_data(scene: Scene) -> bool:
    """Whether the function around writes to the data of parameters."""
    scope = scene.spot.function or scene.source.tree
    return any(
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr.endswith("_")
        and any(isinstance(each, ast.Attribute) and each.attr == "data" for each in nodes_of(node.func.value))
        for node in nodes_of(scope)
    )


def _function_of(scene: Scene, call: ast.expr) -> str | None:
    """The initializer that does what a method call does, as the file would write it."""
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute) or call.func.attr not in _FUNCTIONS:
        return None
    name, keywords = _FUNCTIONS[call.func.attr]
    if any(isinstance(one, ast.Starred) for one in call.args) or any(one.arg not in keywords for one in call.keywords):
        return None
    spelling = spell(scene.source, _taken(scene))
    function = spelling.function(name)
    is_bound = spelling.required_import(f"{function}(") is None
    return function if is_bound and _opening(scene.source, call) is not None else None


def _as_function(scene: Scene, call: ast.Call, receiver: ast.expr) -> Fix | Refusal:
    """``nn.init.normal_(w, 0.0, 0.02)`` for ``w.normal_(0.0, 0.02)``."""
    source, function, opening = scene.source, _function_of(scene, call), _opening(scene.source, call)
    if function is None or opening is None or not isinstance(call.func, ast.Attribute):
        return Refusal("there is no initializer that does the same")
    keywords = _FUNCTIONS[call.func.attr][1]
    head = Edit(source.file, *source.start(call), *opening, f"{function}({_first_argument(source, call, receiver)}")
    names = [_renamed(source, one, keywords[one.arg]) for one in call.keywords if one.arg is not None]
    return fix(f"Call {function}", "safe", [head, *(edit for edit in names if edit is not None)])


def _first_argument(source: Source, call: ast.Call, receiver: ast.expr) -> str:
    """The tensor as the first argument, on a line of its own where the others have lines of their own."""
    tensor = source.snippet(receiver)
    lines = [*(one.lineno for one in call.args), *(one.lineno for one in call.keywords)]
    if not lines:
        return tensor
    if min(lines) == source.end(call.func)[0]:
        return f"{tensor}, "
    line = bare(source, min(lines))
    return f"{source.newline}{line[: len(line) - len(line.lstrip())]}{tensor},"


def _opening(source: Source, call: ast.Call) -> tuple[int, int] | None:
    """The position behind the parenthesis that opens the arguments."""
    line, column = source.end(call.func)
    return (line, column + 1) if source.lines.line(line)[column - 1 : column] == "(" else None


def _renamed(source: Source, keyword: ast.keyword, name: str) -> Edit | None:
    if keyword.arg == name:
        return None
    line, column = keyword.lineno, source.column(keyword.lineno, keyword.col_offset)
    return Edit(source.file, line, column, line, column + len(keyword.arg or ""), name)


def _taken(scene: Scene) -> frozenset[str]:
    return frozenset() if scene.spot.function is None else bound_names(scene.spot.function)


def _under_no_grad(scene: Scene, statements: Sequence[ast.stmt]) -> Fix | Refusal:
    """The call, and the ones next to it, in a block of their own."""
    source = scene.source
    name = next((name for name, full in source.imports.items() if full == "torch" and name not in _taken(scene)), None)
    needed: tuple[Edit, ...] = ()
    if name is None:
        imported = import_of(source, "torch")
        if imported is None or "torch" in _taken(scene):
            return Refusal("there is no name for torch.no_grad")
        name, needed = "torch", (imported,)
    edits = wrapped(spot_of(source, statements[0]), statements, f"with {name}.no_grad():")
    return fix("Write under no_grad", "safe", None if edits is None else [*needed, *edits])
