"""What is said of a line holds in every context that reaches it.

A context reaches a line when it runs an initializer there on something that is known, or comes to a test around one.
A line that is fine in one context is fine.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from initlint.source.sites import site_of

if TYPE_CHECKING:
    from initlint.model import Model, Site
    from initlint.source.machine import Occurrence


class Evidence:
    """How many contexts reached each line, and in how many of them something was noted there."""

    def __init__(self) -> None:
        self._reached: Counter[ast.AST] = Counter()
        self._noted: dict[ast.AST, Counter[str]] = {}
        self._nodes: dict[Site, ast.AST] = {}
        self.loads: set[Site | None] = set()

    def close(self, reached: Iterable[ast.AST], occurrences: Iterable[Occurrence]) -> None:
        """Take in what one context saw."""
        noted = {(each.kind, each.place.node) for each in occurrences}
        self._reached.update({*reached, *(node for _, node in noted)})
        for kind, node in noted:
            self._noted.setdefault(node, Counter())[kind] += 1
        for each in occurrences:
            site = site_of(each.place)
            if site is not None:
                self._nodes[site] = each.place.node

    def settled(self, models: Iterable[Model], files: Collection[str]) -> tuple[Model, ...]:
        """The models with those events only that held wherever their line was reached, and that lie in `files`.

        Of other files not all contexts were seen.
        """
        return tuple(self._settled(model, files) if model.events else model for model in models)

    def _settled(self, model: Model, files: Collection[str]) -> Model:
        kept = tuple(
            event for event in model.events if event.site.file in files and self._holds(event.kind, event.site)
        )
        return model if len(kept) == len(model.events) else replace(model, events=kept)

    def _holds(self, kind: str, site: Site) -> bool:
        node = self._nodes.get(site)
        return node is not None and self._noted[node][kind] == self._reached[node]

    def lines_in(self, file: str) -> Iterator[int]:
        """The lines of a file of which something is to be said, unless a context that is still to come speaks against it."""
        for site, node in self._nodes.items():
            if site.file == file and self._reached[node] in self._noted[node].values():
                yield site.line
