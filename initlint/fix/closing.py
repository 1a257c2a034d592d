"""What a constructor does last, when all is built: it moves the model to its device, and says that it is done."""

from __future__ import annotations

import ast
import re

from initlint.syntax import last_name

_MOVES = frozenset({"to", "cuda", "cpu", "double", "float", "half"})
_LEVELS = frozenset({"debug", "info", "warning", "warn", "error", "log"})
_LOG = re.compile(r"(?:^|_)(?:log|logger|logging)$", re.IGNORECASE)
_PRINTS = re.compile(r"print(?:_\w+)?|rank_zero_(?:info|debug|warn)|log_info")


def closes(statement: ast.stmt) -> bool:
    """Whether a statement builds and changes no layer, and is written behind all that does."""
    return _moves(statement) or _reports(statement)


def _moves(statement: ast.stmt) -> bool:
    """Whether a statement moves the whole model: ``self.to(device)``."""
    match statement:
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id="self"), attr=name))):
            return name in _MOVES
        case _:
            return False


def _reports(statement: ast.stmt) -> bool:
    """Whether a statement only tells people something: ``logger.info(...)``, ``print(...)``, or either under a condition."""
    match statement:
        case ast.If(body=body, orelse=[]):
            return all(map(_reports, body))
        case ast.Expr(value=ast.Call(func=ast.Name(id=name))):
            return _PRINTS.fullmatch(name) is not None
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=holder, attr=level))):
            return level in _LEVELS and _LOG.search(last_name(holder)) is not None
        case _:
            return False
