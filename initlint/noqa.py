"""Adopting initlint on old code: a `# noqa` on every line that has a finding today."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from initlint.fingerprint import split_lines
from initlint.fix.edits import apply
from initlint.model import Edit, Finding
from initlint.selection import SYNTAX_ERROR, UNUSED_SUPPRESSION
from initlint.suppress import Suppressions, read_suppressions


def add_noqa(file: str, text: str, findings: Iterable[Finding]) -> tuple[str, int]:
    """The text with its findings silenced, and how many lines were marked.

    A `# noqa` that names other rules is extended; what is about the run itself stays.
    """
    suppressions = read_suppressions(file, text)
    codes: dict[int, set[str]] = {}
    for finding in findings:
        if finding.code not in {SYNTAX_ERROR, UNUSED_SUPPRESSION}:
            codes.setdefault(_line(finding, suppressions), set()).add(finding.code)
    edits = [_edit(file, text, line, sorted(wanted), suppressions) for line, wanted in codes.items()]
    return apply(text, edits), len(edits)


def _line(finding: Finding, suppressions: Suppressions) -> int:
    """The first line at whose end a comment can silence the finding."""
    _, last = suppressions.statement(finding.site.line)
    candidates = (finding.site.line, finding.site.end_line, last)
    return next((line for line in candidates if line in suppressions.open_lines), last)


def _edit(file: str, text: str, line: int, codes: Sequence[str], suppressions: Suppressions) -> Edit:
    listed = ", ".join(codes)
    for directive in suppressions.directives:
        if directive.site.line == line and not directive.own and directive.selectors:
            column = directive.site.end_column
            return Edit(file, line, column, line, column, f", {listed}")
    end = len(split_lines(text)[line - 1].rstrip()) + 1
    return Edit(file, line, end, line, end, f"  # noqa: {listed}")
