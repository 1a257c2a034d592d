"""An access is an expression that names a layer, taken apart: where it starts, and the steps from there."""

from __future__ import annotations

import ast
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Access:
    """An expression that names a layer, taken apart: ``self.features[0]`` is root ``features`` and trail ``(0,)``.

    `owner` says that it starts at ``self``; `root` is None for ``self[0]``, in a class that is itself a container.
    """

    text: str
    owner: bool
    root: str | None
    trail: tuple[str | int, ...]

    @property
    def root_text(self) -> str:
        """The expression of the attribute or variable that holds the layer."""
        if not self.owner:
            return str(self.root)
        return "self" if self.root is None else f"self.{self.root}"


def read_access(text: str) -> Access | None:
    """An access expression taken apart; None if it is anything but names, attributes and constant subscripts."""
    try:
        node = ast.parse(text, mode="eval").body
    except SyntaxError:
        return None
    steps: list[str | int] = []
    attributes: list[bool] = []
    while not isinstance(node, ast.Name):
        match node:
            case ast.Attribute(value=inner, attr=name):
                steps.append(name)
                attributes.append(True)
            case ast.Subscript(value=inner, slice=ast.Constant(value=str() | int() as step)):
                steps.append(step)
                attributes.append(False)
            case _:
                return None
        node = inner
    steps.reverse()
    attributes.reverse()
    if node.id != "self":
        return Access(text, owner=False, root=node.id, trail=tuple(steps))
    if steps and attributes[0]:
        return Access(text, owner=True, root=str(steps[0]), trail=tuple(steps[1:]))
    return Access(text, owner=True, root=None, trail=tuple(steps))
