"""Which contexts of files that were not named may still say something of those that were.

A block that a hundred models hold is known after three of them. What is said of it then stands, unless it is that
something is wrong: that is said only when every context agrees.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from initlint.model import Model
    from initlint.source.definitions import Definition
    from initlint.source.leftovers import Leftovers
    from initlint.source.machine import Machine
    from initlint.source.project import SourceFile
    from initlint.source.relevance import Relevance


class Listener(Protocol):
    """Hears of each model as soon as it is there."""

    def hear(self, model: Model) -> None:
        """Take in one more model."""

    def is_accused(self, file: str, first: int, last: int) -> bool:
        """Whether a layer between two lines of a file is a mismatch unless a context that is still to come speaks for it."""

    def is_known(self, file: str, first: int, last: int) -> bool:
        """Whether what is to be said of the layers between two lines of a file hardly hangs on another context."""


_PATIENCE = 6
"""Contexts that may come to a definition before no more are run to see what of it hardly any does."""


class Demand:
    """Keeps which definitions of the named files are still open, and through which others a context comes to them."""

    def __init__(
        self,
        machine: Machine,
        relevance: Relevance,
        leftovers: Leftovers,
        interesting: Collection[Definition],
        listener: Listener,
    ) -> None:
        self._machine = machine
        self._relevance = relevance
        self._leftovers = leftovers
        self._listener = listener
        self._targets = frozenset(machine.project.targets)
        self._reached: dict[Definition, list[Definition]] = {}
        self._by_name: dict[str, list[Definition]] = {}
        self._tries: Counter[Definition] = Counter()
        self._passed_over: set[Definition] = set()
        users: dict[str, list[Definition]] = {}
        for each in interesting:
            for name in relevance.names(each):
                users.setdefault(name, []).append(each)
        for each in interesting:
            if each.file in self._targets:
                self._spread(each, users)

    def _spread(self, target: Definition, users: dict[str, list[Definition]]) -> None:
        """Note all that leads to `target`."""
        pending, seen = [target], {target}
        while pending:
            found = pending.pop()
            self._reached.setdefault(found, []).append(target)
            for name in found.known_as:
                for user in users.get(name, ()):
                    if user not in seen and self._relevance.means(user, found):
                        seen.add(user)
                        pending.append(user)
        for each in seen:
            for name in each.known_as:
                self._by_name.setdefault(name, []).append(each)

    def wants(self, definition: Definition) -> bool:
        """Whether a context that begins in `definition` comes to anything that is open.

        So does any of a named file, but a function that others would have been seen to call, had they been run.
        """
        if definition.file in self._targets:
            return definition.is_class or self.is_fully_seen(definition)
        reached = self._reached.get(definition, ())
        wanted = any(map(self._is_open, reached))
        if wanted:
            self._tries.update(each for each in reached if not self._is_unbuilt(each))
        else:
            self._passed_over.update(reached)
        return wanted

    def wants_one_of(self, words: Iterable[str]) -> bool:
        """Whether code with these words in it comes to anything that is open."""
        return any(self.wants(each) for word in words for each in self._by_name.get(word, ()))

    def is_fully_seen(self, definition: Definition) -> bool:
        """Whether every context that comes to a definition was run."""
        return definition not in self._passed_over

    def _is_open(self, target: Definition) -> bool:
        node, file = target.node, target.file.path
        lines = node.lineno, node.end_lineno or node.lineno
        if self._is_unbuilt(target) or self._listener.is_accused(file, *lines):
            return True
        if any(lines[0] <= line <= lines[1] for line in self._noted_lines(target.file)):
            return True
        if self._tries[target] >= _PATIENCE:
            return False
        if node not in self._machine.called and _needs_arguments(node):
            return True
        return self._leftovers.holds_unbuilt(target) or not self._listener.is_known(file, *lines)

    def _is_unbuilt(self, target: Definition) -> bool:
        return target.is_class and target.node not in self._machine.called

    def _noted_lines(self, file: SourceFile) -> Iterator[int]:
        """The lines of which something is to be said, in the last context or before."""
        for each in self._machine.occurrences:
            if each.place.file is file and isinstance(each.place.node, (ast.expr, ast.stmt)):
                yield each.place.node.lineno
        yield from self._machine.evidence.lines_in(file.path)


def _needs_arguments(node: ast.AST) -> bool:
    """Whether it is a function that cannot be run by itself."""
    if not isinstance(node, ast.FunctionDef):
        return False
    given = node.args
    return len(given.posonlyargs) + len(given.args) > len(given.defaults) or None in given.kw_defaults
