"""What a piece of syntax is called."""

from __future__ import annotations

import ast


def last_name(node: ast.expr) -> str:
    """``kaiming_normal_`` of ``nn.init.kaiming_normal_``; empty for what is no name."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def decorator_name(node: ast.expr) -> str:
    """``no_grad`` of ``@torch.no_grad()``."""
    return last_name(node.func if isinstance(node, ast.Call) else node)
