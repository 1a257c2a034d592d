"""A guard is a condition under which statements run: part of the `if` that they alone make up, or an `if` around them."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence

from initlint.fix.lines import inserted, is_apart, wrapped
from initlint.fix.spot import Spot
from initlint.model import Edit

_LOOSE = (ast.BoolOp, ast.IfExp, ast.Lambda, ast.NamedExpr)


def guarded(spot: Spot, statements: Sequence[ast.stmt], condition: str) -> tuple[Edit, ...] | None:
    """The edits that let neighbouring statements run under `condition` only; None where they share lines with others."""
    parent = spot.parent
    if isinstance(parent, ast.If) and parent.body == list(statements) and not parent.orelse:
        narrowed = _narrowed(spot, parent, condition)
        if narrowed is not None:
            return narrowed
    return wrapped(spot, statements, f"if {condition}:")


def _narrowed(spot: Spot, parent: ast.If, condition: str) -> tuple[Edit, ...] | None:
    """The condition added to the test of an `if`; None where the line would grow too long."""
    source, test = spot.source, parent.test
    start, end = source.start(test), source.end(test)
    room = source.width - len(source.lines.line(end[0]).rstrip())
    if start[0] != end[0] or len(f" and {condition}") + 2 > room:
        return None
    loose = isinstance(test, _LOOSE) and not (isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And))
    if not loose:
        return (inserted(source, end, f" and {condition}"),)
    return inserted(source, start, "("), inserted(source, end, f") and {condition}")


def neighbours(spot: Spot, belongs: Callable[[ast.stmt], bool]) -> tuple[ast.stmt, ...]:
    """The statements next to that of `spot`, itself among them, that belong together and have lines of their own."""
    block, statement = spot.block, spot.statement
    if not is_apart(spot.source, statement):
        return (statement,)
    first = last = block.index(statement)
    while first > 0 and _joins(spot, block[first - 1], belongs):
        first -= 1
    while last + 1 < len(block) and _joins(spot, block[last + 1], belongs):
        last += 1
    return tuple(block[first : last + 1])


def _joins(spot: Spot, statement: ast.stmt, belongs: Callable[[ast.stmt], bool]) -> bool:
    return is_apart(spot.source, statement) and belongs(statement)
