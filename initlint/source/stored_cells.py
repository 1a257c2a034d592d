"""Where in the JSON text of a notebook the source of every code cell stands."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, cast

_SPACE = re.compile(r"[ \t\n\r]*")
_PIECE = re.compile(r"(?P<newline>\\n|\\u000[aA])|\\u[0-9a-fA-F]{4}|\\.|[^\\]+", re.DOTALL)
_OLDEST_FORMAT = 4
_PYTHONS = frozenset({"python", "ipython", "python3"})
_DECODER = json.JSONDecoder()


class NotebookError(Exception):
    """A text that is no notebook; the message is one clause, `row` and `column` where reading stopped."""

    def __init__(self, message: str, remedy: str, row: int = 1, column: int = 1) -> None:
        super().__init__(message)
        self.remedy = remedy
        self.row = row
        self.column = column


@dataclass(frozen=True, slots=True)
class StoredSource:
    """The source of one code cell: its number among all cells, and where in the text its value lies.

    `items` are start and end of the contents of every string that it is made of; `listed` says that these are the items of
    a list, and not one string.
    """

    number: int
    start: int
    end: int
    items: tuple[tuple[int, int], ...]
    listed: bool

    def pieces(self, text: str) -> Iterator[tuple[str, int]]:
        """The stored text of every line of the source without its newline, and the offset at which it starts."""
        raw: list[str] = []
        begin = self.start
        for start, end in self.items:
            if not raw:
                begin = start
            for match in _PIECE.finditer(text, start, end):
                if match["newline"]:
                    yield "".join(raw), begin
                    raw, begin = [], match.end()
                else:
                    raw.append(match.group())
        yield "".join(raw), begin

    def rewritten(self, text: str, lines: Sequence[str]) -> str:
        """The value that holds other lines, each as JSON without quotes, laid out as this one is."""
        if not self.listed:
            return '"' + "\\n".join(lines) + '"'
        *whole, last = lines
        items = [f'"{line}\\n"' for line in whole] + [f'"{last}"'] * bool(last or not whole)
        lead, between, trail = self._layout(text)
        return f"[{lead}{between.join(items)}{trail}]"

    def _layout(self, text: str) -> tuple[str, str, str]:
        """What stands before, between and after the items of the list."""
        if not self.items:
            return "", ", ", ""
        lead = text[self.start + 1 : self.items[0][0] - 1]
        trail = text[self.items[-1][1] + 1 : self.end - 1]
        between = next((text[end + 1 : start - 1] for (_, end), (start, _) in pairwise(self.items)), None)
        return lead, between or (f",{lead}" if lead else ", "), trail


def find_sources(text: str) -> tuple[StoredSource, ...]:
    """The code cells in order, none where the language is not Python. Raises NotebookError for what is no notebook."""
    document = _document(text)
    if not _is_python(document.get("metadata")):
        return ()
    start, _ = _members(text, _skip(text, 0))["cells"]
    return tuple(
        _source(text, number, begin, cell["source"])
        for number, ((begin, _), cell) in enumerate(
            zip(_elements(text, start), document["cells"], strict=True), start=1
        )
        if cell["cell_type"] == "code" and _is_python_cell(cell.get("metadata"))
    )


def _source(text: str, number: int, cell: int, value: object) -> StoredSource:
    start, end = _members(text, cell)["source"]
    listed = isinstance(value, list)
    strings = _elements(text, start) if listed else [(start, end)]
    return StoredSource(number, start, end, tuple((begin + 1, stop - 1) for begin, stop in strings), listed)


def _document(text: str) -> dict[str, Any]:
    """The notebook as Python sees it, its shape checked as far as it is used."""
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        message = f"the notebook is no JSON: {error.msg[:1].lower()}{error.msg[1:]}"
        raise NotebookError(message, "mend the file", error.lineno, error.colno) from None
    except RecursionError:
        raise NotebookError("the notebook is nested too deeply", "mend the file") from None
    if isinstance(document, dict) and document.get("nbformat", _OLDEST_FORMAT) < _OLDEST_FORMAT:
        message = f"the notebook has format {document['nbformat']}, the oldest that is read is {_OLDEST_FORMAT}"
        raise NotebookError(message, "convert it with `jupyter nbconvert --to notebook --inplace`")
    cells = document.get("cells") if isinstance(document, dict) else None
    if not isinstance(cells, list) or not all(map(_is_cell, cells)):
        raise NotebookError("the file is JSON but no notebook", "mend the file")
    return cast("dict[str, Any]", document)


def _is_cell(cell: object) -> bool:
    if not isinstance(cell, dict) or "cell_type" not in cell:
        return False
    source = cell.get("source")
    return isinstance(source, str) or (isinstance(source, list) and all(isinstance(item, str) for item in source))


def _is_python(metadata: object) -> bool:
    """Whether a notebook's language is Python, as it is where nothing is said."""
    known = _at(metadata, "language_info", "name") or _at(metadata, "kernelspec", "language")
    return not isinstance(known, str) or known.lower() in _PYTHONS


def _is_python_cell(metadata: object) -> bool:
    """Whether one cell of a notebook in several languages is Python."""
    known = _at(metadata, "vscode", "languageId")
    return not isinstance(known, str) or known.lower() in _PYTHONS


def _at(value: object, *keys: str) -> object:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _members(text: str, at: int) -> dict[str, tuple[int, int]]:
    """Start and end of the value of every key of the well-formed object at an offset."""
    found = {}
    at = _skip(text, at + 1)
    while text[at] != "}":
        key, at = _DECODER.raw_decode(text, at)
        start = _skip(text, _skip(text, at) + 1)
        _, end = _DECODER.raw_decode(text, start)
        found[key] = (start, end)
        at = _after(text, end)
    return found


def _elements(text: str, at: int) -> list[tuple[int, int]]:
    """Start and end of every element of the well-formed array at an offset."""
    found = []
    at = _skip(text, at + 1)
    while text[at] != "]":
        _, end = _DECODER.raw_decode(text, at)
        found.append((at, end))
        at = _after(text, end)
    return found


def _after(text: str, end: int) -> int:
    """Where the next member begins, or its object or array ends."""
    at = _skip(text, end)
    return _skip(text, at + 1) if text[at] == "," else at


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return at if match is None else match.end()
