"""The calls that a program makes, by the last part of the name of what is called, each with the code around it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from initlint.source.sites import site_of
from initlint.source.values import Place
from initlint.syntax import last_name

if TYPE_CHECKING:
    from initlint.model import Site
    from initlint.source.project import Project, SourceFile

Function = ast.FunctionDef | ast.AsyncFunctionDef
Guard = tuple[ast.If | ast.IfExp, bool]
"""A branch, and whether it is the one that is taken where the test holds."""


@dataclass(frozen=True, slots=True)
class ProgramCall:
    """A call, the function that it stands in, the branches around it, and the class around all that."""

    node: ast.Call
    site: Site | None
    function: Function | None
    guards: tuple[Guard, ...]
    owner: str


class ProgramCalls:
    """The calls of a program; of a file that is asked for they are gathered once."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._of: dict[SourceFile, list[ProgramCall]] = {}

    def to(self, name: str) -> Iterator[ProgramCall]:
        """The calls of whatever has that name, all over the program."""
        for file, text in self._project.contents():
            if name.encode() in text:
                yield from (call for call in self.inside(file) if last_name(call.node.func) == name)

    def inside(self, file: SourceFile) -> list[ProgramCall]:
        """The calls in one file."""
        known = self._of.get(file)
        if known is None:
            known = self._of[file] = list(_calls(file))
        return known


def parameters(function: Function) -> frozenset[str]:
    """The names that a function has for what it is given."""
    given = function.args
    return frozenset(each.arg for each in (*given.posonlyargs, *given.args, *given.kwonlyargs))


def _calls(file: SourceFile) -> Iterator[ProgramCall]:
    pending: list[tuple[ast.AST, Function | None, tuple[Guard, ...], str]] = []
    if file.tree is not None:
        pending.append((file.tree, None, (), ""))
    while pending:
        node, function, guards, owner = pending.pop()
        guarded: dict[ast.AST, tuple[Guard, ...]] = {}
        match node:
            case ast.Call():
                yield ProgramCall(node, site_of(Place(file, node)), function, guards, owner)
            case ast.ClassDef(name=owner):
                pass
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                function, guards = node, ()
            case ast.If():
                guarded |= dict.fromkeys(node.body, (*guards, (node, True)))
                guarded |= dict.fromkeys(node.orelse, (*guards, (node, False)))
            case ast.IfExp():
                guarded |= {node.body: (*guards, (node, True)), node.orelse: (*guards, (node, False))}
            case _:
                pass
        pending += [(each, function, guarded.get(each, guards), owner) for each in ast.iter_child_nodes(node)]
