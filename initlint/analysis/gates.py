"""Which activations multiply another tensor instead of shaping their own, and which layers only serve one that does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from initlint.analysis.wiring import Wiring
from initlint.knowledge import Activation

_BOUNDED = frozenset({"saturating", "gate"})
_HARMLESS = frozenset({"transparent", "scale", "join"})
_LARGEST_BRANCH = 64
"""Ops in the branch that computes a gate; a longer way back is a model of its own."""


class Gates:
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

    def is_bounded_gate(self, position: int) -> bool:
        """Whether a bounded activation at `position` gates: the squeeze of a feature, not a feature squeezed."""
        op = self._wiring.ops[position]
        activation = self._activations.get(op.name)
        return (
            op.kind == "activation"
            and activation is not None
            and activation.family in _BOUNDED
            and self._some[position]
        )

    def is_gate(self, position: int) -> bool:
        """Whether the activation at `position` gates."""
        activation = self._activations.get(self._wiring.ops[position].name)
        if activation is not None and activation.family in _BOUNDED:
            return self._some[position]
        return self._all[position]


def find_excitations(wiring: Wiring, gates: Gates) -> frozenset[int]:
    """The layers, by id, of branches that compute a gate for the very tensor that they began from (Hu et al. 2018)."""
    found: set[int] = set()
    for position, op in enumerate(wiring.ops):
        if op.kind != "gate":
            continue
        for operand in op.inputs:
            gate = _behind(wiring, operand)
            others = [other for other in op.inputs if other != operand]
            if gates.is_bounded_gate(gate) and others and wiring.ops[position].inputs.count(operand) == 1:
                found.update(_branch(wiring, gate, {step for other in others for step in _upstream(wiring, other)}))
    return frozenset(found)


def _behind(wiring: Wiring, position: int) -> int:
    """The op whose result arrives at `position` reshaped or scaled."""
    *_, first = _upstream(wiring, position)
    return first


def _upstream(wiring: Wiring, position: int) -> Iterator[int]:
    """`position`, and what it is a view of."""
    yield position
    while wiring.ops[position].kind in ("transparent", "scale") and wiring.ops[position].inputs:
        position = wiring.ops[position].inputs[0]
        yield position


def _branch(wiring: Wiring, gate: int, feature: set[int]) -> set[int]:
    """The layers between `feature` and `gate`, none where some way back leads elsewhere."""
    layers: set[int] = set()
    seen: set[int] = set()
    ahead = [gate]
    while ahead:
        position = ahead.pop()
        op = wiring.ops[position]
        if position in seen or position in feature:
            continue
        seen.add(position)
        if not op.inputs or len(seen) > _LARGEST_BRANCH:
            return set()
        if op.layer is not None:
            layers.add(op.layer)
        ahead.extend(op.inputs)
    return layers
