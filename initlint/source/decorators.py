"""Decorators: the roles that Python's own give a function, what the project's own wrap it in, and the registries they fill."""

from __future__ import annotations

import ast
import functools

from initlint.source.machine import Frame, Machine, OutOfBudget, Raised
from initlint.source.symbols import UNKNOWN
from initlint.source.values import Arguments, Bound, Cell, ClassV, DictV, FunctionV, Instance, Scope
from initlint.syntax import decorator_name, last_name, nodes_of

_ROLES = {"staticmethod": "static", "classmethod": "class", "property": "property"}
_LASTING_ROLES = frozenset({"cached_property", "lazy_property", "getter"})
_WITHOUT_GRADIENTS = frozenset({"no_grad", "inference_mode"})
_DISPATCHERS = frozenset({"singledispatch", "singledispatchmethod"})
_INITIALIZES = ("init", "weight", "reset", "load")
_BUDGET = 400


def decorated(
    machine: Machine, node: ast.FunctionDef | ast.AsyncFunctionDef, function: FunctionV, frame: Frame
) -> object:
    """The function as its decorators leave it: roles are kept, wrappers that initialize nothing are taken to change nothing."""
    for decorator in node.decorator_list:
        word = decorator_name(decorator)
        if word in _ROLES:
            function.role = _ROLES[word]
        elif word in _WITHOUT_GRADIENTS:
            function.quiet = True
        elif word in _LASTING_ROLES:
            function.role = "property"
        elif word in _DISPATCHERS:
            return UNKNOWN  # which of the functions that are registered with it is called hangs on the argument
        elif word == "setter":
            return frame.scope.data.get(node.name, function)
    made: object = function
    for decorator in reversed(node.decorator_list):
        made = _wrapped(machine, decorator, made, frame)
    if isinstance(made, FunctionV):
        made.role = function.role
    return made


def _wrapped(machine: Machine, decorator: ast.expr, function: object, frame: Frame) -> object:
    """What one decorator makes of a function, where it is of the project and has to do with initialization."""
    named = decorator.func if isinstance(decorator, ast.Call) else decorator
    if not isinstance(named, (ast.Name, ast.Attribute)):
        return function
    keeper = machine.evaluate(named, frame)
    if not isinstance(keeper, FunctionV) or not _initializes(machine, keeper.node):
        return function
    try:
        if isinstance(decorator, ast.Call):
            keeper = machine.evaluate(decorator, frame)
        return machine.call(keeper, Arguments([function]), decorator, frame)
    except Raised:
        return UNKNOWN


def _initializes(machine: Machine, node: ast.AST) -> bool:
    """Whether the text of a decorator calls something that initializes, by its name."""
    known = machine.knowledge.initializers
    return any(
        name == "apply"
        or any(word in name for word in _INITIALIZES)
        or any(f"{home}.{name}" in known for home in ("torch.nn.init", "Tensor"))
        for name in _called(node)
    )


@functools.lru_cache(maxsize=1024)
def _called(node: ast.AST) -> frozenset[str]:
    calls = (each for each in nodes_of(node) if isinstance(each, ast.Call))
    return frozenset(last_name(each.func).lower() for each in calls) - {"isinstance", "__init__"}


def register(
    machine: Machine,
    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef,
    value: FunctionV | ClassV,
    frame: Frame,
) -> None:
    """Let the project's own decorators keep what they decorate: ``@FACTORY.add("conv")``."""
    for decorator in reversed(node.decorator_list):
        named = decorator.func if isinstance(decorator, ast.Call) else decorator
        if not isinstance(named, (ast.Name, ast.Attribute)):
            continue
        keeper = machine.evaluate(named, frame)
        function = keeper.function if isinstance(keeper, Bound) else keeper
        if not isinstance(function, FunctionV):
            continue
        closure = function if function.scope.parent is not None else function.node  # each has a registry of its own
        if closure not in machine.wrappers and not _keeps(machine, decorator, keeper, value, frame):
            machine.wrappers.add(closure)


def _keeps(machine: Machine, decorator: ast.expr, keeper: object, value: FunctionV | ClassV, frame: Frame) -> bool:
    """Run one decorator; whether it changed anything besides what it decorates. Registries stay open to others."""
    outer, budget, reserve, serial = machine.journal, machine.budget, machine.reserve, machine.serial
    machine.journal = {}
    machine.budget, machine.reserve = min(budget, machine.steps + _BUDGET), 0
    try:
        if isinstance(decorator, ast.Call):
            keeper = machine.evaluate(decorator, frame)
        if isinstance(keeper, (FunctionV, Bound)):
            machine.call(keeper, Arguments([value]), decorator, frame)
    except (Raised, OutOfBudget):
        return False
    finally:
        touched, machine.journal = machine.journal, outer
        machine.budget, machine.reserve = budget, reserve
    kept = [cell for cell in touched if cell is not value and _lasts(cell, serial)]
    for cell in kept:
        if isinstance(cell, DictV):
            cell.open = True
    return bool(kept)


def _lasts(cell: Cell, serial: int) -> bool:
    """Whether the cell is not of the decorator's own making: its scope, an object that it made."""
    return not isinstance(cell, Scope) and not (isinstance(cell, Instance) and cell.serial > serial)
