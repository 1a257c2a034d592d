"""Every rule page is true: its examples are linted as it says, its check exists, and the index lists it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from initlint import check_source
from initlint.checks import CHECKS
from initlint.config import Settings
from initlint.knowledge import Rule, load_rules
from initlint.selection import Layer, Selection
from tests.fixture_marks import Report, disagreements, read_marks
from tests.rule_index import index_page, refreshed

RULES = load_rules()
EXAMPLES = [(code, number) for code, rule in RULES.items() for number in range(len(rule.examples))]
WITHOUT_EXAMPLES = {"INI900"}
"""A file that does not parse is no example that could be shown as Python."""

MEASURED = "INI5"
"""Codes that only a live module can earn: the tests of the tracer hold their pages to those marks."""

ABOUT_THE_RUN = "INI9"
"""Codes that no check reports, because they concern the run itself."""


def text_of(code: str, number: int) -> str:
    return RULES[code].examples[number]


LINTED = [(code, number) for code, number in EXAMPLES if not code.startswith("INI5")]
"""The examples of the measured rules are traced: tests/test_graph_pages.py."""


@pytest.mark.parametrize(("code", "number"), LINTED, ids=[f"{code}-{number}" for code, number in LINTED])
def test_examples_are_linted_as_the_page_says(code: str, number: int, tmp_path: Path) -> None:
    text = text_of(code, number)
    example = tmp_path / "example.py"
    example.write_text(text, encoding="utf-8")
    chosen = Selection(layers=(Layer(extend_select=(code,)),))
    found = check_source(text, filename=str(example), settings=Settings(selection=chosen))
    reports = [Report(f.site.line, f.site.column, f.code, f.severity.label) for f in found]
    marks = [mark for mark in read_marks(example) if not mark.code.startswith(MEASURED)]
    assert disagreements(marks, reports, text) == []


@pytest.mark.parametrize(("code", "number"), EXAMPLES, ids=[f"{code}-{number}" for code, number in EXAMPLES])
def test_examples_are_python(code: str, number: int) -> None:
    ast.parse(text_of(code, number))


@pytest.mark.parametrize("code", RULES)
def test_a_page_shows_its_rule_and_its_silence(code: str) -> None:
    if code in WITHOUT_EXAMPLES:
        return
    marks = [re.findall(r"# expect: (.*)", example) for example in RULES[code].examples]
    assert any(code in mark for found in marks for mark in found)
    lines = [line for example in RULES[code].examples for line in example.splitlines()]
    assert sum("# expect:" not in line for line in lines) > sum("# expect:" in line for line in lines)


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_a_page_is_named_as_its_pattern(rule: Rule) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", rule.name)
    assert rule.summary.endswith(".")
    assert rule.text


def test_every_check_has_its_page_and_every_page_its_check() -> None:
    pages = {(rule.code, rule.name) for rule in RULES.values() if not rule.code.startswith((MEASURED, ABOUT_THE_RUN))}
    assert {(check.code, check.name) for check in CHECKS} == pages


def test_the_index_is_fresh() -> None:
    page = index_page().read_text(encoding="utf-8")
    assert page == refreshed(page, RULES.values()), "run `python -m tests.rule_index`"


def test_links_between_pages_lead_somewhere() -> None:
    folder = index_page().parent
    for page in folder.glob("*.md"):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text(encoding="utf-8")):
            assert (folder / target).exists(), f"{page.name} links to {target}"
