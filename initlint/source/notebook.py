"""The code cells of a notebook as the text of one program, and the way back into its JSON: all else stays byte for byte.

A comment before every cell keeps the cells apart, whatever is written into the program. A line that is no Python is
replaced, and a comment at its end says which line it was.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from initlint.cells import HEADER, Cell, CellMap, StoredLine
from initlint.source.magics import StandIn, as_comments, stand_ins
from initlint.source.stored_cells import NotebookError, StoredSource, find_sources
from initlint.syntax import parsed

__all__ = ["CellProblem", "Notebook", "NotebookError", "read_notebook"]

_NEWLINE = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class CellProblem:
    """A cell that is no Python, and where reading stopped: a line of the program and a column, both from 1."""

    line: int
    column: int
    message: str


@dataclass(frozen=True, slots=True)
class _Passage:
    """One cell: where it is stored, its lines, what stands for some of them; `problem` counts lines within the cell."""

    stored: StoredSource
    lines: tuple[StoredLine, ...]
    stand_ins: Mapping[int, StandIn]
    problem: CellProblem | None = None


@dataclass(frozen=True, slots=True)
class Notebook:
    """A notebook: its JSON `text`, and the `program` that its code cells make up.

    `mark` begins the comments that belong to the program alone; no cell contains it.
    """

    text: str
    program: str
    mark: str
    passages: tuple[_Passage, ...]

    def stored(self, program: str) -> str:
        """The JSON text with another program in its cells; ValueError if that lost track of the cells."""
        pieces: list[str] = []
        reached = 0
        for passage, lines in zip(self.passages, self._cells(program), strict=True):
            known = {line.text: line.raw for line in passage.lines}
            if lines == [line.text for line in passage.lines]:
                continue
            raw = [known.get(line, self._dumped(line)) for line in lines]
            pieces += self.text[reached : passage.stored.start], passage.stored.rewritten(self.text, raw)
            reached = passage.stored.end
        return "".join([*pieces, self.text[reached:]])

    def cell_map(self, program: str) -> CellMap | None:
        """Where the places of a program that was made of this one lie; None for a notebook without code."""
        if not self.passages:
            return None
        if program != self.program:
            written = read_notebook(self.stored(program))
            return written.cell_map(written.program)
        cells = []
        before = 1
        for passage in self.passages:
            cells.append(Cell(passage.stored.number, before, passage.lines))
            before += len(passage.lines) + 1
        return CellMap(self.text, tuple(cells))

    def problems(self, program: str) -> Iterator[CellProblem]:
        """The cells that are no Python, placed in a program that was made of this one."""
        lines = program.split("\n")
        for passage in self.passages:
            problem = passage.problem
            if problem is not None:
                line = lines.index(_tag(self.mark, passage.stored.number, problem.line)) + 1
                yield CellProblem(line, problem.column, problem.message)

    def _cells(self, program: str) -> Iterator[list[str]]:
        """The lines of every cell in a program as their author would write them."""
        lines = program.removesuffix("\n").split("\n")
        headers = {
            index: int(match[1])
            for index, line in enumerate(lines)
            if line.startswith(f"{self.mark} ") and (match := HEADER.fullmatch(line))
        }
        if list(headers.values()) != [passage.stored.number for passage in self.passages]:
            raise ValueError("a cell was lost")
        above = lines[: min(headers, default=0)]
        for passage, start, end in zip(self.passages, headers, [*headers, len(lines)][1:], strict=True):
            yield self._restored(passage, [*above, *lines[start + 1 : end]])
            above = []

    def _restored(self, passage: _Passage, lines: Sequence[str]) -> list[str]:
        """The lines of one cell with what stood for magics replaced by the magics."""
        tag = re.compile(rf"(?:  )?{re.escape(self.mark)} cell {passage.stored.number} line (\d+)")
        restored = []
        seen = []
        for line in lines:
            match = tag.search(line)
            if match is None:
                restored.append(line)
                continue
            index = int(match[1]) - 1
            stand_in = passage.stand_ins[index]
            if not line.startswith(stand_in.program):
                raise ValueError("a magic command was rewritten")
            seen.append(index)
            restored.append(f"{stand_in.original}{line[len(stand_in.program) : match.start()]}{line[match.end() :]}")
        if seen != sorted(passage.stand_ins):
            raise ValueError("a magic command was lost")
        return restored or [""]

    def _dumped(self, line: str) -> str:
        return json.dumps(line, ensure_ascii=self.text.isascii())[1:-1]


def read_notebook(text: str) -> Notebook:
    """The notebook in a JSON text. Raises NotebookError if there is none."""
    sources = find_sources(text)
    starts = [0, *(match.end() for match in _NEWLINE.finditer(text))]
    passages = tuple(_passage(source, tuple(_stored_lines(source, text, starts))) for source in sources)
    mark = "# %%"
    while any(f"{mark} cell " in line.text for passage in passages for line in passage.lines):
        mark += "%"
    return Notebook(text, "".join(_program(passage, mark) for passage in passages), mark, passages)


def _stored_lines(source: StoredSource, text: str, starts: Sequence[int]) -> Iterator[StoredLine]:
    for raw, offset in source.pieces(text):
        row = bisect_right(starts, offset)
        yield StoredLine(json.loads(f'"{raw}"'), raw, row, offset - starts[row - 1] + 1)


def _passage(source: StoredSource, lines: tuple[StoredLine, ...]) -> _Passage:
    texts = [line.text for line in lines]
    if any("\r" in text[:-1] for text in texts):  # lines that JSON and Python count differently
        return _Passage(source, lines, as_comments(texts))
    if _problem(texts, {}) is None:
        return _Passage(source, lines, {})
    replaced = stand_ins(texts)
    problem = _problem(texts, replaced)
    return _Passage(source, lines, replaced if problem is None else as_comments(texts), problem)


def _problem(lines: Sequence[str], replaced: Mapping[int, StandIn]) -> CellProblem | None:
    """Why a cell is no Python; None if it is."""
    text = "\n".join(_replaced(line, replaced.get(index)) for index, line in enumerate(lines))
    try:
        parsed(text)
    except SyntaxError as error:
        return CellProblem(min(max(error.lineno or 1, 1), len(lines)), max(error.offset or 1, 1), error.msg)
    except (ValueError, RecursionError, MemoryError) as error:
        return CellProblem(1, 1, f"cannot parse the cell: {error}")
    return None


def _program(passage: _Passage, mark: str) -> str:
    number = passage.stored.number
    written = [f"{mark} cell {number}"]
    for index, line in enumerate(passage.lines):
        stand_in = passage.stand_ins.get(index)
        text = _replaced(line.text, stand_in)
        tag = "" if stand_in is None else _tag(mark, number, index + 1)
        written.append(f"{text}  {tag}" if text and tag else text or tag)
    return "".join(f"{line}\n" for line in written)


def _replaced(line: str, stand_in: StandIn | None) -> str:
    return line if stand_in is None else stand_in.program + line[len(stand_in.original) :]


def _tag(mark: str, cell: int, line: int) -> str:
    return f"{mark} cell {cell} line {line}"
