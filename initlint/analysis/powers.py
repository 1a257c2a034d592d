"""A tensor is scaled by a power of what its layer is scaled by: moments that a normalization takes in lose the scale as the layer does."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType

from initlint.analysis.wiring import Wiring

_LONGEST_WAY = 64
"""Ops between a layer and the normalization that takes in what was made of it; a longer way is not followed."""

_KEEPING = frozenset({"transparent", "scale", "concat", "join", "activation"})
_POWERS: Mapping[str, float] = MappingProxyType({"square": 2.0, "var": 2.0, "sqrt": 0.5, "std": 1.0})
_MOMENTS = frozenset({"sqrt", "std"})


def find_pooled(wiring: Wiring, layers: Collection[int]) -> frozenset[int]:
    """The layers, by id and among some, of which nothing but normalized moments goes on: mean and spread, side by side."""
    if not any(op.kind == "opaque" and op.name in _MOMENTS for op in wiring.ops):
        return frozenset()
    return frozenset(
        layer
        for layer in layers
        if layer in wiring.uses and all(_is_spent(wiring, position, layers) for position in wiring.uses[layer])
    )


def _is_spent(wiring: Wiring, position: int, layers: Collection[int]) -> bool:
    """Whether everything that is made of the tensor at `position` is normalized at some point."""
    powers = {position: 1.0}
    last = position
    for each in range(position + 1, min(len(wiring.ops), position + _LONGEST_WAY)):
        met = [powers.get(source, 0.0) for source in wiring.ops[each].inputs]
        if any(met):
            power = _power(wiring, each, met, layers)
            if power is None:
                return False
            powers[each] = power
            last = each
    return last > position and not any(
        powers[each] and (not wiring.consumers[each] or max(wiring.consumers[each]) > last) for each in powers
    )


def _power(wiring: Wiring, position: int, met: Sequence[float], layers: Collection[int]) -> float | None:
    """The power that the op at `position` makes of those of its inputs, None where there is no one power."""
    op = wiring.ops[position]
    if op.kind == "norm":
        return 0.0
    if op.kind == "gate":
        return sum(met)
    if op.kind in _KEEPING:
        return max(met)
    if op.kind == "add":
        return met[0] if len(set(met)) == 1 else None
    if op.kind == "layer":
        return met[0] if op.layer in layers else None
    return met[0] * _POWERS[op.name] if op.kind == "opaque" and op.name in _POWERS else None
