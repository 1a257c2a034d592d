"""An import that a fix needs and a file lacks goes above the first that is like it."""

from __future__ import annotations

import ast

from initlint.fix.lines import inserted, is_apart
from initlint.fix.spelling import Source
from initlint.model import Edit


def import_of(source: Source, module: str) -> Edit | None:
    """``import module`` above the first import of something inside it; None where there is none, or no room for it."""
    for node in source.tree.body:
        match node:
            case ast.Import(names=names):
                modules = [alias.name for alias in names]
            case ast.ImportFrom(module=str(name), level=0):
                modules = [name]
            case _:
                continue
        if any(name == module or name.startswith(f"{module}.") for name in modules):
            if not is_apart(source, node):
                return None
            return inserted(source, (node.lineno, 1), f"import {module}{source.newline}")
    return None
