"""What a container holds, as far as the code that fills it shows: exact elements, only layers of a kind, a last one."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from initlint.fix.spelling import Source
from initlint.model import Layer

if TYPE_CHECKING:
    from initlint.fix.place import Place

_SEQUENCES = frozenset({"Sequential", "ModuleList"})
_CONTAINERS = _SEQUENCES | {"ModuleDict"}
_GROWING = frozenset({"append", "extend", "insert", "add_module", "register_module", "update", "__setitem__"})


def is_exact(value: ast.expr, trail: tuple[str | int, ...], source: Source) -> bool:
    """Whether a trail names the same module however the code that built `value` is parametrized."""
    for step in trail:
        element = _element(value, step, source)
        if element is None:
            return False
        value = element
    return not isinstance(value, ast.IfExp | ast.BoolOp)


def is_container(value: ast.expr) -> bool:
    """Whether an expression builds one of torch's containers."""
    return isinstance(value, ast.Call) and _callee(value) in _CONTAINERS


def is_keyed(value: ast.expr) -> bool:
    """Whether iterating over a container yields keys."""
    return isinstance(value, ast.Call) and _callee(value) == "ModuleDict"


def count_layers(value: ast.expr, kinds: tuple[str, ...], source: Source) -> int | None:
    """How many layers of some kinds a container that is written out holds; None if it is not."""
    if not isinstance(value, ast.Call) or _callee(value) not in _CONTAINERS:
        return None
    elements = [element for _, element in _named(value)] or _positional(value)
    calls = [element for element in elements if isinstance(element, ast.Call)]
    if len(calls) != len(elements) or any(_returned(call, source) is not None for call in calls):
        return None
    return sum(_callee(node) in kinds for call in calls for node in ast.walk(call) if isinstance(node, ast.Call))


def holds_only(place: Place, kinds: tuple[str, ...]) -> bool:
    """Whether every element of a list of modules is written as a call of one of some kinds."""
    value = place.value
    if isinstance(value, ast.Call):
        if _callee(value) == "ModuleDict":
            value = ast.List(elts=[element for _, element in _named(value)])
        elif _callee(value) == "ModuleList":
            value = value.args[0] if value.args else ast.List(elts=[])
    elements = _written(value)
    if elements is None:
        return False
    scope = place.definition or place.function or place.source.tree
    elements += [element for _, element in _growths(place.access.root_text, ast.walk(scope)) if element is not None]
    choices = [one for element in elements for one in _choices(element)]
    return bool(choices) and all(isinstance(one, ast.Call) and _callee(one) in kinds for one in choices)


def is_last(place: Place, layer: Layer) -> bool:
    """Whether a layer is written as the last element of a container."""
    scope = place.source.tree if place.function is None else place.function
    last = _last_growth(place.access.root_text, scope.body, _last(place.value, scope.body))
    return isinstance(last, ast.Call) and place.source.contains(last, layer.site)


def _element(value: ast.expr, step: str | int, source: Source) -> ast.expr | None:
    """The expression behind one step into a container that is written out, None where it is not."""
    if not isinstance(value, ast.Call):
        return None
    if _callee(value) not in _CONTAINERS | {"__init__"}:
        returned = _returned(value, source)
        return None if returned is None else _element(returned, step, source)
    named = dict(_named(value))
    if named:
        return named.get(step) if isinstance(step, str) else dict(enumerate(named.values())).get(step)
    position = int(step) if isinstance(step, str) and step.isdecimal() else step
    elements = _positional(value)
    if isinstance(position, str) or not 0 <= position < len(elements):
        return None
    if any(isinstance(one, ast.Starred) for one in elements[: position + 1]):
        return None
    return elements[position]


def _positional(call: ast.Call) -> list[ast.expr]:
    match call.args:
        case [ast.List(elts=elements) | ast.Tuple(elts=elements)]:
            return elements
        case _:
            return call.args


def _named(call: ast.Call) -> Iterator[tuple[str, ast.expr]]:
    """The names and modules of a ModuleDict or of a Sequential built from an OrderedDict."""
    match call.args:
        case [ast.Dict(keys=keys, values=values)]:
            for key, value in zip(keys, values, strict=True):
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    yield key.value, value
        case [ast.Call(args=[ast.List(elts=pairs)]) as inner] if _callee(inner) == "OrderedDict":
            for pair in pairs:
                match pair:
                    case ast.Tuple(elts=[ast.Constant(value=str(name)), value]):
                        yield name, value
                    case _:
                        return
        case _:
            return


def _returned(call: ast.Call, source: Source) -> ast.expr | None:
    """What a function of this file returns, if its only return writes a container out."""
    name = _callee(call)
    found = [node for node in ast.walk(source.tree) if isinstance(node, ast.FunctionDef) and node.name == name]
    if len(found) != 1:
        return None
    returns = [node for node in ast.walk(found[0]) if isinstance(node, ast.Return)]
    value = returns[0].value if len(returns) == 1 else None
    return value if isinstance(value, ast.Call) and _callee(value) in _CONTAINERS else None


def _callee(call: ast.Call) -> str:
    match call.func:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
        case _:
            return ""


def _written(value: ast.expr) -> list[ast.expr] | None:
    """The element expressions of a list that is written as lists, comprehensions and sums of them."""
    match value:
        case ast.List(elts=elements) | ast.Tuple(elts=elements):
            parts = [_written(one.value) if isinstance(one, ast.Starred) else [one] for one in elements]
        case ast.ListComp(elt=element) | ast.GeneratorExp(elt=element):
            return [element]
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            parts = [_written(left), _written(right)]
        case _:
            return None
    known = [part for part in parts if part is not None]
    return [one for part in known for one in part] if len(known) == len(parts) else None


def _choices(element: ast.expr) -> Iterator[ast.expr]:
    if isinstance(element, ast.IfExp):
        yield from _choices(element.body)
        yield from _choices(element.orelse)
    else:
        yield element


def _growths(name: str, nodes: Iterable[ast.AST]) -> Iterator[tuple[ast.AST, ast.expr | None]]:
    """The calls and assignments that add to a list or container, with what they add last."""
    for node in nodes:
        match node:
            case ast.Call(func=ast.Attribute(value=holder, attr=method), args=[*_, added]) if (
                method in _GROWING and ast.unparse(holder) == name
            ):
                yield node, None if method == "insert" else added
            case ast.AugAssign(target=target, value=added) if ast.unparse(target) == name:
                yield node, added
            case ast.Assign(targets=[target], value=ast.BinOp(left=left, op=ast.Add(), right=added)) if (
                ast.unparse(target) == name == ast.unparse(left)
            ):
                yield node, added
            case _:
                pass


def _last_growth(name: str, body: Iterable[ast.stmt], last: ast.expr | None) -> ast.expr | None:
    """The last element after all growth in a block; None where growth in a loop or branch leaves it open."""
    for statement in body:
        for node, added in _growths(name, ast.walk(statement)):
            direct = node is statement or (isinstance(statement, ast.Expr) and node is statement.value)
            inserted = isinstance(node, ast.Call) and added is None
            if not inserted:
                last = _last(added, ()) if direct and added is not None else None
    return last


def _last(value: ast.expr, body: Iterable[ast.stmt]) -> ast.expr | None:
    """The last element expression of a container or list, followed through a local list that grows in `body`."""
    match value:
        case ast.Starred(value=inner):
            return _last(inner, body)
        case ast.Call(args=[*_, final]) if _callee(value) in _SEQUENCES | {"__init__"}:
            return _last(final, body)
        case ast.List(elts=[*_, final]) | ast.Tuple(elts=[*_, final]):
            return _last(final, body)
        case ast.BinOp(op=ast.Add(), right=right):
            return _last(right, body)
        case ast.Name(id=name):
            return _last_growth(name, body, None)
        case ast.Call():
            return value
        case _:
            return None
