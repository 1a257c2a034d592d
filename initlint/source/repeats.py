"""What the machine remembers of its own runs, so that equal code on equal values need not run again."""

from __future__ import annotations

import ast
from collections.abc import Hashable
from operator import sub
from typing import TYPE_CHECKING, NamedTuple

from initlint.source.patterns import Pattern
from initlint.source.symbols import Absent, Sym, Unknown
from initlint.source.values import CLOCK, Builtin, Cell, ClassV, External, FunctionV, is_older

if TYPE_CHECKING:
    from initlint.source.constructions import Construction
    from initlint.source.machine import Machine
    from initlint.source.plans import Plan
    from initlint.source.replay import Recording
    from initlint.source.rounds import Rounds

Passes = tuple["dict[ast.AST, dict[Hashable, Rounds]]", "dict[ClassV | FunctionV, list[Recording]]"]
_LASTING = 64
"""Contexts after which forward passes are forgotten, and with them the models that they are of."""


CONSTANT = (int, float, str, bytes, Sym, Pattern, External, Builtin, ClassV, FunctionV)
"""Types of values that never change, besides None and UNKNOWN: two that are equal are the same to all code."""


class UnrepeatableError(Exception):
    """What was run may look at, or do, or make, more than can be repeated."""


CONSTANT_TYPES = frozenset((*CONSTANT, bool, type(None), Unknown, Absent))


def constant_key(value: object) -> Hashable:
    """A constant as something to compare; UnrepeatableError for any other value, of which nothing is known."""
    kind = type(value)
    if kind in CONSTANT_TYPES:
        return kind, value
    if isinstance(value, tuple):
        return tuple(map(constant_key, value))
    raise UnrepeatableError


class Deeds(NamedTuple):
    """Counts of what a machine has done; `serial` numbers its objects and parameters."""

    serial: int
    instances: int
    params: int
    ops: int
    writes: int
    occurrences: int
    sweeps: int
    clones: int
    modules: int
    forwarded: int
    age: int
    asked: int
    entered: int
    steps: int

    @staticmethod
    def of(machine: Machine) -> Deeds:
        """Those of a machine so far."""
        return Deeds(
            serial=machine.serial,
            instances=len(machine.instances),
            params=len(machine.params),
            ops=machine.graph.end,
            writes=machine.writes,
            occurrences=len(machine.occurrences),
            sweeps=len(machine.sweeps),
            clones=len(machine.clones),
            modules=len(machine.module_scopes),
            forwarded=len(machine.forwarded),
            age=machine.repeats.age,
            asked=machine.repeats.asked,
            entered=machine.repeats.entered,
            steps=machine.steps,
        )


class Watch:
    """What a machine does while something runs: its deeds, the cells it changed that were there before, the code.

    `fused` says that an op from before has become part of another.
    """

    __slots__ = ("_lowest_fused", "_machine", "_touched", "before", "changed", "clock", "code", "done", "fused")

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._touched = len(machine.touched)
        self._lowest_fused = machine.graph.lowest_fused
        self.before = Deeds.of(machine)
        self.clock = next(CLOCK)
        self.code = Code()
        self.done = self.before
        self.changed: list[Cell] = []
        self.fused = False

    def __enter__(self) -> None:
        """Watch what runs from here on."""
        machine = self._machine
        machine.graph.lowest_fused = self.before.ops
        machine.watching += 1
        self.code.swap(machine)

    def __exit__(self, *_: object) -> None:
        machine, graph, before = self._machine, self._machine.graph, self.before
        self.code.swap(machine)
        self.code.add_to(machine)
        machine.watching -= 1
        self.fused = graph.lowest_fused < before.ops
        graph.lowest_fused = min(self._lowest_fused, graph.lowest_fused)
        self.done = Deeds(*map(sub, Deeds.of(machine), before))
        touched = machine.touched[self._touched :]
        self.changed = [cell for cell in touched if is_older(cell, before.serial, self.clock)]


class Code:
    """The syntax that ran: what was called, what ran, the initializer calls reached, and the files of all that."""

    __slots__ = ("called", "ran", "reached", "read")

    def __init__(self) -> None:
        self.called: set[ast.AST] = set()
        self.ran: set[ast.AST] = set()
        self.reached: set[ast.AST] = set()
        self.read: set[str] = set()

    def swap(self, machine: Machine) -> None:
        """Let the machine note what runs from here on in this, or, the second time, where it did before."""
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

    def set_aside(self) -> Passes:
        """Forget the passes and calls of this context for as long as what is run leaves nothing behind."""
        passes = self.calls, self.recordings
        self.calls, self.recordings = {}, {}
        return passes

    def restore(self, passes: Passes) -> None:
        """Remember what was set aside, and nothing of what was run meanwhile."""
        self.calls, self.recordings = passes

    def outdate(self) -> None:
        """What outlives the contexts has changed: nothing that ran before need do the same again."""
        self.age += 1
        self.calls.clear()
        self.constructions.clear()
        self.recordings.clear()
