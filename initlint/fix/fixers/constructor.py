"""The `__init__` of a class, statement by statement: what is built there, and what is initialized."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from initlint.fix.spot import Spot
from initlint.syntax import nodes_of

_WRITES = frozenset({"data", "weight", "bias"})
_INITIALIZING = re.compile(r"init|reset|load|pretrain|^apply$|^named_apply$")
_SUPER = "__init__"


@dataclass(frozen=True, slots=True)
class Constructor:
    """One `__init__` and the class that it belongs to."""

    definition: ast.ClassDef
    node: ast.FunctionDef

    @classmethod
    def around(cls, spot: Spot) -> Constructor | None:
        """The constructor that a node stands in, None where it stands anywhere else."""
        function, definition = spot.function, spot.definition
        is_method = isinstance(function, ast.FunctionDef) and definition is not None and function in definition.body
        if not is_method or definition is None or not isinstance(function, ast.FunctionDef):
            return None
        return cls(definition, function) if function.name == "__init__" else None

    @classmethod
    def of(cls, definition: ast.ClassDef) -> Constructor | None:
        """The only constructor of a class, None where it has none of its own."""
        found = [node for node in definition.body if isinstance(node, ast.FunctionDef) and node.name == "__init__"]
        return cls(definition, found[0]) if len(found) == 1 else None

    @property
    def body(self) -> list[ast.stmt]:
        """Its statements."""
        return self.node.body

    @property
    def returns(self) -> bool:
        """Whether it may end before its last statement."""
        return any(isinstance(node, ast.Return) for each in self.body for node in _own(each))

    def holds_what_it_is_given(self, statements: Iterable[ast.stmt]) -> bool:
        """Whether some statements keep an argument as an attribute that the class calls, as it would a module."""
        arguments = self.node.args
        given = {one.arg for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}
        called = {ast.unparse(node.func) for node in nodes_of(self.definition) if isinstance(node, ast.Call)}
        for statement in statements:
            match statement:
                case ast.Assign(targets=targets, value=ast.Name(id=name)) if name in given:
                    if not called.isdisjoint(map(ast.unparse, targets)):
                        return True
                case ast.AnnAssign(target=target, value=ast.Name(id=name)) if name in given:
                    if ast.unparse(target) in called:
                        return True
                case _:
                    pass
        return False


def initializes(statement: ast.stmt) -> bool:
    """Whether a statement may write a weight: by its looks, so that what looks like it counts."""
    for node in nodes_of(statement):
        match node:
            case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name)):
                in_place = name.endswith("_") and not name.endswith("__")
                if in_place or (name != _SUPER and _INITIALIZING.search(name)):
                    return True
            case ast.Assign(targets=[ast.Attribute(attr=name)]) | ast.AugAssign(target=ast.Attribute(attr=name)):
                if name in _WRITES:
                    return True
            case _:
                pass
    return False


def names(*statements: ast.stmt, context: type[ast.expr_context] = ast.Load) -> frozenset[str]:
    """The variables that some statements read or assign."""
    return frozenset(
        node.id
        for each in statements
        for node in nodes_of(each)
        if isinstance(node, ast.Name) and isinstance(node.ctx, context)
    )


def attributes(*statements: ast.stmt, context: type[ast.expr_context] = ast.Load) -> frozenset[str]:
    """The attributes of `self` that some statements read or assign."""
    return frozenset(
        node.attr
        for each in statements
        for node in nodes_of(each)
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, context)
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
    )


def _own(node: ast.AST) -> Iterator[ast.AST]:
    """A node and what is inside it, functions and classes of its own left out."""
    yield node
    for inner in ast.iter_child_nodes(node):
        if not isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            yield from _own(inner)
