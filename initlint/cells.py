"""Where a place in the program of a notebook lies for its readers: in which cell, and where in the file as it is stored."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, replace

from initlint.model import Edit, Finding, Judgement, Site

HEADER = re.compile(r"# %%+ cell (\d+)\r?")
"""The line before every cell in the program of a notebook."""
_CHARACTER = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\.|.", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class StoredLine:
    """One line of a cell: its `text`, and as what of the file's JSON (`raw`, from `row` and `column`) it is stored."""

    text: str
    raw: str
    row: int
    column: int

    def stored_column(self, column: int) -> int:
        """The column of the file at which a column of the text is stored."""
        characters = _CHARACTER.findall(self.raw)[: column - 1]
        return self.column + sum(map(len, characters))


@dataclass(frozen=True, slots=True)
class Cell:
    """A code cell: its number among all cells of the notebook, and the program's line before its first."""

    number: int
    before: int
    lines: tuple[StoredLine, ...]


@dataclass(frozen=True, slots=True)
class CellMap:
    """The code cells of one notebook in the order of the program, at least one, and the JSON `text` of all of it."""

    text: str
    cells: tuple[Cell, ...]

    def in_cell(self, site: Site) -> Site:
        """A site of the program as readers of the notebook count: by cell, and by line within it."""
        cell = self._cell(site.line)
        line, end_line = (max(one - cell.before, 1) for one in (site.line, site.end_line))
        return replace(site, line=line, end_line=end_line, cell=cell.number)

    def in_file(self, site: Site) -> Site:
        """A site of the program as those count who know nothing of notebooks: in the JSON text of the file."""
        row, column = self._stored(site.line, site.column)
        end_row, end_column = self._stored(site.end_line, site.end_column)
        return replace(site, line=row, column=column, end_line=end_row, end_column=end_column)

    def edit_in_cell(self, edit: Edit) -> Edit:
        """An edit of the program as readers of the notebook count."""
        site = self.in_cell(Site(edit.file, edit.line, edit.column, edit.end_line, edit.end_column))
        return replace(edit, line=site.line, end_line=site.end_line, cell=site.cell)

    def source(self, number: int) -> tuple[str, ...]:
        """The lines of a cell as its author wrote them."""
        return next(tuple(line.text for line in cell.lines) for cell in self.cells if cell.number == number)

    def _cell(self, line: int) -> Cell:
        """The cell of a line; what is written before a cell's first line belongs to the end of the one above."""
        position = bisect_right(self.cells, line - 1, key=lambda cell: cell.before) - 1
        return self.cells[max(position, 0)]

    def _stored(self, line: int, column: int) -> tuple[int, int]:
        cell = self._cell(line)
        stored = cell.lines[min(max(line - cell.before, 1), len(cell.lines)) - 1]
        return stored.row, stored.stored_column(column)


def located(finding: Finding, maps: Mapping[str, CellMap]) -> Finding:
    """A finding with every place that lies in a notebook given by its cell."""
    if not maps:
        return finding

    def place(site: Site) -> Site:
        return maps[site.file].in_cell(site) if site.file in maps else site

    def moved(edit: Edit) -> Edit:
        return maps[edit.file].edit_in_cell(edit) if edit.file in maps else edit

    fix = finding.fix and replace(finding.fix, edits=tuple(map(moved, finding.fix.edits)))
    related = tuple(replace(one, site=place(one.site)) for one in finding.related)
    return replace(finding, site=place(finding.site), related=related, fix=fix)


def located_judgement(judgement: Judgement, maps: Mapping[str, CellMap]) -> Judgement:
    """A judgement whose layer, and the call that wrote its weight, are given by their cells."""
    layer, weight = judgement.layer, judgement.layer.weight
    if layer.site.file not in maps:
        return judgement
    cells = maps[layer.site.file]
    if weight.site is not None and weight.site.file in maps:
        weight = replace(weight, site=maps[weight.site.file].in_cell(weight.site))
    return replace(judgement, layer=replace(layer, site=cells.in_cell(layer.site), weight=weight))
