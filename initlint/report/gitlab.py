"""Findings as GitLab's code quality report."""

from __future__ import annotations

import json

from initlint.fingerprint import fingerprints
from initlint.model import Severity
from initlint.report.view import View

_SEVERITIES = {Severity.ERROR: "critical", Severity.WARNING: "major", Severity.INFO: "minor"}


def issues(view: View) -> str:
    """An array with one issue a finding; the fingerprint stays when lines shift."""
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
                        "lines": {"begin": finding.site.line, "end": finding.site.end_line},
                    },
                }
                for finding, mark in zip(view.findings, marks, strict=True)
            ],
            indent=2,
            ensure_ascii=False,
        )
        + "\n"
    )
