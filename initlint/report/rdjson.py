"""Findings as reviewdog's diagnostic format, whose columns count UTF-8 bytes."""

from __future__ import annotations

import json

from initlint.model import Edit, Finding, Severity, Site
from initlint.report.view import HOMEPAGE, View, rule_url

_SEVERITIES = {Severity.ERROR: "ERROR", Severity.WARNING: "WARNING", Severity.INFO: "INFO"}
_Lines = dict[str, list[str]]


def diagnostics(view: View) -> str:
    """One document with every finding, its suggestions and related places."""
    files = {finding.site.file for finding in view.findings}
    files |= {related.site.file for finding in view.findings for related in finding.related}
    files |= {edit.file for finding in view.findings if finding.fix for edit in finding.fix.edits}
    lines = {file: view.stored_lines(file) for file in files}
    document = {
        "source": {"name": "initlint", "url": HOMEPAGE},
        "severity": "WARNING",
        "diagnostics": [_diagnostic(finding, view, lines) for finding in view.findings],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _diagnostic(finding: Finding, view: View, lines: _Lines) -> dict[str, object]:
    diagnostic: dict[str, object] = {
        "message": finding.message,
        "severity": _SEVERITIES[finding.severity],
        "code": {"value": finding.code, "url": rule_url(finding.name)},
        "location": {"path": view.path(finding.site.file), "range": _range(view.stored_place(finding.site), lines)},
    }
    if finding.related:
        diagnostic["related_locations"] = [
            {
                "message": related.message,
                "location": {
                    "path": view.path(related.site.file),
                    "range": _range(view.stored_place(related.site), lines),
                },
            }
            for related in finding.related
        ]
    own = [edit for edit in (finding.fix.edits if finding.fix else ()) if edit.file == finding.site.file]
    whole = finding.fix is not None and len(own) == len(finding.fix.edits)
    if whole and not view.in_notebook(finding):  # a suggestion reaches neither into another file nor into JSON
        diagnostic["suggestions"] = [{"range": _range(edit, lines), "text": edit.content} for edit in own]
    return diagnostic


def _range(place: Site | Edit, lines: _Lines) -> dict[str, dict[str, int]]:
    text = lines[place.file]
    return {
        "start": {"line": place.line, "column": _bytes(text, place.line, place.column)},
        "end": {"line": place.end_line, "column": _bytes(text, place.end_line, place.end_column)},
    }


def _bytes(lines: list[str], line: int, column: int) -> int:
    text = lines[line - 1] if line <= len(lines) else ""
    return len(text[: column - 1].encode("utf-8", "surrogatepass")) + 1 if text else column
