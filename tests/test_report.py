"""Every format says the same findings in its own grammar."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from sample_rules import RULES

from initlint.config import FORMATS
from initlint.model import (
    Edit,
    Finding,
    Fix,
    Initializer,
    Judgement,
    Layer,
    Related,
    Severity,
    Site,
)
from initlint.report import HOMEPAGE, View, render
from initlint.report import github as github_report
from initlint.report import json as json_report
from initlint.report import text as text_report

ROOT = Path("/p")
FILE = "/p/src/net.py"
TEXT = """\
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.größe = nn.Linear(8, 8)

    def forward(self, x):
        return relu(self.größe(x))
"""
SITE = Site(FILE, 4, 22, 4, 37)
EDIT = Edit(FILE, 4, 37, 4, 37, "\n        init(self.größe)")
LAYER = Layer(1, "Linear", "Net", "größe", SITE, Initializer("default", gain=0.577))
FULL = Finding(
    code="INI101",
    name="default-init-before-rectifier",
    message="`Net.größe` keeps the default, 50% of what fits",
    severity=Severity.WARNING,
    site=SITE,
    help="write `kaiming_normal_`",
    layer="Net.größe",
    activation="relu",
    init="default",
    gain=0.577,
    ideal_gain=1.414,
    chain_length=3,
    chain_signal=0.41,
    related=(Related(Site(FILE, 7, 16, 7, 35), "relu follows here"),),
    fix=Fix("Initialize größe", "safe", (EDIT,)),
    judgements=(Judgement(LAYER, "mismatch"),),
)
BARE = Finding(
    code="INI204",
    name="positional-mean",
    message="0.02 is the mean, here: a, b",
    severity=Severity.ERROR,
    site=Site("/p/b.py", 1, 1, 2, 3),
)
TEXTS = {FILE: TEXT, "/p/b.py": "normal_(\n  w, 0.02)\n"}


def view(*findings: Finding, **options: object) -> View:
    return View(findings, TEXTS, ROOT, RULES, version="1.2.3", **options)  # type: ignore[arg-type]


def test_full_draws_the_code_the_measure_the_help_and_the_activation() -> None:
    assert (
        render(view(FULL), "full")
        == """\
INI101 [*] warning: `Net.größe` keeps the default, 50% of what fits
 --> src/net.py:4:22
  |
2 |     def __init__(self):
3 |         super().__init__()
4 |         self.größe = nn.Linear(8, 8)
  |                      ^^^^^^^^^^^^^^^ gain 0.58, 1.41 fits
5 |
6 |     def forward(self, x):
  |
 ::: src/net.py:7:16
  |
7 |         return relu(self.größe(x))
  |                ------------------- relu follows here
  |
  = help: write `kaiming_normal_`
  = fix: Initialize größe

Found 1 finding (1 warning).
[*] 1 fixable with `--fix`.
"""
    )


def test_concise_and_grouped() -> None:
    assert render(view(FULL, BARE), "concise") == (
        "src/net.py:4:22: INI101 [*] warning: `Net.größe` keeps the default, 50% of what fits\n"
        "b.py:1:1: INI204 error: 0.02 is the mean, here: a, b\n"
        "Found 2 findings (1 error, 1 warning).\n"
        "[*] 1 fixable with `--fix`.\n"
    )
    assert render(view(FULL, BARE), "grouped") == (
        "src/net.py:\n  4:22  INI101 [*] warning: `Net.größe` keeps the default, 50% of what fits\n\n"
        "b.py:\n  1:1  INI204 error: 0.02 is the mean, here: a, b\n\n"
        "Found 2 findings (1 error, 1 warning).\n"
        "[*] 1 fixable with `--fix`.\n"
    )


def test_unsafe_fixes_are_marked_only_when_they_were_asked_for() -> None:
    assert FULL.fix is not None
    unsafe = replace(FULL, fix=replace(FULL.fix, applicability="unsafe"))
    plain = render(view(unsafe), "full")
    assert "INI101 warning" in plain
    assert "= fix: Initialize größe (unsafe: `--unsafe-fixes` applies it)" in plain
    assert "No fixes available (1 with `--fix --unsafe-fixes`)." in plain
    asked = render(view(unsafe, unsafe_fixes=True), "full")
    assert "INI101 [*] warning" in asked
    assert "[*] 1 fixable with `--fix --unsafe-fixes`." in asked
    assert "1 fixable with `--fix` (1 more with `--unsafe-fixes`)." in render(view(FULL, unsafe), "concise")


def test_nothing_found_is_said_to_people_and_quiet_is_quiet() -> None:
    for output_format in ("full", "concise", "grouped"):
        assert render(view(), output_format) == "All checks passed!\n"
        assert render(view(quiet=True), output_format) == ""
    assert "Found" not in render(view(FULL, quiet=True), "full")


def test_what_was_fixed_is_counted_and_listed_on_request() -> None:
    text = render(view(BARE, fixed=(FULL, FULL), show_fixes=True), "concise")
    assert "Fixed 2 findings:\n- src/net.py:\n    2 x INI101 (default-init-before-rectifier)\n" in text
    assert text.endswith("Found 3 findings (2 fixed, 1 remaining).\n")
    assert "Fixed 2" not in render(view(BARE, fixed=(FULL,)), "concise")


def test_colours_only_where_they_are_asked_for() -> None:
    for output_format in FORMATS:
        assert "\x1b" not in render(view(FULL, BARE), output_format)
    for output_format in ("full", "concise", "grouped"):
        assert "\x1b[" in render(view(FULL, color=True), output_format)


def test_a_frame_under_tabs_and_wide_characters() -> None:
    text = "\tx = '日本' + nn.Linear(8, 8)\n"
    finding = replace(BARE, site=Site("/p/t.py", 1, 13, 1, 28))
    drawn = text_report.full(View((finding,), {"/p/t.py": text}, ROOT)).splitlines()
    code, carets = drawn[3], drawn[4]
    assert code == "1 |     x = '日本' + nn.Linear(8, 8)"
    assert carets == "  |                  ^^^^^^^^^^^^^^^"  # two columns for each wide character before it


def test_a_frame_of_several_lines_underlines_the_first() -> None:
    lines = render(view(BARE), "full").splitlines()
    assert lines[3:5] == ["1 | normal_(", "  | ^^^^^^^^"]


def test_a_place_without_text_is_still_named() -> None:
    text = render(replace(view(FULL), texts={}), "full")
    assert "--> src/net.py:4:22" in text
    assert "::: src/net.py:7:16 relu follows here" in text


def test_json_is_ruffs_shape_and_more() -> None:
    record = json.loads(render(view(FULL), "json"))[0]
    assert record == {
        "cell": None,
        "code": "INI101",
        "name": "default-init-before-rectifier",
        "severity": "warning",
        "message": FULL.message,
        "help": "write `kaiming_normal_`",
        "filename": FILE,
        "location": {"row": 4, "column": 22},
        "end_location": {"row": 4, "column": 37},
        "noqa_row": 4,
        "url": f"{HOMEPAGE}/blob/main/rules/default-init-before-rectifier.md",
        "class": "Net",
        "layer": "Net.größe",
        "activation": "relu",
        "init": "default",
        "gain": {"actual": 0.577, "ideal": 1.414},
        "chain": {"length": 3, "signal": 0.41},
        "related": [
            {
                "cell": None,
                "message": "relu follows here",
                "filename": FILE,
                "location": {"row": 7, "column": 16},
                "end_location": {"row": 7, "column": 35},
            }
        ],
        "fix": {
            "applicability": "safe",
            "message": "Initialize größe",
            "edits": [
                {
                    "cell": None,
                    "filename": FILE,
                    "content": EDIT.content,
                    "location": {"row": 4, "column": 37},
                    "end_location": {"row": 4, "column": 37},
                }
            ],
        },
    }


def test_json_lines_are_the_same_records() -> None:
    lines = render(view(FULL, BARE), "json-lines").splitlines()
    assert [json.loads(line) for line in lines] == json.loads(render(view(FULL, BARE), "json"))
    assert render(view(), "json-lines") == ""
    assert json.loads(render(view(), "json")) == []


def test_statistics() -> None:
    assert text_report.statistics(view(BARE, FULL, BARE)) == (
        "2\tINI204\t[ ] positional-mean\n1\tINI101\t[*] default-init-before-rectifier\n"
    )
    assert json.loads(json_report.statistics(view(FULL)))[0] == {
        "code": "INI101",
        "name": "default-init-before-rectifier",
        "count": 1,
        "fixable": True,
    }


def sarif(*findings: Finding, **options: object) -> dict[str, object]:
    log = json.loads(render(replace(view(*findings), **options), "sarif"))  # type: ignore[arg-type]
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    assert isinstance(run, dict)
    return run


def test_sarif() -> None:
    run = sarif(FULL, BARE)
    driver = run["tool"]["driver"]  # type: ignore[index]
    assert (driver["name"], driver["version"]) == ("initlint", "1.2.3")
    assert [rule["id"] for rule in driver["rules"]] == ["INI101", "INI204"]
    assert driver["rules"][0]["helpUri"].endswith("/rules/default-init-before-rectifier.md")
    assert driver["rules"][0]["help"]["markdown"] == RULES["INI101"].text
    assert [rule["defaultConfiguration"]["level"] for rule in driver["rules"]] == ["note", "error"]
    first, second = run["results"]  # type: ignore[misc]
    assert (first["ruleId"], first["ruleIndex"], first["level"]) == ("INI101", 0, "warning")
    place = first["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "src/net.py", "uriBaseId": "SRCROOT"}
    assert place["region"] == {"startLine": 4, "startColumn": 22, "endLine": 4, "endColumn": 37}
    assert run["columnKind"] == "unicodeCodePoints"
    assert first["relatedLocations"][0]["message"]["text"] == "relu follows here"
    replacement = first["fixes"][0]["artifactChanges"][0]["replacements"][0]
    assert replacement["insertedContent"]["text"] == EDIT.content
    assert (second["level"], "fixes" in second, "relatedLocations" in second) == ("error", False, False)


def test_sarif_marks_survive_line_shifts_and_tell_twins_apart() -> None:
    def marks(run: dict[str, object]) -> list[str]:
        return [r["partialFingerprints"]["primaryLocationLineHash"] for r in run["results"]]  # type: ignore[attr-defined]

    twin = replace(FULL, message="another measure")
    before = marks(sarif(FULL, twin))
    assert len(set(before)) == 2
    down = replace(SITE, line=6, end_line=6)
    after = sarif(replace(FULL, site=down), replace(twin, site=down), texts={FILE: "\n\n" + TEXT})
    assert marks(after) == before


def test_sarif_escapes_paths_and_names_files_outside_the_root() -> None:
    odd = replace(BARE, site=Site("/p/a b/ü.py", 1, 1, 1, 2))
    outside = replace(BARE, site=Site("/elsewhere/c.py", 1, 1, 1, 2))
    results = sarif(odd, outside)["results"]
    uris = [r["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for r in results]  # type: ignore[attr-defined]
    assert uris == ["a%20b/%C3%BC.py", "file:///elsewhere/c.py"]


def test_github_worst_first_and_escaped() -> None:
    multiline = replace(FULL, severity=Severity.INFO, message="a\nb")
    lines = render(view(multiline, FULL, BARE), "github").splitlines()
    assert [line.split(" ")[0] for line in lines] == ["::error", "::warning", "::notice"]
    assert lines[0] == (
        "::error title=initlint (INI204),file=b.py,line=1,endLine=2::b.py:1:1: INI204 0.02 is the mean, here: a, b"
    )
    assert lines[1] == (
        "::warning title=initlint (INI101),file=src/net.py,line=4,col=22,endLine=4,endColumn=37::"
        "src/net.py:4:22: INI101 `Net.größe` keeps the default, 50%25 of what fits%0Awrite `kaiming_normal_`"
    )
    assert "INI101 a%0Ab" in lines[2]
    comma = replace(BARE, site=replace(BARE.site, file="/p/a,b:c.py"))
    assert "file=a%2Cb%3Ac.py," in render(view(comma), "github")


def test_the_github_summary_is_a_table() -> None:
    table = github_report.summary(view(FULL, replace(BARE, message="a | b")))
    rows = [line for line in table.splitlines() if line.startswith("| ")]
    assert rows[2].startswith("| error | [INI204](")
    assert rows[2].endswith("| `b.py:1` | a \\| b |")
    assert rows[3].startswith("| warning |")
    assert "All checks passed" in github_report.summary(view())


def test_gitlab() -> None:
    issues = json.loads(render(view(FULL, BARE, BARE), "gitlab"))
    assert issues[0] == {
        "check_name": "INI101",
        "description": FULL.message,
        "severity": "major",
        "fingerprint": issues[0]["fingerprint"],
        "location": {"path": "src/net.py", "lines": {"begin": 4, "end": 4}},
    }
    assert len({issue["fingerprint"] for issue in issues}) == 3
    assert json.loads(render(view(), "gitlab")) == []


def test_junit() -> None:
    odd = replace(BARE, message='<a> & "b" \x07')
    root = ET.fromstring(render(view(FULL, odd, FULL), "junit").encode())
    assert (root.get("tests"), root.get("failures")) == ("3", "3")
    assert [(suite.get("name"), suite.get("tests")) for suite in root] == [("src/net.py", "2"), ("b.py", "1")]
    case = root[1][0]
    assert (case.get("classname"), case.get("line")) == ("b", "1")
    assert case[0].get("message") == '<a> & "b" \N{REPLACEMENT CHARACTER}'
    clean = ET.fromstring(render(view(), "junit").encode())
    assert (clean.get("tests"), clean.get("failures"), len(clean[0])) == ("1", "0", 1)


def test_rdjson_counts_bytes() -> None:
    document = json.loads(render(view(FULL), "rdjson"))
    (diagnostic,) = document["diagnostics"]
    assert diagnostic["code"]["value"] == "INI101"
    assert diagnostic["location"] == {
        "path": "src/net.py",
        "range": {"start": {"line": 4, "column": 24}, "end": {"line": 4, "column": 39}},  # ö and ß take two bytes
    }
    assert diagnostic["suggestions"][0]["range"]["start"] == {"line": 4, "column": 39}
    assert diagnostic["related_locations"][0]["message"] == "relu follows here"


def test_a_suggestion_never_reaches_into_another_file() -> None:
    assert FULL.fix is not None
    far = replace(FULL, fix=replace(FULL.fix, edits=(EDIT, replace(EDIT, file="/p/b.py", line=1, end_line=1))))
    assert "suggestions" not in json.loads(render(view(far), "rdjson"))["diagnostics"][0]


@pytest.mark.parametrize("output_format", FORMATS)
def test_every_format_holds_for_nothing_and_for_a_finding_without_frills(output_format: str) -> None:
    for found in ((), (BARE,), (FULL, BARE)):
        text = render(view(*found), output_format)
        assert text == "" or text.endswith("\n")
        assert render(view(*found), output_format) == text
