"""Findings as SARIF 2.1.0, for code scanning."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote

from initlint.fingerprint import fingerprints
from initlint.knowledge import Rule
from initlint.model import Edit, Finding, Fix, Severity, Site
from initlint.report.view import HOMEPAGE, View, rule_url

_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def log(view: View) -> str:
    """One run with every finding as a result, and the page of every rule that has one."""
    codes = sorted({finding.code for finding in view.findings})
    marks = fingerprints(view.findings, view.texts, view.root)
    run = {
        "tool": {
            "driver": {
                "name": "initlint",
                "version": view.version,
                "informationUri": HOMEPAGE,
                "rules": [_rule(code, view) for code in codes],
            }
        },
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {"SRCROOT": {"uri": view.root.as_uri().rstrip("/") + "/"}},
        "results": [
            _result(finding, codes.index(finding.code), mark, view)
            for finding, mark in zip(view.findings, marks, strict=True)
        ],
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=False) + "\n"


def _rule(code: str, view: View) -> dict[str, object]:
    rule = view.rules.get(code)
    if rule is None:
        name = next(finding.name for finding in view.findings if finding.code == code)
        return {"id": code, "name": name, "shortDescription": {"text": name}, "helpUri": rule_url(name)}
    return {
        "id": code,
        "name": rule.name,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rule.summary},
        "help": {"text": rule.summary, "markdown": rule.text},
        "helpUri": rule_url(rule.name),
        "defaultConfiguration": {"level": _level(rule)},
        "properties": {"tags": ["initialization", "pytorch"], "precision": "high"},
    }


def _level(rule: Rule) -> str:
    named = {severity.label: level for severity, level in _LEVELS.items()}
    return named.get(rule.severity, "warning")


def _result(finding: Finding, index: int, mark: str, view: View) -> dict[str, object]:
    result: dict[str, object] = {
        "ruleId": finding.code,
        "ruleIndex": index,
        "level": _LEVELS[finding.severity],
        "message": {"text": f"{finding.message}\n{finding.help}" if finding.help else finding.message},
        "locations": [_location(finding.site, view)],
        "partialFingerprints": {"primaryLocationLineHash": mark, "initlint/v1": mark},
    }
    if finding.related:
        result["relatedLocations"] = [
            {"id": number, **_location(related.site, view), "message": {"text": related.message}}
            for number, related in enumerate(finding.related, start=1)
        ]
    if finding.fix and not view.in_notebook(finding):  # its edits are of the program, not of the JSON around it
        result["fixes"] = [_fix(finding.fix, view)]
    return result


def _location(site: Site, view: View) -> dict[str, object]:
    place = view.stored_place(site)
    region = _region(place.line, place.column, place.end_line, place.end_column)
    return {"physicalLocation": {"artifactLocation": _artifact(site.file, view.root), "region": region}}


def _artifact(file: str, root: Path) -> dict[str, str]:
    path = Path(file)
    if path.is_relative_to(root):
        return {"uri": quote(path.relative_to(root).as_posix()), "uriBaseId": "SRCROOT"}
    return {"uri": path.as_uri() if path.is_absolute() else quote(path.as_posix())}


def _region(line: int, column: int, end_line: int, end_column: int) -> dict[str, int]:
    return {"startLine": line, "startColumn": column, "endLine": end_line, "endColumn": end_column}


def _fix(fix: Fix, view: View) -> dict[str, object]:
    changes: dict[str, list[Edit]] = {}
    for edit in fix.edits:
        changes.setdefault(edit.file, []).append(edit)
    return {
        "description": {"text": fix.title},
        "artifactChanges": [
            {
                "artifactLocation": _artifact(file, view.root),
                "replacements": [
                    {
                        "deletedRegion": _region(edit.line, edit.column, edit.end_line, edit.end_column),
                        "insertedContent": {"text": edit.content},
                    }
                    for edit in edits
                ],
            }
            for file, edits in changes.items()
        ],
    }
