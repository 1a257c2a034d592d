"""An import that a fix needs and a file lacks goes above the first that is like it, a name among those it is like."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterable

from initlint.fix.lines import inserted, is_apart
from initlint.fix.spelling import Source
from initlint.model import Edit

_CALLED = re.compile(r"(?<![\w.])(\w+_|calculate_gain)\(")


def called_initializers(code: str) -> frozenset[str]:
    """The names of torch.nn.init that code calls as they are, and a few that only look like them."""
    return frozenset(_CALLED.findall(code))


def named_imports(source: Source, names: Iterable[str], unused: Collection[str]) -> tuple[Edit, ...]:
    """Names added to those that a file imports from torch.nn.init, in their order; in place of one that is unused now."""
    statement = source.initializer_import
    if statement is None:
        return ()
    free = [one for one in statement.names if one.name in unused and one.asname is None]
    edits = []
    for name in sorted(names):
        if free:
            alias = free.pop(0)
            edits.append(Edit(source.file, *source.start(alias), *source.end(alias), name))
            continue
        after = next((one for one in statement.names if one.name > name), None)
        last = statement.names[-1]
        apart = len(statement.names) > 1 and last.lineno > statement.names[-2].lineno
        gap = f"{source.newline}{source.lines.line(last.lineno)[: source.start(last)[1] - 1]}" if apart else " "
        if after is None:
            edits.append(inserted(source, source.end(last), f",{gap}{name}"))
        else:
            edits.append(inserted(source, source.start(after), f"{name},{gap}"))
    return tuple(edits)


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
