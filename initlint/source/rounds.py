"""Code does the same to equal modules: it is run for the first, and repeated for the others.

``for m in self.modules(): if isinstance(m, nn.Conv2d): nn.init.kaiming_normal_(m.weight)`` runs once for each kind of
module, not once for each module. A round can be repeated when its body looks at nothing of the module but its class and
attributes that are written there, and when all it did was to write to parameters that it reached by such an attribute.
The same holds of calls: one that did nothing at all, and returned a constant, is not run twice on the same.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING

from initlint.source.machine import Flow
from initlint.source.marks import marks_of
from initlint.source.plans import Path, Plan, plan_of
from initlint.source.repeats import UnrepeatableError, Watch, constant_key
from initlint.source.symbols import ABSENT
from initlint.source.torch_modules import has_children, torch_attribute
from initlint.source.values import (
    Bound,
    ClassV,
    DictV,
    FunctionV,
    Instance,
    ListV,
    ParamV,
)

if TYPE_CHECKING:
    from initlint.source.machine import Frame, Machine
    from initlint.source.values import Arguments, Write


_FEWEST = 3
_MOST_CALLS = 40
_SIZES = frozenset({"shape", "size", "dim", "ndim", "numel", "ndimension"})
_OF_CLASSES = frozenset({"__class__", "__module__", "__name__", "__qualname__", "__doc__"})
_OF_PARAMETERS = frozenset({"data", "detach", *_SIZES})


class _Round:
    """What one round did: the writes by the path of the parameter, the values it bound, and how it ended."""

    __slots__ = ("bound", "flow", "sizes", "writes")

    def __init__(
        self,
        writes: tuple[tuple[Path, tuple[Write, ...]], ...],
        bound: Mapping[str, object],
        flow: object,
        sizes: Hashable | None,
    ) -> None:
        self.writes = writes
        self.bound = bound
        self.flow = flow
        self.sizes = sizes


class Rounds:
    """The rounds of one loop, of one `apply`, or the calls of one function, by what they saw."""

    def __init__(self, machine: Machine, plan: Plan, frame: Frame | None, *, may_write: bool = True) -> None:
        """`frame` is where a loop binds its names; a function binds its own."""
        self._machine = machine
        self._plan = plan
        self._frame = frame
        self._may_write = may_write
        self._alike = True
        self._known: dict[Hashable, _Round] = {}

    def run(self, subject: Instance | None, body: Callable[[], object]) -> object:
        """What `body` returns for `subject`, and does to it."""
        if not self._alike:
            return body()
        try:
            seen = self._seen(subject)
            sizes = self._sizes(subject)
        except UnrepeatableError:
            return body()
        known = self._known.get(seen)
        if known is not None and known.sizes in (None, sizes):
            return self._repeat(known, subject)
        return self._record(seen, sizes, subject, body)

    def _repeat(self, known: _Round, subject: Instance | None) -> object:
        machine = self._machine
        for path, writes in known.writes:
            param = _parameter_at(subject, path)
            if param is not None:
                machine.touch(param)
                param.data = (*param.data, *writes)
                machine.writes += len(writes)
                machine.written.add(param)
        if self._frame is not None and known.bound:
            machine.touch(self._frame.scope)
            self._frame.scope.data.update(known.bound)
        return known.flow

    def _record(self, seen: Hashable, sizes: Hashable, subject: Instance | None, body: Callable[[], object]) -> object:
        machine = self._machine
        params = {path: param for path in self._plan.paths if (param := _parameter_at(subject, path)) is not None}
        before = {param: param.data for param in params.values()}
        names = {} if self._frame is None else self._frame.scope.data.copy()
        watch = Watch(machine)
        with watch:
            flow = body()
        done = watch.done
        if any(cell not in before for cell in watch.changed):
            self._alike = False  # the rounds to come may look at what this one changed
        made = done.serial or done.instances or done.ops or done.occurrences or done.sweeps or done.clones
        if not self._alike or done.asked or made:
            return flow
        writes: dict[ParamV, tuple[Path, tuple[Write, ...]]] = {}
        for path, param in params.items():
            old = before[param]
            if any(one is not other for one, other in zip(old, param.data, strict=False)) or len(param.data) < len(old):
                return flow
            if len(param.data) > len(old):
                writes[param] = path, param.data[len(old) :]
        bound = {} if self._frame is None else self._bound(self._frame, names)
        if bound is None or done.writes != sum(len(each) for _, each in writes.values()):
            return flow
        if not self._is_repeatable(flow, writes):
            return flow
        self._plan.luck += 2
        self._known[seen] = _Round(tuple(writes.values()), bound, flow, sizes if done.entered else None)
        return flow

    def _is_repeatable(self, outcome: object, writes: Mapping[ParamV, object]) -> bool:
        """Whether the round went on to the next, or returned a constant, and wrote no more than it may."""
        if isinstance(outcome, Flow):
            return outcome in (Flow.NEXT, Flow.CONTINUE)
        return (self._may_write or not writes) and _is_constant(outcome)

    def _bound(self, frame: Frame, before: Mapping[str, object]) -> dict[str, object] | None:
        """The constants that a round put under its names; None where it put something else there."""
        held = {name: frame.scope.data.get(name, ABSENT) for name in self._plan.bound}
        new = {name: value for name, value in held.items() if value is not before.get(name, ABSENT)}
        return new if all(map(_is_constant, new.values())) and not frame.elsewhere else None

    def _seen(self, subject: Instance | None) -> Hashable:
        """All that a round can tell of its subject."""
        if subject is None:
            return ()
        values = (self._value(subject, path, path) for path in self._plan.paths)
        return _kind(self._machine, subject), *values

    def _value(self, holder: Instance, rest: Path, path: Path) -> Hashable:
        name, *below = rest
        if name in _OF_CLASSES and name not in holder.data:
            return None
        if name == "_modules" and not has_children(holder):
            return None
        value = _attribute(holder, name)
        if isinstance(value, Instance) and (below or path not in self._plan.used):
            if below and _attribute(value, below[0]) is ABSENT:
                raise UnrepeatableError
            return _kind(self._machine, value), self._value(value, tuple(below), path) if below else None
        if isinstance(value, ParamV):
            if not all(each in _OF_PARAMETERS or _is_initializer(self._machine, each) for each in below):
                raise UnrepeatableError
            return _parameter(self._machine, holder, value), _size(value) if path in self._plan.sized else None
        return constant_key(value)

    def _sizes(self, subject: Instance | None) -> Hashable:
        """The sizes of all parameters that a round may look at."""
        params = (_parameter_at(subject, path) for path in self._plan.paths)
        return tuple(None if param is None else _size(param) for param in params)


def subject_of(item: object) -> Instance | None:
    """The module that an item of a loop is, by itself or behind a name or a number."""
    module = item[1] if isinstance(item, tuple) and len(item) == 2 else item
    return module if isinstance(module, Instance) and module.torch_class else None


def loop_rounds(machine: Machine, node: ast.For | ast.AsyncFor, items: Sequence[object], frame: Frame) -> Rounds | None:
    """The rounds of ``for m in ...`` or ``for name, m in ...``; None where each must be run."""
    if len(items) < _FEWEST or subject_of(items[0]) is None:
        return None
    target, banned = node.target, frozenset[str]()
    if isinstance(target, ast.Tuple) and len(target.elts) == 2:
        first, target = target.elts
        banned = frozenset({first.id}) if isinstance(first, ast.Name) else banned
        if not banned:
            return None
    if not isinstance(target, ast.Name):
        return None
    plan = plan_of(machine, node, node.body, target.id, banned)
    return None if plan is None else Rounds(machine, plan, frame)


def applied_rounds(machine: Machine, function: object) -> Rounds | None:
    """The rounds of ``module.apply(function)``; None where each must be run."""
    bound = isinstance(function, Bound)
    plain = function.function if isinstance(function, Bound) else function
    if not isinstance(plain, FunctionV) or isinstance(plain.node, ast.Lambda):
        return None
    given = plain.node.args
    names = [each.arg for each in (*given.posonlyargs, *given.args)]
    if len(names) <= bound or given.vararg or given.kwarg:
        return None
    plan = plan_of(machine, plain.node, plain.node.body, names[bound], None)
    return None if plan is None else Rounds(machine, plan, None)


def called_rounds(machine: Machine, function: FunctionV, arguments: Arguments) -> tuple[Rounds, Instance | None] | None:
    """The earlier calls of a function on the same constants, and the module that this call is of; None where it must be run."""
    node = function.node
    if arguments.open or machine.branching or isinstance(node, ast.Lambda) or not arguments.positional:
        return None
    if node.name == "__init__":
        return None
    first, rest = arguments.positional[0], arguments.positional
    subject = first if isinstance(first, Instance) else None
    name = ""
    if subject is not None:
        name = next((each.arg for each in (*node.args.posonlyargs, *node.args.args)), "")
    plan = plan_of(machine, node, node.body, name, None)
    if plan is None or plan.luck <= 0 or function.scope.parent is not None:
        return None
    try:
        given = tuple(map(constant_key, rest if subject is None else rest[1:]))
        named = tuple((name, constant_key(value)) for name, value in arguments.keywords.items())
    except UnrepeatableError:
        return None
    calls = machine.repeats.calls.setdefault(node, {})
    key = subject is None, machine.no_grad > 0, given, named
    rounds = calls.get(key)
    if rounds is None:
        if len(calls) >= _MOST_CALLS or not _reads_constants(function, plan):
            return None
        plan.luck -= 1
        rounds = calls[key] = Rounds(machine, plan, None, may_write=False)
    return rounds, subject


def _reads_constants(function: FunctionV, plan: Plan) -> bool:
    """Whether none of the names that a function reads is something that the program may fill or change."""
    return not any(isinstance(function.scope.data.get(name), (ListV, DictV, Instance)) for name in plan.read)


def _attribute(holder: Instance, name: str) -> object:
    """An attribute as `get_attribute` finds it, where that runs nothing; ABSENT if there is none."""
    value = holder.data.get(name, ABSENT)
    if value is ABSENT and isinstance(holder.cls, ClassV):
        value = holder.cls.lookup(name)
        if isinstance(value, FunctionV):
            raise UnrepeatableError
    if value is ABSENT and holder.torch_class:
        if name.startswith("_"):
            raise UnrepeatableError
        value = torch_attribute(holder, name)
    return value


def _kind(machine: Machine, module: Instance) -> Hashable:
    """What all code may ask of a module without naming an attribute."""
    return (
        module.cls,
        module.torch_class,
        module.branch,
        module.repeats,
        module.uncertain,
        module.parametrization,
        module in machine.forwarded,
        has_children(module),
    )


def _parameter(machine: Machine, holder: Instance, param: ParamV) -> Hashable:
    """What an initializer may ask of a parameter, its sizes left out."""
    owner = param.owner
    last = param.data[-1] if param.data else None
    return (
        param.name,
        param.buffer,
        param.frozen,
        param.tied,
        param.fans,
        tuple((name, constant_key(noted)) for name, noted in marks_of(param)),
        None if owner is holder or owner is None else _kind(machine, owner),
        None if param.shape is None else tuple(type(each) for each in param.shape),
        None if last is None else (last.function, last.source, last.conditional, last.partial),
    )


def _size(param: ParamV) -> Hashable:
    return None if param.shape is None else tuple(map(constant_key, param.shape))


def _is_constant(value: object) -> bool:
    try:
        constant_key(value)
    except UnrepeatableError:
        return False
    return True


def _is_initializer(machine: Machine, name: str) -> bool:
    return f"Tensor.{name}" in machine.knowledge.initializers


def _parameter_at(module: Instance | None, path: Path) -> ParamV | None:
    """The parameter that a path of attributes comes to first."""
    value: object = module
    for name in path:
        value = value.data.get(name) if isinstance(value, Instance) else None
        if isinstance(value, ParamV):
            return value
    return None
