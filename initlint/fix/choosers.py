"""Where an argument brings the activation, no initializer is surely right: who builds the model chooses."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator

from initlint.fix.naming import Function

_ACTIVATION_NAME = re.compile(r"(?:^|_)(?:act|activ\w*|non_?lin\w*)(?:$|_)")


def is_chosen(builder: Function, scope: ast.AST, activation: str, rivals: Iterable[str]) -> bool:
    """Whether only a default of what `builder` is called with, or a caller, has named an activation in a scope.

    Or it is chosen among some by their names, and one of those is a rival: it asks for another initializer.
    """
    if not any(_ACTIVATION_NAME.search(name) for name in _given(builder)):
        return False
    defaults = {id(one) for default in _defaults(scope) for one in ast.walk(default)}
    names = {_name(node) for node in ast.walk(scope) if id(node) not in defaults}
    words = {_name(word) for word in _choices(scope)}
    return activation.replace("_", "") not in names or any(rival.replace("_", "") in words for rival in rivals)


def _given(builder: Function) -> Iterator[str]:
    """The names of what a function is called with: its arguments, and the attributes that it reads of those."""
    arguments = {one.arg for one in (*builder.args.posonlyargs, *builder.args.args, *builder.args.kwonlyargs)}
    yield from arguments
    for node in ast.walk(builder):
        match node:
            case ast.Attribute(value=ast.Name(id=name), attr=attribute) if name in arguments and name != "self":
                yield attribute
            case _:
                pass


def _choices(scope: ast.AST) -> Iterator[ast.AST]:
    """What values are compared with or looked up by: the words that choose among several ways."""
    for node in ast.walk(scope):
        match node:
            case ast.Compare(left=left, comparators=others):
                for operand in (left, *others):
                    yield from ast.walk(operand)
            case ast.Dict(keys=keys):
                yield from (key for key in keys if key is not None)
            case ast.MatchValue(value=value):
                yield value
            case _:
                pass


def _defaults(scope: ast.AST) -> Iterator[ast.expr]:
    """The default values of all arguments."""
    for node in ast.walk(scope):
        if isinstance(node, ast.arguments):
            yield from node.defaults
            yield from (default for default in node.kw_defaults if default is not None)


def _name(node: ast.AST) -> str:
    """What a node calls by name, in lower case and without underscores: ``F.leaky_relu`` and ``nn.LeakyReLU`` are one."""
    match node:
        case ast.Attribute(attr=name) | ast.Name(id=name) | ast.Constant(value=str(name)):
            return name.lower().replace("_", "")
        case _:
            return ""
