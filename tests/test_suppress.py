"""A comment silences the finding beside it, and one that silences nothing is itself a finding."""

from __future__ import annotations

from textwrap import dedent

import pytest
from sample_rules import RULES

from initlint.fix.edits import apply
from initlint.model import Finding, Severity, Site
from initlint.suppress import read_suppressions, suppress

FILE = "/p/net.py"


def finding(line: int = 1, code: str = "INI101", end_line: int | None = None) -> Finding:
    site = Site(FILE, line, 1, end_line or line, 5)
    return Finding(code, RULES[code].name, "the layer is wrong", Severity.INFO, site)


def left(text: str, *findings: Finding) -> tuple[list[str], list[str]]:
    """Codes that stay, and what is said of comments."""
    kept, unused = suppress(findings, {FILE: dedent(text)}, RULES)
    return [f.code for f in kept], [f.message for f in unused]


@pytest.mark.parametrize(
    "comment",
    [
        "# initlint: ignore",
        "# initlint: ignore[INI101]",
        "#initlint:ignore[INI101]",
        "# initlint: ignore [INI101]",
        "# INITLINT: IGNORE[ini101]",
        "# initlint: ignore[INI1]",
        "# initlint: ignore[default-init-before-rectifier]",
        "# type: ignore  # initlint: ignore[INI101]",
        "# initlint: ignore[INI101] because the paper does so",
        "# noqa",
        "# NOQA",
        "# noqa: INI101",
        "# noqa:INI101",
        "# noqa : INI101",
        "# noqa: E501, INI101",
        "# noqa: E501 INI101",
        "# noqa: INI101 because",
        "# noqa: default-init-before-rectifier",
        "# some words  # noqa: INI101",
    ],
)
def test_a_comment_on_the_line_silences(comment: str) -> None:
    assert left(f"layer = 1  {comment}\n", finding()) == ([], [])


@pytest.mark.parametrize(
    "comment",
    [
        "",
        "# noqa: E501",
        "# noqa: INI102",
        "# noqa: because",
        "# noqable",
        "# initlint ignore",
        "# this line mentions noqa",
    ],
)
def test_other_comments_do_not(comment: str) -> None:
    assert left(f"layer = 1  {comment}\n", finding()) == (["INI101"], [])


def test_a_comment_in_a_string_is_no_comment() -> None:
    assert left('layer = "# noqa: INI101"\n', finding()) == (["INI101"], [])


def test_it_silences_only_its_own_line() -> None:
    text = "one = 1  # noqa\ntwo = 2\n"
    assert left(text, finding(1), finding(2)) == (["INI101"], [])


MULTILINE = """
self.net = Sequential(
    Linear(1, 1),
    ReLU(),
    Linear(1, 1),
)
"""


@pytest.mark.parametrize(
    ("comment_line", "silenced"),
    [(2, [3, 5]), (6, [3, 5]), (3, [3]), (5, [5]), (4, [])],
)
def test_first_and_last_line_of_the_statement_and_the_finding_s_own(comment_line: int, silenced: list[int]) -> None:
    lines = MULTILINE.split("\n")
    lines[comment_line - 1] += "  # noqa: INI101"
    kept, _ = suppress([finding(3), finding(5)], {FILE: "\n".join(lines)}, RULES)
    assert [f.site.line for f in kept] == [line for line in (3, 5) if line not in silenced]


def test_a_continued_line_and_a_string_of_several_lines() -> None:
    assert left("x = a + \\\n    b  # noqa: INI101\n", finding(1)) == ([], [])
    assert left('x = f("""\n""", 1)  # noqa: INI101\n', finding(1)) == ([], [])


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_every_line_end(newline: str) -> None:
    text = newline.join(["a = 1", "b = 2  # noqa: INI101", "c = 3", ""])
    kept, _ = suppress([finding(2), finding(3)], {FILE: text}, RULES)
    assert [f.site.line for f in kept] == [3]


def test_a_form_feed_ends_no_line() -> None:
    kept, _ = suppress([finding(2)], {FILE: "a = 1\n\x0cb = 2  # noqa: INI101\n"}, RULES)
    assert kept == ()


def test_a_whole_file() -> None:
    assert left("# initlint: ignore-file\na = 1\n", finding(2), finding(2, "INI102")) == ([], [])
    assert left("# initlint: ignore-file[INI101]\na = 1\n", finding(2), finding(2, "INI102")) == (["INI102"], [])
    assert left("a = 1  # initlint: ignore-file[INI1]\n", finding(1), finding(1, "INI102")) == ([], [])


@pytest.mark.parametrize(
    ("comment", "message"),
    [
        ("# initlint: ignore[INI101]", "the comment silences `INI101`, which finds nothing here"),
        ("# initlint: ignore", "the comment silences nothing"),
        ("# initlint: ignore-file", "the comment silences nothing"),
        ("# initlint: ignore[INI777]", "the comment names `INI777`, which is no rule"),
        ("# initlint: ignore[]", "the comment names no rule"),
        ("# initlint: disable=INI101", "the comment is no suppression that initlint knows"),
    ],
)
def test_an_own_comment_that_silences_nothing_is_found(comment: str, message: str) -> None:
    kept, unused = suppress([], {FILE: f"a = 1  {comment}\n"}, RULES)
    assert kept == ()
    assert [(f.code, f.message) for f in unused] == [("INI901", message)]
    assert (unused[0].site.line, unused[0].site.column) == (1, 8)


def test_prose_about_initlint_is_no_suppression() -> None:
    assert left("a = 1  # initlint: the linter for initialization\n") == ([], [])
    _, said = left("a = 1  # initlint: ignroe\n")
    assert said == ["the comment is no suppression that initlint knows"]


def test_foreign_comments_are_never_called_unused() -> None:
    assert left("a = 1  # noqa\nb = 2  # noqa: E501\nc = 3  # noqa: INI101\n") == ([], [])


def test_what_only_a_live_model_can_show_is_not_called_unused() -> None:
    assert left("a = 1  # initlint: ignore[INI501]\n") == ([], [])


def test_a_file_that_does_not_parse_is_not_asked() -> None:
    kept, unused = suppress([finding(1, "INI900")], {FILE: "a = 1  # initlint: ignore[INI101]\n"}, RULES)
    assert [f.code for f in kept] == ["INI900"]
    assert unused == ()


def test_text_that_cannot_be_tokenized_silences_nothing() -> None:
    assert read_suppressions(FILE, "a = (  # noqa\n").directives == ()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a = 1  # initlint: ignore[INI101]\nb = 2\n", "a = 1\nb = 2\n"),
        ("# initlint: ignore-file\nb = 2\n", "b = 2\n"),
        ("if a:\n    # initlint: ignore\n    b = 2\n", "if a:\n    b = 2\n"),
        ("a = 1  # initlint: ignore[INI101]", "a = 1"),
        ("b = 2\n# initlint: ignore", "b = 2\n"),
        ("a = 1\r\nb = 2  # initlint: ignore[INI101]\r\n", "a = 1\r\nb = 2\r\n"),
    ],
)
def test_the_fix_takes_the_comment_out(before: str, after: str) -> None:
    _, unused = suppress([], {FILE: before}, RULES)
    assert unused[0].fix is not None
    assert unused[0].fix.applicability == "safe"
    assert apply(before, unused[0].fix.edits) == after


def test_the_fix_leaves_the_rules_that_are_needed() -> None:
    text = "a = 1  # initlint: ignore[INI102, INI101, INI204]\n"
    kept, unused = suppress([finding(1)], {FILE: text}, RULES)
    assert kept == ()
    assert unused[0].message == "the comment silences `INI102` and `INI204`, which find nothing here"
    assert unused[0].fix is not None
    assert apply(text, unused[0].fix.edits) == "a = 1  # initlint: ignore[INI101]\n"


def test_a_comment_with_words_of_its_own_is_left_to_its_author() -> None:
    _, unused = suppress([], {FILE: "a = 1  # initlint: ignore[INI101] as in the paper\n"}, RULES)
    assert unused[0].fix is None


def test_the_file_can_ask_for_silence_about_its_comments() -> None:
    text = "# initlint: ignore-file[INI901]\na = 1  # initlint: ignore[INI101]\n"
    assert suppress([], {FILE: text}, RULES) == ((), ())
