"""INI501: measured over one un-normalised chain, the part of the signal that depends on the input all but vanishes."""

from __future__ import annotations

from initlint.checks import measured
from initlint.checks.check import event_check
from initlint.knowledge import Knowledge
from initlint.model import Event, Finding, Layer


def _say(event: Event, layer: Layer | None, _: Knowledge) -> Finding | None:
    signal = measured.ratio(event, "signal")
    if layer is None or signal is None or not measured.is_below(signal, event):
        return None
    return measured.report(
        "INI501",
        "vanishing-signal",
        event,
        layer,
        message=(
            f"the signal that depends on the input measures {measured.number(signal)} of its size after"
            f" {event.detail('layers')} layers, from `{event.detail('first')}` to `{event.detail('last')}`"
        ),
        advice="give each layer of the chain the gain its activation needs, or normalize",
        ratio=signal,
    )


CHECK = event_check("INI501", "vanishing-signal", (measured.CHAIN,), _say)
