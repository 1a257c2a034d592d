"""What a weight holds after an operation on all of its elements: a number times it, or added, or what lies beyond one cut off.

The usual copy of `trunc_normal_` draws from a uniform distribution and sends it through the inverse of the error function.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from statistics import NormalDist
from types import MappingProxyType

from initlint.model import Initializer
from initlint.source.torch_modules import number
from initlint.source.values import Write

_FARTHEST = 8.0
_UNTRUNCATED = 4.0
_NORMAL = NormalDist()
_CUT = ("low", "high")


def transformed(before: Initializer, write: Write) -> Initializer | None:
    """What `before` becomes by a write that changes every element alike; None for a write of another kind."""
    change = _CHANGES.get(write.function)
    return None if change is None or write.partial else change(before, dict(write.arguments))


def inverts(write: Write) -> bool:
    """Whether a write makes normal draws of uniform ones."""
    return write.function == "Tensor.erfinv_"


def truncation(low: float, high: float) -> tuple[float, float]:
    """The mean and the std of a standard normal cut at `low` and `high` (Johnson, Kotz, Balakrishnan 1994, 10.1)."""
    if low <= -_UNTRUNCATED and high >= _UNTRUNCATED:
        return 0.0, 1.0
    mass = _NORMAL.cdf(high) - _NORMAL.cdf(low)
    if mass <= 0:
        return 0.0, 0.0
    shift = (_NORMAL.pdf(low) - _NORMAL.pdf(high)) / mass
    variance = 1 + (low * _NORMAL.pdf(low) - high * _NORMAL.pdf(high)) / mass - shift * shift
    return shift, math.sqrt(max(variance, 0.0))


def _rescaled(before: Initializer, arguments: Mapping[str, object]) -> Initializer:
    """``w.mul_(c)``, ``w.div_(c)``."""
    by = number(arguments["divisor"] if "divisor" in arguments else arguments.get("factor"))
    factor = None if by is None else abs(1 / by if "divisor" in arguments and by else by)
    if factor is None:
        return Initializer("explicit", function="mul_")

    def times(value: float | None) -> float | None:
        return None if value is None else value * factor

    return replace(
        _moved(before, factor, 0.0),
        gain=times(before.gain),
        effective_gain=times(before.effective_gain),
        std=times(before.std),
        mean=times(before.mean),
        rescaled=before.rescaled or factor != 1.0,
    )


def _shifted(before: Initializer, arguments: Mapping[str, object]) -> Initializer:
    """``w.add_(c)``."""
    by, alpha = number(arguments.get("other")), number(arguments.get("alpha", 1))
    if by is None or alpha is None:
        return Initializer("explicit", function="add_")
    return replace(_moved(before, 1.0, by * alpha), mean=None if before.mean is None else before.mean + by * alpha)


def _clamped(before: Initializer, arguments: Mapping[str, object]) -> Initializer:
    """``w.clamp_(a, b)``, where nearly everything lies between the two."""
    reach = math.sqrt(3) if before.function == "uniform_" else _UNTRUNCATED
    if before.std is not None and before.mean is not None:
        low, high = _bound(arguments.get("min"), -math.inf), _bound(arguments.get("max"), math.inf)
        lowest, highest = _cut_of(before) or (before.mean - reach * before.std, before.mean + reach * before.std)
        slack = 1e-6 * (highest - lowest)
        if low is not None and high is not None and low <= lowest + slack and high >= highest - slack:
            return _chosen(before)
    return Initializer("explicit", function="clamp_")


def _bound(value: object, default: float) -> float | None:
    return default if value is None else number(value)


def _inverted(before: Initializer, arguments: Mapping[str, object]) -> Initializer:
    """``w.erfinv_()`` of what was drawn from a uniform distribution: normal, with a variance of a half."""
    if before.function != "uniform_" or before.std is None or before.mean is None:
        return Initializer("explicit", function="erfinv_")
    half = math.sqrt(3) * before.std
    low, high = (_quantile((1 + before.mean + side * half) / 2) for side in (-1, 1))
    mean, std = truncation(low, high)
    cut = tuple(zip(_CUT, (low / math.sqrt(2), high / math.sqrt(2)), strict=True)) if std < 1.0 else ()
    function = "trunc_normal_" if cut else "normal_"
    return Initializer("explicit", function=function, arguments=cut, std=std / math.sqrt(2), mean=mean / math.sqrt(2))


def _cut_of(made: Initializer) -> tuple[float, float] | None:
    """Where what was drawn by hand is cut off."""
    known = dict(made.arguments)
    low, high = (number(known.get(name)) for name in _CUT)
    return None if low is None or high is None else (low, high)


def _moved(before: Initializer, factor: float, by: float) -> Initializer:
    """The same draws times a factor and plus a number, by the author's choice."""
    cut = _cut_of(before)
    if cut is None:
        return _chosen(before)
    ends = sorted(factor * end + by for end in cut)
    return replace(_chosen(before), arguments=tuple(zip(_CUT, ends, strict=True)))


def _quantile(probability: float) -> float:
    if not 0.0 < probability < 1.0:
        return math.copysign(_FARTHEST, probability - 0.5)
    return max(-_FARTHEST, min(_FARTHEST, _NORMAL.inv_cdf(probability)))


def _chosen(before: Initializer) -> Initializer:
    """A default that is changed is an explicit choice."""
    return replace(before, source="explicit") if before.source == "default" else before


_CHANGES: Mapping[str, Callable[[Initializer, Mapping[str, object]], Initializer]] = MappingProxyType(
    {
        "scale": _rescaled,
        "Tensor.add_": _shifted,
        "Tensor.clamp_": _clamped,
        "Tensor.clip_": _clamped,
        "Tensor.erfinv_": _inverted,
    }
)
