"""What a helper builds or a caller brings may be something else another time: then no expression surely names a layer."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator

from initlint.fix.containers import choices_of, find_element, follow
from initlint.fix.naming import Function, function_around, returns_of
from initlint.fix.place import Place
from initlint.fix.spelling import Source
from initlint.model import Layer
from initlint.syntax import last_name

_COMPUTING = re.compile(r"torch\.nn\.utils\.(?:parametri|weight_norm)")


def may_be_other(layer: Layer, place: Place, sources: Callable[[str], Source | None]) -> bool:
    """Whether what is named at a place was built elsewhere, by a function that may build something else instead."""
    if _is_brought(layer, place):
        return True
    element = find_element(place.value, place.access.trail, place.source)
    source = sources(layer.site.file)
    if element is None or source is None or place.source.contains(element, layer.site):
        return False
    built = source.call_at(layer.site)
    function = function_around(layer, source)
    if built is None or function is None:
        return False
    outcomes = list(choices_of(element, place.function)) if isinstance(element, ast.Name) else list(_returned(function))
    return not outcomes or not all(
        _is_given(one, built) or (isinstance(one, ast.Call) and _callee(one) == _callee(built)) for one in outcomes
    )


def may_be_computed(layer: Layer, place: Place) -> bool:
    """Whether a function that the layer of a place is given to may have its weight computed before each pass.

    What an initializer writes there is lost: ``return spectral_norm(layer) if wrapped else layer``.
    """
    source = place.source
    element = find_element(place.value, place.access.trail, source)
    if not isinstance(element, ast.Call) or not source.contains(element, layer.site):
        return False
    named = [one for one in source.every(ast.FunctionDef) if one.name == last_name(element.func)]
    outcomes = _returned(named[0]) if len(named) == 1 else ()
    return any(isinstance(one, ast.Call) and _COMPUTING.match(source.dotted(one.func)) for one in outcomes)


def _is_brought(layer: Layer, place: Place) -> bool:
    """Whether a caller brings the layer, or what holds it, as an argument."""
    function = place.function
    if function is None or place.source.contains(function, layer.site):
        return False
    arguments = {one.arg for one in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)}
    value, _ = follow(place.value, place.access.trail, place.source)
    while isinstance(value, ast.Attribute | ast.Subscript):
        value = value.value
    return isinstance(value, ast.Name) and value.id != "self" and value.id in arguments


def _is_given(value: ast.expr, built: ast.Call) -> bool:
    """Whether a value is what a call builds, or made of it by other calls: ``spectral_norm(nn.Linear(8, 8))``."""
    if value is built:
        return True
    match value:
        case ast.Call(args=arguments, keywords=keywords):
            parts = [*arguments, *(keyword.value for keyword in keywords)]
        case ast.List(elts=parts) | ast.Tuple(elts=parts):
            pass
        case ast.Starred(value=inner):
            parts = [inner]
        case _:
            return False
    return any(_is_given(part, built) for part in parts)


def _returned(function: Function) -> Iterator[ast.expr]:
    """Every expression that a function may return the value of."""
    for statement in returns_of(function):
        yield from choices_of(statement.value or ast.Constant(None), function)


def _callee(call: ast.Call) -> str:
    return ast.unparse(call.func)
