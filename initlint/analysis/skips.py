"""A layer lies in a residual branch where what enters it, however far before, is added to what comes of it."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from initlint.analysis.wiring import Wiring

_LONGEST_WAY = 256
"""Ops between a sum and where a branch of it began; a longer way is a model of its own."""


def find_skipped(wiring: Wiring, wanted: Collection[int]) -> frozenset[int]:
    """The layers, by id and among the wanted ones, past which an identity leads to a sum: whatever leads on from them."""
    skipped: set[int] = set()
    for op in wiring.ops if wanted else ():
        if op.kind == "add" and not skipped.issuperset(wanted):
            for index, summand in enumerate(op.inputs):
                others = (each for place, each in enumerate(op.inputs) if place != index and each < summand)
                trunks = frozenset(root for other in others for root in _roots(wiring, other))
                skipped.update(layer for layer in _between(wiring, trunks, summand) if layer in wanted)
    return frozenset(skipped)


def _roots(wiring: Wiring, position: int) -> Iterator[int]:
    """The ops whose tensor arrives at `position` reshaped or scaled, `position` itself among them."""
    yield position
    while wiring.ops[position].kind in ("transparent", "scale") and wiring.ops[position].inputs:
        position = wiring.ops[position].inputs[0]
        yield position


def _between(wiring: Wiring, trunks: frozenset[int], end: int) -> Iterator[int]:
    """The layers on the ways that lead from any of `trunks` to `end`."""
    if not trunks or end - min(trunks) > _LONGEST_WAY:
        return
    arriving = {end}
    for position in range(end, min(trunks), -1):
        if position in arriving:
            arriving.update(wiring.ops[position].inputs)
    reached = set(trunks)
    for position in range(min(trunks) + 1, end + 1):
        op = wiring.ops[position]
        if position in arriving and position not in trunks and not reached.isdisjoint(op.inputs):
            reached.add(position)
            if op.kind == "layer" and op.layer is not None:
                yield op.layer
