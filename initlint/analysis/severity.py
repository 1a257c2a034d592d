"""What a mismatch costs: the chain gain J, and how severe that is.

For 0.1 <= J <= 10 training notices nothing; from 0.03 down or 30 up plain SGD starts slowly; below 0.001 or above 1000
it may not start at all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from initlint.analysis.followers import MOST_ADDS
from initlint.analysis.ideals import parameters_of
from initlint.analysis.judgement import gain_of
from initlint.analysis.moments import moments
from initlint.knowledge import Activation
from initlint.model import Judgement, Severity

NEUTRAL = (0.1, 10.0)
"""The chain gains that cost nothing."""

_WARNING = (0.03, 30.0)
_ERROR = (0.001, 1000.0)
_POOLED = 2
"""With so many max-pools on the way J overstates: they lift the signal, and the gradient far less."""


def severity_of_signal(signal: float | None) -> Severity:
    """The severity of a chain gain J under the default initialization; an unknown one is no more than information."""
    if signal is None:
        return Severity.INFO
    if signal < _ERROR[0] or signal > _ERROR[1]:
        return Severity.ERROR
    if signal < _WARNING[0] or signal > _WARNING[1]:
        return Severity.WARNING
    return Severity.INFO


def severity_of(judgement: Judgement) -> Severity:
    """The severity of one judged layer.

    What an author wrote is one step milder than the default (it may be meant); an output head costs nothing measurable.
    """
    chain = judgement.chain
    decisive = judgement.decisive
    if chain is None or (decisive is not None and decisive.output):
        return Severity.INFO
    severity = severity_of_signal(chain.signal)
    if chain.signal is not None and chain.fixed_signal and is_neutral(chain.signal / chain.fixed_signal):
        severity = Severity.INFO  # what the chain loses it loses elsewhere
    if judgement.layer.weight.source == "explicit":
        severity = Severity(max(severity - 1, Severity.INFO))
    return min(severity, Severity.WARNING) if chain.pools >= _POOLED else severity


def is_neutral(signal: float | None) -> bool:
    """Whether a chain gain lies where training does not notice it; what is not known is taken to."""
    return signal is None or NEUTRAL[0] <= signal <= NEUTRAL[1]


def local_factor(judgement: Judgement, activations: Mapping[str, Activation]) -> float | None:
    """What the layer and its activation multiply gradient and signal by: g sqrt(E[f'(g z)^2]) for z ~ N(0, 1)."""
    weight = judgement.layer.weight
    gain = gain_of(judgement.layer) if weight.effective_gain is None else weight.effective_gain
    follower = judgement.decisive
    activation = None if follower is None else activations.get(follower.activation)
    if gain is None or follower is None or activation is None or follower.adds > MOST_ADDS:
        return None
    if not follower.scaled or not follower.summed:
        return None
    met = gain * abs(follower.scaled) * follower.summed
    known = moments(activation.name, parameters_of(follower, activation), met * met)
    return None if known is None else met * math.sqrt(known.slope)
