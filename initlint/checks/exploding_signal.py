"""INI502: measured over one un-normalised chain, the signal explodes or is no longer finite."""

from __future__ import annotations

from initlint.checks import measured
from initlint.checks.check import event_check
from initlint.knowledge import Knowledge
from initlint.model import Event, Finding, Layer


def _say(event: Event, layer: Layer | None, _: Knowledge) -> Finding | None:
    if layer is None:
        return None
    signal = measured.ratio(event, "signal")
    overflowed = event.detail("finite") is False
    if not overflowed and (signal is None or not measured.is_above(signal, event)):
        return None
    size = "overflows" if overflowed or signal is None else f"grows by {measured.number(signal)}"
    return measured.report(
        "INI502",
        "exploding-signal",
        event,
        layer,
        message=(
            f"the signal {size} when measured over {event.detail('layers')} layers,"
            f" from `{event.detail('first')}` to `{event.detail('last')}`"
        ),
        advice="give each layer of the chain the gain its activation needs, or normalize",
        ratio=None if overflowed else signal,
    )


CHECK = event_check("INI502", "exploding-signal", (measured.CHAIN,), _say)
