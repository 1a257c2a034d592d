"""INI108: the gain of a rectifier inside un-normalised residual branches, where every block adds to the variance."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from initlint.analysis import gain_of
from initlint.checks import wording
from initlint.checks.check import Check
from initlint.checks.mismatch import place_of
from initlint.checks.promises import promises_rectifier_gain
from initlint.knowledge import Knowledge
from initlint.model import Finding, Judgement, Model, Related, Severity, Site

_DEEP = 8
"""Weight layers in branches along one trunk; shallower ones train with either gain (12 diverge, 24 at any rate)."""


def _run(judgements: Sequence[Judgement], _: Sequence[Model], knowledge: Knowledge) -> Iterable[Finding]:
    places: dict[Site, list[Judgement]] = {}
    for judgement in judgements:
        if _overscales(judgement, knowledge):
            places.setdefault(place_of(judgement), []).append(judgement)
    for place, found in places.items():
        yield _report(place, found)


def _overscales(judgement: Judgement, knowledge: Knowledge) -> bool:
    chain, layer = judgement.chain, judgement.layer
    if chain is None or not chain.residual or chain.length < _DEEP or chain.signal is None:
        return False
    if judgement.verdict == "mismatch" or layer.weight.source != "explicit" or layer.parametrization is not None:
        return False
    return promises_rectifier_gain(layer, knowledge)


def _report(place: Site, found: list[Judgement]) -> Finding:
    worst = max(found, key=lambda judgement: judgement.chain.signal or 0.0 if judgement.chain else 0.0)
    layers = [judgement.layer for judgement in found]
    chain, gain = worst.chain, gain_of(worst.layer)
    names = wording.name_layers(layers)
    signal = None if chain is None else chain.signal
    length = 0 if chain is None else chain.length
    return Finding(
        code="INI108",
        name="residual-overscale",
        message=(
            f"{names} {'have' if len(layers) > 1 else 'has'} gain {wording.gain_text(gain or 0.0)} inside un-normalised"
            f" residual branches, which scales the signal by {wording.number(signal or 0.0)} over these {length} layers"
        ),
        severity=Severity.INFO,
        site=place,
        help="scale the last layer of each branch down (by the root of the number of blocks, or to zero), or normalize",
        layer=names.replace("`", ""),
        init=wording.initializer_text(worst.layer.weight),
        gain=gain,
        chain_length=length,
        chain_signal=signal,
        related=()
        if place == worst.layer.site
        else (Related(worst.layer.site, f"`{wording.name_of(worst.layer)}` is built here"),),
        judgements=tuple(found),
    )


CHECK = Check("INI108", "residual-overscale", _run)
