"""What a piece of syntax is called, and all that is in it."""

from __future__ import annotations

import ast
from collections.abc import Iterator


def last_name(node: ast.expr) -> str:
    """``kaiming_normal_`` of ``nn.init.kaiming_normal_``; empty for what is no name."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def decorator_name(node: ast.expr) -> str:
    """``no_grad`` of ``@torch.no_grad()``."""
    return last_name(node.func if isinstance(node, ast.Call) else node)


def nodes_of(root: ast.AST) -> Iterator[ast.AST]:
    """`root` and all nodes below it, what is around another before it: in the order of `ast.walk`, in half its time."""
    found: list[ast.AST] = [root]
    for node in found:
        yield node
        for name in node._fields:
            value = getattr(node, name, None)
            if isinstance(value, ast.AST):
                found.append(value)
            elif type(value) is list:
                found += [each for each in value if isinstance(each, ast.AST)]


def parsed(text: str, file: str = "<unknown>") -> ast.Module:
    """The tree of a text, also of one for a newer Python than the one that runs: `newer_syntax` says what stands in it then.

    Raises what `ast.parse` raises.
    """
    try:
        return ast.parse(text, file)
    except SyntaxError:
        from initlint.newer_syntax import lowered

        older = lowered(text)
        if older is None:
            raise
    return ast.parse(older, file)


def is_main_guard(test: ast.expr) -> bool:
    """``__name__ == "__main__"``: its body is a context of its own."""
    return (
        isinstance(test, ast.Compare)
        and isinstance(test.left, ast.Name)
        and test.left.id == "__name__"
        and isinstance(test.comparators[0], ast.Constant)
        and test.comparators[0].value == "__main__"
    )
