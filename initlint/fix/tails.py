"""The last elements of a list of layers have a place from its end, whatever a loop has put before them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING

from initlint.fix.containers import is_list
from initlint.fix.spelling import Source
from initlint.model import Site
from initlint.syntax import last_name, nodes_of

if TYPE_CHECKING:
    from initlint.fix.place import Place


def place_from_end(place: Place, site: Site) -> int | None:
    """-2 for the last but one element of the container of a place, if that is built at a site; None where nobody can tell."""
    if place.function is None:
        return None
    for number, element in enumerate(_backwards(place), 1):
        if _is_built_at(element, site, place.source):
            return -number
    return None


def _is_built_at(element: ast.expr, site: Site, source: Source) -> bool:
    starts = source.start(element) == (site.line, site.column)
    return starts and source.end(element) == (site.end_line, site.end_column)


def _backwards(place: Place) -> Iterator[ast.expr]:
    """The elements of a container from the last one on, as far as the statements that add them tell."""
    if place.function is None:
        return
    name, value = place.access.root_text, place.value
    statements = list(place.function.body)
    if not any(isinstance(one, ast.Assign | ast.AnnAssign) and one.value is value for one in statements):
        return
    while statements:
        statement = statements.pop()
        if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is value:
            if not isinstance(value, ast.Call) or not (last_name(value.func) == "Sequential" or is_list(value)):
                return
            match value.args:
                case [ast.Starred(value=ast.Name(id=listed))] | [ast.Name(id=listed)]:
                    name = listed
                case _:
                    return
            continue
        added = _added(statement, name)
        if added is not None:
            yield from reversed(added)
        elif _concerns(statement, name):
            return


def _added(statement: ast.stmt, name: str) -> list[ast.expr] | None:
    """The elements that a statement puts behind all others, None where it does something else."""
    match statement:
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=holder, attr="append"), args=[element], keywords=[])):
            elements = [element]
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=holder, attr="extend"), args=[ast.List(elts=elements)])):
            pass
        case ast.AugAssign(target=holder, op=ast.Add(), value=ast.List(elts=elements)):
            pass
        case _:
            return None
    if ast.unparse(holder) != name or any(isinstance(one, ast.Starred) for one in elements):
        return None
    return elements


def _concerns(statement: ast.stmt, name: str) -> bool:
    """Whether a statement may change what a list holds: it binds it, calls one of its methods, or hands it on."""
    for node in nodes_of(statement):
        if isinstance(node, ast.Name | ast.Attribute) and ast.unparse(node) == name:
            return not _only_applies(statement, name)
    return False


def _only_applies(statement: ast.stmt, name: str) -> bool:
    """Whether a statement does no more with a container than to call it, as a probe for its output's shape does."""
    uses = [
        node for node in nodes_of(statement) if isinstance(node, ast.Name | ast.Attribute) and ast.unparse(node) == name
    ]
    called = [node.func for node in nodes_of(statement) if isinstance(node, ast.Call)]
    return all(any(use is function for function in called) for use in uses)
