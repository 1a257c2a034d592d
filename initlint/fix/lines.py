"""Statements that have their lines to themselves can be wrapped, moved and followed by others, line by line."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Sequence

from initlint.fix.spelling import Source
from initlint.fix.spot import Spot
from initlint.model import Edit
from initlint.syntax import nodes_of

_AFTER = re.compile(r"[ \t]*(#.*)?")


def margin(source: Source, statement: ast.stmt) -> str | None:
    """What stands before a statement on its first line; None if that is more than indentation."""
    line, column = source.start(statement)
    before = source.lines.line(line)[: column - 1]
    return before.lstrip("\f") if not before.strip() else None


def ends_its_line(source: Source, statement: ast.stmt) -> bool:
    """Whether nothing but a comment follows on the last line of a statement."""
    line, column = source.end(statement)
    return _AFTER.fullmatch(bare(source, line)[column - 1 :]) is not None


def is_apart(source: Source, statement: ast.stmt) -> bool:
    """Whether a statement shares none of its lines, so that lines can be moved without touching another."""
    return margin(source, statement) is not None and ends_its_line(source, statement)


def bare(source: Source, line: int) -> str:
    """The text of a line without its newline."""
    return source.lines.line(line).rstrip("\r\n")


def written_after(source: Source, statement: ast.stmt, code: Sequence[str]) -> Edit | None:
    """The lines of `code` written below a statement, as far indented as it is; None where it is not alone."""
    inset = margin(source, statement)
    if inset is None or not ends_its_line(source, statement):
        return None
    line = source.end(statement)[0]
    column = len(bare(source, line)) + 1
    content = "".join(f"{source.newline}{inset}{each}" if each else source.newline for each in code)
    return Edit(source.file, line, column, line, column, content)


def removed(source: Source, first: int, last: int) -> Edit:
    """The lines from `first` to `last` taken out."""
    if last < source.lines.count:
        return Edit(source.file, first, 1, last + 1, 1, "")
    previous = len(bare(source, first - 1)) + 1
    return Edit(source.file, first - 1, previous, last, len(bare(source, last)) + 1, "")


def inserted(source: Source, position: tuple[int, int], text: str) -> Edit:
    """Text put in at a position."""
    return Edit(source.file, *position, *position, text)


def replaced(source: Source, node: ast.expr | ast.stmt, text: str) -> Edit:
    """Other text in the place of a node."""
    return Edit(source.file, *source.start(node), *source.end(node), text)


def wrapped(spot: Spot, statements: Sequence[ast.stmt], header: str) -> tuple[Edit, ...] | None:
    """The statements, neighbours in one block, as the body of a new compound statement; None where lines are shared.

    `spot` is that of the first of them.
    """
    source = spot.source
    if len(statements) == 1 and margin(source, statements[0]) is None:
        return _unfolded(spot, statements[0], header)
    if not all(is_apart(source, one) for one in statements) or has_text_over_lines(statements):
        return None
    inset = margin(source, statements[0])
    first, last = source.start(statements[0])[0], source.end(statements[-1])[0]
    edits = [inserted(source, (first, 1), f"{inset}{header}{source.newline}{source.indent}")]
    edits += [
        inserted(source, (line, 1), source.indent) for line in range(first + 1, last + 1) if bare(source, line).strip()
    ]
    return tuple(edits)


def _unfolded(spot: Spot, statement: ast.stmt, header: str) -> tuple[Edit, ...] | None:
    """``if x: f()`` made a block, with the new statement in it."""
    source, parent = spot.source, spot.parent
    if not isinstance(parent, ast.stmt) or not ends_its_line(source, statement) or len(spot.block) > 1:
        return None
    line, column = source.start(statement)
    before = bare(source, line)[: column - 1]
    outer = before[: len(before) - len(before.lstrip())]
    colon = len(before.rstrip())
    if parent.lineno != line or not before.rstrip().endswith(":") or source.end(statement)[0] != line:
        return None
    step, newline = source.indent, source.newline
    content = f"{newline}{outer}{step}{header}{newline}{outer}{step}{step}"
    return (Edit(source.file, line, colon + 1, line, column, content),)


def has_text_over_lines(statements: Iterable[ast.stmt]) -> bool:
    """Whether a string runs over several lines, whose indentation is part of its value."""
    return any(
        isinstance(node, ast.Constant | ast.JoinedStr)
        and isinstance(getattr(node, "value", ""), str | bytes)
        and node.lineno != node.end_lineno
        for statement in statements
        for node in nodes_of(statement)
    )


def own_comments(source: Source, statement: ast.stmt) -> int:
    """The first line of the comments that stand directly above a statement, or its own first line."""
    first = source.start(statement)[0]
    inset = margin(source, statement)
    while first > 1 and source.lines.line(first - 1).strip().startswith("#"):
        above = bare(source, first - 1)
        if above[: len(above) - len(above.lstrip())] != inset:
            break
        first -= 1
    return first


def moved(
    source: Source, statement: ast.stmt, *, below: ast.stmt | None = None, above: ast.stmt | None = None
) -> list[Edit] | None:
    """A statement taken out, with the comments over it, and written again below or above another of its block.

    An empty line that set it apart goes with it. None where lines are shared.
    """
    target = below or above
    inset = margin(source, statement)
    if target is None or inset is None or not is_apart(source, statement) or not is_apart(source, target):
        return None
    if margin(source, target) != inset or has_text_over_lines([statement]):
        return None
    first, last = own_comments(source, statement), source.end(statement)[0]
    code = [bare(source, line).removeprefix(inset) for line in range(first, last + 1)]
    is_spaced = _is_empty(source, first - 1)
    gap = [""] if is_spaced else []
    if below is not None:
        written = written_after(source, below, [*gap, *code])
        last += is_spaced and _is_empty(source, last + 1)
    else:
        rows = [f"{inset}{each}" if each else "" for each in [*code, *gap]]
        position = own_comments(source, target), 1
        written = inserted(source, position, "".join(f"{row}{source.newline}" for row in rows))
        first -= is_spaced
    return None if written is None else [removed(source, first, last), written]


def _is_empty(source: Source, line: int) -> bool:
    return 1 <= line <= source.lines.count and not bare(source, line).strip()
