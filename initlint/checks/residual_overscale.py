"""INI108: the gain of a rectifier inside un-normalised residual branches, where every block adds to the variance."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from initlint.analysis import gain_of
from initlint.checks import wording
from initlint.checks.check import Check
from initlint.checks.mismatch import place_of
from initlint.checks.promises import promises_rectifier_gain
from initlint.knowledge import Knowledge
from initlint.model import Finding, Judgement, Model, Related, Severity, Site

_DEEP = 8
"""Weight layers in branches along one trunk; with fewer the trunk grows no further than a head can bear."""

_GROWN = math.sqrt(10.0)
"""How far a trunk may grow: half a decade. Branches that are scaled down somewhere stay below it."""


def _run(judgements: Sequence[Judgement], _: Sequence[Model], knowledge: Knowledge) -> Iterable[Finding]:
    places: dict[Site, list[Judgement]] = {}
    for judgement in judgements:
        if _overscales(judgement, knowledge):
            places.setdefault(place_of(judgement), []).append(judgement)
    for place, found in places.items():
        yield _report(place, found)


def _overscales(judgement: Judgement, knowledge: Knowledge) -> bool:
    chain, layer = judgement.chain, judgement.layer
    if chain is None or not chain.residual or chain.length < _DEEP:
        return False
    if chain.signal is None or chain.signal < _GROWN:
        return False
    if judgement.verdict == "mismatch" or layer.weight.source != "explicit" or layer.parametrization is not None:
        return False
    return promises_rectifier_gain(layer, knowledge)


def _report(place: Site, found: list[Judgement]) -> Finding:
    layers = [judgement.layer for judgement in found]
    first, chain = layers[0], found[0].chain
    length, signal = (0, 0.0) if chain is None else (chain.length, chain.signal or 0.0)
    gain = gain_of(first) or 0.0
    names = wording.name_layers(layers)
    return Finding(
        code="INI108",
        name="residual-overscale",
        message=(
            f"{names} {'have' if len(layers) > 1 else 'has'} gain {wording.gain_text(gain)}"
            " inside un-normalised residual branches,"
            f" which scales the signal by {wording.number(signal)} over these {length} layers"
        ),
        severity=Severity.INFO,
        site=place,
        help="scale the last layer of each branch down (by the root of the number of blocks, or to zero), or normalize",
        layer=names.replace("`", ""),
        init=wording.initializer_text(first.weight),
        gain=gain,
        chain_length=length,
        chain_signal=signal,
        related=() if place == first.site else (Related(first.site, f"`{wording.name_of(first)}` is built here"),),
        judgements=tuple(found),
    )


CHECK = Check("INI108", "residual-overscale", _run)
