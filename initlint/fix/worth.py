"""Where the signal is calm as it is, a change has to be more than a matter of taste."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from initlint.knowledge import Activation
from initlint.model import Judgement

if TYPE_CHECKING:
    from initlint.fix.workshop import Repair

SAFE_SIGNAL = (0.3, 3.0)
"""From 0.3 on no net of benchmarks/training.md trains better or worse after a repair; as far above 1, where it has none."""


def was_calm(judgement: Judgement) -> bool:
    """Whether the signal of a chain lies where every net trained before any repair."""
    signal = None if judgement.chain is None else judgement.chain.signal
    return signal is None or SAFE_SIGNAL[0] <= signal <= SAFE_SIGNAL[1]


def is_cosmetic(repairs: Iterable[Repair], activations: Mapping[str, Activation]) -> bool:
    """Whether all that repairs change is the scale of squashed outputs that were left to torch, and no signal suffers."""
    return all(_is_squashed_output(one.judgement, activations) and _is_needless(one) for one in repairs)


def _is_squashed_output(judgement: Judgement, activations: Mapping[str, Activation]) -> bool:
    follower = judgement.decisive
    activation = None if follower is None else activations.get(follower.activation)
    return (
        follower is not None
        and activation is not None
        and follower.output is not False
        and activation.family == "saturating"
    )


def _is_needless(repair: Repair) -> bool:
    return not repair.overrides and was_calm(repair.judgement)


def is_meddling(repair: Repair) -> bool:
    """Whether a repair overrides what an author wrote, although neither the layer nor its chain suffers from it."""
    gain, ideal = repair.layer.weight.gain, repair.judgement.ideal
    is_near = gain is not None and bool(ideal) and SAFE_SIGNAL[0] <= gain / (ideal or 1.0) <= SAFE_SIGNAL[1]
    return repair.overrides and is_near and was_calm(repair.judgement)
