"""What binds the layer that an expression names: the statements, and the blocks and conditions that they stand in."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from initlint.fix.access import Access
from initlint.fix.containers import unmoved


@dataclass(frozen=True, slots=True)
class Binding:
    """The statement that binds a layer's root, the block it stands in, and what it binds there."""

    statement: ast.stmt
    block: tuple[ast.stmt, ...]
    value: ast.expr
    conditions: tuple[ast.stmt, ...]


def blocks(
    body: list[ast.stmt], around: tuple[ast.stmt, ...] = ()
) -> Iterator[tuple[list[ast.stmt], tuple[ast.stmt, ...]]]:
    """Every block of a function or module with the compound statements around it; not those of inner definitions."""
    yield body, around
    for statement in body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        inner: list[list[ast.stmt]] = [getattr(statement, name, []) for name in ("body", "orelse", "finalbody")]
        inner += [part.body for part in [*getattr(statement, "handlers", []), *getattr(statement, "cases", [])]]
        for block in inner:
            if block:
                yield from blocks(block, (*around, statement))


def bindings_in(body: list[ast.stmt], access: Access) -> Iterator[Binding]:
    """Every statement of a block, or of one inside, that binds the root of an access to something."""
    for block, around in blocks(body):
        for statement in block:
            value = _bound_value(statement, access)
            if value is not None and not _is_none(value):
                yield Binding(statement, tuple(block), unmoved(value), around)


def _is_none(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is None


def _bound_value(statement: ast.stmt, access: Access) -> ast.expr | None:
    """What a statement binds to the root of an access, None if it binds something else."""
    match statement:
        case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Tuple(elts=values)) if len(names) == len(values):
            return next((value for name, value in zip(names, values, strict=True) if _is_root(name, access)), None)
        case ast.Assign(targets=targets, value=value) if any(_is_root(target, access) for target in targets):
            return value
        case ast.AnnAssign(target=target, value=ast.expr() as value) if _is_root(target, access):
            return value
        case ast.Expr(
            value=ast.Call(
                func=ast.Attribute(attr="add_module" | "register_module"), args=[ast.Constant(value=name), value]
            )
        ):
            return value if access.owner and name == access.root else None
        case ast.Expr(
            value=ast.Call(func=ast.Attribute(value=ast.Call(func=ast.Name(id="super")), attr="__init__")) as call
        ):
            return call if access.owner and access.root is None else None
        case _:
            return None


def _is_root(target: ast.expr, access: Access) -> bool:
    match target:
        case ast.Attribute(value=ast.Name(id="self"), attr=name):
            return access.owner and name == access.root
        case ast.Name(id=name):
            return not access.owner and name == access.root
        case _:
            return False


def is_bound_by_all(condition: ast.If, access: Access) -> bool:
    """Whether every branch of a condition binds the root of an access: after it there is one, whichever was taken."""
    return all(branch and _binds(branch, access) for branch in (condition.body, condition.orelse))


def _binds(block: list[ast.stmt], access: Access) -> bool:
    for statement in block:
        if isinstance(statement, ast.If) and is_bound_by_all(statement, access):
            return True
        value = _bound_value(statement, access)
        if value is not None and not _is_none(value):
            return True
    return False
