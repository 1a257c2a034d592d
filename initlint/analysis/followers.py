"""What a layer runs into: every activation its output meets before the next layer, and what lies between."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

from initlint.analysis.wiring import Wiring
from initlint.knowledge import Activation
from initlint.model import Follower, Op, OpKind

MOST_ADDS = 1
"""Sums that may lie between a layer and an activation that still judges it: beyond, the other summands decide."""

_BOUNDED = frozenset({"saturating", "gate"})
_HARMLESS = frozenset({"transparent", "scale", "join"})


def find_followers(wiring: Wiring, activations: Mapping[str, Activation]) -> Mapping[int, tuple[Follower, ...]]:
    """The followers of every layer by id, in forward order; a layer with several uses has those of all of them.

    One backward pass: what a tensor runs into is the union of what its consumers make of it. Followers that differ
    only in their place are one.
    """
    gates = _Gates(wiring, activations)
    entering: list[tuple[Follower, ...]] = [()] * len(wiring.ops)
    leaving: list[tuple[Follower, ...]] = [()] * len(wiring.ops)
    for position in range(len(wiring.ops) - 1, -1, -1):
        leaving[position] = _distinct(found for consumer in wiring.consumers[position] for found in entering[consumer])
        entering[position] = _entering(wiring, position, leaving[position], gates)
    return {
        layer: _distinct(found for position in positions for found in leaving[position])
        for layer, positions in wiring.uses.items()
    }


def _distinct(followers: Iterable[Follower]) -> tuple[Follower, ...]:
    kept: dict[Follower, Follower] = {}
    for follower in followers:
        kept.setdefault(replace(follower, site=None), follower)
    return tuple(kept.values())


def _entering(wiring: Wiring, position: int, leaving: tuple[Follower, ...], gates: _Gates) -> tuple[Follower, ...]:
    """What a tensor that enters the op at `position` runs into, given what the op's result runs into."""
    op = wiring.ops[position]
    if op.kind == "activation":
        return (_follower(wiring, position, gates),)
    passed = _PASSAGES.get(op.kind)
    return () if passed is None else _distinct(met for found in leaving if (met := passed(found, op)) is not None)


def _added(found: Follower, _: Op) -> Follower | None:
    return replace(found, residual=True, adds=found.adds + 1) if found.adds < MOST_ADDS else None


def _rescaled(found: Follower, op: Op) -> Follower:
    factor = op.param("factor")
    return replace(found, scaled=None if found.scaled is None or factor is None else found.scaled * factor)


_PASSAGES: Mapping[OpKind, Callable[[Follower, Op], Follower | None]] = MappingProxyType(
    {
        "transparent": lambda found, _: found,
        "concat": lambda found, _: found,
        "norm": lambda found, _: replace(found, normalized=True),
        "scale": _rescaled,
        "gate": lambda found, _: replace(found, gated=True),
        "join": lambda found, _: replace(found, alternative=True),
        "add": _added,
    }
)
"""What lies on the way to a follower, by kind of op; whatever is not here ends the way."""


def _follower(wiring: Wiring, position: int, gates: _Gates) -> Follower:
    op = wiring.ops[position]
    return Follower(
        activation=op.name,
        params=op.params,
        site=op.site,
        gated=gates.is_gate(position),
        output=wiring.reaches_output[position] and not wiring.reaches_layer[position],
        alternative=any(wiring.ops[consumer].kind == "join" for consumer in wiring.consumers[position]),
    )


class _Gates:
    """Which activations multiply another tensor.

    A bounded activation is a gate as soon as one consumer multiplies it; an unbounded one only where every consumer
    does: what a squeeze-excitation rescales is a feature, not a gate.
    """

    def __init__(self, wiring: Wiring, activations: Mapping[str, Activation]) -> None:
        self._wiring = wiring
        self._activations = activations
        count = len(wiring.ops)
        self._some = [False] * count
        self._all = [False] * count
        for position in range(count - 1, -1, -1):
            consumers = wiring.consumers[position]
            some = [self._multiplies(consumer, self._some) for consumer in consumers]
            every = [self._multiplies(consumer, self._all) for consumer in consumers]
            self._some[position] = any(some)
            self._all[position] = bool(every) and all(every)

    def _multiplies(self, consumer: int, beyond: list[bool]) -> bool:
        kind = self._wiring.ops[consumer].kind
        return kind == "gate" or (kind in _HARMLESS and beyond[consumer])

    def is_gate(self, position: int) -> bool:
        """Whether the activation at `position` gates."""
        activation = self._activations.get(self._wiring.ops[position].name)
        if activation is not None and activation.family in _BOUNDED:
            return self._some[position]
        return self._all[position]
