"""A class of the user's says where it begins, and where it first assigns each of its attributes."""

from __future__ import annotations

import ast
import inspect
import linecache
from pathlib import Path

from initlint.graph.frames import character
from initlint.model import Site
from initlint.syntax import nodes_of


class ClassSites:
    """The places in the source of one class; nothing where no file defines it."""

    def __init__(self, kind: type) -> None:
        self.name = kind.__name__
        self.header = _header(kind)
        self._assigned: dict[str, Site] | None = None

    def assignment(self, attribute: str) -> Site | None:
        """What the class assigns to ``self.attribute`` first; None where its source does not say."""
        if self._assigned is None:
            self._assigned = {} if self.header is None else _assignments(self.header)
        return self._assigned.get(attribute)


def _header(kind: type) -> Site | None:
    """The line ``class Net(nn.Module):``."""
    try:
        file = inspect.getsourcefile(kind)
        lines, start = inspect.getsourcelines(kind)
    except (OSError, TypeError):
        return None
    if file is None:
        return None
    for offset, text in enumerate(lines):
        if text.lstrip().startswith("class "):
            column = len(text) - len(text.lstrip()) + 1
            line = start + offset
            return Site(str(Path(file).resolve()), line, column, line, len(text.rstrip()) + 1)
    return None


def _assignments(header: Site) -> dict[str, Site]:
    """The value that each attribute is first assigned, in order of the text."""
    try:
        tree = ast.parse("".join(linecache.getlines(header.file)))
    except SyntaxError:
        return {}
    found: dict[str, Site] = {}
    for node in nodes_of(tree):
        if isinstance(node, ast.ClassDef) and node.lineno == header.line:
            for statement in nodes_of(node):
                if isinstance(statement, ast.Assign):
                    for target in statement.targets:
                        if isinstance(target, ast.Attribute):
                            found.setdefault(target.attr, _site(header.file, statement.value))
    return found


def _site(file: str, node: ast.expr) -> Site:
    end_line = node.end_lineno or node.lineno
    return Site(
        file,
        node.lineno,
        character(file, node.lineno, node.col_offset),
        end_line,
        character(file, end_line, node.end_col_offset or 0),
    )
