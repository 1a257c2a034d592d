"""An author who says in words how a layer is initialized means it, and a rewritten call would leave false words behind."""

from __future__ import annotations

import ast
import re

from initlint.fix.lines import bare, own_comments
from initlint.fix.spelling import Source
from initlint.syntax import nodes_of

_SCHEMES = {
    "xavier": re.compile(r"xavier|glorot", re.IGNORECASE),
    "kaiming": re.compile(r"kaiming|msra|\bHe(?:[ -]et\b|[ -]?(?:[Ii]nit|[Nn]ormal|[Uu]niform))"),
    "lecun": re.compile(r"lecun", re.IGNORECASE),
}


def is_explained(call: ast.Call, source: Source, function: str) -> bool:
    """Whether a comment at a call, or the docstring around it, names another scheme than that of the new function."""
    return _names_another(_words(call, source), function)


def is_documented(around: ast.FunctionDef | ast.AsyncFunctionDef, function: str) -> bool:
    """Whether the docstring of an init method names another scheme than that of a function that is to be called there."""
    return _names_another(ast.get_docstring(around) or "", function)


def _names_another(words: str, function: str) -> bool:
    return any(pattern.search(words) for scheme, pattern in _SCHEMES.items() if not function.startswith(scheme))


def _words(call: ast.Call, source: Source) -> str:
    """The docstring of the function around a call, and the comments above and behind its statement."""
    around = source.function_around(call)
    documentation = "" if around is None else ast.get_docstring(around) or ""
    scope = source.tree if around is None else around
    statement = next(
        (one for one in nodes_of(scope) if isinstance(one, ast.Expr | ast.Assign) and one.value is call), None
    )
    if statement is None:
        return documentation
    first, (last, column) = statement.lineno, source.end(statement)
    above = [bare(source, line) for line in range(own_comments(source, statement), first)]
    return "\n".join([documentation, *above, bare(source, last)[column - 1 :]])
