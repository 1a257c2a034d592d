"""INI505: measured over one un-normalised chain, the gradient all but vanishes although the signal arrives."""

from __future__ import annotations

from initlint.checks import measured
from initlint.checks.check import event_check
from initlint.knowledge import Knowledge
from initlint.model import Event, Finding, Layer


def _say(event: Event, layer: Layer | None, _: Knowledge) -> Finding | None:
    gradient = measured.ratio(event, "gradient")
    if layer is None or gradient is None or not measured.is_below(gradient, event):
        return None
    signal = measured.ratio(event, "signal")
    if signal is not None and measured.is_below(signal, event):
        return None
    return measured.report(
        "INI505",
        "vanishing-gradient",
        event,
        layer,
        message=(
            f"the gradient measures {measured.number(gradient)} of its size at `{event.detail('first')}`,"
            f" {event.detail('layers')} layers below `{event.detail('last')}`"
        ),
        advice="look for saturated or dead units on the way; smaller gains keep a bounded activation off its bounds",
        ratio=gradient,
    )


CHECK = event_check("INI505", "vanishing-gradient", (measured.CHAIN,), _say)
