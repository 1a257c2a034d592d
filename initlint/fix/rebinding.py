"""What a later statement does to the expression that names a layer: after some of them it names another, or none."""

from __future__ import annotations

import ast

from initlint.fix.access import Access
from initlint.fix.containers import unmoved
from initlint.syntax import last_name, nodes_of

_REORDERING = frozenset({"insert", "pop", "clear", "__delitem__", "__setitem__"})


def unbinds(statement: ast.stmt, access: Access) -> bool:
    """Whether after a statement an access may name something else, or nothing."""
    if _wraps(statement, access) or _moves(statement):
        return False
    names = {
        ast.unparse(one) for one in nodes_of(ast.parse(access.text)) if isinstance(one, ast.Attribute | ast.Subscript)
    }
    names.add(access.root_text)
    targets: list[ast.expr] = []
    for node in nodes_of(statement):
        match node:
            case ast.Assign(targets=found) | ast.Delete(targets=found):
                targets += found
            case ast.AnnAssign(target=found):
                targets.append(found)
            case ast.Call(func=ast.Attribute(value=holder, attr=method)) if method in _REORDERING:
                targets.append(holder)
            case _:
                pass
    targets += [
        one.value for one in targets if isinstance(one, ast.Subscript) and not isinstance(one.slice, ast.Constant)
    ]
    return any(ast.unparse(target) in names for target in targets)


def _moves(statement: ast.stmt) -> bool:
    """Whether a statement moves modules to a device under their own name: ``self.net = self.net.to(device)``."""
    match statement:
        case ast.Assign(targets=[target], value=ast.Call() as value):
            return ast.unparse(target) == ast.unparse(unmoved(value))
        case _:
            return False


def _wraps(statement: ast.stmt, access: Access) -> bool:
    """Whether a statement makes modules of a list under its own name: ``self.net = nn.Sequential(*self.net)``."""
    match statement:
        case ast.Assign(targets=[target], value=ast.Call(func=function, args=[ast.Starred(value=held)], keywords=[])):
            container = "Sequential"
        case ast.Assign(targets=[target], value=ast.Call(func=function, args=[held], keywords=[])):
            container = "ModuleList"
        case _:
            return False
    return last_name(function) == container and ast.unparse(target) == ast.unparse(held) == access.root_text
