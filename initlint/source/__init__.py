"""Front end 1: source text to Models, by running the program on abstract values without executing a line of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from initlint.source.project import Project, SyntaxProblem

if TYPE_CHECKING:
    from initlint.knowledge import Knowledge
    from initlint.model import Model, Site
    from initlint.source.contexts import Visits
    from initlint.source.demand import Listener

__all__ = ["Scan", "SyntaxProblem", "scan"]


@dataclass(frozen=True, slots=True)
class Scan:
    """What was read: the models found, the files that are no Python, all files that were looked at, and by which context."""

    models: tuple[Model, ...]
    errors: tuple[SyntaxProblem, ...]
    files: tuple[str, ...]
    visits: Visits
    loads: frozenset[Site]
    """The calls that were seen to load the weights of a module that is known."""


def scan(
    files: Sequence[Path],
    *,
    knowledge: Knowledge,
    sources: Mapping[str, str] | None = None,
    known: Visits | None = None,
    listener: Listener | None = None,
) -> Scan:
    """Read `files` as parts of one program.

    `sources` gives texts that stand in for what is on disk, by absolute path. A file that cannot be read as Python
    becomes an entry of `errors` and does not stop the others. `known` are the visits of an earlier scan of the program: what
    ran no code of `files` then is not run again. A `listener` hears each model at once, and says when contexts of other files are
    no longer needed to know what is to be said of `files`.
    """
    from initlint.source.contexts import Contexts
    from initlint.source.room import with_room

    project = Project(files, sources)
    contexts = Contexts(project, knowledge, known, listener)
    models = with_room(contexts.settled)
    errors = [file.problem for file in project.targets if not file.parses and file.problem is not None]
    loads = frozenset(filter(None, contexts.machine.evidence.loads))
    return Scan(models, tuple(errors), tuple(file.path for file in project.targets), contexts.visits, loads)
