"""Files are scanned and judged in one process or, split into as many parts as there are jobs, in several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from initlint.knowledge import load_knowledge
from initlint.model import Judgement, Model

if TYPE_CHECKING:
    from initlint.source import SyntaxProblem
    from initlint.source.contexts import Visits


@dataclass(frozen=True, slots=True)
class Scanned:
    """What the scanner made of some files: one judgement for every layer of every model, not yet merged."""

    models: tuple[Model, ...]
    judgements: tuple[Judgement, ...]
    problems: tuple[SyntaxProblem, ...]
    visits: Visits


def scan_files(
    files: Sequence[str], texts: Mapping[str, str], *, jobs: int = 1, known: Visits | None = None
) -> Scanned:
    """Scan and judge `files`; `texts` stand in for what is on disk, by absolute path.

    However many jobs there are, every one sees the whole project, so that the merged judgements are the same.
    """
    parts = _split(files, texts, jobs)
    if len(parts) == 1:
        return _scan(files, texts, known)
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    with ProcessPoolExecutor(len(parts), mp_context=get_context("spawn")) as pool:
        return _joined([future.result() for future in [pool.submit(_scan, part, texts, known) for part in parts]])


def _scan(files: Sequence[str], texts: Mapping[str, str], known: Visits | None) -> Scanned:
    from initlint.source import scan

    knowledge = load_knowledge()
    scanned = scan([Path(file) for file in files], knowledge=knowledge, sources=texts, known=known)
    problems = tuple(problem for problem in scanned.errors if problem.file in texts)
    if not scanned.models:
        return Scanned((), (), problems, scanned.visits)
    from initlint.analysis import judge

    judgements = tuple(judgement for model in scanned.models for judgement in judge(model, knowledge))
    return Scanned(scanned.models, judgements, problems, scanned.visits)


def _split(files: Sequence[str], texts: Mapping[str, str], jobs: int) -> list[Sequence[str]]:
    """`files` in at most `jobs` runs of neighbours with about the same amount of text about torch."""
    weights = [len(texts[file]) if "torch" in texts[file] else 1 for file in files]
    share = sum(weights) / max(jobs, 1)
    parts: list[list[str]] = [[]]
    filled = 0
    for file, weight in zip(files, weights, strict=True):
        if parts[-1] and filled >= share * len(parts):
            parts.append([])
        parts[-1].append(file)
        filled += weight
    return [*parts]


def _joined(parts: Sequence[Scanned]) -> Scanned:
    """All parts as one; a model that two of them came across counts once."""
    return Scanned(
        tuple(dict.fromkeys(model for part in parts for model in part.models)),
        tuple(dict.fromkeys(judgement for part in parts for judgement in part.judgements)),
        tuple(dict.fromkeys(problem for part in parts for problem in part.problems)),
        {context: files for part in parts for context, files in part.visits.items()},
    )
