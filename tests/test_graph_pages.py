"""The pages of the measured rules are true: tracing their examples finds what they say, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("torch")

from initlint.config import Settings
from initlint.knowledge import load_rules
from initlint.live import make_request, report_live, trace_target
from tests.fixture_marks import Report, disagreements, read_marks

MEASURED = [rule for rule in load_rules().values() if rule.code.startswith("INI5")]
EXAMPLES = [(rule.code, number) for rule in MEASURED for number in range(len(rule.examples))]


@pytest.mark.parametrize(("code", "number"), EXAMPLES, ids=[f"{code}-{number}" for code, number in EXAMPLES])
def test_examples_are_traced_as_the_page_says(code: str, number: int, tmp_path: Path) -> None:
    text = load_rules()[code].examples[number]
    example = tmp_path / f"{code.lower()}_{number}.py"
    example.write_text(text, encoding="utf-8")
    shape = re.match(r"# input: (\S+)\n", text)
    request = make_request(f"{example}:Net", inputs=[shape[1]] if shape else [])
    outcome = report_live(trace_target(request), Settings())
    reports = [Report(f.site.line, f.site.column, f.code, f.severity.label) for f in outcome.findings]
    assert disagreements(read_marks(example), reports, text) == []


def test_there_are_five_measured_rules() -> None:
    assert [rule.code for rule in MEASURED] == ["INI501", "INI502", "INI503", "INI504", "INI505"]
