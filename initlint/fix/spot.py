"""A spot is one node of a file together with everything around it, innermost first."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from initlint.fix.spelling import Source
from initlint.model import Site

Function = ast.FunctionDef | ast.AsyncFunctionDef

_BLOCKS = ("body", "orelse", "finalbody")


@dataclass(frozen=True, slots=True)
class Spot:
    """A node and its ancestors; `around` ends with the module."""

    source: Source
    node: ast.expr | ast.stmt
    around: tuple[ast.AST, ...]

    @property
    def statement(self) -> ast.stmt:
        """The innermost statement that the node is or belongs to."""
        return next(node for node in (self.node, *self.around) if isinstance(node, ast.stmt))

    @property
    def outside(self) -> tuple[ast.AST, ...]:
        """What is around that statement, innermost first."""
        if self.statement is self.node:
            return self.around
        return self.around[self.around.index(self.statement) + 1 :]

    @property
    def parent(self) -> ast.AST:
        """What holds the block of that statement."""
        return self.outside[0]

    @property
    def block(self) -> list[ast.stmt]:
        """The statements among which that statement stands."""
        return block_of(self.statement, self.parent)

    @property
    def function(self) -> Function | None:
        """The innermost function around the node."""
        return next((node for node in self.around if isinstance(node, Function)), None)

    @property
    def definition(self) -> ast.ClassDef | None:
        """The class whose method the node stands in, None in a function of its own."""
        return next((node for node in self.around if isinstance(node, ast.ClassDef)), None)


def find_spot(source: Source, site: Site) -> Spot | None:
    """The node that starts and ends where `site` does, the innermost of several; None where there is none.

    A site may also be the header of a function or class.
    """
    start, end = (site.line, site.column), (site.end_line, site.end_column)
    found: Spot | None = None
    for node, around in _around(source.tree, source, start):
        is_header = isinstance(node, Function | ast.ClassDef) and end <= source.start(node.body[0])
        if source.start(node) == start and (is_header or source.end(node) == end):
            found = Spot(source, node, around)
    return found


def spot_of(source: Source, node: ast.expr | ast.stmt) -> Spot:
    """A node of the file's own tree with what is around it."""
    for each, around in _around(source.tree, source, source.start(node)):
        if each is node:
            return Spot(source, node, around)
    raise AssertionError("the node belongs to the file")


def block_of(statement: ast.stmt, parent: ast.AST) -> list[ast.stmt]:
    """The list of statements of `parent` that holds `statement`."""
    blocks = (getattr(parent, name, None) for name in _BLOCKS)
    return next(block for block in blocks if isinstance(block, list) and statement in block)


def _around(
    tree: ast.Module, source: Source, position: tuple[int, int]
) -> Iterator[tuple[ast.expr | ast.stmt, tuple[ast.AST, ...]]]:
    """Every expression and statement that a position lies in, outer before inner, with its ancestors."""
    pending: list[tuple[ast.AST, tuple[ast.AST, ...]]] = [(tree, ())]
    while pending:
        node, around = pending.pop()
        if isinstance(node, ast.expr | ast.stmt):
            if not _reaches(node, source, position):
                continue
            yield node, around
        pending += [(inner, (node, *around)) for inner in ast.iter_child_nodes(node)]


def _reaches(node: ast.expr | ast.stmt, source: Source, position: tuple[int, int]) -> bool:
    if not node.lineno <= position[0] <= (node.end_lineno or node.lineno):
        return bool(getattr(node, "decorator_list", None))
    return source.start(node) <= position < source.end(node)
