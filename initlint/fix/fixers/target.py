"""The target of an initializer is the tensor that it writes: its first argument, or what stands in front of the method."""

from __future__ import annotations

import ast

from initlint.fix.spelling import Source

_KEYWORDS = ("tensor", "input")


def method_receiver(source: Source, call: ast.Call) -> ast.expr | None:
    """What a method such as ``m.weight.data.normal_`` is called on; None for a function of a module or library."""
    if not isinstance(call.func, ast.Attribute):
        return None
    inner = call.func.value
    while isinstance(inner, ast.Attribute):
        inner = inner.value
    is_module = isinstance(inner, ast.Name) and inner.id in source.imports
    return None if is_module else call.func.value


def target_of(source: Source, node: ast.AST) -> ast.expr | None:
    """The tensor that a call, or an attribute such as ``m.bias.data`` or ``m.bias.mul_``, writes to."""
    if isinstance(node, ast.Attribute):
        return bare_tensor(node.value)
    if not isinstance(node, ast.Call):
        return None
    receiver = method_receiver(source, node)
    if receiver is not None and not isinstance(receiver, ast.Name):
        return bare_tensor(receiver)
    if node.args:
        return bare_tensor(node.args[0])
    named = next((each.value for each in node.keywords if each.arg in _KEYWORDS), receiver)
    return None if named is None else bare_tensor(named)


def bare_tensor(node: ast.expr) -> ast.expr:
    """A tensor without ``.data`` and ``.detach()`` behind it."""
    match node:
        case ast.Attribute(value=inner, attr="data"):
            return bare_tensor(inner)
        case ast.Call(func=ast.Attribute(value=inner, attr="detach"), args=[], keywords=[]):
            return bare_tensor(inner)
        case _:
            return node
