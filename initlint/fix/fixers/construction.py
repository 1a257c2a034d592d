"""Where a layer is built that has a name: the only assignment to it in the class or function around."""

from __future__ import annotations

import ast

from initlint.fix.spot import Spot
from initlint.syntax import nodes_of


def construction(spot: Spot, name: str) -> ast.Call | None:
    """The call that builds what is called `name`, None where it is built twice or otherwise."""
    scope = spot.definition or spot.function or spot.source.tree
    found = [
        node.value
        for node in nodes_of(scope)
        if isinstance(node, ast.Assign | ast.AnnAssign)
        and any(spot.source.snippet(each) == name for each in _targets(node))
    ]
    return found[0] if len(found) == 1 and isinstance(found[0], ast.Call) else None


def argument(call: ast.Call, name: str, position: int | None = None) -> ast.expr | None:
    """What a call gives for a parameter: by name, or at a position."""
    named = next((each.value for each in call.keywords if each.arg == name), None)
    if named is not None or position is None or len(call.args) <= position:
        return named
    return call.args[position]


def _targets(node: ast.Assign | ast.AnnAssign) -> list[ast.expr]:
    return node.targets if isinstance(node, ast.Assign) else [node.target]
