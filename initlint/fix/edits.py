"""Edits are positions in the file's own text: every byte outside them stays."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable
from difflib import SequenceMatcher
from itertools import pairwise

from initlint.model import Edit

BYTE_ORDER_MARK = "\ufeff"
_NEWLINE = re.compile(r"\r\n|\r|\n")


class LineMap:
    r"""Converts between positions (line and column from 1, columns in characters) and offsets into one text.

    Lines end where Python's tokenizer ends them: at ``\n``, ``\r\n`` or a lone ``\r``, never at a form feed.
    A byte order mark belongs to no column, as in every editor.
    """

    def __init__(self, text: str) -> None:
        mark = len(BYTE_ORDER_MARK) if text.startswith(BYTE_ORDER_MARK) else 0
        self.text = text
        self._starts = [mark, *(match.end() for match in _NEWLINE.finditer(text))]

    @property
    def count(self) -> int:
        """How many lines there are; a text that ends in a newline has an empty last one."""
        return len(self._starts)

    def offset(self, line: int, column: int) -> int:
        """The offset of a position; ValueError where the text has no such position."""
        if not 1 <= line <= len(self._starts) or column < 1:
            raise ValueError(f"no position {line}:{column} in a text of {len(self._starts)} lines")
        start = self._starts[line - 1]
        end = self._starts[line] if line < len(self._starts) else len(self.text)
        if start + column - 1 > end:
            raise ValueError(f"no position {line}:{column}: the line has {end - start} characters")
        return start + column - 1

    def position(self, offset: int) -> tuple[int, int]:
        """The line and column of an offset."""
        line = max(bisect_right(self._starts, offset), 1)
        return line, max(offset - self._starts[line - 1], 0) + 1

    def line(self, number: int) -> str:
        """The text of one line, with its newline."""
        end = self._starts[number] if number < len(self._starts) else len(self.text)
        return self.text[self._starts[number - 1] : end]


def apply(text: str, edits: Iterable[Edit]) -> str:
    """The text with all edits made; ValueError if two overlap or one lies outside the text.

    Several insertions at one position are made in the order given.
    """
    lines = LineMap(text)
    spans = [
        (lines.offset(edit.line, edit.column), lines.offset(edit.end_line, edit.end_column), edit.content)
        for edit in edits
    ]
    pieces: list[str] = []
    reached = 0
    for start, end, content in sorted(spans, key=lambda span: span[:2]):
        if start < reached or end < start:
            line, column = lines.position(start)
            raise ValueError(f"edits overlap at {line}:{column}")
        pieces += text[reached:start], content
        reached = end
    pieces.append(text[reached:])
    return "".join(pieces)


def difference(file: str, before: str, after: str) -> tuple[Edit, ...]:
    """The smallest edits, line by line and then character by character, that turn `before` into `after`."""
    lines = LineMap(before)
    old, new = _split(before), _split(after)
    offsets = [0]
    for line in old:
        offsets.append(offsets[-1] + len(line))
    edits = []
    for tag, old_start, old_end, new_start, new_end in _opcodes(old, new):
        if tag == "equal":
            continue
        removed, added = "".join(old[old_start:old_end]), "".join(new[new_start:new_end])
        prefix, suffix = _common(removed, added)
        start = offsets[old_start] + prefix
        end = offsets[old_end] - suffix
        content = added[prefix : len(added) - suffix]
        edits.append(Edit(file, *lines.position(start), *lines.position(end), content))
    return tuple(edits)


def _split(text: str) -> list[str]:
    starts = [0, *(match.end() for match in _NEWLINE.finditer(text)), len(text)]
    return [text[start:end] for start, end in pairwise(starts) if start < end]


def _opcodes(old: list[str], new: list[str]) -> Iterable[tuple[str, int, int, int, int]]:
    """SequenceMatcher's opcodes, computed only between the first and the last line that differ."""
    head = 0
    while head < min(len(old), len(new)) and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < min(len(old), len(new)) - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    matcher = SequenceMatcher(None, old[head : len(old) - tail], new[head : len(new) - tail], autojunk=False)
    for tag, old_start, old_end, new_start, new_end in matcher.get_opcodes():
        yield tag, old_start + head, old_end + head, new_start + head, new_end + head


def _common(removed: str, added: str) -> tuple[int, int]:
    r"""Lengths of the common prefix and suffix, neither of which splits a ``\r\n``."""
    limit = min(len(removed), len(added))
    prefix = 0
    while prefix < limit and removed[prefix] == added[prefix]:
        prefix += 1
    if prefix and removed[prefix - 1] == "\r" and "\n" in (removed[prefix : prefix + 1], added[prefix : prefix + 1]):
        prefix -= 1
    suffix = 0
    while suffix < limit - prefix and removed[-1 - suffix] == added[-1 - suffix]:
        suffix += 1
    if suffix and removed[len(removed) - suffix] == "\n" and "\r" in (_before(removed, suffix), _before(added, suffix)):
        suffix -= 1
    return prefix, suffix


def _before(text: str, suffix: int) -> str:
    return text[len(text) - suffix - 1 : len(text) - suffix] if suffix < len(text) else ""
