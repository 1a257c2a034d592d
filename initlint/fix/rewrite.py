"""libcst is the pen: it parses only the top-level statements that change, and what it returns is reduced to edits."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import takewhile
from typing import cast

import libcst as cst
from libcst.metadata import CodeRange, MetadataWrapper, PositionProvider

from initlint.fix.changes import Change, Insertion, Position, Replacement
from initlint.fix.edits import BYTE_ORDER_MARK, LineMap, difference
from initlint.fix.spelling import Source
from initlint.model import Edit

_RETURN = "return "
_FEED = re.compile(rf"(?:^|(?<={BYTE_ORDER_MARK}))[ \t\f]*\f", re.MULTILINE)


def rewrite(source: Source, changes: Sequence[Change]) -> tuple[Edit, ...] | None:
    """The edits that make all changes to one file; None where libcst cannot read or find a statement."""
    plain, feeds = _without_feeds(source.text)
    lines = LineMap(plain)
    text = plain
    for first, last in reversed(_regions(source.tree)):
        inside = [change for change in changes if first <= _line(change) <= last]
        if not inside:
            continue
        start = lines.offset(first, 1)
        end = lines.offset(last + 1, 1) if last < lines.count else len(plain)
        region = _transform(source, plain[start:end], _Pen(first, feeds, inside))
        if region is None:
            return None
        text = text[:start] + region + text[end:]
    return tuple(_behind_feeds(edit, feeds) for edit in difference(source.file, plain, text))


def _without_feeds(text: str) -> tuple[str, Mapping[int, int]]:
    """The text without the form feeds that lines begin with, and how many characters that took off each line.

    To Python what comes before a form feed is no indentation; libcst knows none before a statement.
    """
    lines = LineMap(text)
    feeds = {lines.position(match.start())[0]: len(match[0]) for match in _FEED.finditer(text)}
    return _FEED.sub("", text), feeds


def _behind_feeds(edit: Edit, feeds: Mapping[int, int]) -> Edit:
    """An edit of the text without form feeds as one of the file."""
    start, end = (
        column + feeds.get(line, 0) * (column > 1)
        for line, column in ((edit.line, edit.column), (edit.end_line, edit.end_column))
    )
    return replace(edit, column=start, end_column=end)


def _line(change: Change) -> int:
    return change.anchor[0] if isinstance(change, Insertion) else change.start[0]


def _regions(tree: ast.Module) -> list[tuple[int, int]]:
    """First and last line of every top-level statement, those that share a line together."""
    regions: list[tuple[int, int]] = []
    for statement in tree.body:
        decorators = [one.lineno for one in getattr(statement, "decorator_list", [])]
        first = min([statement.lineno, *decorators])
        last = statement.end_lineno or statement.lineno
        if regions and first <= regions[-1][1]:
            regions[-1] = (regions[-1][0], max(last, regions[-1][1]))
        else:
            regions.append((first, last))
    return regions


def _transform(source: Source, text: str, pen: _Pen) -> str | None:
    """The text of one region with the changes of its pen made."""
    try:
        module = cst.parse_module(text)
    except cst.ParserSyntaxError:
        return None
    if module.code != text:  # libcst does not keep lone carriage returns
        return None
    as_file = module.with_changes(default_newline=source.newline, default_indent=source.indent)
    wrapper = MetadataWrapper(as_file if as_file.code == text else module, unsafe_skip_copy=True)
    pen.ranges = cast("dict[cst.CSTNode, CodeRange]", wrapper.resolve(PositionProvider))
    code = wrapper.module.visit(pen).code
    return code if pen.is_done else None


class _Pen(cst.CSTTransformer):
    """Makes changes at the statements and calls of a region whose positions they name; `first` is the line it begins in."""

    def __init__(self, first: int, feeds: Mapping[int, int], changes: Sequence[Change]) -> None:
        super().__init__()
        self.ranges: Mapping[cst.CSTNode, CodeRange] = {}
        self._first = first
        self._feeds = feeds
        self._insertions = [change for change in changes if isinstance(change, Insertion)]
        self._replacements = {(one.start, one.end): one for one in changes if isinstance(one, Replacement)}
        self._left = len(changes)
        self._note: str | None = None

    @property
    def is_done(self) -> bool:
        """Whether every change was made."""
        return self._left == 0

    def on_leave(
        self, original_node: cst.CSTNodeT, updated_node: cst.CSTNodeT
    ) -> cst.CSTNodeT | cst.RemovalSentinel | cst.FlattenSentinel[cst.CSTNodeT]:
        """Rewrite a call, a suite on one line or the surroundings of a statement."""
        node: object = super().on_leave(original_node, updated_node)
        if isinstance(node, cst.Call):
            node = self._call(original_node, node)
        elif isinstance(node, cst.SimpleStatementSuite):
            node = self._suite(original_node, node)
        elif isinstance(node, cst.SimpleStatementLine | cst.BaseCompoundStatement):
            node = self._statement(original_node, node)
        elif isinstance(node, cst.IndentedBlock) and isinstance(original_node, cst.IndentedBlock):
            node = self._block(original_node, node)
        return cast("cst.CSTNodeT | cst.FlattenSentinel[cst.CSTNodeT]", node)

    def _start(self, node: cst.CSTNode) -> Position:
        start = self.ranges[node].start
        return self._placed(start.line, start.column)

    def _end(self, node: cst.CSTNode) -> Position:
        end = self.ranges[node].end
        return self._placed(end.line, end.column)

    def _placed(self, line: int, column: int) -> Position:
        """A position of the region as one of the file."""
        line += self._first - 1
        return line, column + 1 + self._feeds.get(line, 0)

    def _around(self, original: cst.CSTNode) -> tuple[list[cst.BaseStatement], list[cst.BaseStatement]]:
        """The new statements before and after one that starts where `original` does."""
        start, end = self._start(original), self._end(original)
        before: list[cst.BaseStatement] = []
        after: list[cst.BaseStatement] = []
        for change in self._insertions:
            if change.anchor == start or (_is_simple(original) and start <= change.anchor < end):
                self._left -= 1
                (before if change.before else after).extend(_parse(change))
        return before, after

    def _statement(self, original: cst.CSTNode, node: cst.BaseStatement) -> object:
        if self._note is not None and isinstance(node, cst.SimpleStatementLine):
            node, self._note = _noted(node, self._note), None
        name = self._naming(original)
        before, after = self._around(original)
        if not before and not after:
            return node
        if name is None or not isinstance(node, cst.SimpleStatementLine):
            return cst.FlattenSentinel([*before, node, *after])
        return cst.FlattenSentinel([*before, node.with_changes(body=_assigned(node.body, name)), *after, _return(name)])

    def _naming(self, original: cst.CSTNode) -> str | None:
        """The name to give to what a statement returns."""
        start, end = self._start(original), self._end(original)
        names = [change.naming for change in self._insertions if start <= change.anchor < end]
        return names[0] if names and _is_simple(original) else None

    def _suite(self, original: cst.CSTNode, node: cst.SimpleStatementSuite) -> cst.BaseSuite:
        """``def f(self): a; b`` made a block, if something is written into it."""
        name = self._naming(original)
        before, after = self._around(original)
        if not before and not after:
            return node
        body = node.body if name is None else _assigned(node.body, name)
        statements = [cst.SimpleStatementLine([one.with_changes(semicolon=cst.MaybeSentinel.DEFAULT)]) for one in body]
        last = [] if name is None else [_return(name)]
        return cst.IndentedBlock([*before, *statements, *after, *last], header=node.trailing_whitespace)

    def _block(self, original: cst.IndentedBlock, node: cst.IndentedBlock) -> cst.IndentedBlock:
        """A block with what is new at its end behind the comments that its last statement was followed by."""
        last = original.body[-1]
        start, end = self._start(last), self._end(last)
        added = [
            one for one in self._insertions if one.anchor == start or (_is_simple(last) and start <= one.anchor < end)
        ]
        if not added or any(one.before or one.spaced or one.naming is not None for one in added):
            return node
        comments = list(takewhile(lambda line: line.comment is not None, node.footer))
        index = len(node.body) - sum(len(_parse(one)) for one in added)
        first = node.body[index]
        if not comments or not isinstance(first, cst.SimpleStatementLine | cst.For):
            return node
        body = [
            *node.body[:index],
            first.with_changes(leading_lines=[*comments, *first.leading_lines]),
            *node.body[index + 1 :],
        ]
        return node.with_changes(body=body, footer=node.footer[len(comments) :])

    def _call(self, original: cst.CSTNode, node: cst.Call) -> cst.Call:
        change = self._replacements.get((self._start(original), self._end(original)))
        if change is None:
            return node
        self._left -= 1
        self._note = change.note
        target = node.args[0] if change.target is None else cst.Arg(cst.parse_expression(change.target))
        if change.target is None:
            target = next((one for one in node.args if one.keyword and one.keyword.value == "tensor"), target)
        return node.with_changes(
            func=cst.parse_expression(change.function), args=_arguments(target, change.arguments, node.args)
        )


def _noted(node: cst.SimpleStatementLine, note: str) -> cst.SimpleStatementLine:
    """A line with a comment to it, unless it has one."""
    end = node.trailing_whitespace
    if end.comment is not None:
        return node
    return node.with_changes(
        trailing_whitespace=end.with_changes(whitespace=cst.SimpleWhitespace("  "), comment=cst.Comment(f"# {note}"))
    )


def _is_simple(node: cst.CSTNode) -> bool:
    return isinstance(node, cst.SimpleStatementLine | cst.SimpleStatementSuite)


def _assigned(body: Sequence[cst.BaseSmallStatement], name: str) -> list[cst.BaseSmallStatement]:
    """``return value`` at the end made ``name = value``."""
    *rest, last = body
    if not isinstance(last, cst.Return) or last.value is None:
        raise AssertionError("only a return with a value is given a name")
    value = last.value
    if isinstance(value, cst.Call) and not isinstance(value.whitespace_before_args, cst.ParenthesizedWhitespace):
        value = cast("cst.BaseExpression", value.visit(_Shift(len(f"{name} = ") - len(_RETURN))))
    return [*rest, cst.Assign([cst.AssignTarget(cst.Name(name))], value, semicolon=last.semicolon)]


class _Shift(cst.CSTTransformer):
    """Keeps lines below an opening bracket aligned to it where what stands before it gets longer or shorter."""

    def __init__(self, by: int) -> None:
        super().__init__()
        self._by = by

    def on_leave(
        self, original_node: cst.CSTNodeT, updated_node: cst.CSTNodeT
    ) -> cst.CSTNodeT | cst.RemovalSentinel | cst.FlattenSentinel[cst.CSTNodeT]:
        """Move a line that is indented by as much as follows ``return``."""
        node: object = super().on_leave(original_node, updated_node)
        if isinstance(node, cst.ParenthesizedWhitespace):
            space = node.last_line.value
            if len(space) >= len(_RETURN) and not space.strip(" "):
                node = node.with_changes(last_line=cst.SimpleWhitespace(" " * (len(space) + self._by)))
        return cast("cst.CSTNodeT", node)


def _return(name: str) -> cst.BaseStatement:
    return cst.SimpleStatementLine([cst.Return(cst.Name(name))])


def _parse(change: Insertion) -> list[cst.BaseStatement]:
    statements = [cast("cst.BaseStatement", one) for one in cst.parse_module(change.code + "\n").body]
    if change.spaced:
        statements[0] = statements[0].with_changes(leading_lines=[cst.EmptyLine(indent=False)])
    return statements


def _arguments(target: cst.Arg, arguments: Sequence[str], written: Sequence[cst.Arg]) -> list[cst.Arg]:
    """The target and the new arguments, with the commas and line breaks of the old call."""
    inner = next((one.comma for one in written if isinstance(one.comma, cst.Comma)), None)
    between = inner if len(written) > 1 and inner is not None else cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
    last = written[-1]
    new = [cast("cst.Call", cst.parse_expression(f"f({argument})")).args[0] for argument in arguments]
    all_arguments = [target.with_changes(whitespace_after_arg=cst.SimpleWhitespace("")), *new]
    spread = [one.with_changes(comma=between) for one in all_arguments[:-1]]
    return [
        *spread,
        all_arguments[-1].with_changes(comma=last.comma, whitespace_after_arg=last.whitespace_after_arg),
    ]
