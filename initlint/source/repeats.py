"""What the machine remembers of its own runs, so that equal code on equal values need not run again."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable

    from initlint.source.constructions import Construction
    from initlint.source.machine import Machine
    from initlint.source.plans import Plan
    from initlint.source.replay import Recording
    from initlint.source.rounds import Rounds
    from initlint.source.values import ClassV, FunctionV

_LASTING = 64
"""Contexts after which forward passes are forgotten, and with them the models that they are of."""


class Code:
    """The syntax that ran: what was called, what ran, the initializer calls reached, and the files of all that."""

    __slots__ = ("called", "ran", "reached", "read")

    def __init__(self) -> None:
        self.called: set[ast.AST] = set()
        self.ran: set[ast.AST] = set()
        self.reached: set[ast.AST] = set()
        self.read: set[str] = set()

    @contextmanager
    def noted(self, machine: Machine) -> Iterator[None]:
        """Note what runs inside, for itself and for the machine."""
        self._swap(machine)
        try:
            yield
        finally:
            self._swap(machine)
            self.add_to(machine)

    def _swap(self, machine: Machine) -> None:
        machine.called, self.called = self.called, machine.called
        machine.ran, self.ran = self.ran, machine.ran
        machine.reached, self.reached = self.reached, machine.reached
        machine.read, self.read = self.read, machine.read

    def add_to(self, machine: Machine) -> None:
        """Let the machine know that all this ran."""
        machine.called |= self.called
        machine.ran |= self.ran
        machine.reached |= self.reached
        machine.read |= self.read


class Repeats:
    """What was run and need not be run again on the same: constructions, forward passes, and in one context calls.

    `plans` say which bodies of loops and functions can be repeated. `entered` counts the calls of the program's functions,
    `asked` those of modules' methods, `contexts` the contexts, `age` how often something changed that outlives them.
    """

    __slots__ = ("age", "asked", "calls", "constructions", "contexts", "entered", "plans", "recordings")

    def __init__(self) -> None:
        self.age = self.asked = self.entered = 0
        self.contexts = 0
        self.constructions: dict[Hashable, Construction | None] = {}
        self.plans: dict[tuple[ast.AST, str], Plan | None] = {}
        self.calls: dict[ast.AST, dict[Hashable, Rounds]] = {}
        self.recordings: dict[ClassV | FunctionV, list[Recording]] = {}

    def forget(self) -> None:
        """Begin another context: what passes hold of the earlier ones is kept for a while."""
        self.calls = {}
        self.contexts += 1
        if self.contexts % _LASTING == 0:
            self.recordings = {}

    def outdate(self) -> None:
        """What outlives the contexts has changed: nothing that ran before need do the same again."""
        self.age += 1
        self.calls.clear()
        self.constructions.clear()
        self.recordings.clear()
