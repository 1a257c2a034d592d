"""What one method writes into a layer lasts only until another method of its class initializes the layer anew."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from initlint.fix.access import Access
from initlint.fix.naming import Function
from initlint.syntax import last_name, nodes_of

_ALL = frozenset({"self.modules()", "self.children()"})


def resetting_method(definition: ast.ClassDef, access: Access, writer: Function) -> str | None:
    """The name of a method that is called some other time than `writer` and initializes what an access leads to."""
    return _resetting(definition, [access.root_text], writer)


def resetting_method_of_local(definition: ast.ClassDef, access: Access, writer: Function) -> str | None:
    """The same for a variable of `writer`, which is reset under the name of what it was given to.

    ``for layer in self.conv.edge_network: layer.reset_parameters()`` is about `net` of ``self.conv = NNConv(net)``.
    """
    holders = [
        ast.unparse(target)
        for node in nodes_of(writer)
        if isinstance(node, ast.Assign) and any(_is_name(one, access.root_text) for one in nodes_of(node.value))
        for target in node.targets
        if isinstance(target, ast.Attribute)
    ]
    return _resetting(definition, holders, writer)


def _is_name(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _resetting(definition: ast.ClassDef, roots: list[str], writer: Function) -> str | None:
    methods = {one.name: one for one in definition.body if isinstance(one, ast.FunctionDef)}
    built = set(_reached("__init__", methods)) | {writer.name}
    others = [(name, method) for name, method in methods.items() if name not in built]
    return next((name for name, method in others if any(_resets(method, root) for root in roots)), None)


def _reached(name: str, methods: dict[str, ast.FunctionDef]) -> Iterator[str]:
    """The methods that run while another one does, itself among them."""
    seen: set[str] = set()
    waiting = [name]
    while waiting:
        found = waiting.pop()
        if found in seen or found not in methods:
            continue
        seen.add(found)
        yield found
        waiting += [
            node.attr
            for node in nodes_of(methods[found])
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self"
        ]


def _resets(method: ast.FunctionDef, root: str) -> bool:
    """Whether a method calls `reset_parameters` or an initializer on what a root holds, or that on all it loops over."""
    loops = [node.iter for node in nodes_of(method) if isinstance(node, ast.For)]
    is_loop = any(ast.unparse(one) in _ALL or _leads_to(one, root) for one in loops)
    for node in nodes_of(method):
        match node:
            case ast.Call(func=ast.Attribute(value=target, attr="reset_parameters")):
                if _leads_to(target, root) or (is_loop and isinstance(target, ast.Name) and target.id != "self"):
                    return True
            case ast.Call(func=function, args=[target, *_]) if last_name(function).endswith("_"):
                if _leads_to(target, root):
                    return True
            case _:
                pass
    return False


def _leads_to(node: ast.expr, root: str) -> bool:
    """Whether an expression names a root, or a part of it."""
    text = ast.unparse(node)
    return root != "self" and (text == root or text.startswith((f"{root}.", f"{root}[")))
