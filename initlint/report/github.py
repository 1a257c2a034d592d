"""Findings as workflow commands that GitHub shows beside the code, and as a table for the step's summary."""

from __future__ import annotations

from initlint.model import Finding, Severity, Site
from initlint.report.view import View, count, rule_url, severities

_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}
_MOST_ROWS = 200


def commands(view: View) -> str:
    """One command a finding, worst first: GitHub shows ten of a kind and step."""
    return "".join(f"{_annotation(finding, view)}\n" for finding in view.worst_first)


def summary(view: View) -> str:
    """A Markdown table of the findings, worst first."""
    if not view.findings:
        return "### initlint\n\nAll checks passed.\n"
    rows = [
        f"| {finding.severity.label} | [{finding.code}]({rule_url(finding.name)}) "
        f"| `{view.path(finding.site.file)}:{_line(view.place(finding.site))}` | {_cell(finding)} |"
        for finding in view.worst_first[:_MOST_ROWS]
    ]
    left_out = len(view.findings) - len(rows)
    more = f"\n{count(left_out, 'finding')} more.\n" if left_out else ""
    head = f"### initlint\n\nFound {count(len(view.findings), 'finding')} ({severities(view.findings)}).\n"
    return "\n".join([head, "| severity | rule | place | finding |", "| --- | --- | --- | --- |", *rows, more])


def _annotation(finding: Finding, view: View) -> str:
    site = view.stored_place(finding.site)
    properties = {
        "title": f"initlint ({finding.code})",
        "file": view.path(site.file),
        "line": str(site.line),
        "endLine": str(site.end_line),
    }
    if site.line == site.end_line:  # GitHub refuses columns on a stretch of several lines
        properties |= {"col": str(site.column), "endColumn": str(site.end_column)}
    written = ",".join(f"{key}={_property(properties[key])}" for key in _ORDER if key in properties)
    text = f"{view.path(site.file)}:{view.position(finding.site)}: {finding.code} {finding.message}"
    message = f"{text}\n{finding.help}" if finding.help else text
    return f"::{_COMMANDS[finding.severity]} {written}::{_data(message)}"


def _line(site: Site) -> str:
    return f"{site.line}" if site.cell is None else f"cell {site.cell}:{site.line}"


_ORDER = ("title", "file", "line", "col", "endLine", "endColumn")


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _cell(finding: Finding) -> str:
    return finding.message.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")
