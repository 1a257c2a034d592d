"""Files are scanned and judged in one process or, split into as many parts as there are jobs, in several."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from initlint.knowledge import load_knowledge
from initlint.model import Judgement, Model, Site

if TYPE_CHECKING:
    from initlint.knowledge import Knowledge
    from initlint.source import SyntaxProblem
    from initlint.source.contexts import Visits


_FEW = 3
"""Contexts after which hardly another one tells more of a layer."""


@dataclass(frozen=True, slots=True)
class Scanned:
    """What the scanner made of some files: one judgement for every layer of every model, not yet merged."""

    models: tuple[Model, ...]
    judgements: tuple[Judgement, ...]
    problems: tuple[SyntaxProblem, ...]
    visits: Visits
    loads: frozenset[Site] = frozenset()


def scan_files(
    files: Sequence[str],
    texts: Mapping[str, str],
    *,
    jobs: int = 1,
    known: Visits | None = None,
    sparing: bool = False,
) -> Scanned:
    """Scan and judge `files`; `texts` stand in for what is on disk, by absolute path.

    However many jobs there are, every one sees the whole project, so that the merged judgements are the same. Of other files, a
    `sparing` job runs only what may still speak against something that is to be said of its own.
    """
    parts = _split(files, texts, jobs)
    if len(parts) == 1:
        return _scan(files, texts, known, sparing=sparing)
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    with ProcessPoolExecutor(len(parts), mp_context=get_context("spawn")) as pool:
        return _joined([future.result() for future in [pool.submit(_scan, part, texts, known) for part in parts]])


def moot(texts: Mapping[str, str], scanned: Scanned) -> Callable[[Collection[Judgement]], bool]:
    """Whether how some layers start matters to nobody, since the program that files are part of trains nowhere and only loads."""
    from initlint.source.deployment import Deployment, deployment_of
    from initlint.source.project import Project

    deployment = deployment_of(Project([Path(file) for file in texts], texts), scanned.loads)
    return lambda judged: (
        deployment is Deployment.UNSEEN
        or (deployment is Deployment.SEEN and bool(judged) and all(each.alone for each in judged))
    )


class _Judge:
    """Judges every model as soon as it is there, and tells what is still open of a file."""

    def __init__(self, knowledge: Knowledge) -> None:
        self._knowledge = knowledge
        self._heard: list[tuple[Model, tuple[Judgement, ...]]] = []
        self._sorted = 0
        self._groups: dict[str, dict[tuple[Site, str, str], _Group]] = {}

    def hear(self, model: Model) -> None:
        """Judge one more model."""
        self._heard.append((model, self._judged(model)))

    def judgements(self, models: Iterable[Model]) -> tuple[Judgement, ...]:
        """What is to be said of all models; of those that are not as they were heard, anew."""
        known = {id(model.layers): judged for model, judged in self._heard}
        return tuple(chain.from_iterable(known.get(id(model.layers)) or self._judged(model) for model in models))

    def _judged(self, model: Model) -> tuple[Judgement, ...]:
        from initlint.analysis import judge

        return judge(model, self._knowledge)

    def is_accused(self, file: str, first: int, last: int) -> bool:
        """Whether a layer between two lines of a file is a mismatch unless some other context speaks for it."""
        return any(group.is_accused for group in self._between(file, first, last))

    def is_known(self, file: str, first: int, last: int) -> bool:
        """Whether each layer between two lines of a file was judged in a few contexts, or once in one that settles it."""
        return all(group.is_known for group in self._between(file, first, last))

    def _between(self, file: str, first: int, last: int) -> Iterator[_Group]:
        for judgement in chain.from_iterable(judged for _, judged in self._heard[self._sorted :]):
            layer = judgement.layer
            groups = self._groups.setdefault(layer.site.file, {})
            groups.setdefault((layer.site, layer.owner, layer.path), _Group()).add(judgement)
        self._sorted = len(self._heard)
        for (site, _, _), group in self._groups.get(file, {}).items():
            if first <= site.line <= last:
                yield group


class _Group:
    """What the contexts so far say of one layer."""

    def __init__(self) -> None:
        self._judgements: list[Judgement] = []
        self._accused: bool | None = None
        self._settled = False

    def add(self, judgement: Judgement) -> None:
        """Take in what one more context says."""
        from initlint.analysis import is_settled

        self._judgements.append(judgement)
        self._accused = None
        self._settled = self._settled or is_settled([judgement])

    @property
    def is_known(self) -> bool:
        return self._settled or len(self._judgements) >= _FEW

    @property
    def is_accused(self) -> bool:
        from initlint.analysis import is_accused

        if self._accused is None:
            self._accused = not self._settled and is_accused(self._judgements)
        return self._accused


def _scan(files: Sequence[str], texts: Mapping[str, str], known: Visits | None, *, sparing: bool = False) -> Scanned:
    from initlint.source import scan

    knowledge = load_knowledge()
    judge = _Judge(knowledge)
    paths = [Path(file) for file in files]
    scanned = scan(paths, knowledge=knowledge, sources=texts, known=known, listener=judge if sparing else None)
    problems = tuple(problem for problem in scanned.errors if problem.file in texts)
    return Scanned(scanned.models, judge.judgements(scanned.models), problems, scanned.visits, scanned.loads)


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
        frozenset().union(*(part.loads for part in parts)),
    )
