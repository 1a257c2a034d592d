"""Which gains suit an activation: the bands that match and the gain to write, for the slope it was built with."""

from __future__ import annotations

import math
from collections.abc import Mapping

from initlint.knowledge import Activation
from initlint.model import Follower

Band = tuple[float, float]


def parameters_of(follower: Follower, activation: Activation) -> tuple[tuple[str, float], ...]:
    """What the activation was built with, torch's defaults filled in."""
    return tuple({**dict(activation.parameters), **dict(follower.params)}.items())


def leaky_gain(follower: Follower, activation: Activation) -> float | None:
    """sqrt(2 / (1 + slope^2)) of a leaky rectifier (He et al. 2015, equation 15), None for anything else."""
    if activation.slope_parameter is None:
        return None
    slope = dict(parameters_of(follower, activation))[activation.slope_parameter]
    return math.sqrt(2.0 / (1.0 + slope * slope))


def ideal_gain(follower: Follower, activations: Mapping[str, Activation]) -> float | None:
    """The nominal gain to write before this follower, None if none is recommended.

    Scalars between layer and activation belong to the gain: with a factor 30 in between, a thirtieth is written. So does what
    is added: of two layers alike, each is to give half of the variance.
    """
    activation = _judging(follower, activations)
    if activation is None or not follower.scaled or not follower.summed:
        return None
    gain = activation.gain
    if follower.output is not False and activation.output_gain is not None:
        gain = activation.output_gain
    return gain * (leaky_gain(follower, activation) or 1.0) / (abs(follower.scaled) * follower.summed)


def matching_bands(follower: Follower, activations: Mapping[str, Activation]) -> tuple[Band, ...]:
    """The intervals of nominal gain that match this follower; none where it judges nobody."""
    activation = _judging(follower, activations)
    if activation is None or not follower.scaled:
        return ()
    bands = activation.bands if follower.output is not True else activation.output_bands
    if follower.output is None and activation.output_bands != bands:
        bands += activation.output_bands
    unit = (leaky_gain(follower, activation) or 1.0) / abs(follower.scaled)
    return tuple((low * unit, high * unit) for low, high in bands)


def _judging(follower: Follower, activations: Mapping[str, Activation]) -> Activation | None:
    """The activation of `follower` where it judges what comes before; a threshold is a ReLU only where it is 0."""
    activation = activations.get(follower.activation)
    if activation is None or activation.exempt:
        return None
    if activation.name == "threshold" and any(value != 0.0 for _, value in parameters_of(follower, activation)):
        return None
    return activation


def touches(bands: tuple[Band, ...], gain: float, follower: Follower) -> bool:
    """Whether some band meets what lies between a layer's `gain` and that of the sum which its output is a term of."""
    most = math.inf if follower.summed is None else gain * follower.summed
    return any(low * (1.0 - _ROUNDING) <= most and gain <= high * (1.0 + _ROUNDING) for low, high in bands)


def reaches(bands: tuple[Band, ...], most: float, follower: Follower) -> bool:
    """Whether a gain of `most` or less may lie in some band, as it is or in the sum that the layer's output is a term of."""
    return follower.summed is None or any(low <= most * max(follower.summed, 1.0) for low, _ in bands)


def contains(bands: tuple[Band, ...], gain: float) -> bool:
    """Whether some band holds `gain`; the rounding of a published gain does not put it outside."""
    return any(low * (1.0 - _ROUNDING) <= gain <= high * (1.0 + _ROUNDING) for low, high in bands)


_ROUNDING = 1e-3
