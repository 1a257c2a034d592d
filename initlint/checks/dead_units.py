"""INI503: measured, most units behind a rectifier are zero on every sample."""

from __future__ import annotations

import math

from initlint.checks import measured
from initlint.checks.check import event_check
from initlint.checks.wording import name_of
from initlint.knowledge import Knowledge
from initlint.model import Event, Finding, Layer

_MOST = 2 / 3
"""A signal that no longer depends on the input leaves half of the units dead: INI501 says so. Beyond, something else kills them."""

_SAMPLES = 32
"""With fewer samples a live unit may be zero on all of them: one in 2^32 for so many."""


_CHANCE = 1.25
"""Of n units that are dead or alive by the toss of a coin, a share beyond 1/2 + 1.25 / sqrt(n) is 2.5 standard deviations off."""


def _say(event: Event, layer: Layer | None, knowledge: Knowledge) -> Finding | None:
    activation = knowledge.activations.get(str(event.detail("activation")))
    dead, samples = measured.ratio(event, "dead"), measured.ratio(event, "samples")
    if layer is None or activation is None or activation.family != "rectifier" or dead is None or samples is None:
        return None
    units = measured.ratio(event, "units") or 1.0
    if samples < _SAMPLES or dead < max(_MOST, 0.5 + _CHANCE / math.sqrt(units)):
        return None
    return measured.report(
        "INI503",
        "dead-units",
        event,
        layer,
        message=(
            f"{dead:.0%} of the units that `{activation.name}` makes of `{name_of(layer)}`"
            f" measure zero on all {samples:.0f} samples"
        ),
        advice="look at the bias and at the mean of the weight: both should start at zero",
        activation=activation.name,
    )


CHECK = event_check("INI503", "dead-units", (measured.ACTIVATION,), _say)
