"""The cells of a notebook are one program, and what is written into it goes back into the JSON and nowhere else."""

from __future__ import annotations

import ast
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notebook_builder import LAYOUTS, Layout, code, notebook, prose, sources, without_sources

from initlint.model import Site
from initlint.source.notebook import Notebook, NotebookError, read_notebook

CELL = st.text(alphabet="ab \t\n\r\"'\\#%!?=()é😀\u2028\x0c", max_size=40)


def cell_lines(book: Notebook, position: int) -> list[str]:
    """The lines of the program that one cell became."""
    cells = book.cell_map(book.program)
    assert cells is not None
    cell = cells.cells[position]
    return book.program.split("\n")[cell.before : cell.before + len(cell.lines)]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_reading_and_writing_back_changes_no_character(layout: Layout) -> None:
    text = notebook("import torch\n\n%time x\n", prose("# größe"), "", "x = '\\n\\u00e9\t\"'\n", layout=layout)
    book = read_notebook(text)
    assert book.stored(book.program) == text


@given(st.lists(CELL, max_size=5), st.sampled_from(LAYOUTS))
def test_any_cells_are_written_back_as_they_were(cells: list[str], layout: Layout) -> None:
    text = notebook(*cells, layout=layout)
    book = read_notebook(text)
    assert book.stored(book.program) == text
    ast.parse(book.program)


@given(st.lists(CELL, min_size=1, max_size=4), st.sampled_from(LAYOUTS), st.data())
def test_a_line_written_into_any_cell_changes_only_its_source(
    cells: list[str], layout: Layout, data: st.DataObject
) -> None:
    text = notebook(*cells, layout=layout)
    book = read_notebook(text)
    lines = book.program.split("\n")
    chosen = data.draw(st.integers(0, len(cells) - 1))
    places = book.cell_map(book.program)
    assert places is not None
    cell = places.cells[chosen]
    row = cell.before + data.draw(st.integers(0, len(cell.lines)))
    added = "    nn.init.größe(x)\t# \"'\\n"
    written = book.stored("\n".join([*lines[:row], added, *lines[row:]]))

    expected = cells[chosen].split("\n")
    expected.insert(row - cell.before, added)
    assert sources(written) == [*cells[:chosen], "\n".join(expected), *cells[chosen + 1 :]]
    assert without_sources(written) == without_sources(text)
    stored = book.passages[chosen].stored
    assert written.startswith(text[: stored.start])
    assert written.endswith(text[stored.end :])


@given(st.lists(CELL, min_size=1, max_size=4), st.sampled_from(LAYOUTS))
def test_every_line_is_found_where_it_is_stored(cells: list[str], layout: Layout) -> None:
    text = notebook(*cells, layout=layout)
    book = read_notebook(text)
    places = book.cell_map(book.program)
    assert places is not None
    rows = text.replace("\r\n", "\n").split("\n")
    for number, (cell, source) in enumerate(zip(places.cells, cells, strict=True), start=1):
        assert cell.number == number
        assert [line.text for line in cell.lines] == source.split("\n")
        for index, line in enumerate(cell.lines, start=1):
            assert rows[line.row - 1][line.column - 1 :].startswith(line.raw)
            place = Site("nb", cell.before + index, 1, cell.before + index, len(line.text) + 1)
            assert places.in_cell(place) == Site("nb", index, 1, index, len(line.text) + 1, number)
            stored = places.in_file(place)
            assert rows[stored.line - 1][stored.column - 1 : stored.end_column - 1] == line.raw


def test_a_list_whose_items_are_no_lines() -> None:
    cell = code("") | {"source": ["a = 1", "\nb = ", "2\nc = 3\n", ""]}
    fed = code("") | {"source": "e = 5\n\x0c\nf = 6".splitlines(keepends=True)}
    text = notebook(cell, "d = 4", fed)
    book = read_notebook(text)
    program = "# %% cell 1\na = 1\nb = 2\nc = 3\n\n# %% cell 2\nd = 4\n# %% cell 3\ne = 5\n\x0c\nf = 6\n"
    assert book.program == program
    assert book.stored(book.program) == text
    assert sources(book.stored(book.program.replace("d = 4", "d = 5"))) == [
        "a = 1\nb = 2\nc = 3\n",
        "d = 5",
        "e = 5\n\x0c\nf = 6",
    ]
    changed = json.loads(book.stored(book.program.replace("b = 2", "b = 5")))["cells"][0]["source"]
    assert changed == ["a = 1\n", "b = 5\n", "c = 3\n"]


def test_only_the_strings_of_changed_lines_are_written_anew() -> None:
    text = notebook("a = '\\u00e9'\nb = 'é'\nc = 3").replace("b = 'é'", "b = '\\u00e9'")
    book = read_notebook(text)
    written = book.stored(book.program.replace("c = 3", "c = 'ü'"))
    assert written == text.replace("c = 3", "c = 'ü'")


def test_cells_of_other_kinds_and_languages_are_counted_and_left_alone() -> None:
    text = notebook(
        prose("# Title"),
        "a = 1",
        {"cell_type": "raw", "metadata": {}, "source": "b = ("},
        code("SELECT 1", vscode={"languageId": "sql"}),
        code("c = 2", vscode={"languageId": "python"}),
    )
    assert read_notebook(text).program == "# %% cell 2\na = 1\n# %% cell 5\nc = 2\n"


@pytest.mark.parametrize("language", [{"language_info": {"name": "R"}}, {"kernelspec": {"language": "julia"}}])
def test_notebooks_in_other_languages_are_empty_programs(language: object) -> None:
    book = read_notebook(notebook("library(torch)", metadata=language))
    assert (book.program, book.stored(""), book.cell_map("")) == ("", book.text, None)


@pytest.mark.parametrize(
    ("lines", "program"),
    [
        (["%matplotlib inline"], ["pass  #1"]),
        (["!pip install torch \\", "    timm", "x = 1"], ["pass  #1", "#2", "x = 1"]),
        (["if x:", "    !ls", "    %cd y"], ["if x:", "    pass  #2", "    pass  #3"]),
        (["files = !ls *.py", "a, b = %sql x"], ["files = get_ipython()  #1", "a, b = get_ipython()  #2"]),
        (["?net", "net.fc?", "net??", "%time?"], ["pass  #1", "pass  #2", "pass  #3", "pass  #4"]),
        (["%time net.apply(f)"], ["0;    net.apply(f)  #1"]),
        (["%timeit -n 10 -q net(x)"], [f"0;{' ' * 15}net(x)  #1"]),
        (["%time for x in y: z"], ["pass  #1"]),
        (["x = (7", "%b)", "%ls"], ["x = (7", "%b)", "pass  #3"]),
        (["x = '''", "!ls (", "'''; y = '('", "!ls"], ["x = '''", "!ls (", "'''; y = '('", "pass  #4"]),
        (["x = 1 \\", "%2  # (", "!ls"], ["x = 1 \\", "%2  # (", "pass  #3"]),
        (["", "%%time", "x = 1"], ["", "pass  #2", "x = 1"]),
        (["%%capture out", "!ls", "x = 1"], ["pass  #1", "pass  #2", "x = 1"]),
        (["%%bash", "echo 'it", "x = 1"], ["#1", "#2", "#3"]),
        (["%%writefile net.py", "import torch"], ["#1", "#2"]),
        (["# %%bash", "x = a %b", "y = x != 1"], ["# %%bash", "x = a %b", "y = x != 1"]),
        (["x = 1\rd(", "y"], ["#1", "#2"]),
    ],
)
def test_what_stands_for_magics(lines: list[str], program: list[str]) -> None:
    text = notebook("\n".join(lines), layout=LAYOUTS[-1])
    book = read_notebook(text)
    short = [line.replace("# %% cell 1 line ", "#") for line in cell_lines(book, 0)]
    assert short == program
    assert list(book.problems(book.program)) == []
    assert book.stored(book.program) == text


def test_code_behind_a_magic_keeps_its_columns_and_may_be_edited() -> None:
    book = read_notebook(notebook("%time net.apply(f)"))
    (line,) = cell_lines(book, 0)
    assert line.index("net.apply(f)") == len("%time ")
    assert sources(book.stored(book.program.replace("apply(f)", "apply(g)"))) == ["%time net.apply(g)"]
    assert sources(book.stored(book.program.replace(" line 1", " line 1  # noqa"))) == ["%time net.apply(f)  # noqa"]


def test_a_cell_that_is_no_python_does_not_lose_the_others() -> None:
    text = notebook("a = 1", "x = (\n\n", "b = 2")
    book = read_notebook(text)
    assert book.program.split("\n")[:2] == ["# %% cell 1", "a = 1"]
    assert "\nb = 2\n" in book.program
    (problem,) = book.problems(book.program)
    places = book.cell_map(book.program)
    assert places is not None
    assert places.in_cell(Site("nb", problem.line, 5, problem.line, 6)) == Site("nb", 1, 5, 1, 6, 2)
    assert problem.column == 5
    (moved,) = book.problems(book.program.replace("a = 1", "a = 1\nc = 1"))
    assert moved.line == problem.line + 1
    assert book.stored(book.program) == text


def test_comments_of_the_author_that_look_like_ours() -> None:
    text = notebook("# %% cell 1\n!ls  # %%% cell 9", "# %% cell 2 line 1")
    book = read_notebook(text)
    assert book.program.startswith("# %%%% cell 1\n# %% cell 1\n")
    assert book.stored(book.program) == text


def test_a_program_that_lost_a_cell_or_a_magic_is_refused() -> None:
    book = read_notebook(notebook("%ls", "a = 1"))
    with pytest.raises(ValueError, match="a cell was lost"):
        book.stored(book.program.replace("# %% cell 2\n", ""))
    with pytest.raises(ValueError, match="a magic command was lost"):
        book.stored(book.program.replace("pass  # %% cell 1 line 1\n", ""))
    with pytest.raises(ValueError, match="a magic command was rewritten"):
        book.stored(book.program.replace("pass", "return"))


@pytest.mark.parametrize(
    ("text", "message", "place"),
    [
        ('{"cells": [\n  torch]}', "the notebook is no JSON: expecting value", (2, 3)),
        ("[]", "the file is JSON but no notebook", (1, 1)),
        ('{"cells": [{"cell_type": "code"}]}', "the file is JSON but no notebook", (1, 1)),
        (notebook(version=3), "the notebook has format 3, the oldest that is read is 4", (1, 1)),
        ("[" * 100_000, "the notebook is nested too deeply", (1, 1)),
    ],
)
def test_what_is_no_notebook_says_why(text: str, message: str, place: tuple[int, int]) -> None:
    with pytest.raises(NotebookError, match=message) as raised:
        read_notebook(text)
    assert (raised.value.row, raised.value.column) == place
