"""What only a rewritten call has used goes with it: the number that was computed for it, the import of math."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator

from initlint.fix.bindings import blocks
from initlint.fix.lines import removed
from initlint.fix.spelling import Source
from initlint.model import Edit
from initlint.syntax import nodes_of

_PURE_METHODS = frozenset({"size", "dim", "numel"})
_PURE_FUNCTIONS = frozenset({"float", "int", "len", "max", "min", "pow", "round", "sum", "abs"})
_PURE_MODULES = ("math.", "torch.nn.init.calculate_", "torch.nn.init._calculate_")
_REMOVABLE_IMPORTS = frozenset({"math"})


def remove_leftovers(source: Source, rewritten: Collection[ast.Call]) -> tuple[Edit, ...]:
    """Edits that take out the statements whose names were read by the rewritten calls and by nothing else."""
    gone: list[ast.AST] = list(rewritten)
    idle: list[ast.stmt] = []
    while True:
        found = [one for one in _candidates(source, gone) if one not in idle and _is_alone(one, source)]
        if not found:
            return tuple(_without(statement, source) for statement in idle)
        idle += found
        gone += found


def unread_functions(source: Source, rewritten: Collection[ast.Call]) -> frozenset[str]:
    """The functions that are called by name in the rewritten calls and read nowhere else."""
    called = {call.func.id for call in rewritten if isinstance(call.func, ast.Name)}
    return frozenset(name for name in called if _are_unread({name}, source.tree, rewritten))


def _candidates(source: Source, gone: Collection[ast.AST]) -> Iterator[ast.stmt]:
    """The statements that only bind names which nothing but `gone` reads."""
    read_by_gone = {one.id for node in gone for one in _reads(node)}
    for function in {one for node in gone if (one := _function(source, node)) is not None}:
        for block, _ in blocks(function.body):
            for statement in block if len(block) > 1 else ():
                match statement:
                    case ast.Assign(targets=[ast.Name() as target], value=value):
                        names = {target.id}
                    case ast.Assign(targets=[ast.Tuple(elts=elements)], value=value):
                        names = {one.id if isinstance(one, ast.Name) else "" for one in elements}
                    case _:
                        continue
                if names & read_by_gone and _is_pure(value, source) and _are_unread(names, function, gone):
                    yield statement
    for statement in source.tree.body:
        match statement:
            case ast.Import(names=[ast.alias(name=name, asname=None)]) if name in _REMOVABLE_IMPORTS & read_by_gone:
                if _are_unread({name}, source.tree, gone):
                    yield statement
            case _:
                pass


def _function(source: Source, node: ast.AST) -> ast.FunctionDef | None:
    return source.function_around(node) if isinstance(node, ast.expr | ast.stmt) else None


def _reads(node: ast.AST) -> Iterator[ast.Name]:
    for one in nodes_of(node):
        if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Load):
            yield one


def _are_unread(names: Collection[str], scope: ast.AST, gone: Collection[ast.AST]) -> bool:
    """Whether names of a scope are bound once there and read by `gone` only."""
    inside = {id(one) for node in gone for one in nodes_of(node)}
    uses = [one for one in nodes_of(scope) if isinstance(one, ast.Name) and one.id in names and id(one) not in inside]
    bound = [one.id for one in uses if isinstance(one.ctx, ast.Store)]
    return len(bound) == len(uses) == len(set(bound))


def _is_pure(value: ast.expr, source: Source) -> bool:
    """Whether computing a value does nothing else."""
    for node in nodes_of(value):
        match node:
            case ast.Call(func=ast.Attribute(attr=name)) if name in _PURE_METHODS:
                pass
            case ast.Call(func=ast.Name(id=name)) if name in _PURE_FUNCTIONS:
                pass
            case ast.Call(func=function) if not source.dotted(function).startswith(_PURE_MODULES):
                return False
            case ast.NamedExpr() | ast.Await() | ast.Yield() | ast.YieldFrom():
                return False
            case _:
                pass
    return True


def _is_alone(statement: ast.stmt, source: Source) -> bool:
    """Whether the lines of a statement hold nothing else, and no comment stands above it."""
    first, last = statement.lineno, statement.end_lineno or statement.lineno
    above = source.lines.line(first - 1).strip() if first > 1 else ""
    whole = "".join(source.lines.line(number) for number in range(first, last + 1))
    return whole.strip() == source.snippet(statement) and not above.startswith("#") and "#" not in whole


def _without(statement: ast.stmt, source: Source) -> Edit:
    """The lines of a statement taken out, with the empty one after it where nothing is before."""
    first, last = statement.lineno, statement.end_lineno or statement.lineno
    empty_before = first == 1 or not source.lines.line(first - 1).strip()
    if empty_before and last < source.lines.count and not source.lines.line(last + 1).strip():
        last += 1
    return removed(source, first, last)
