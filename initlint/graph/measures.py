"""What a built and, where possible, run model shows of every layer, as numbers beside its judgement."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from initlint.analysis.wiring import wire
from initlint.graph.measure import Activity, Measurement, Signal
from initlint.graph.observations import MEASURED_CHAIN, entering_layer
from initlint.graph.tracer import Trace
from initlint.graph.weights import measure_parameter, true_gain
from initlint.model import Event, Judgement, Measure


def measure_layers(
    trace: Trace, measurement: Measurement | None, judgements: Iterable[Judgement], events: Iterable[Event]
) -> Mapping[int, Measure]:
    """The measures of each layer by id; what nothing was run on has those of its weight alone."""
    signals = {} if measurement is None else measurement.layer_signals()
    activities = {} if measurement is None else _activities(measurement)
    chains = _chains(judgements, events)
    found = {}
    for layer in trace.model.layers:
        weight = measure_parameter(trace.tensors[layer.id])
        signal: Signal | None = signals.get(layer.id)
        activity = activities.get(layer.id)
        found[layer.id] = Measure(
            path=trace.paths[layer.id],
            mean=None if weight is None else weight.mean,
            std=None if weight is None else weight.std,
            gain=None if weight is None else true_gain(weight.std, layer.fan_in),
            rms=None if signal is None else signal.rms,
            spread=None if signal is None else signal.spread,
            gradient=None if signal is None else signal.gradient,
            dead=None if activity is None else activity.dead,
            saturated=None if activity is None else activity.saturated,
            chain_signal=chains.get(layer.id),
        )
    return found


def _activities(measurement: Measurement) -> dict[int, Activity]:
    """The activation that each layer, by id, runs into first."""
    wiring = wire(measurement.trace.model)
    found: dict[int, Activity] = {}
    for activity in measurement.activities:
        found.setdefault(entering_layer(wiring, activity.op), activity)
    return found


def _chains(judgements: Iterable[Judgement], events: Iterable[Event]) -> dict[int, float]:
    """What was measured of the factor J of the chain that each layer, by id, lies on."""
    measured = {}
    for event in events:
        signal = event.detail("signal")
        if event.kind == MEASURED_CHAIN and event.layer is not None and isinstance(signal, float):
            measured[event.layer] = signal
    found = {}
    for judgement in judgements:
        layers = () if judgement.chain is None else judgement.chain.layers
        turning = next((layer for layer in layers if layer in measured), None)
        if turning is not None:
            found[judgement.layer.id] = measured[turning]
    return found
