"""Every character outside an edit stays, whatever the newlines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from initlint.fix.edits import LineMap, apply, difference
from initlint.model import Edit

_PIECES = st.sampled_from(["a", "é", "😀", " ", "\t", "\n", "\r\n", "\r", "\x0c", "\u2028", "#", "b"])
_TEXT = st.lists(_PIECES, max_size=60).map("".join)


@st.composite
def _texts_with_edits(draw: st.DrawFn) -> tuple[str, list[tuple[int, int, str]]]:
    text = draw(st.sampled_from(["", "\ufeff"])) + draw(_TEXT)
    mark = len(text) - len(text.removeprefix("\ufeff"))
    cuts = sorted(draw(st.lists(st.integers(mark, len(text)), max_size=8)))
    spans = list(zip(cuts[::2], cuts[1::2], strict=False))
    apart = [span for before, span in zip([(-1, -1), *spans], spans, strict=False) if before[1] < span[0]]
    return text, [(start, end, draw(_TEXT)) for start, end in apart]


def _edit(text: str, start: int, end: int, content: str) -> Edit:
    lines = LineMap(text)
    return Edit("f", *lines.position(start), *lines.position(end), content)


@given(_texts_with_edits())
def test_apply_changes_exactly_the_spans(case: tuple[str, list[tuple[int, int, str]]]) -> None:
    text, spans = case
    expected = text
    for start, end, content in reversed(spans):
        expected = expected[:start] + content + expected[end:]
    edits = [_edit(text, *span) for span in spans]
    assert apply(text, edits) == expected
    assert apply(text, reversed(edits)) == expected


@given(_TEXT)
def test_positions_and_offsets_are_inverse(text: str) -> None:
    lines = LineMap(text)
    for offset in range(len(text) + 1):
        assert lines.offset(*lines.position(offset)) == offset


@given(_TEXT, _TEXT, st.sampled_from(["", "\ufeff"]))
def test_difference_is_what_apply_needs(before: str, after: str, mark: str) -> None:
    before, after = mark + before, mark + after
    edits = difference("f", before, after)
    assert apply(before, edits) == after
    assert (before == after) == (not edits)


@given(_TEXT, _TEXT, st.integers(0, 60))
def test_an_inserted_line_is_one_insertion(text: str, line: str, where: int) -> None:
    lines = [*LineMap(text).text.splitlines(keepends=True)] if "\r" not in text else [text]
    at = min(where, len(lines))
    after = "".join([*lines[:at], f"new {line!r}\n", *lines[at:]])
    edits = difference("f", "".join(lines), after)
    assert len(edits) == 1
    assert (edits[0].line, edits[0].column) == (edits[0].end_line, edits[0].end_column)


def test_a_carriage_return_is_never_parted_from_its_newline() -> None:
    (edit,) = difference("f", "a\r\nb\r\n", "a\r\nc\r\nb\r\n")
    assert edit == Edit("f", 2, 1, 2, 1, "c\r\n")


def test_a_byte_order_mark_has_no_column() -> None:
    assert apply("\ufeffimport a", [Edit("f", 1, 1, 1, 1, "import b; ")]) == "\ufeffimport b; import a"


def test_a_form_feed_ends_no_line() -> None:
    assert apply("a\x0cb\nc", [Edit("f", 2, 1, 2, 2, "d")]) == "a\x0cb\nd"


def test_insertions_at_one_place_keep_their_order() -> None:
    assert apply("x", [Edit("f", 1, 1, 1, 1, "a"), Edit("f", 1, 1, 1, 1, "b")]) == "abx"


@pytest.mark.parametrize(
    "edits",
    [
        [Edit("f", 1, 1, 1, 3, ""), Edit("f", 1, 2, 1, 4, "")],
        [Edit("f", 1, 3, 1, 1, "")],
        [Edit("f", 3, 1, 3, 1, "")],
        [Edit("f", 1, 7, 1, 7, "")],
        [Edit("f", 1, 0, 1, 1, "")],
    ],
    ids=["overlap", "backwards", "past the end", "past the line", "column zero"],
)
def test_edits_that_cannot_be_made_are_refused(edits: list[Edit]) -> None:
    with pytest.raises(ValueError, match=r"overlap|no position"):
        apply("abcd\n", edits)
