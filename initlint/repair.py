"""Fixes are made in rounds until none is left: those that overlap wait for the next one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from initlint.config import Settings
from initlint.engine import Outcome, Sources, check
from initlint.errors import InitlintError
from initlint.model import Edit, Finding

_MOST_ROUNDS = 20


@dataclass(frozen=True, slots=True)
class Repair:
    """What fixing did: the findings it repaired, the new text of every file that changed, and what is left."""

    fixed: tuple[Finding, ...]
    texts: Mapping[str, str]
    outcome: Outcome


def repair(outcome: Outcome, settings: Settings) -> Repair:
    """Apply the fixes of `outcome` in memory and check again, until a check offers nothing more.

    Raises InitlintError if fixes still undo each other after many rounds; nothing is written here in any case.
    """
    fixed: list[Finding] = []
    changed: dict[str, str] = {}
    original = outcome.sources
    for _ in range(_MOST_ROUNDS):
        chosen = _compatible(f for f in outcome.findings if is_applicable(f, settings))
        if not chosen:
            return Repair(tuple(fixed), _differing(original, changed), outcome)
        changed |= _apply(chosen, outcome.sources)
        fixed += chosen
        outcome = check(outcome.sources.with_texts(changed), settings)
    names = ", ".join(sorted({finding.code for finding in fixed}))
    raise InitlintError(f"the fixes of {names} undo each other; nothing was written", hint="please report this")


def is_applicable(finding: Finding, settings: Settings) -> bool:
    """Whether this run may apply the finding's fix."""
    return finding.fix is not None and (finding.fix.applicability == "safe" or settings.unsafe_fixes)


def _compatible(findings: Iterable[Finding]) -> list[Finding]:
    """The findings, in order, whose edits touch none of an earlier one's; the same fix on several findings is one."""
    chosen: list[Finding] = []
    edits: set[Edit] = set()
    for finding in findings:
        wanted = set(finding.fix.edits if finding.fix else ())
        if not wanted <= edits and any(_touch(new, old) for new in wanted for old in edits):
            continue
        edits |= wanted
        chosen.append(finding)
    return chosen


def _touch(one: Edit, other: Edit) -> bool:
    """Whether two edits overlap or meet."""
    if one.file != other.file:
        return False
    return (one.line, one.column) <= (other.end_line, other.end_column) and (other.line, other.column) <= (
        one.end_line,
        one.end_column,
    )


def _apply(findings: Iterable[Finding], sources: Sources) -> dict[str, str]:
    from initlint.fix.edits import apply

    edits = dict.fromkeys(edit for finding in findings if finding.fix for edit in finding.fix.edits)
    by_file: dict[str, list[Edit]] = {}
    for edit in edits:
        by_file.setdefault(edit.file, []).append(edit)
    return {file: apply(sources.files[file].text, chosen) for file, chosen in by_file.items()}


def _differing(original: Sources, changed: Mapping[str, str]) -> dict[str, str]:
    return {file: text for file, text in changed.items() if original.files[file].text != text}
