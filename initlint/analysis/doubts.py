"""Layers of a traced model that run into what was not understood, or were seen nowhere again: nobody can say that nothing follows."""

from __future__ import annotations

from initlint.analysis.wiring import CARRYING, Wiring

UNREAD = "what it runs into was not understood"
"""Why a layer is not judged although it was seen to be applied."""


def find_unread(wiring: Wiring) -> frozenset[int]:
    """The layers whose output runs straight into something that was not understood, or was seen nowhere again."""
    lost = [False] * len(wiring.ops)
    ends = [False] * len(wiring.ops)
    for position in range(len(wiring.ops) - 1, -1, -1):
        after = wiring.consumers[position]
        carried = [consumer for consumer in after if wiring.ops[consumer].kind in CARRYING]
        ends[position] = len(carried) == len(after) and all(ends[consumer] for consumer in carried)
        opaque = any(wiring.ops[consumer].kind == "opaque" for consumer in after)
        lost[position] = opaque or any(lost[consumer] for consumer in carried)
    return frozenset(
        layer
        for layer, positions in wiring.uses.items()
        if any(lost[position] or ends[position] for position in positions)
    )
