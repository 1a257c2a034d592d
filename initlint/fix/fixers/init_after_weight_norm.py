"""INI313: the layer is built bare, initialized, and wrapped then."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import pairwise
from typing import TypeGuard

from initlint.fix.fixers.constructor import Constructor
from initlint.fix.fixers.scene import Scene, fix
from initlint.fix.fixers.target import target_of
from initlint.fix.lines import bare, moved, written_after
from initlint.fix.recommend import Refusal
from initlint.fix.spelling import Source
from initlint.fix.spot import spot_of
from initlint.model import Edit, Fix

_WRAPPERS = frozenset(
    {
        "torch.nn.utils.weight_norm",
        "torch.nn.utils.weight_norm.weight_norm",
        "torch.nn.utils.parametrizations.weight_norm",
    }
)


def wrap_later(scene: Scene) -> Fix | Refusal:
    """The method that wraps called after the one that initializes, or the one layer wrapped after it is initialized."""
    return _swapped(scene) or _wrapped_in_place(scene)


def _swapped(scene: Scene) -> Fix | Refusal | None:
    """``self.reset_parameters()`` above ``self.apply_weight_norm()``; None where there are no two such methods."""
    definition = scene.spot.definition
    constructor = None if definition is None else Constructor.of(definition)
    if definition is None or constructor is None or scene.spot.function is constructor.node:
        return None
    methods = {node.name: node for node in definition.body if isinstance(node, ast.FunctionDef)}
    initializer = next((name for name, node in methods.items() if node in scene.spot.around), None)
    if initializer is None:
        return None
    wrappers = [name for name, node in methods.items() if _wraps(scene.source, node)]
    for wrapping, calling in pairwise(constructor.body):
        inner = wrapping.body[0] if _is_condition(wrapping) else wrapping
        if _calls(calling, initializer) and any(_calls(inner, name) for name in wrappers):
            edits = moved(scene.source, calling, above=wrapping)
            return fix(f"Call {initializer} before weight_norm is applied", "unsafe", edits)
    return None


def _is_condition(statement: ast.stmt) -> TypeGuard[ast.If]:
    return isinstance(statement, ast.If) and len(statement.body) == 1 and not statement.orelse


def _wraps(source: Source, method: ast.FunctionDef) -> bool:
    """Whether a method wraps layers in weight_norm."""
    return any(isinstance(node, ast.Call) and source.dotted(node.func) in _WRAPPERS for node in ast.walk(method))


def _wrapped_in_place(scene: Scene) -> Fix | Refusal:
    """``self.conv = nn.Conv1d(...)``, the initializer, then ``weight_norm(self.conv)``, which wraps in place."""
    target = None if scene.call is None else target_of(scene.source, scene.call)
    match target:
        case ast.Attribute(value=ast.Attribute() | ast.Name() as holder, attr="weight"):
            name = scene.source.snippet(holder)
        case _:
            return Refusal("what it writes to is not named as a weight")
    anchor = _anchor(scene)
    if anchor is None:
        return Refusal("it is not initialized where it is built")
    block = spot_of(scene.source, anchor).block
    wraps = [each for each in block[: block.index(anchor)] if _assigns(scene.source, each, name)]
    wrap = wraps[0].value if len(wraps) == 1 and isinstance(wraps[0], ast.Assign) else None
    if not isinstance(wrap, ast.Call) or scene.source.dotted(wrap.func) not in _WRAPPERS or not wrap.args:
        return Refusal("it is not wrapped where it is named")
    arguments = [name, *(scene.source.snippet(each) for each in wrap.args[1:]), *_keywords(scene.source, wrap)]
    again = f"{scene.source.snippet(wrap.func)}({', '.join(arguments)})"
    last = block[_last_use(scene, block, block.index(anchor), name)]
    written = written_after(scene.source, last, [again])
    unwrapped = _unwrapped(scene.source, wraps[0], wrap)
    edits = None if written is None else [*unwrapped, written]
    return fix(f"Wrap {name} in weight_norm after it is initialized", "unsafe", edits)


def _anchor(scene: Scene) -> ast.stmt | None:
    """The statement that initializes, in the block where the layer is built: the call, or that of its method."""
    statement, function, definition = scene.spot.statement, scene.spot.function, scene.spot.definition
    if not isinstance(statement, ast.Expr):
        return None
    if function is None or definition is None or function.name == "__init__":
        return statement
    constructor = Constructor.of(definition)
    if constructor is None or scene.spot.parent is not function:
        return None
    calls = [each for each in constructor.body if _calls(each, function.name)]
    mentions = [node for node in ast.walk(definition) if isinstance(node, ast.Attribute) and node.attr == function.name]
    return calls[0] if len(calls) == 1 and len(mentions) == 1 else None


def _calls(statement: ast.stmt, name: str) -> bool:
    match statement:
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id="self"), attr=called))):
            return called == name
        case _:
            return False


def _assigns(source: Source, statement: ast.stmt, name: str) -> bool:
    return isinstance(statement, ast.Assign) and any(source.snippet(each) == name for each in statement.targets)


def _keywords(source: Source, call: ast.Call) -> Iterator[str]:
    for each in call.keywords:
        value = source.snippet(each.value)
        yield value if each.arg is None else f"{each.arg}={value}"


def _last_use(scene: Scene, block: list[ast.stmt], index: int, name: str) -> int:
    """The last of the statements from the anchor on that write to the layer without a break."""
    while index + 1 < len(block) and _writes(scene, block[index + 1], name):
        index += 1
    return index


def _writes(scene: Scene, statement: ast.stmt, name: str) -> bool:
    """Whether a statement is another initializer of the layer: of its bias, say."""
    if not isinstance(statement, ast.Expr):
        return False
    target = target_of(scene.source, statement.value)
    return isinstance(target, ast.Attribute) and scene.source.snippet(target.value) == name


def _unwrapped(source: Source, statement: ast.stmt, wrap: ast.Call) -> list[Edit]:
    """The construction without the wrapper around it, its further lines moved left by what was in front of it."""
    inner = wrap.args[0]
    start, end = source.start(wrap), source.end(wrap)
    inner_start, inner_end = source.start(inner), source.end(inner)
    is_hanging = start[0] != inner_start[0]
    inset = _margin(source, source.start(statement)[0])
    shift = _margin(source, inner_start[0]) - inset if is_hanging else inner_start[1] - start[1]
    edits = [Edit(source.file, *start, *inner_start, ""), Edit(source.file, *inner_end, *end, "")]
    for line in range(inner_start[0] + 1, inner_end[0] + 1):
        is_aligned = _margin(source, line) >= inner_start[1]
        if (is_hanging or is_aligned) and _margin(source, line) >= inset + shift:
            edits.append(Edit(source.file, line, 1, line, shift + 1, ""))
    return edits


def _margin(source: Source, line: int) -> int:
    text = bare(source, line)
    return len(text) - len(text.lstrip())
