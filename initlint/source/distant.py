"""Layers that an initializer may have meant which was called on part of a module that is not known: ``block.mlp.fc1.weight``."""

from __future__ import annotations

import ast
from collections.abc import Collection
from dataclasses import replace

from initlint.model import UNKNOWN_INITIALIZER, Model

Names = tuple[str, ...]
"""The attributes on the way from a variable to a layer: one alone could be that of any class."""

_PARAMETERS = frozenset({"weight", "bias", "data"})
_FEWEST = 2


def names_to(target: ast.expr) -> Names | None:
    """``("mlp", "fc1")`` for ``block.mlp.fc1.weight``; None where so little is said that any layer could be meant."""
    names: list[str] = []
    while isinstance(target, ast.Attribute):
        names.append(target.attr)
        target = target.value
    while names and names[0] in _PARAMETERS:
        names.pop(0)
    return tuple(reversed(names)) if isinstance(target, ast.Name) and len(names) >= _FEWEST else None


def leave_open(models: tuple[Model, ...], meant: Collection[Names]) -> tuple[Model, ...]:
    """The models, in which layers of those names that kept torch's default have an initializer that is not known."""
    ends = tuple(f".{'.'.join(names)}" for names in meant)
    if not ends:
        return models
    return tuple(_leave_open(model, ends) for model in models)


def _leave_open(model: Model, ends: tuple[str, ...]) -> Model:
    layers = tuple(
        replace(layer, weight=UNKNOWN_INITIALIZER)
        if layer.weight.source == "default" and f".{layer.path}".endswith(ends)
        else layer
        for layer in model.layers
    )
    return model if layers == model.layers else replace(model, layers=layers)
