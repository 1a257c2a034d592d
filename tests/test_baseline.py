"""A baseline knows a finding again after lines and measures moved, and no other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from initlint.baseline import read_baseline, render_baseline, subtract
from initlint.errors import InitlintError
from initlint.fingerprint import fingerprints
from initlint.model import Finding, Severity, Site

ROOT = Path("/p")
FILE = "/p/src/net.py"
TEXT = "a = Linear(1, 2)\nb = Linear(1, 2)\nb = Linear(1, 2)\n"


def finding(line: int, message: str = "gain 0.58", code: str = "INI101", layer: str | None = "Net.a") -> Finding:
    return Finding(code, "some-rule", message, Severity.INFO, Site(FILE, line, 1, line, 5), layer=layer)


def known(tmp_path: Path, *findings: Finding, text: str = TEXT) -> Path:
    path = tmp_path / "baseline.json"
    path.write_text(render_baseline(findings, {FILE: text}, ROOT), encoding="utf-8")
    return path


def test_what_is_known_is_left_out_and_what_is_new_stays(tmp_path: Path) -> None:
    path = known(tmp_path, finding(1))
    fresh, stale = subtract([finding(1), finding(2)], read_baseline(path), {FILE: TEXT}, ROOT)
    assert fresh == (finding(2),)
    assert stale == 0


def test_lines_and_measures_may_move(tmp_path: Path) -> None:
    path = known(tmp_path, finding(1))
    moved = finding(3, "gain 0.41")
    assert subtract([moved], read_baseline(path), {FILE: "\n\n    " + TEXT}, ROOT) == ((), 0)


@pytest.mark.parametrize(
    "other",
    [finding(2), finding(1, code="INI102"), finding(1, layer="Net.b")],
    ids=["another line", "another rule", "another layer"],
)
def test_something_else_is_not_known(tmp_path: Path, other: Finding) -> None:
    path = known(tmp_path, finding(1))
    assert subtract([other], read_baseline(path), {FILE: TEXT}, ROOT) == ((other,), 1)


def test_each_occurrence_is_known_once(tmp_path: Path) -> None:
    twins = [finding(2), finding(3)]
    path = known(tmp_path, *twins)
    assert json.loads(path.read_text(encoding="utf-8"))["findings"][0]["count"] == 2
    texts = {FILE: TEXT + "b = Linear(1, 2)\n"}
    fresh, _ = subtract([*twins, finding(4)], read_baseline(path), texts, ROOT)
    assert fresh == (finding(4),)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"version": 1}', '{"version": 1, "findings": [1]}', '{"version": 2}']
)
def test_a_file_that_is_no_baseline(tmp_path: Path, text: str) -> None:
    path = tmp_path / "baseline.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InitlintError, match=r"not a baseline|has version 2") as caught:
        read_baseline(path)
    assert str(path) in str(caught.value)


def test_a_missing_baseline_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InitlintError, match="cannot be read"):
        read_baseline(tmp_path / "none.json")


def test_fingerprints_tell_twins_apart_and_survive_line_shifts() -> None:
    findings = [finding(2), finding(3)]
    first = fingerprints(findings, {FILE: TEXT}, ROOT)
    assert len(set(first)) == 2
    moved = [finding(4), finding(5)]
    assert fingerprints(moved, {FILE: "\n\n" + TEXT}, ROOT) == first
