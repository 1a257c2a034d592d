"""A layer that no class holds is named by the variable that its container is assigned to, or returned without."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from initlint.fix.containers import is_container, is_exact
from initlint.fix.spelling import Source, bound_names, used_names
from initlint.model import Layer

_NAMES = ("net", "model", "network")
Function = ast.FunctionDef | ast.AsyncFunctionDef


def name_layer(layer: Layer, source: Source) -> str | None:
    """The expression that names a layer outside of any class, None where there is none; ``net[0]``.

    Where a function returns its container at once, this is the name that the container will be given.
    """
    steps = [int(step) if step.isdecimal() else step for step in layer.path.split(".") if step]
    rest = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
    for name, value in _assigned(layer, source):
        if is_exact(value, tuple(steps), source) or is_container(value):
            return name + rest
    function = function_around(layer, source)
    returned = None if function is None else returned_container(function)
    if function is None or returned is None or returned.value is None:
        return None
    if isinstance(returned.value, ast.Name):
        return returned.value.id + rest
    free = free_name(function)
    return None if free is None else free + rest


def free_name(function: Function) -> str | None:
    """A name for a container that a function does not use yet."""
    return next((name for name in _NAMES if name not in bound_names(function) | used_names(function)), None)


def function_around(layer: Layer, source: Source) -> Function | None:
    """The innermost function whose text builds a layer."""
    functions: tuple[Function, ...] = (*source.every(ast.FunctionDef), *source.every(ast.AsyncFunctionDef))
    around = (node for node in functions if source.contains(node, layer.site))
    return max(around, key=lambda node: node.lineno, default=None)


def returned_container(function: Function) -> ast.Return | None:
    """The only return of a function, if it returns a variable or a container that is built right there."""
    returns = returns_of(function)
    if len(returns) != 1 or returns[0] is not function.body[-1]:
        return None
    value = returns[0].value
    return returns[0] if isinstance(value, ast.Name) or (value is not None and is_container(value)) else None


def returns_of(function: Function) -> list[ast.Return]:
    """The returns of a function itself, not those of functions inside it."""
    return list(_returns(function.body))


def _assigned(layer: Layer, source: Source) -> Iterator[tuple[str, ast.expr]]:
    """The variables that statements around the layer's construction assign, innermost first."""
    found = []
    for node in source.nodes:
        match node:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=value)
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
            ) if source.contains(node, layer.site):
                found.append((name, value))
            case _:
                pass
    yield from reversed(found)


def _returns(body: list[ast.stmt]) -> Iterator[ast.Return]:
    for statement in body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        if isinstance(statement, ast.Return):
            yield statement
        for inner in ast.iter_child_nodes(statement):
            if isinstance(inner, ast.stmt):
                yield from _returns([inner])
            elif isinstance(inner, ast.ExceptHandler | ast.match_case):
                yield from _returns(inner.body)
