"""Findings for programs, in ruff's shape and with what is initlint's own beside it."""

from __future__ import annotations

import json

from initlint.model import Edit, Finding, Fix, Related, Site
from initlint.report.view import View, rule_url


def array(view: View) -> str:
    """All findings as one JSON array."""
    return json.dumps([record(view.located(finding)) for finding in view.findings], indent=2, ensure_ascii=False) + "\n"


def lines(view: View) -> str:
    """One JSON object a line."""
    return "".join(json.dumps(record(view.located(finding)), ensure_ascii=False) + "\n" for finding in view.findings)


def statistics(view: View) -> str:
    """How many findings each rule has, most first."""
    tally: dict[tuple[str, str], list[Finding]] = {}
    for finding in view.findings:
        tally.setdefault((finding.code, finding.name), []).append(finding)
    rows = sorted(tally.items(), key=lambda item: (-len(item[1]), item[0]))
    counted = [
        {"code": code, "name": name, "count": len(found), "fixable": any(view.applicable(f) for f in found)}
        for (code, name), found in rows
    ]
    return json.dumps(counted, indent=2) + "\n"


def record(finding: Finding) -> dict[str, object]:
    """One finding; file names are absolute, rows and columns count from 1, in a notebook within the cell."""
    site = finding.site
    layer = finding.judgements[0].layer if finding.judgements else None
    return {
        "cell": site.cell,
        "code": finding.code,
        "name": finding.name,
        "severity": finding.severity.label,
        "message": finding.message,
        "help": finding.help,
        "filename": site.file,
        "location": _start(site),
        "end_location": _end(site),
        "noqa_row": site.line,
        "url": rule_url(finding.name),
        "class": layer.owner if layer else None,
        "layer": finding.layer,
        "activation": finding.activation,
        "init": finding.init,
        "gain": {"actual": finding.gain, "ideal": finding.ideal_gain},
        "chain": {"length": finding.chain_length, "signal": finding.chain_signal},
        "related": [_related(related) for related in finding.related],
        "fix": _fix(finding.fix) if finding.fix else None,
    }


def _fix(fix: Fix) -> dict[str, object]:
    return {
        "applicability": fix.applicability,
        "message": fix.title,
        "edits": [_edit(edit) for edit in fix.edits],
    }


def _edit(edit: Edit) -> dict[str, object]:
    return {
        "cell": edit.cell,
        "filename": edit.file,
        "content": edit.content,
        "location": {"row": edit.line, "column": edit.column},
        "end_location": {"row": edit.end_line, "column": edit.end_column},
    }


def _related(related: Related) -> dict[str, object]:
    site = related.site
    return {
        "cell": site.cell,
        "message": related.message,
        "filename": site.file,
        "location": _start(site),
        "end_location": _end(site),
    }


def _start(site: Site) -> dict[str, int]:
    return {"row": site.line, "column": site.column}


def _end(site: Site) -> dict[str, int]:
    return {"row": site.end_line, "column": site.end_column}
