"""The rules themselves, as their pages tell them."""

from __future__ import annotations

import json
from collections.abc import Iterable

from initlint.knowledge import Rule
from initlint.report.style import Style
from initlint.report.view import rule_url

_REPAIRS = {
    "safe": "Fix is always available and safe.",
    "unsafe": "Fix is available and unsafe: `--unsafe-fixes` applies it.",
    "sometimes": "Fix is sometimes available.",
    "none": "No fix.",
}


def page(rule: Rule, *, color: bool = False) -> str:
    """One rule's page."""
    style = Style(color)
    references = [f"- {reference}" for reference in rule.references]
    opt_in = [] if rule.default else ["Off by default: select it by its code."]
    parts = [
        style.bold(f"# {rule.name} ({rule.code})"),
        rule.summary,
        " ".join([f"Severity: {rule.severity}.", _REPAIRS[rule.fix], f"Since {rule.since}.", *opt_in]),
        rule.text,
        "\n".join(["## References", "", *references]) if references and "## References" not in rule.text else "",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def index(rules: Iterable[Rule], *, color: bool = False) -> str:
    """One line a rule."""
    style = Style(color)
    listed = list(rules)
    width = max((len(rule.name) for rule in listed), default=0)
    return "".join(
        f"{style.bold(rule.code)}  {rule.name.ljust(width)}  {rule.summary}{_opt_in(rule)}\n" for rule in listed
    )


def array(rules: Iterable[Rule]) -> str:
    """The rules as a JSON array."""
    return json.dumps([record(rule) for rule in rules], indent=2, ensure_ascii=False) + "\n"


def _opt_in(rule: Rule) -> str:
    return "" if rule.default else " (off by default)"


def record(rule: Rule) -> dict[str, object]:
    """One rule as a JSON object."""
    return {
        "code": rule.code,
        "name": rule.name,
        "title": rule.title,
        "summary": rule.summary,
        "severity": rule.severity,
        "fix": rule.fix,
        "since": rule.since,
        "default": rule.default,
        "references": list(rule.references),
        "url": rule_url(rule.name),
        "explanation": rule.text,
    }
