"""Options that every call in the program settles alike: what lies behind another value is built by nobody."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from initlint.pytest_names import is_test_module
from initlint.syntax import last_name, nodes_of

if TYPE_CHECKING:
    from initlint.source.definitions import Definition

Users = Callable[["Definition"], Iterable["Definition"]]

_MOST_LEVELS = 3
_Function = ast.FunctionDef | ast.AsyncFunctionDef


def is_ruled_out(definition: Definition, node: ast.AST, users: Users) -> bool:
    """Whether `node` lies on a branch of `definition` for which no call in the program gives the value it asks for.

    What is no part of another module of the program may be given anything, by those that use it, whatever its tests give it.
    So may what is handed on, mentioned or called with what is not written there.
    """
    function = _entered(definition)
    if function is None:
        return False
    names = _parameters(function)
    for test, taken in _guards(function, node):
        asked = {each.id for each in nodes_of(test) if isinstance(each, ast.Name)} & names
        if len(asked) == 1:
            (option,) = asked
            values = _given(definition, option, users, _MOST_LEVELS)
            if values and all(_truth(test, value) is (not taken) for value in values):
                return True
    return False


def _entered(definition: Definition) -> _Function | None:
    """The function that a call of `definition` enters."""
    node = definition.node
    if isinstance(node, ast.ClassDef):
        methods = (each for each in node.body if isinstance(each, _Function) and each.name == "__init__")
        return next(methods, None)
    return node if isinstance(node, _Function) else None


def _parameters(function: _Function) -> frozenset[str]:
    given = function.args
    return frozenset(each.arg for each in (*given.posonlyargs, *given.args, *given.kwonlyargs))


def _guards(function: _Function, node: ast.AST) -> Iterator[tuple[ast.expr, bool]]:
    """The tests around `node`, and whether it lies where they hold."""
    for each in nodes_of(function):
        if isinstance(each, ast.If | ast.IfExp):
            for part, taken in ((each.body, True), (each.orelse, False)):
                roots = part if isinstance(part, list) else [part]
                if any(node is inner for root in roots for inner in nodes_of(root)):
                    yield each.test, taken


def _given(definition: Definition, parameter: str, users: Users, levels: int) -> list[object] | None:
    """The constants that the calls of `definition` give a parameter, None where it may be something else."""
    function = _entered(definition)
    values: list[object] = []
    callers = [each for each in users(definition) if each is not definition and not is_test_module(each.file.name)]
    if function is None or not levels or not any(each.is_class for each in callers):
        return None
    for user in callers:
        calls = [each for each in nodes_of(user.node) if isinstance(each, ast.Call)]
        called = [each for each in calls if last_name(each.func) == definition.name]
        if len(called) != _mentions(user, definition.name):
            return None
        for call in called:
            found = _argument(function, call, parameter, is_method=definition.is_class)
            if isinstance(found, ast.Constant):
                values.append(found.value)
                continue
            entered = _entered(user)
            if not isinstance(found, ast.Name) or entered is None or not _is_handed_on(entered, call, found.id):
                return None
            above = _given(user, found.id, users, levels - 1)
            if above is None:
                return None
            values += above
    return values or None


def _mentions(user: Definition, name: str) -> int:
    return sum(isinstance(each, ast.Name | ast.Attribute) and last_name(each) == name for each in nodes_of(user.node))


def _argument(function: _Function, call: ast.Call, parameter: str, *, is_method: bool) -> ast.expr | None:
    """What a call gives a parameter: an argument, or the default; None where that is not written there."""
    if any(isinstance(each, ast.Starred) for each in call.args) or any(each.arg is None for each in call.keywords):
        return None
    named = next((each.value for each in call.keywords if each.arg == parameter), None)
    if named is not None:
        return named
    given = function.args
    positional = [each.arg for each in (*given.posonlyargs, *given.args)]
    if parameter in positional:
        index = positional.index(parameter)
        if 0 <= index - is_method < len(call.args):
            return call.args[index - is_method]
        first = len(positional) - len(given.defaults)
        return given.defaults[index - first] if index >= first else None
    defaults = dict(zip((each.arg for each in given.kwonlyargs), given.kw_defaults, strict=True))
    return defaults.get(parameter)


def _is_handed_on(function: _Function, call: ast.Call, name: str) -> bool:
    """Whether `call` stands in `function` and gives one of its parameters as it came."""
    stored = any(
        isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store) and each.id == name
        for each in nodes_of(function)
    )
    return not stored and name in _parameters(function) and any(each is call for each in nodes_of(function))


def _truth(test: ast.expr, value: object) -> bool | None:
    """Whether a test on one option holds for a value of it, None where that is not seen."""
    match test:
        case ast.Name():
            return bool(value)
        case ast.UnaryOp(op=ast.Not(), operand=inner):
            found = _truth(inner, value)
            return None if found is None else not found
        case ast.Compare(left=ast.Name(), ops=[ast.Is() | ast.Eq()], comparators=[ast.Constant(value=other)]):
            return value == other
        case ast.Compare(left=ast.Name(), ops=[ast.IsNot() | ast.NotEq()], comparators=[ast.Constant(value=other)]):
            return value != other
        case _:
            return None
