"""Fixes are made in memory, in rounds, until a check of the result offers nothing more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from initlint.config import Settings
from initlint.engine import Outcome, Reading, Sources, check, fix_options, reported, understand
from initlint.errors import InitlintError
from initlint.model import Edit, Finding, Judgement
from initlint.selection import UNUSED_SUPPRESSION

if TYPE_CHECKING:
    from initlint.source.contexts import Visits

_MOST_ROUNDS = 10


@dataclass(frozen=True, slots=True)
class Repair:
    """What fixing did: the findings it answered, the new text of every file that changed, and what is left."""

    fixed: tuple[Finding, ...]
    texts: Mapping[str, str]
    outcome: Outcome


def repair(outcome: Outcome, settings: Settings) -> Repair:
    """Make the fixes of `outcome` and check again, until a check offers nothing more.

    Nothing is written. Raises InitlintError if the fixes keep undoing each other.
    """
    original = outcome.sources
    fixed: list[Finding] = []
    for _ in range(_MOST_ROUNDS):
        answered, texts = _round(outcome, settings)
        if not texts:
            return Repair(tuple(fixed), _differing(original, outcome.sources), outcome)
        fixed += answered
        outcome = check(outcome.sources.with_texts(texts), settings)
    names = ", ".join(sorted({finding.code for finding in fixed}))
    raise InitlintError(f"the fixes of {names} undo each other; nothing was written", hint="please report this")


def is_applicable(finding: Finding, settings: Settings) -> bool:
    """Whether this run may apply the finding's fix."""
    return finding.fix is not None and (finding.fix.applicability == "safe" or settings.unsafe_fixes)


def _round(outcome: Outcome, settings: Settings) -> tuple[Sequence[Finding], Mapping[str, str]]:
    """The findings answered by one round and the texts it changes: the layers first, then the comments."""
    wanted = [finding for finding in outcome.findings if is_applicable(finding, settings)]
    layers = [finding for finding in wanted if finding.code != UNUSED_SUPPRESSION]
    if layers:
        from initlint.fix import plan

        apart = [finding for finding in outcome.findings if not is_applicable(finding, settings)]
        scanner = _Scanner(settings, outcome.reading.visits, apart)
        planned = plan(
            layers,
            outcome.sources.texts,
            fix_options(settings),
            scanner.reported,
            unsafe=settings.unsafe_fixes,
            judgements=outcome.reading.judgements,
            heed=lambda found, _: found,
            judge=scanner.judgements,
        )
        if planned.texts:
            return planned.fixed, planned.texts
    comments = _apart([finding for finding in wanted if finding.code == UNUSED_SUPPRESSION])
    return comments, _without(comments, outcome.sources) if comments else {}


class _Scanner:
    """Reads texts as they are being rewritten; the last reading is kept, since it is mostly asked for twice."""

    def __init__(self, settings: Settings, known: Visits | None, apart: Iterable[Finding]) -> None:
        """`apart` was left for a reason, which a scan of the written files alone may no longer know."""
        self._settings = settings
        self._known = known
        self._apart = {_told(finding) for finding in apart}
        self._last: tuple[Mapping[str, str], Reading] = ({}, Reading((), (), ()))

    def reported(self, texts: Mapping[str, str]) -> tuple[Finding, ...]:
        """What a run would report of layers: a later round must not rewrite a suppressed line."""
        found = reported(self._read(texts).findings, texts, self._settings)
        return tuple(
            finding for finding in found if finding.code != UNUSED_SUPPRESSION and _told(finding) not in self._apart
        )

    def judgements(self, texts: Mapping[str, str]) -> tuple[Judgement, ...]:
        """The judgements of all layers, not only of those reported."""
        return self._read(texts).judgements

    def _read(self, texts: Mapping[str, str]) -> Reading:
        if self._last[0] != texts:
            self._last = dict(texts), understand(texts, known=self._known)
        return self._last[1]


def _told(finding: Finding) -> tuple[str, str, str | None]:
    """What stays of a finding when lines shift."""
    return finding.code, finding.site.file, finding.layer


def _apart(findings: Sequence[Finding]) -> list[Finding]:
    """The findings whose single edit starts on a line of its own."""
    by_line = {(edit.file, edit.line): finding for finding in findings for edit in _edits(finding)}
    return list(by_line.values())


def _without(findings: Sequence[Finding], sources: Sources) -> dict[str, str]:
    from initlint.fix.edits import apply

    by_file: dict[str, list[Edit]] = {}
    for finding in findings:
        for edit in _edits(finding):
            by_file.setdefault(edit.file, []).append(edit)
    return {file: apply(sources.files[file].text, edits) for file, edits in by_file.items()}


def _edits(finding: Finding) -> tuple[Edit, ...]:
    return finding.fix.edits if finding.fix else ()


def _differing(original: Sources, final: Sources) -> dict[str, str]:
    return {path: file.text for path, file in final.files.items() if file.text != original.files[path].text}
