"""A sweep: one walk over all modules or parameters below a root, by `apply` or by a loop, that initializes what it meets."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from initlint.source.symbols import UNKNOWN
from initlint.source.torch_modules import modules_below
from initlint.source.values import Instance, ParamV, Place, Write, truth
from initlint.syntax import nodes_of

if TYPE_CHECKING:
    from initlint.source.machine import Frame, Machine
    from initlint.source.project import SourceFile

WALKS = frozenset({"modules", "named_modules", "children", "named_children", "parameters", "named_parameters"})
"""The methods of nn.Module whose results a loop runs over."""

_WRAPPERS = frozenset({"list", "tuple", "enumerate", "reversed", "sorted"})

FALSE, TRUE, UNSURE = 1, 2, 4


class Sweep:
    """One walk: what it started from, what was there, which tests it came to, and how to repeat it on one more module.

    `kind` is ``apply`` or the method that the loop runs over; `repeat` runs its body on another module or parameter.
    """

    __slots__ = ("_seen", "certain", "files", "kind", "outer", "place", "repeat", "root", "tests", "writes")

    def __init__(
        self,
        kind: str,
        root: Instance,
        place: Place,
        repeat: Callable[[str, Instance | ParamV], object],
        *,
        certain: bool,
    ) -> None:
        self.kind = kind
        self.root = root
        self.place = place
        self.repeat = repeat
        self.certain = certain
        self._seen: set[Instance] | None = None
        self.tests: dict[ast.If, int] = {}
        self.files: dict[ast.If, SourceFile] = {}
        self.writes = 0
        self.outer: Sweep | None = None

    @property
    def seen(self) -> set[Instance]:
        """The modules that were there; they are gathered when first asked for, of which `swept` sees to it in time."""
        if self._seen is None:
            self._seen = set(modules_below(self.root))
        return self._seen

    @seen.setter
    def seen(self, modules: set[Instance]) -> None:
        self._seen = modules

    @property
    def over_parameters(self) -> bool:
        """Whether it meets parameters, not modules."""
        return "parameters" in self.kind

    def note(self, node: ast.If, verdict: bool | None, file: SourceFile) -> None:  # noqa: FBT001 - a verdict
        """Remember how a test inside the sweep, and so inside those around it, came out."""
        self.files[node] = file
        self.tests[node] = self.tests.get(node, 0) | (UNSURE if verdict is None else TRUE if verdict else FALSE)
        if self.outer is not None:
            self.outer.note(node, verdict, file)


def told_of_subject(machine: Machine, test: ast.expr, known: bool | None, frame: Frame) -> bool | None:  # noqa: FBT001 - a verdict
    """How a test came out for what is swept; not known where an option decides it (``isinstance(m, nn.Conv2d) and self.depth``)."""
    if known is not False:
        return known
    parts = test.values if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And) else [test]
    options = [part for part in parts if not _speaks_of_local(part, frame)]
    return None if any(truth(machine.evaluate(part, frame)) is False for part in options) else known


def _speaks_of_local(part: ast.expr, frame: Frame) -> bool:
    """Whether an expression reads a name of the function that sweeps, but its own object, or calls something."""
    own = frame.scope.data
    return any(
        isinstance(node, ast.Call) or (isinstance(node, ast.Name) and node.id != "self" and node.id in own)
        for node in nodes_of(part)
    )


@contextmanager
def swept(machine: Machine, sweep: Sweep) -> Iterator[None]:
    """Run what is inside as part of `sweep`."""
    sweep.outer = machine.sweep
    machine.sweep = sweep
    if sweep.outer is None and sweep.seen:
        machine.sweeps.append(sweep)
    machine.reached.add(sweep.place.node)
    before = machine.writes
    try:
        yield
    finally:
        machine.sweep = sweep.outer
        sweep.writes = machine.writes - before


def loop_sweep(machine: Machine, node: ast.For | ast.AsyncFor, frame: Frame) -> Sweep | None:
    """The sweep that a ``for`` loop is, None for a loop over anything else."""
    call, wrapper = _unwrapped(node.iter)
    if not isinstance(call, ast.Call):
        return None
    walk_of = call.func
    if not isinstance(walk_of, ast.Attribute) or walk_of.attr not in WALKS:
        return None
    holder, kind = walk_of.value, walk_of.attr
    root = machine.evaluate(holder, frame) if isinstance(holder, (ast.Name, ast.Attribute)) else UNKNOWN
    if not isinstance(root, Instance) or not root.torch_class:
        return None

    def repeat(path: str, subject: Instance | ParamV) -> object:
        from initlint.source.statements import assign

        item: object = (path, subject) if kind.startswith("named") else subject
        assign(machine, node.target, (UNKNOWN, item) if wrapper == "enumerate" else item, frame)
        return machine.execute(node.body, frame)

    return Sweep(kind, root, machine.place(node.iter, frame), repeat, certain=machine.is_certain(root))


def _unwrapped(iterable: ast.expr) -> tuple[ast.expr, str]:
    """What ``list(...)``, ``enumerate(...)`` and the like run over, and the name of that wrapper."""
    if isinstance(iterable, ast.Call) and isinstance(iterable.func, ast.Name) and iterable.args:
        name = iterable.func.id
        if name in _WRAPPERS:
            return iterable.args[0], name
    return iterable, ""


def trial(machine: Machine, sweep: Sweep, path: str, subject: Instance | ParamV) -> frozenset[ParamV]:
    """The parameters that the sweep would write if it met `subject`; nothing is left of the attempt."""
    return frozenset(tried(machine, lambda: sweep.repeat(path, subject)) or ())


def tried(machine: Machine, run: Callable[[], object]) -> dict[ParamV, Write] | None:
    """What `run` writes last to each parameter, None where it does not come to its end; nothing is left of the attempt."""
    from initlint.source.machine import OutOfBudget, Raised

    outer, outer_sweep = machine.journal, machine.sweep
    kept = (
        len(machine.occurrences),
        len(machine.instances),
        len(machine.params),
        len(machine.graph.nodes),
        len(machine.sweeps),
        len(machine.graph.kept),
    )
    reached, writes, forwarded = set(machine.reached), machine.writes, machine.forwarded.copy()
    machine.journal, machine.sweep = {}, None
    written: dict[ParamV, Write] = {}
    passes = machine.repeats.set_aside()
    try:
        run()
        written = {cell: cell.data[-1] for cell in machine.journal or () if isinstance(cell, ParamV) and cell.data}
    except (Raised, OutOfBudget, RecursionError):
        return None
    finally:
        journal = machine.journal
        for cell, before in (journal or {}).items():
            cell.data = before
        machine.repeats.restore(passes)
        machine.journal, machine.sweep, machine.reached, machine.writes = outer, outer_sweep, reached, writes
        machine.forwarded = forwarded
        del machine.occurrences[kept[0] :], machine.instances[kept[1] :], machine.params[kept[2] :]
        del machine.graph.nodes[kept[3] :], machine.sweeps[kept[4] :], machine.graph.kept[kept[5] :]
    return written
