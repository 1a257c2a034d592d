"""What the checks on a live module share: events with numbers, the tolerance of a single net, and how they are reported."""

from __future__ import annotations

import math

from initlint.analysis import severity_of_signal
from initlint.checks.wording import initializer_text, name_of, number
from initlint.model import Event, Finding, Layer, Related, Severity

__all__ = ["ACTIVATION", "CHAIN", "is_above", "is_below", "number", "ratio", "report"]

CHAIN = "measured-chain"
ACTIVATION = "measured-activation"

_SMALL = 0.03
_LARGE = 30.0
"""From here plain SGD starts slowly: the bounds that make a predicted J a warning."""


def ratio(event: Event, name: str) -> float | None:
    """The finite number that an event carries under `name`."""
    value = event.detail(name)
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def is_below(value: float, event: Event) -> bool:
    """Whether a measured ratio is too small even if this one net fell low by chance."""
    return value * _scatter(event) < _SMALL


def is_above(value: float, event: Event) -> bool:
    """Whether a measured ratio is too large even if this one net fell high by chance."""
    return value / _scatter(event) > _LARGE


def _scatter(event: Event) -> float:
    return ratio(event, "scatter") or 1.0


def report(
    code: str,
    name: str,
    event: Event,
    layer: Layer,
    *,
    message: str,
    advice: str,
    ratio: float | None = None,
    activation: str | None = None,
) -> Finding:
    """The finding at the layer that an event points to."""
    length = event.detail("layers")
    return Finding(
        code=code,
        name=name,
        message=message,
        severity=Severity.WARNING if ratio is None else max(Severity.WARNING, severity_of_signal(ratio)),
        site=event.site,
        help=advice,
        layer=name_of(layer),
        activation=activation,
        init=initializer_text(layer.weight),
        gain=layer.weight.gain,
        chain_length=length if isinstance(length, int) else None,
        chain_signal=ratio,
        related=tuple(
            Related(site, "the activation is here" if activation else "the chain runs through here")
            for site in event.related
            if site != event.site
        ),
        events=(event,),
    )
