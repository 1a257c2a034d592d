"""Which handler calls which kind of value."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from functools import partial

from initlint.source.escape import escape, reachable_params
from initlint.source.external import call_external
from initlint.source.functions import call_bound, call_function, call_instance, instantiate
from initlint.source.machine import Flow, Frame, Machine, Raised
from initlint.source.methods import call_method
from initlint.source.python_builtins import call_builtin
from initlint.source.symbols import ABSENT
from initlint.source.values import (
    Arguments,
    Bound,
    Builtin,
    Choice,
    ClassV,
    External,
    FunctionV,
    Instance,
    Method,
    Partial,
)


def _call_partial(machine: Machine, function: Partial, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    given = Arguments(
        [*function.positional, *arguments.positional],
        {**function.keywords, **arguments.keywords},
        arguments.open,
    )
    return machine.call(function.function, given, node, frame)


def _call_choice(machine: Machine, function: Choice, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    """Each alternative is called, and one of the results is the result; what one writes to modules, the others do not meet."""
    called = [each for each in function.alternatives if each is not ABSENT and each is not None]
    results: list[object] = []

    def run(each: object) -> Flow:
        results.append(machine.call(each, arguments, node, frame))
        return Flow.NEXT

    runs = [partial(run, each) for each in called]
    if len(called) < 2 or not _may_meet(called, arguments) or not _forked(machine, runs, frame):
        results.clear()
        for each in runs:
            each()
    if ABSENT in function.alternatives or None in function.alternatives:
        results += [each for each in arguments.positional[:1] if results]
    return machine.join(results) if results else escape(machine, function, arguments, node, frame)


def _may_meet(called: list[object], arguments: Arguments) -> bool:
    """Whether functions are called on what holds parameters: ``{"xavier": xavier, "normal": normal}[kind](layer)``."""
    functions = [each for each in called if isinstance(each, (FunctionV, Bound, Partial)) and not _is_of_class(each)]
    if any(isinstance(each, Bound) for each in functions):
        return True
    return bool(functions) and bool(reachable_params([*arguments.positional, *arguments.keywords.values()]))


def _is_of_class(function: object) -> bool:
    """Whether it is a class method, which builds an object."""
    return isinstance(function, Bound) and isinstance(function.receiver, ClassV)


def _forked(machine: Machine, runs: Sequence[Callable[[], Flow]], frame: Frame) -> bool:
    """Whether any of the branches came to its end: where none does, too little is known of what they were given."""
    try:
        machine.fork(runs, frame)
    except Raised:
        return False
    return True


HANDLERS: dict[type, Callable[..., object]] = {
    FunctionV: call_function,
    Bound: call_bound,
    ClassV: instantiate,
    Instance: call_instance,
    External: call_external,
    Builtin: call_builtin,
    Method: call_method,
    Partial: _call_partial,
    Choice: _call_choice,
}
