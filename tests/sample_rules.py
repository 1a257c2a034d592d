"""A few rules for tests that are about no rule in particular."""

from __future__ import annotations

from initlint.knowledge import Rule


def rule(code: str, name: str, *, severity: str = "info", default: bool = True) -> Rule:
    return Rule(
        code=code,
        name=name,
        title=name.replace("-", " "),
        summary=f"what {name} is about",
        severity=severity,
        fix="sometimes",
        since="0.1.0",
        default=default,
        references=("https://example.org/paper",),
        text="## Why\n\nBecause.",
        examples=(),
    )


RULES = {
    made.code: made
    for made in (
        rule("INI101", "default-init-before-rectifier"),
        rule("INI102", "default-init-before-saturating"),
        rule("INI204", "positional-mean", severity="error"),
        rule("INI401", "lstm-forget-bias", default=False),
        rule("INI501", "vanishing-signal"),
        rule("INI900", "syntax-error", severity="error"),
        rule("INI901", "unused-suppression"),
    )
}
