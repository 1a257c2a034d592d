"""Functions that differ in numbers and strings only: of resnet18, resnet34, ... the first and the last speak for all."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import TYPE_CHECKING

from initlint.source.definitions import Definition
from initlint.source.values import FunctionV

if TYPE_CHECKING:
    from initlint.source.machine import Machine

_FEWEST = 4


def spoken_for(found: Iterable[Definition]) -> list[Definition]:
    """Of functions that differ in numbers and strings only (resnet18, resnet34, ...) those that the first and the last speak for.

    What a string stands for may be another model, though: of those whose names differ in more than a size, one each speaks.
    """
    alike: dict[tuple[str, str], list[Definition]] = {}
    for each in found:
        if not each.is_class:
            alike.setdefault((each.file.path, each.shape), []).append(each)
    skipped: list[Definition] = []
    for variants in alike.values():
        families = {variants[0].family, variants[-1].family}
        for each in variants[1:-1]:
            if each.family in families:
                skipped.append(each)
            families.add(each.family)
    return skipped


def without_variants(machine: Machine, items: list[object]) -> list[object]:
    """What a loop runs over; of functions that differ in numbers only, those that speak for the rest, as if it had called them all."""
    builders = [each[0] if isinstance(each, tuple) and each else each for each in items]
    nodes = [(each.scope.file, each.node) for each in builders if isinstance(each, FunctionV)]
    found = [Definition(file, node) for file, node in nodes if isinstance(node, ast.FunctionDef)]
    if len(items) < _FEWEST or len(found) < len(items):
        return items
    skipped: set[ast.AST] = {each.node for each in spoken_for(found)}
    machine.called |= skipped
    return [item for item, each in zip(items, found, strict=True) if each.node not in skipped]
