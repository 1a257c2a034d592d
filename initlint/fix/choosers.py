"""Where an argument brings the activation, no initializer is surely right: who builds the model chooses."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping

from initlint.fix.naming import Function
from initlint.fix.spelling import Source
from initlint.model import Site
from initlint.syntax import last_name, nodes_of

_ACTIVATION_NAME = re.compile(r"(?:^|_)(?:act|activ\w*|non_?lin\w*)(?:$|_)")


def is_chosen(builder: Function, scope: ast.AST, activation: str, known: Mapping[str, bool]) -> bool:
    """Whether only a default of what `builder` is called with, or a caller, has named an activation in a scope.

    Or it is chosen among some by their names, and one of those asks for another initializer, or nobody knows for which.
    `known` says of all activations whether they ask for the same one.
    """
    if not any(_ACTIVATION_NAME.search(name) for name in _given(builder)):
        return False
    defaults = {id(one) for default in _defaults(scope) for one in nodes_of(default)}
    names = {_name(node) for node in nodes_of(scope) if id(node) not in defaults}
    same = {_plain(name): agrees for name, agrees in known.items()}
    words = {_name(word) for word in _choices(scope)}
    return (
        _plain(activation) not in names
        or any(not same.get(word, True) for word in words)
        or any(word not in same for word in _words_of_activations(scope))
    )


def is_optional(builder: Function, scope: ast.AST, applied: str, source: Source, site: Site) -> bool:
    """Whether an argument of `builder` decides if the activation at a site runs after what is `applied` in any case."""
    arguments, inner = _arguments(builder), set(nodes_of(builder))
    given = {
        target.attr
        for node in inner
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Name) and node.value.id in arguments
        for target in node.targets
        if isinstance(target, ast.Attribute)
    }
    for node in nodes_of(scope):
        if not isinstance(node, ast.If | ast.IfExp):
            continue
        tested = {one.attr for one in nodes_of(node.test) if isinstance(one, ast.Attribute)}
        if node in inner:
            tested |= {one.id for one in nodes_of(node.test) if isinstance(one, ast.Name)} & arguments
            given |= tested & arguments
        branch = [*_listed(node.body), *_listed(node.orelse)]
        around = [one for one in branch if source.contains(one, site)]
        if around and tested & given and not any(applied in ast.unparse(one) for one in branch):
            return True
    return False


def _listed(part: ast.expr | list[ast.stmt]) -> list[ast.expr] | list[ast.stmt]:
    return part if isinstance(part, list) else [part]


def _plain(name: str) -> str:
    return name.lower().replace("_", "")


def _given(builder: Function) -> Iterator[str]:
    """The names of what a function is called with: its arguments, and the attributes that it reads of those."""
    arguments = _arguments(builder)
    yield from arguments
    for node in nodes_of(builder):
        match node:
            case ast.Attribute(value=ast.Name(id=name), attr=attribute) if name in arguments and name != "self":
                yield attribute
            case _:
                pass


def _arguments(builder: Function) -> frozenset[str]:
    arguments = (*builder.args.posonlyargs, *builder.args.args, *builder.args.kwonlyargs)
    return frozenset(one.arg for one in arguments)


def _choices(scope: ast.AST) -> Iterator[ast.AST]:
    """What values are compared with or looked up by: the words that choose among several ways."""
    for node in nodes_of(scope):
        match node:
            case ast.Compare(left=left, comparators=others):
                for operand in (left, *others):
                    yield from nodes_of(operand)
            case ast.Dict(keys=keys):
                yield from (key for key in keys if key is not None)
            case ast.MatchValue(value=value):
                yield value
            case _:
                pass


def _words_of_activations(scope: ast.AST) -> Iterator[str]:
    """The words that an activation's name is compared with."""
    for node in nodes_of(scope):
        if isinstance(node, ast.Compare):
            operands = (node.left, *node.comparators)
            if any(_ACTIVATION_NAME.search(last_name(operand)) for operand in operands):
                constants = (one for operand in operands for one in nodes_of(operand) if isinstance(one, ast.Constant))
                yield from (_name(one) for one in constants if isinstance(one.value, str))


def _defaults(scope: ast.AST) -> Iterator[ast.expr]:
    """The default values of all arguments, also those set in the body: ``if act is None: act = nn.ReLU()``."""
    for node in nodes_of(scope):
        match node:
            case ast.arguments():
                yield from node.defaults
                yield from (default for default in node.kw_defaults if default is not None)
            case ast.If(
                test=ast.Compare(left=ast.Name(id=tested), ops=[ast.Is()], comparators=[ast.Constant(value=None)]),
                body=[ast.Assign(targets=[ast.Name(id=name)], value=value)],
            ) if name == tested:
                yield value
            case ast.Assign(
                targets=[ast.Name(id=name)], value=ast.BoolOp(op=ast.Or(), values=[ast.Name(id=first), *rest])
            ) if name == first:
                yield from rest
            case _:
                pass


def _name(node: ast.AST) -> str:
    """What a node calls by name, in lower case and without underscores: ``F.leaky_relu`` and ``nn.LeakyReLU`` are one."""
    match node:
        case ast.Attribute(attr=name) | ast.Name(id=name) | ast.Constant(value=str(name)):
            return _plain(name)
        case _:
            return ""
