"""What is called by a name that is text: ``eval(name)()``, ``globals()[name]()``, ``getattr(module, name)()``."""

from __future__ import annotations

import ast

from initlint.source.imports import module_scope
from initlint.source.machine import Frame, Machine
from initlint.source.patterns import Pattern
from initlint.source.symbols import UNKNOWN
from initlint.source.values import ClassV, FunctionV, ModuleRef, Scope, choice

_MOST_MODULES = 8


def looked_up(machine: Machine, called: ast.expr, frame: Frame) -> object:
    """Any module that the name may mean; UNKNOWN where these are too many, or nothing is looked up by name here."""
    match called:
        case (
            ast.Call(func=ast.Name(id="eval"), args=[given])
            | ast.Subscript(value=ast.Call(func=ast.Name(id="globals"), args=[]), slice=given)
        ):
            scope = _outermost(frame.scope)
        case ast.Call(func=ast.Name(id="getattr"), args=[ast.Name() as holder, given]):
            module = machine.evaluate(holder, frame)
            if not isinstance(module, ModuleRef):
                return UNKNOWN
            scope = module_scope(machine, module.file)
        case _:
            return UNKNOWN
    name = machine.evaluate(given, frame) if isinstance(given, ast.Name | ast.Attribute | ast.JoinedStr) else UNKNOWN
    found = [
        value
        for key, value in scope.data.items()
        if _is_called_so(key, value, name) and not _is_in_the_making(machine, value)
    ]
    return choice(found, _MOST_MODULES) if found else UNKNOWN


def _outermost(scope: Scope) -> Scope:
    while scope.parent is not None:
        scope = scope.parent
    return scope


def _is_called_so(key: str, value: object, name: object) -> bool:
    """Whether a name that is known in part may be this function or class; of a name that is not known, whether this is a module."""
    if isinstance(name, Pattern):
        return name.may_be(key) and isinstance(value, (ClassV, FunctionV))
    return isinstance(value, ClassV) and isinstance(value.lookup("forward"), FunctionV)


def _is_in_the_making(machine: Machine, value: object) -> bool:
    """Whether an object of this class is being built: the whole is none of its parts."""
    constructor = value.lookup("__init__") if isinstance(value, ClassV) else None
    return isinstance(constructor, FunctionV) and constructor.node in machine.active


def evaluated(machine: Machine, text: object, node: ast.AST, frame: Frame) -> object:
    """``eval("nn.ReLU")``: what a name means, with or without a dot, or the number or text that is written there."""
    try:
        body = ast.parse(text, mode="eval").body if isinstance(text, str) else None
    except (SyntaxError, ValueError):
        return UNKNOWN
    if not isinstance(body, ast.Name | ast.Attribute | ast.Constant):
        return UNKNOWN
    for each in ast.walk(body):
        ast.copy_location(each, node)
    return machine.evaluate(body, frame)
