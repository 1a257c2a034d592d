"""An initializer whose function or numbers come from whoever calls the code around it is a choice of theirs."""

from __future__ import annotations

import ast

from initlint.fix.spelling import Source
from initlint.syntax import nodes_of


def is_callers_choice(call: ast.Call, source: Source) -> bool:
    """Whether a call's function is a variable, or its numbers are all that the function around takes an argument for."""
    around = source.function_around(call)
    if around is None:
        return False
    given = {one.arg for one in (*around.args.posonlyargs, *around.args.args, *around.args.kwonlyargs)}
    if isinstance(call.func, ast.Name) and call.func.id in given:
        return True
    reads, bound = _numbers(call, source), set[str]()
    pending = {one.id for one in reads}
    while pending:
        bound |= pending
        values = [value for name in pending for value in _values(name, around)]
        found = [one for value in values for one in nodes_of(value) if isinstance(one, ast.Name)]
        reads += found
        pending = {one.id for one in found} - bound
    inside = {id(one) for one in reads}
    elsewhere = {one.id for one in nodes_of(around) if isinstance(one, ast.Name) and id(one) not in inside}
    return not (given & bound) <= elsewhere


def _numbers(call: ast.Call, source: Source) -> list[ast.Name]:
    """The names that a call's arguments read, its target aside."""
    is_method = isinstance(call.func, ast.Attribute) and not source.dotted(call.func).startswith("torch.")
    values = [*call.args[0 if is_method else 1 :], *(keyword.value for keyword in call.keywords)]
    return [one for value in values for one in nodes_of(value) if isinstance(one, ast.Name)]


def _values(name: str, around: ast.AST) -> list[ast.expr]:
    """What a name is bound to by plain assignments."""
    assigned = (node for node in nodes_of(around) if isinstance(node, ast.Assign))
    return [
        node.value for node in assigned if any(isinstance(one, ast.Name) and one.id == name for one in node.targets)
    ]
