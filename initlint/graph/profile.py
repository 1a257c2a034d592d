"""Signal and gradient along the depth of a model: measured and predicted, as it is built and with its mismatches repaired."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import nn

from initlint.analysis import gain_of, role_of
from initlint.analysis.signal import Propagation, Weights, nominal_weights, propagate
from initlint.graph.inputs import Inputs
from initlint.graph.measure import Measurement, Signal, measure
from initlint.knowledge import Knowledge
from initlint.model import Judgement


@dataclass(frozen=True, slots=True)
class Reading:
    """One quantity at one layer: as it was measured, and as the theory has it from the chain's own end; None is not known."""

    measured: float | None
    predicted: float | None


@dataclass(frozen=True, slots=True)
class State:
    """Signal and gradient at one layer."""

    signal: Reading
    gradient: Reading


@dataclass(frozen=True, slots=True)
class Point:
    """One layer along the depth, `path` in the model.

    `chain` numbers the un-normalised chains; `repaired` is None where nothing is to be repaired.
    """

    path: str
    judgement: Judgement
    chain: int | None
    built: State
    repaired: State | None


def profile(
    model: nn.Module,
    inputs: Inputs,
    measurement: Measurement,
    judgements: Sequence[Judgement],
    knowledge: Knowledge,
) -> tuple[Point, ...]:
    """The layers of a measured model in the order of its forward pass.

    For the repaired state the weights of mismatched layers are scaled to their ideal gain, the model is run again, and they
    are put back.
    """
    wrong = {found.layer.id: factor for found in judgements if (factor := _correction(found)) is not None}
    repaired = None
    if wrong:
        with _scaled({measurement.trace.tensors[layer]: factor for layer, factor in wrong.items()}):
            repaired = measure(model, inputs, knowledge)
    weights = _weights(measurement, knowledge)
    mended = {
        layer: replace(held, gain=None if held.gain is None else held.gain * wrong.get(layer, 1.0))
        for layer, held in weights.items()
    }
    now = propagate(measurement.trace.model, weights, knowledge)
    then = propagate(measurement.trace.model, mended, knowledge, now.route)
    chains = _chains(judgements)
    built = _states(measurement, now, chains)
    after = {} if repaired is None else _states(replace(repaired, trace=measurement.trace), then, chains)
    by_layer = {judgement.layer.id: judgement for judgement in judgements}
    points = []
    for position, layer in _depth(measurement):
        path = measurement.trace.paths[layer]
        points.append(Point(path, by_layer[layer], chains.get(layer), built[position], after.get(position)))
    return tuple(points)


def _chains(judgements: Sequence[Judgement]) -> dict[int, int]:
    """The number of the chain that each layer, by id, lies on; a layer between two normalizations lies on none."""
    numbers: dict[tuple[int, ...], int] = {}
    return {
        judgement.layer.id: numbers.setdefault(judgement.chain.layers, len(numbers))
        for judgement in judgements
        if judgement.chain is not None and len(judgement.chain.layers) > 1
    }


def _correction(judgement: Judgement) -> float | None:
    """What the weight of a mismatched layer has to be multiplied by."""
    gain = gain_of(judgement.layer)
    if judgement.verdict != "mismatch" or not judgement.ideal or not gain:
        return None
    return judgement.ideal / gain


@contextmanager
def _scaled(factors: Mapping[torch.Tensor, float]) -> Iterator[None]:
    """Weights are multiplied, and afterwards hold exactly what they held."""
    kept = {tensor: tensor.detach().clone() for tensor in factors}
    try:
        with torch.no_grad():
            for tensor, factor in factors.items():
                tensor.mul_(factor)
        yield
    finally:
        with torch.no_grad():
            for tensor, values in kept.items():
                tensor.copy_(values)


def _weights(measurement: Measurement, knowledge: Knowledge) -> dict[int, Weights]:
    layers = measurement.trace.model.layers
    return {layer.id: nominal_weights(layer) for layer in layers if role_of(layer, knowledge) == "weight"}


def _depth(measurement: Measurement) -> Iterator[tuple[int, int]]:
    """The op where each layer is first applied, and its id, in forward order."""
    seen = set()
    for position, op in enumerate(measurement.trace.model.ops):
        if op.kind == "layer" and op.layer is not None and op.layer not in seen and position in measurement.signals:
            seen.add(op.layer)
            yield position, op.layer


def _states(measurement: Measurement, propagation: Propagation, chains: Mapping[int, int]) -> dict[int, State]:
    """What was measured at every layer, and what is predicted from the first layer of its chain on and from its last one back."""
    places = list(_depth(measurement))
    ends: dict[int, list[int]] = {}
    for position, layer in places:
        step = propagation.steps.get(position)
        if step is not None and step.carry and layer in chains:
            ends.setdefault(chains[layer], []).append(position)
    states = {}
    for position, layer in places:
        signal = measurement.signals.get(position)
        step = propagation.steps.get(position)
        chain = ends.get(chains[layer]) if layer in chains else None
        if signal is None or step is None or not step.carry or chain is None:
            states[position] = State(Reading(_size(signal), None), Reading(signal.gradient if signal else None, None))
            continue
        first, last = chain[0], chain[-1]
        forward = _from(_size(measurement.signals.get(first)), propagation, first, step.carry)
        carried = propagation.steps[last].carry
        end = measurement.signals.get(last)
        backward = end.gradient * carried / step.carry if end and end.gradient and carried else None
        states[position] = State(Reading(_size(signal), forward), Reading(signal.gradient, backward))
    return states


def _size(signal: Signal | None) -> float | None:
    """The part of a signal that depends on the input; of a single sample, all of it."""
    if signal is None:
        return None
    return signal.rms if signal.spread is None else signal.spread


def _from(size: float | None, propagation: Propagation, first: int, carry: float) -> float | None:
    begun = propagation.steps[first].carry
    return size * carry / begun if size and begun else None
