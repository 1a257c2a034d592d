"""Findings as GitLab's code quality report."""

from __future__ import annotations

import json

from initlint.fingerprint import fingerprints
from initlint.model import Severity
from initlint.report.view import View

_SEVERITIES = {Severity.ERROR: "critical", Severity.WARNING: "major", Severity.INFO: "minor"}


def issues(view: View) -> str:
    """An array with one issue a finding; the fingerprint stays when lines shift."""
    places = [view.stored_place(finding.site) for finding in view.findings]
    marks = fingerprints(view.findings, view.texts, view.root)
    return (
        json.dumps(
            [
                {
                    "check_name": finding.code,
                    "description": finding.message,
                    "severity": _SEVERITIES[finding.severity],
                    "fingerprint": mark,
                    "location": {
                        "path": view.path(finding.site.file),
                        "lines": {"begin": place.line, "end": place.end_line},
                    },
                }
                for finding, place, mark in zip(view.findings, places, marks, strict=True)
            ],
            indent=2,
            ensure_ascii=False,
        )
        + "\n"
    )
