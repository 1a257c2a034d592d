"""INI311: the classes of a type test stand in one tuple."""

from __future__ import annotations

import ast
from itertools import pairwise

from initlint.fix.fixers.scene import Scene, fix
from initlint.fix.lines import inserted
from initlint.fix.recommend import Refusal
from initlint.fix.spelling import Source
from initlint.model import Edit, Fix


def gather(scene: Scene) -> Fix | Refusal:
    """``isinstance(m, A or B)`` becomes ``isinstance(m, (A, B))``, ``type(m) == A or B`` becomes ``type(m) in (A, B)``."""
    match scene.spot.node:
        case ast.Call(args=[_, ast.BoolOp(values=classes) as written]):
            edits = _tuple(scene.source, written, classes)
        case ast.BoolOp(op=ast.Or(), values=[ast.Compare(ops=[ast.Eq() | ast.Is()]) as first, *others]):
            edits = _membership(scene.source, first, others)
        case _:
            edits = None
    if edits is None:
        return Refusal("the test mixes classes with other conditions")
    return fix("Test for all classes", "unsafe", edits)


def _tuple(source: Source, written: ast.BoolOp, classes: list[ast.expr]) -> list[Edit] | None:
    """The operands, as they are written, with commas between them."""
    if not all(_is_class(one) for one in classes):
        return None
    around = _parenthesized(source, written)
    between = _between(source, classes, shift="" if around else " ")
    if between is None:
        return None
    braces = (
        [] if around else [inserted(source, source.start(written), "("), inserted(source, source.end(written), ")")]
    )
    return [*braces, *between]


def _membership(source: Source, first: ast.Compare, others: list[ast.expr]) -> list[Edit] | None:
    classes = [first.comparators[0], *others]
    between = _between(source, classes) if all(_is_class(one) for one in classes) else None
    if between is None:
        return None
    start, end = source.end(first.left), source.start(classes[0])
    operator = Edit(source.file, *start, *end, " in (")
    return [operator, *between, inserted(source, source.end(classes[-1]), ")")]


def _between(source: Source, classes: list[ast.expr], shift: str = "") -> list[Edit] | None:
    """Commas in the place of the operators between classes; None where more than an operator stands there.

    What stands on further lines moves right by `shift`, the parenthesis that is new in front of it.
    """
    edits = []
    for left, right in pairwise(classes):
        start, end = source.end(left), source.start(right)
        written = source.text[source.lines.offset(*start) : source.lines.offset(*end)]
        if written.split() not in (["or"], ["and"]):
            return None
        lead = written[: len(written) - len(written.lstrip())]
        trail = written[len(written.rstrip()) :]
        space = lead if source.newline in lead else trail
        edits.append(Edit(source.file, *start, *end, f",{space}{shift if source.newline in space else ''}"))
    return edits


def _is_class(node: ast.expr) -> bool:
    return isinstance(node, ast.Name | ast.Attribute)


def _parenthesized(source: Source, node: ast.expr) -> bool:
    """Whether a pair of parentheses of its own stands around an argument."""
    before = source.text[: source.lines.offset(*source.start(node))].rstrip()
    after = source.text[source.lines.offset(*source.end(node)) :].lstrip()
    return before.endswith("(") and after.startswith(")")
