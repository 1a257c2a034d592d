"""A layer that a function builds may be initialized in that function, right after the statement that builds it."""

from __future__ import annotations

import ast
from collections.abc import Callable

from initlint.fix.access import Access
from initlint.fix.bindings import blocks
from initlint.fix.containers import find_trail, is_container
from initlint.fix.naming import Function, free_name, function_around, returned_container
from initlint.fix.place import Place
from initlint.fix.spelling import Source
from initlint.model import Layer
from initlint.syntax import nodes_of


def find_builder(layer: Layer, sources: Callable[[str], Source | None]) -> Place | None:
    """Beside the statement of a function outside of any class that builds the layer; None where there is none."""
    source = sources(layer.site.file)
    function = None if source is None else function_around(layer, source)
    if source is None or function is None or _is_in_class(function, source):
        return None
    for block, _ in blocks(function.body):
        for statement in block:
            match statement:
                case (
                    ast.Assign(targets=[ast.Name(id=name)], value=value)
                    | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
                ) if source.contains(value, layer.site):
                    return _place(layer, source, function, statement, value, name)
                case _:
                    pass
    returned = returned_container(function)
    if returned is None or returned.value is None or not is_container(returned.value):
        return None
    free = free_name(function)
    return None if free is None else _place(layer, source, function, returned, returned.value, free)


def _place(
    layer: Layer, source: Source, function: Function, anchor: ast.stmt, value: ast.expr, name: str
) -> Place | None:
    trail = find_trail(value, layer.site, source)
    if trail is None:
        return None
    steps = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in trail)
    access = Access(name + steps, owner=False, root=name, trail=trail)
    naming = name if isinstance(anchor, ast.Return) else None
    return Place(
        source, anchor, before=False, access=access, value=value, function=function, nested=True, naming=naming
    )


def _is_in_class(function: Function, source: Source) -> bool:
    around = (
        node
        for node in source.every(ast.ClassDef)
        if node.lineno <= function.lineno <= (node.end_lineno or node.lineno)
    )
    return any(one is function for node in around for one in nodes_of(node))
