"""What was measured, as events of the model: numbers and places, without a verdict."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from initlint.analysis.wiring import CARRYING, Wiring, wire
from initlint.graph.measure import Activity, Measurement, Signal
from initlint.knowledge import Knowledge
from initlint.model import Chain, Event, Judgement, Layer, Model, Site

MEASURED_CHAIN = "measured-chain"
MEASURED_ACTIVATION = "measured-activation"


def observed(measurement: Measurement, judgements: Sequence[Judgement], knowledge: Knowledge) -> Model:
    """The traced model with an event for every measured chain and activation."""
    model = measurement.trace.model
    wiring = wire(model)
    chains = _chain_events(measurement, judgements, wiring, knowledge)
    events = (*chains, *_activity_events(measurement, wiring))
    return replace(model, events=(*model.events, *events))


def scatter(length: int, units: int) -> float:
    """The factor by which the signal of one net of finite width may miss its expectation.

    ln rms of a single rectifier net scatters with variance 5 L / n over nets, half of it in the root.
    """
    return math.exp(0.5 * math.sqrt(5 * length / max(units, 1)))


def measured_layers(chain: Chain, wiring: Wiring) -> tuple[int, ...]:
    """The layers that J spans: all of a chain but a head."""
    positions = wiring.uses.get(chain.layers[-1], ()) if chain.layers else ()
    headed = len(chain.layers) > 1 and any(not wiring.reaches_layer[position] for position in positions)
    return chain.layers[:-1] if headed else chain.layers


def _chain_events(
    measurement: Measurement, judgements: Sequence[Judgement], wiring: Wiring, knowledge: Knowledge
) -> Iterator[Event]:
    """An event for every chain on which the size of the signal means something.

    Not inside a residual branch, which may be as small as it likes beside the trunk, and not through a softmax, whose
    output has a size of its own.
    """
    layers = {layer.id: layer for layer in measurement.trace.model.layers}
    signals = measurement.signals
    ending = {judgement.layer.id for judgement in judgements if _meets_output_activation(judgement, knowledge)}
    chains = {judgement.chain.layers: judgement.chain for judgement in judgements if judgement.chain is not None}
    for chain in chains.values():
        for applied in _applications(measured_layers(chain, wiring), wiring, signals):
            spanned = list(applied)
            after = _next_kinds(wiring, applied[spanned[-1]])
            if len(spanned) < 2 or chain.residual or after & {"add", "gate"} or ending.intersection(spanned[:-1]):
                continue
            numbers = [signals[position] for position in applied.values()]
            yield _chain_event(chain, [layers[layer] for layer in spanned], numbers, relative="norm" in after)


def _applications(layers: Sequence[int], wiring: Wiring, signals: Mapping[int, Signal]) -> Iterator[dict[int, int]]:
    """A chain as stretches: the position at which each layer is applied to what the one before made of it there.

    A layer that is applied again and again is followed from one application to the next, not from the first of each. A stretch ends where
    positions are averaged: what differs between inputs averages out there, whatever the weights.
    """
    run: dict[int, int] = {}
    for layer in layers:
        position = _next_application(wiring, run[next(reversed(run))], layer) if run else None
        if run and (position is None or _is_pooled(wiring, position)):
            yield run
            run = {}
        if position is None:
            position = next((each for each in wiring.uses.get(layer, ()) if each in signals), None)
        if position is not None and position in signals:
            run[layer] = position
    if run:
        yield run


def _next_application(wiring: Wiring, position: int, layer: int) -> int | None:
    """Where a layer is first applied behind a position, with no other layer between."""
    found: list[int] = []
    pending, seen = list(wiring.consumers[position]), set[int]()
    while pending:
        each = pending.pop()
        if each in seen:
            continue
        seen.add(each)
        op = wiring.ops[each]
        if op.kind != "layer":
            pending += wiring.consumers[each]
        elif op.layer == layer:
            found.append(each)
    return min(found, default=None)


def _is_pooled(wiring: Wiring, position: int) -> bool:
    """Whether an average lies between the layer applied at a position and the one before."""
    pending = list(wiring.ops[position].inputs)
    seen: set[int] = set()
    while pending:
        position = pending.pop()
        op = wiring.ops[position]
        if position in seen or op.kind == "layer":
            continue
        seen.add(position)
        if op.kind == "transparent" and (op.param("factor") or 1.0) < 1.0:
            return True
        pending += op.inputs
    return False


def _next_kinds(wiring: Wiring, position: int) -> set[str]:
    """The kinds of op that a tensor runs into, past what only moves or scales it; a gate is one behind an activation, too."""
    kinds: set[str] = set()
    pending = [(position, False)]
    while pending:
        position, activated = pending.pop()
        for consumer in wiring.consumers[position]:
            kind = wiring.ops[consumer].kind
            if kind in CARRYING:
                pending.append((consumer, activated))
            elif kind == "activation" and not activated:
                kinds.add(kind)
                pending.append((consumer, True))
            elif not activated or kind == "gate":
                kinds.add(kind)
    return kinds


def _meets_output_activation(judgement: Judgement, knowledge: Knowledge) -> bool:
    """Whether a softmax or one of its kin follows the layer."""
    facts = (knowledge.activations.get(follower.activation) for follower in judgement.followers)
    return any(fact is not None and fact.family == "output" for fact in facts)


def _chain_event(chain: Chain, layers: list[Layer], signals: list[Signal], *, relative: bool) -> Event:
    """What a chain did; `relative`: a normalization erases the scale behind it, what counts is the share that depends on the input."""
    first, last = signals[0], signals[-1]
    turning = _largest_step(layers, signals)
    signal = _ratio(last.spread, first.spread)
    if relative and signal is not None and first.rms:
        signal *= first.rms / last.rms if last.rms else 0.0
    return Event(
        MEASURED_CHAIN,
        turning.site,
        turning.id,
        (
            ("signal", signal),
            ("gradient", None if relative else _ratio(first.gradient, last.gradient)),
            ("rms", last.rms),
            ("finite", all(each.is_finite for each in signals)),
            ("predicted", chain.signal),
            ("scatter", scatter(len(layers), min(each.units for each in signals))),
            ("layers", len(layers)),
            ("first", f"{layers[0].owner}.{layers[0].path}"),
            ("last", f"{layers[-1].owner}.{layers[-1].path}"),
        ),
        tuple(dict.fromkeys((layers[0].site, layers[-1].site))),
    )


def _largest_step(layers: list[Layer], signals: list[Signal]) -> Layer:
    """The layer after whose predecessor the signal changes most: where to look first, the earliest of equals."""
    steps = [
        abs(math.log(after.spread / before.spread)) if before.spread and after.spread else 0.0
        for before, after in pairwise(signals)
    ]
    largest = max(steps, default=0.0)
    return layers[next((place for place, step in enumerate(steps) if step >= 0.9 * largest), 0)]


def _ratio(numerator: float | None, denominator: float | None) -> float | None:
    if numerator is None or not denominator or not math.isfinite(numerator) or not math.isfinite(denominator):
        return None
    return numerator / denominator


def _activity_events(measurement: Measurement, wiring: Wiring) -> Iterator[Event]:
    layers = {layer.id: layer for layer in measurement.trace.model.layers}
    for activity in measurement.activities:
        op = wiring.ops[activity.op]
        layer = layers.get(entering_layer(wiring, activity.op))
        if layer is not None and not _gates(wiring, activity.op):
            yield _activity_event(activity, layer, () if op.site is None else (op.site,))


def _activity_event(activity: Activity, layer: Layer, related: tuple[Site, ...]) -> Event:
    return Event(
        MEASURED_ACTIVATION,
        layer.site,
        layer.id,
        (
            ("activation", activity.activation),
            ("dead", activity.dead),
            ("saturated", activity.saturated),
            ("samples", activity.samples),
            ("units", activity.units),
        ),
        related,
    )


def entering_layer(wiring: Wiring, position: int) -> int:
    """The id of the layer whose output enters the op at `position`, -1 where another op lies between."""
    op = wiring.ops[position]
    while op.inputs and op.kind in {"activation", "transparent", "norm", "scale"}:
        op = wiring.ops[op.inputs[0]]
        if op.kind == "activation":
            return -1
    return op.layer if op.kind == "layer" and op.layer is not None else -1


def _gates(wiring: Wiring, position: int) -> bool:
    return any(wiring.ops[consumer].kind == "gate" for consumer in wiring.consumers[position])
