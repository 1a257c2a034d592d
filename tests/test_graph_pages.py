"""The pages of the measured rules are true: tracing their examples finds what they say, and nothing else."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from initlint.config import Settings
from initlint.knowledge import load_rules
from initlint.live import make_request, report_live, trace_target
from tests.fixture_marks import Report, disagreements, read_marks

MEASURED = [rule for rule in load_rules().values() if rule.code.startswith("INI5")]
ARGUMENTS = {
    "INI203-3": ("zero=True",),
    "INI310:GraphLayer": ("width_in=96", "width_out=48"),
    "INI317-0": ("checkpoint=head.pt",),
    "INI317-1": ("checkpoint=head.pt",),
    "INI317-2": ("checkpoint=trunk.pt",),
}
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


CERTAIN = ("INI201", "INI202", "INI203", "INI205", "INI206", "INI207", "INI303", "INI310", "INI313", "INI317", "INI320")
"""The rules about construction that the tracer knows from the record and the values."""

BUILT = [(code, number) for code in CERTAIN for number in range(len(load_rules()[code].examples))]


def roots(text: str) -> list[str]:
    """The classes of an example that can be built without arguments and are built by no other."""
    tree = ast.parse(text)
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    return [node.name for node in classes if node.name not in called]


@pytest.mark.parametrize(("code", "number"), BUILT, ids=[f"{code}-{number}" for code, number in BUILT])
def test_what_the_record_shows_is_what_the_scanner_reads(
    code: str, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = load_rules()[code].examples[number]
    example = tmp_path / f"{code.lower()}_{number}.py"
    example.write_text(text, encoding="utf-8")
    norm = {"norm.weight": torch.ones(64), "norm.bias": torch.zeros(64)}
    torch.save({**norm, "out.weight": torch.randn(10, 64), "out.bias": torch.zeros(10)}, tmp_path / "head.pt")
    torch.save({**norm, "trunk.weight": torch.randn(64, 64), "trunk.bias": torch.zeros(64)}, tmp_path / "trunk.pt")
    monkeypatch.chdir(tmp_path)
    reports = []
    for name in roots(text):
        inputs = ["8x64"] if code == "INI320" else []
        arguments = ARGUMENTS.get(f"{code}-{number}", ARGUMENTS.get(f"{code}:{name}", ()))
        request = make_request(f"{example}:{name}", arguments=arguments, inputs=inputs)
        outcome = report_live(trace_target(request), Settings())
        reports += [Report(f.site.line, f.site.column, f.code, f.severity.label) for f in outcome.findings]
    told = set(reports)
    marks = [mark for mark in read_marks(example) if mark.code == code]
    assert disagreements(marks, [each for each in told if each.code == code], text) == []


def test_there_are_five_measured_rules() -> None:
    assert [rule.code for rule in MEASURED] == ["INI501", "INI502", "INI503", "INI504", "INI505"]
