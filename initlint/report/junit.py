"""Findings as JUnit XML: a suite for every file, a failed case for every finding."""

from __future__ import annotations

import re
from xml.sax.saxutils import escape, quoteattr

from initlint.model import Finding, Site
from initlint.report.view import View

_FORBIDDEN = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def suites(view: View) -> str:
    """The document; a clean run is one suite with one case that passed."""
    total = len(view.findings)
    out = ['<?xml version="1.0" encoding="UTF-8"?>']
    out.append(f'<testsuites name="initlint" tests="{max(total, 1)}" failures="{total}" errors="0">')
    if not total:
        out.append('  <testsuite name="initlint" tests="1" failures="0" errors="0">')
        out += ['    <testcase name="no findings" classname="initlint"/>', "  </testsuite>"]
    for file, findings in view.by_file.items():
        amount = len(findings)
        out.append(f'  <testsuite name={_quoted(view.path(file))} tests="{amount}" failures="{amount}" errors="0">')
        out += [line for finding in findings for line in _case(finding, view)]
        out.append("  </testsuite>")
    return "\n".join([*out, "</testsuites>"]) + "\n"


def _case(finding: Finding, view: View) -> list[str]:
    site = view.stored_place(finding.site)
    path = view.path(site.file)
    where = _where(view.place(finding.site))
    body = f"{where}: {finding.message}" + (f"\n{finding.help}" if finding.help else "")
    name = f"{finding.code} {finding.name} at {view.position(finding.site)}"
    place = f"file={_quoted(path)} line={_quoted(str(site.line))} column={_quoted(str(site.column))}"
    kind = f"type={_quoted(finding.severity.label)}"
    return [
        f"    <testcase name={_quoted(name)} classname={_quoted(path.removesuffix('.py').removesuffix('.ipynb'))} {place}>",
        f"      <failure message={_quoted(finding.message)} {kind}>{escape(_allowed(body))}</failure>",
        "    </testcase>",
    ]


def _where(place: Site) -> str:
    within = f"line {place.line}, column {place.column}"
    return within if place.cell is None else f"cell {place.cell}, {within}"


def _quoted(text: str) -> str:
    return quoteattr(_allowed(text))


def _allowed(text: str) -> str:
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)
