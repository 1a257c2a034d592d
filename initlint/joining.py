"""What the scanner read and what the tracer saw of the same layers become one reading; where they disagree the tracer is right."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from initlint.engine import Reading
from initlint.model import Finding, Judgement
from initlint.selection import SYNTAX_ERROR


@dataclass(frozen=True, slots=True)
class Disagreement:
    """One layer of the text with two verdicts: the scanner's from the source, the tracer's from the live module."""

    scanned: Judgement
    traced: Judgement


@dataclass(frozen=True, slots=True)
class Joined:
    """One reading made of two, and where they differed."""

    reading: Reading
    disagreements: tuple[Disagreement, ...]


_Place = tuple[str, int | None, int, int, str]


def join(scanned: Reading, traced: Sequence[Reading], files: Iterable[str]) -> Joined:
    """The layers and findings of both in `files`.

    A verdict of the tracer replaces the scanner's on the same layer, at the same place by the same path; where the tracer knows none the
    scanner's stays. What happened while the model was built is said once, as the scanner says it.
    """
    inside = frozenset(files)
    seen: dict[_Place, dict[str, Judgement]] = {}
    for judgement in (judgement for reading in traced for judgement in reading.judgements):
        if judgement.verdict != "unknown" and judgement.layer.site.file in inside:
            seen.setdefault(_place(judgement), {}).setdefault(judgement.layer.path, judgement)
    kept: list[Judgement] = []
    disagreements: list[Disagreement] = []
    for judgement in scanned.judgements:
        other = seen.get(_place(judgement), {}).get(judgement.layer.path)
        if other is None:
            kept += () if _is_covered(judgement, seen) else (judgement,)
        elif judgement.verdict not in {other.verdict, "unknown"}:
            disagreements.append(Disagreement(judgement, other))
    judgements = (*kept, *(judgement for paths in seen.values() for judgement in paths.values()))
    models = (*scanned.models, *(model for reading in traced for model in reading.models))
    findings = _findings(scanned, traced, judgements, inside)
    return Joined(Reading(models, judgements, findings), tuple(disagreements))


def _place(judgement: Judgement) -> _Place:
    site = judgement.layer.site
    return site.file, site.cell, site.line, site.column, judgement.layer.owner


def _is_covered(judgement: Judgement, seen: dict[_Place, dict[str, Judgement]]) -> bool:
    """Whether a layer that stands for an unknown number of them was seen as these."""
    return judgement.layer.repeats and _place(judgement) in seen


def _findings(
    scanned: Reading, traced: Sequence[Reading], judgements: tuple[Judgement, ...], inside: frozenset[str]
) -> tuple[Finding, ...]:
    """What the checks say of the joined layers, and what either side says of anything else."""
    from initlint import checks
    from initlint.knowledge import load_knowledge

    about_layers = checks.run(judgements, (), load_knowledge())
    read = [finding for finding in scanned.findings if not finding.judgements]
    told = [finding for reading in traced for finding in reading.findings if not finding.judgements]
    present = [finding for finding in (*about_layers, *read) if _belongs(finding, inside)]
    known = {(finding.code, finding.site.file, finding.site.line) for finding in present}
    added = [
        finding
        for finding in told
        if _belongs(finding, inside) and (finding.code, finding.site.file, finding.site.line) not in known
    ]
    return (*present, *added)


def _belongs(finding: Finding, inside: frozenset[str]) -> bool:
    return finding.site.file in inside or finding.code == SYNTAX_ERROR
