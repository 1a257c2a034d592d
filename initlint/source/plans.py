"""What the body of a loop or of a function reads of the module that it is about, told from its syntax alone."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import TYPE_CHECKING

from initlint.source.repeats import UnrepeatableError
from initlint.syntax import last_name

if TYPE_CHECKING:
    from initlint.source.machine import Machine

Path = tuple[str, ...]
"""Attributes, one of the other: ``("bn", "weight")`` is ``m.bn.weight``."""

_PATIENCE = 4
_ASKING = frozenset({"isinstance", "hasattr", "getattr", "type"})
_OPAQUE = (
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
    ast.Lambda,
    ast.Yield,
    ast.YieldFrom,
    ast.Await,
    ast.Global,
    ast.Nonlocal,
    ast.Delete,
    ast.NamedExpr,
    ast.While,
    ast.Try,
    ast.Break,
    ast.Match,
)


class Plan:
    """What a body reads of its subject, by the paths of attributes, and the names that it binds.

    Of some paths it only asks whether they exist or are None: those are not `used`. Of others the sizes matter. `luck` is how
    often more it is worth to look whether a call can be repeated.
    """

    __slots__ = ("bound", "luck", "paths", "read", "sized", "used")

    def __init__(self, reader: _Reader) -> None:
        self.luck = _PATIENCE
        self.paths = tuple(sorted(reader.paths))
        self.used = frozenset(reader.used)
        self.sized = frozenset(reader.sized)
        self.bound = tuple(sorted(reader.bound))
        self.read = tuple(sorted(reader.read))


def plan_of(
    machine: Machine, node: ast.AST, body: Sequence[ast.stmt], subject: str, banned: frozenset[str] | None
) -> Plan | None:
    """How rounds of `body` may be repeated, None where they may not; `banned` names differ from round to round.

    The body of a function, whose names are its own, has none.
    """
    key = node, subject
    if key not in machine.repeats.plans:
        reader = _Reader(subject, banned)
        try:
            for statement in body:
                reader.visit(statement)
            machine.repeats.plans[key] = Plan(reader)
        except UnrepeatableError:
            machine.repeats.plans[key] = None
    return machine.repeats.plans[key]


class _Reader:
    """Walks a body in the order of its evaluation and collects what a `Plan` says."""

    def __init__(self, subject: str, banned: frozenset[str] | None) -> None:
        self._subject = subject
        self._lasting = banned is not None
        self._banned = banned or frozenset()
        self.read: set[str] = set()
        self.paths: set[Path] = set()
        self.used: set[Path] = set()
        self.sized: set[Path] = set()
        self.bound: set[str] = set()

    def visit(self, node: ast.AST) -> None:
        """Take in one statement or expression; raises `UnrepeatableError` for what cannot be repeated."""
        match node:
            case ast.Name():
                self._name(node)
            case ast.Attribute():
                self._attribute(node)
            case ast.Call():
                self._call(node)
            case ast.Compare():
                self._compare(node)
            case ast.Assign() | ast.AnnAssign():
                self._assign(node)
            case ast.For():
                self._parts_of(node.iter, node.target, *node.body, *node.orelse)
            case ast.AugAssign() if not self._lasting:
                self._parts_of(node.value, node.target)
            case ast.AugAssign():
                raise UnrepeatableError
            case _ if isinstance(node, _OPAQUE):
                raise UnrepeatableError
            case _:
                self._parts_of(*ast.iter_child_nodes(node))

    def _parts_of(self, *nodes: ast.AST) -> None:
        for node in nodes:
            self.visit(node)

    def _name(self, node: ast.Name) -> None:
        name = node.id
        if name == self._subject or name in self._banned:
            raise UnrepeatableError
        if isinstance(node.ctx, ast.Load):
            self.read.add(name)
        elif self._lasting and name in self.read and name not in self.bound:
            raise UnrepeatableError  # what one round leaves there, the next one reads
        else:
            self.bound.add(name)

    def _attribute(self, node: ast.Attribute) -> None:
        path = self._path(node)
        if path is None:
            self.visit(node.value)
        elif isinstance(node.ctx, ast.Load):
            self._add(path, sized=True)
        else:
            raise UnrepeatableError

    def _path(self, node: ast.expr) -> Path | None:
        """The attributes of the subject that `node` goes along."""
        names: list[str] = []
        while isinstance(node, ast.Attribute):
            names.append(node.attr)
            node = node.value
        return tuple(reversed(names)) if names and isinstance(node, ast.Name) and node.id == self._subject else None

    def _add(self, path: Path, *, sized: bool) -> None:
        self.paths.add(path)
        self.used.add(path)
        if sized:
            self.sized.add(path)

    def _call(self, node: ast.Call) -> None:
        function = node.func
        given: list[ast.expr] = list(node.args)
        if isinstance(function, ast.Name) and function.id in _ASKING and given and self._is_subject(given[0]):
            self._asked(function.id, given)
            given = given[1:]
        else:
            method = self._path(function)
            if method is None:
                self.visit(function)
            else:
                self._add(method, sized=not method[-1].endswith("_"))
            target = self._path(given[0]) if given and _fills(function) else None
            if target is not None:
                self._add(target, sized=False)
                given = given[1:]
        self._parts_of(*given, *(keyword.value for keyword in node.keywords))

    def _is_subject(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Name) and node.id == self._subject

    def _asked(self, function: str, given: list[ast.expr]) -> None:
        if function in ("hasattr", "getattr"):
            name = given[1].value if len(given) > 1 and isinstance(given[1], ast.Constant) else None
            if not isinstance(name, str):
                raise UnrepeatableError
            self.paths.add((name,))
            if function == "getattr":
                self._add((name,), sized=True)

    def _compare(self, node: ast.Compare) -> None:
        path = self._path(node.left)
        if path is not None and _is_none_test(node):
            self.paths.add(path)
        else:
            self._parts_of(*ast.iter_child_nodes(node))

    def _assign(self, node: ast.Assign | ast.AnnAssign) -> None:
        targets = node.targets if isinstance(node, ast.Assign) else (node.target,)
        self._parts_of(*(() if node.value is None else (node.value,)), *targets)


def _is_none_test(node: ast.Compare) -> bool:
    """``x is None``, ``x is not None``."""
    (operator, *others), right = node.ops, node.comparators[0]
    return (
        isinstance(operator, (ast.Is, ast.IsNot))
        and not others
        and isinstance(right, ast.Constant)
        and right.value is None
    )


def _fills(function: ast.expr) -> bool:
    """Whether by its name it is an initializer: ``init.normal_`` asks no more of its tensor than how many dimensions it has."""
    return last_name(function).endswith("_")
