"""Which handler calls which kind of value."""

from __future__ import annotations

import ast
from collections.abc import Callable

from initlint.source.escape import escape
from initlint.source.external import call_external
from initlint.source.functions import call_bound, call_function, call_instance, instantiate
from initlint.source.machine import Frame, Machine
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
    """Each alternative is called in turn, and one of the results is the result."""
    results = [
        machine.call(each, arguments, node, frame)
        for each in function.alternatives
        if each is not ABSENT and each is not None
    ]
    if ABSENT in function.alternatives or None in function.alternatives:
        results += [each for each in arguments.positional[:1] if results]
    return machine.join(results) if results else escape(machine, function, arguments, node, frame)


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
