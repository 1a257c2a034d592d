"""INI306: the call gets the underscore, and so does the import it came by."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from initlint.fix.fixers.scene import Scene, fix
from initlint.fix.lines import inserted, replaced
from initlint.fix.recommend import Refusal
from initlint.fix.spelling import Source, bound_names
from initlint.model import Edit, Fix

_INIT = "torch.nn.init"
_SILENCED = ("noqa", "initlint:")


def rename(scene: Scene) -> Fix | Refusal:
    """The old name replaced by its successor, which does the same."""
    old, new = scene.word("function"), scene.word("successor")
    call = scene.call
    title = f"Rename {old} to {new}"
    if call is None or not new.startswith(old):
        return Refusal("the call does not name the function")
    if isinstance(call.func, ast.Attribute) and call.func.attr == old:
        end = scene.source.end(call.func)
        return fix(title, "safe", [inserted(scene.source, end, new.removeprefix(old))])
    if isinstance(call.func, ast.Name):
        edits = _renamed_import(scene.source, call.func.id, old, new)
        return edits if isinstance(edits, Refusal) else fix(title, "safe", edits)
    return Refusal("the call does not name the function")


def _renamed_import(source: Source, name: str, old: str, new: str) -> list[Edit] | Refusal:
    """The import of one name and, unless it has a name of its own there, every use."""
    aliases = [
        alias
        for node in source.tree.body
        if isinstance(node, ast.ImportFrom) and node.module == _INIT and node.level == 0
        for alias in node.names
        if (alias.asname or alias.name) == name
    ]
    if len(aliases) != 1 or aliases[0].name != old:
        return Refusal("the import that binds its name is not at the top of the file")
    imported = _alias_edit(source, aliases[0], new)
    if aliases[0].asname:
        return [imported]
    uses = list(_uses(source, name))
    exported = source.file.endswith("__init__.py") or any(node.value == name for node in source.every(ast.Constant))
    if exported or name in bound_names(source.tree):
        return Refusal(f"other code may mean something else by {name}")
    if any(word in source.lines.line(use.lineno) for use in uses for word in _SILENCED):
        return Refusal("a comment silences another use of the name")
    renamed = [replaced(source, use, new) for use in uses]
    return renamed if source.imports.get(new) == f"{_INIT}.{new}" else [imported, *renamed]


def _alias_edit(source: Source, alias: ast.alias, new: str) -> Edit:
    line, column = alias.lineno, source.column(alias.lineno, alias.col_offset)
    return Edit(source.file, line, column, line, column + len(alias.name), new)


def _uses(source: Source, name: str) -> Iterator[ast.Name]:
    return (node for node in source.every(ast.Name) if node.id == name)
