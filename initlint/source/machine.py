"""The abstract machine: memory that can be forked and joined, a budget, and what calling a value does."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from enum import IntEnum
from typing import TYPE_CHECKING

from initlint.source.dataflow import Graph
from initlint.source.global_names import GlobalNames
from initlint.source.joins import joined_data
from initlint.source.repeats import Repeats
from initlint.source.symbols import ABSENT, UNKNOWN, Sym
from initlint.source.values import (
    CLOCK,
    Arguments,
    Bound,
    Builtin,
    Cell,
    Choice,
    ClassV,
    DictV,
    External,
    FunctionV,
    Instance,
    ListV,
    Method,
    ModuleRef,
    ParamV,
    Partial,
    Place,
    Scope,
    TensorV,
    View,
    Write,
    choice,
    is_older,
    same,
)

if TYPE_CHECKING:
    from initlint.knowledge import Knowledge
    from initlint.source.distant import Names
    from initlint.source.project import Project, SourceFile
    from initlint.source.sweeps import Sweep
    from initlint.source.symmetry import Clone


class Flow(IntEnum):
    """How a statement ended."""

    NEXT = 0
    BREAK = 1
    CONTINUE = 2
    RETURN = 3
    RAISE = 4


class Raised(Exception):
    """The program under study raises here."""


class OutOfBudget(Exception):
    """Running this context costs more than it can be worth; nothing is said of it."""


class Frame:
    """One activation of a function, class body or module.

    `left` are the names that branches bound which may have left the loop that is running.
    """

    __slots__ = ("elsewhere", "file", "function", "left", "receiver", "returned", "scope", "yielded")

    def __init__(self, scope: Scope, function: FunctionV | None = None, receiver: object = None) -> None:
        self.scope = scope
        self.file: SourceFile = scope.file
        self.function = function
        self.receiver = receiver
        self.returned: list[object] = []
        self.yielded: list[object] = []
        self.left: list[dict[object, object]] = []
        self.elsewhere: dict[str, Scope] = {}


def _names_left(
    scope: Scope, originals: Mapping[Cell, object], outcomes: Iterable[tuple[Flow, dict[Cell, object]]]
) -> Iterator[dict[object, object]]:
    """The names that branches bound before they left the loop around them."""
    before = originals.get(scope)
    for flow, after in outcomes:
        bound = after.get(scope)
        if flow is Flow.BREAK and isinstance(bound, dict) and isinstance(before, dict):
            yield {name: value for name, value in bound.items() if before.get(name, ABSENT) is not value}


class Occurrence:
    """Something noteworthy that an initializer call did or failed to do; becomes an `Event`."""

    __slots__ = ("details", "instance", "kind", "place", "related")

    def __init__(
        self,
        kind: str,
        place: Place,
        instance: Instance | None = None,
        details: tuple[tuple[str, object], ...] = (),
        related: tuple[Place, ...] = (),
    ) -> None:
        self.kind = kind
        self.place = place
        self.instance = instance
        self.details = details
        self.related = related


MOST_DEPTH = 40
MOST_TRAIL = 6


class Machine:
    """Runs one context of the program on abstract values.

    `journal` is the memory's undo log while a branch is tried; `graph` the ops laid down so far; `instances` every
    object of a class that was constructed, `params` every parameter, in order; `members` what attributes of names outside
    the project are; `read` the files whose code ran, `unfinished` those that are loading. `touched` are the cells changed
    while something is `watching`; what is older than `lasting` (serial number and clock) outlives the context.
    `staying` are the types of defaults that stay in calls on arguments of which nothing is known.
    """

    staying: tuple[type, ...] = ()

    def __init__(self, project: Project, knowledge: Knowledge, *, budget: int) -> None:
        from initlint.source.calling import HANDLERS
        from initlint.source.escape import escape
        from initlint.source.evidence import Evidence
        from initlint.source.expressions import EXPRESSIONS
        from initlint.source.statements import STATEMENTS

        self._calls: dict[type, Callable[..., object]] = HANDLERS
        self._expressions: dict[type[ast.expr], Callable[..., object]] = EXPRESSIONS
        self._statements: dict[type[ast.stmt], Callable[..., Flow]] = STATEMENTS
        self._resolved: dict[str, str] = {}
        self.members: dict[tuple[str, str], object] = {}
        self._escape: Callable[..., object] = escape
        self.project = project
        self.knowledge = knowledge
        self.budget = budget
        self.reserve = 0
        self.steps = 0
        self.depth = self.repeating = self.branching = self.forwarding = 0
        self.trunk = self.branch = object()
        self.no_grad = self.guarded = self.serial = 0
        self.journal: dict[Cell, object] | None = None
        self.graph = Graph()
        self.instances: list[Instance] = []
        self.params: list[ParamV] = []
        self.occurrences: list[Occurrence] = []
        self.reached: set[ast.AST] = set()
        self.sweep: Sweep | None = None
        self.sweeps: list[Sweep] = []
        self.clones: list[Clone] = []
        self.distant: set[Names] = set()
        self.writes = 0
        self.written: set[ParamV] = set()
        self.touched: list[Cell] = []
        self.watching = 0
        self.repeats = Repeats()
        self.lasting = 0, next(CLOCK)
        self.evidence = Evidence()
        self.calls: list[Place] = []
        self._trail: tuple[Place, ...] = ()
        self.globals = GlobalNames()
        self.active: dict[ast.AST, int] = {}
        self.signatures: dict[ast.AST, list[str]] = {}
        self.module_scopes: dict[str, Scope] = {}
        self.unfinished: set[str] = set()
        self.ahead: dict[ast.AST, object] = {}
        self.called: set[ast.AST] = set()
        self.read: set[str] = set()
        self.ran: set[ast.AST] = set()
        self.generators: dict[ast.AST, bool] = {}
        self.wrappers: set[ast.AST | FunctionV] = set()
        self.forwarded: set[Instance] = set()

    def restart(self, budget: int, *, barren: int | None = None) -> None:
        """Forget what the last context built; modules of the program stay loaded.

        Before it builds its first module a context may spend no more than `barren`.
        """
        self.evidence.close(self.reached, self.occurrences)
        self.reached = set()
        self.ran = set()
        self.sweep = None
        self.sweeps = []
        self.clones = []
        self.writes = 0
        self.written = set()
        self.touched = []
        self.watching = 0
        if self.globals.restore():
            self.repeats.outdate()
        self.repeats.forget()
        self.lasting = self.serial, next(CLOCK)
        self.budget = budget if barren is None else min(budget, barren)
        self.reserve = budget - self.budget
        self.steps = 0
        self.depth = 0
        self.repeating = self.branching = self.no_grad = self.guarded = self.forwarding = 0
        self.branch = self.trunk
        self.journal = None
        self.graph = Graph(self.graph.end)
        self.instances = []
        self.params = []
        self.occurrences = []
        self.calls = []
        self.active = {}
        self.forwarded = set()

    def resolve(self, name: str) -> str:
        """The name that the tables of facts know `name` by."""
        known = self._resolved.get(name)
        if known is None:
            known = self._resolved[name] = self.knowledge.resolve(name)
        return known

    def step(self) -> None:
        """Spend one unit of the budget."""
        self.steps += 1
        if self.steps > self.budget:
            raise OutOfBudget

    def spend_reserve(self) -> None:
        """The context has a parameter: it is worth its whole budget."""
        self.budget += self.reserve
        self.reserve = 0

    @property
    def met(self) -> tuple[int, int, int]:
        """Counts of the parameters built, those written to, and the modules called so far: equal ones tell of nothing new."""
        return len(self.params), len(self.written), len(self.forwarded)

    def occur(
        self,
        kind: str,
        place: Place,
        instance: Instance | None = None,
        *,
        related: tuple[Place, ...] = (),
        **details: object,
    ) -> None:
        """Note something that a check may want to hear of."""
        self.occurrences.append(Occurrence(kind, place, instance, tuple(details.items()), related))

    def touch(self, cell: Cell) -> None:
        """Call before `cell.data` changes."""
        if type(cell) is not Scope:
            if self.forwarding or self.watching:
                self.touched.append(cell)
            if is_older(cell, *self.lasting):
                self.repeats.outdate()
        if self.journal is not None and cell not in self.journal:
            data = cell.data
            self.journal[cell] = data.copy() if isinstance(data, (dict, list)) else data

    def is_certain(self, instance: Instance) -> bool:
        """Whether what runs now runs wherever `instance` exists: no test that is not understood lies between the two."""
        return self.branch is instance.branch

    def fork(self, branches: Sequence[Callable[[], Flow]], frame: Frame) -> Flow:
        """Try every branch on the same memory and join what they leave behind."""
        outer = self.journal
        outcomes: list[tuple[Flow, dict[Cell, object]]] = []
        originals: dict[Cell, object] = {}
        start = self.serial, next(CLOCK)
        self.branching += 1
        around = self.branch
        try:
            for branch in branches:
                self.journal = {}
                self.branch = object()
                calls, depth, repeating = len(self.calls), self.depth, self.repeating
                instances, params = len(self.instances), len(self.params)
                try:
                    flow = branch()
                except Raised:
                    flow = Flow.RAISE
                    del (
                        self.calls[calls:],
                        self.instances[instances:],
                        self.params[params:],
                    )  # what was begun is given up
                    self.depth, self.repeating = depth, repeating
                finally:
                    journal = self.journal
                    self.journal = outer
                after = {cell: cell.data for cell in journal}
                for cell, before in journal.items():
                    cell.data = before
                    originals.setdefault(cell, before)
                outcomes.append((flow, after))
        finally:
            self.branching -= 1
            self.branch = around
        return self._join(outcomes, originals, start, frame)

    def _join(
        self,
        outcomes: list[tuple[Flow, dict[Cell, object]]],
        originals: dict[Cell, object],
        start: tuple[int, int],
        frame: Frame,
    ) -> Flow:
        alive = [(flow, after) for flow, after in outcomes if flow is not Flow.RAISE]
        if not alive:
            raise Raised
        going_on = [after for flow, after in alive if flow is Flow.NEXT]
        if going_on:
            frame.left += _names_left(frame.scope, originals, alive)
        for cell, before in originals.items():
            states = going_on if going_on and cell is frame.scope else [after for _, after in alive]
            self.touch(cell)
            if not is_older(cell, *start):
                states = [after for after in states if cell in after]  # no other branch knows it
            cell.data = joined_data(self, cell, [after.get(cell, before) for after in states] or [before])
        if going_on:
            return Flow.NEXT
        flows = {flow for flow, _ in alive}
        return (
            flows.pop()
            if len(flows) == 1
            else Flow.NEXT
            if flows & {Flow.BREAK}
            else Flow.RETURN
            if Flow.RETURN in flows and Flow.CONTINUE not in flows
            else Flow.CONTINUE
        )

    def rejoin(self, left: list[dict[object, object]], frame: Frame) -> None:
        """After a loop its names are also what they were where it may have been left."""
        scope: Cell = frame.scope
        if left:
            self.touch(scope)
            scope.data = joined_data(self, scope, [scope.data, *left])

    def join(self, values: list[object]) -> object:
        """The value that is one of `values`: tensors meet in a join op, tuples element by element."""
        first = values[0]
        for value in values:
            if value is not first and not same(first, value):
                break
        else:
            return first
        if isinstance(first, TensorV):
            tensors = [value for value in values if isinstance(value, TensorV)]
            if len(tensors) == len(values):
                return TensorV(self.graph.add("join", "join", tuple(dict.fromkeys(value.op for value in tensors))))
        if isinstance(first, tuple):
            tuples = [value for value in values if isinstance(value, tuple) and len(value) == len(first)]
            if len(tuples) == len(values):
                return tuple(self.join(list(column)) for column in zip(*tuples, strict=True))
        joined = choice(values)
        if joined is UNKNOWN:
            self.set_adrift(values)
        return joined

    def set_adrift(self, values: Sequence[object]) -> None:
        """What is put into something unknown, or is one of too many to tell apart, may be what unknown code is done to."""
        for value in values:
            for each in value.alternatives if isinstance(value, Choice) else (value,):
                if isinstance(each, Instance) and not each.adrift:
                    self.touch(each)
                    each.adrift = True

    def place(self, node: ast.AST, frame: Frame) -> Place:
        """Where `node` stands."""
        return Place(frame.file, node)

    def new_instance(self, cls: ClassV | External, place: Place | None) -> Instance:
        """An object of `cls` without attributes."""
        self.serial += 1
        instance = Instance(cls, place, self.serial)
        instance.repeats = self.repeating > 0
        instance.branch = self.branch
        instance.trail = self.trail()
        self.instances.append(instance)
        return instance

    def trail(self) -> tuple[Place, ...]:
        """The last calls that lead to where the program is; the same object as long as it is there."""
        calls = tuple(self.calls[-MOST_TRAIL:])
        if calls != self._trail:
            self._trail = calls
        return self._trail

    def new_param(
        self, name: str, shape: tuple[object, ...] | None, writes: tuple[Write, ...], place: Place | None = None
    ) -> ParamV:
        """A fresh parameter."""
        self.serial += 1
        self.spend_reserve()
        param = ParamV(name, shape, writes, self.serial)
        param.place = place
        self.params.append(param)
        return param

    def write(self, target: object, write: Write) -> None:
        """Let an initializer write to a parameter, a view of one, or whatever it may be."""
        if isinstance(target, Choice):
            for each in target.alternatives:
                self.write(each, replace(write, conditional=True))
            return
        if isinstance(target, View):
            if not target.whole or target.reshaped:
                write = replace(write, partial=write.partial or not target.whole, reshaped=target.reshaped)
            target = target.param
        if isinstance(target, ParamV):
            self.touch(target)
            target.data = (*target.data, write)
            self.writes += 1
            self.written.add(target)

    def call(self, function: object, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
        """What calling `function` returns; what it does, it does to the memory."""
        handler = self._calls.get(type(function))
        return (handler or self._escape)(self, function, arguments, node, frame)

    def evaluate(self, node: ast.expr, frame: Frame) -> object:
        """The value of an expression; names and constants, most of all that is evaluated, at once."""
        kind = type(node)
        if kind is ast.Name:
            value = frame.scope.data.get(node.id, ABSENT)  # type: ignore[attr-defined]
            if value is not ABSENT:
                return value
        handler = self._expressions.get(kind)
        return UNKNOWN if handler is None else handler(self, node, frame)

    def execute(self, body: Sequence[ast.stmt], frame: Frame) -> Flow:
        """Run statements in order until one of them leaves."""
        statements = self._statements
        for statement in body:
            self.steps += 1
            if self.steps > self.budget:
                raise OutOfBudget
            handler = statements.get(type(statement))
            if handler is not None:
                flow = handler(self, statement, frame)
                if flow:
                    return flow
        return Flow.NEXT


__all__ = [
    "MOST_DEPTH",
    "Arguments",
    "Bound",
    "Builtin",
    "DictV",
    "Flow",
    "Frame",
    "ListV",
    "Machine",
    "Method",
    "ModuleRef",
    "Occurrence",
    "OutOfBudget",
    "Partial",
    "Raised",
    "Sym",
]
