"""What the call that builds a container writes out: its elements one after the other, or under their names."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from initlint.syntax import last_name


def listed_elements(call: ast.Call) -> list[ast.expr]:
    """The elements of a container by position; what a ModuleList is made of is unpacked."""
    match call.args:
        case [ast.List(elts=elements) | ast.Tuple(elts=elements)]:
            return elements
        case [ast.expr() as listed] if last_name(call.func) == "ModuleList":
            return [ast.copy_location(ast.Starred(value=listed), listed)]
        case _:
            return [one for argument in call.args for one in _unpacked(argument)]


def _unpacked(argument: ast.expr) -> list[ast.expr]:
    """What one argument passes: the elements of a list that is written out and unpacked, or itself."""
    match argument:
        case ast.Starred(value=ast.List(elts=elements) | ast.Tuple(elts=elements)):
            return elements
        case _:
            return [argument]


def named_elements(call: ast.Call) -> Iterator[tuple[str, ast.expr]]:
    """The names and modules of a ModuleDict or of a Sequential built from an OrderedDict."""
    match call.args:
        case [ast.Dict(keys=keys, values=values)]:
            for key, value in zip(keys, values, strict=True):
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    yield key.value, value
        case [ast.Call(args=[ast.List(elts=pairs)]) as inner] if last_name(inner.func) == "OrderedDict":
            for pair in pairs:
                match pair:
                    case ast.Tuple(elts=[ast.Constant(value=str(name)), value]):
                        yield name, value
                    case _:
                        return
        case _:
            return


def values_as_list(call: ast.Call) -> ast.expr:
    """What a ModuleDict holds as a list: written out, or made by a comprehension."""
    match call.args:
        case [ast.DictComp(value=element, generators=generators)]:
            return ast.ListComp(elt=element, generators=generators)
        case _:
            return ast.List(elts=[element for _, element in named_elements(call)])


def written_elements(value: ast.expr) -> list[ast.expr] | None:
    """The element expressions of a list that is written as lists, comprehensions and sums of them."""
    match value:
        case ast.List(elts=elements) | ast.Tuple(elts=elements):
            parts = [written_elements(one.value) if isinstance(one, ast.Starred) else [one] for one in elements]
        case ast.ListComp(elt=element) | ast.GeneratorExp(elt=element):
            return [element]
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            parts = [written_elements(left), written_elements(right)]
        case _:
            return None
    known = [part for part in parts if part is not None]
    return [one for part in known for one in part] if len(known) == len(parts) else None
