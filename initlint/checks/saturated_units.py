"""INI504: measured, most of what a bounded activation returns lies where it is flat."""

from __future__ import annotations

from initlint.checks import measured
from initlint.checks.check import event_check
from initlint.checks.wording import name_of
from initlint.knowledge import Knowledge
from initlint.model import Event, Finding, Layer

_MOST = 0.5
"""At torch's own gain for tanh, 5/3, a fifth is saturated."""


def _say(event: Event, layer: Layer | None, knowledge: Knowledge) -> Finding | None:
    activation = knowledge.activations.get(str(event.detail("activation")))
    saturated = measured.ratio(event, "saturated")
    if layer is None or activation is None or saturated is None or saturated < _MOST:
        return None
    return measured.report(
        "INI504",
        "saturated-units",
        event,
        layer,
        message=f"{saturated:.0%} of what `{activation.name}` makes of `{name_of(layer)}` measures at its bounds, where it is flat",
        advice="scale the weight down: the layer's output should start with a standard deviation near 1",
        activation=activation.name,
    )


CHECK = event_check("INI504", "saturated-units", (measured.ACTIVATION,), _say)
