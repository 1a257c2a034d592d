"""A scene is what a fixer gets to see: the finding, the node that it points to, its file, and what is known of torch."""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from initlint.fix.recommend import Refusal
from initlint.fix.spelling import Source
from initlint.fix.spot import Spot
from initlint.knowledge import Knowledge
from initlint.model import Applicability, Edit, Event, Finding, Fix, Site, Value


@dataclass(frozen=True, slots=True)
class Scene:
    """One finding of a rule that events speak for.

    `sites` are the places of all findings of the same rule in the same file: what stands together is fixed together.
    `read` gives the other files of the run, None for one that is not among them; `owned` are the headers of classes that are
    known to hold layers, and where they build them.
    """

    finding: Finding
    spot: Spot
    sites: frozenset[Site]
    knowledge: Knowledge
    read: Callable[[str], Source | None]
    owned: Collection[Site]

    @property
    def source(self) -> Source:
        """The file."""
        return self.spot.source

    @property
    def events(self) -> tuple[Event, ...]:
        """Everything that happened there."""
        return self.finding.events

    @property
    def call(self) -> ast.Call | None:
        """The call that the finding points to, if it points to one."""
        return self.spot.node if isinstance(self.spot.node, ast.Call) else None

    def details(self, name: str) -> frozenset[Value]:
        """The different values of one detail over all events."""
        return frozenset(event.detail(name) for event in self.events)

    def word(self, name: str) -> str:
        """A detail that is one text in all events; empty where it is none or several."""
        values = self.details(name)
        value = next(iter(values)) if len(values) == 1 else None
        return value if isinstance(value, str) else ""

    def is_found(self, node: ast.expr | ast.stmt) -> bool:
        """Whether a node of the file is the place of a finding of the same rule."""
        source = self.source
        return Site(source.file, *source.start(node), *source.end(node)) in self.sites


Fixer = Callable[[Scene], Fix | Refusal]
"""Makes the fix of one finding, or says why there is none."""


def fix(title: str, applicability: Applicability, edits: Sequence[Edit] | None) -> Fix | Refusal:
    """A fix with these edits, in order; a refusal where the text does not admit them."""
    if edits is None:
        return Refusal("it shares its line with other code")
    if not edits:
        return Refusal("what is wrong is not written there")
    ordered = sorted(dict.fromkeys(edits), key=lambda edit: (edit.line, edit.column))
    return Fix(title, applicability, tuple(ordered))
