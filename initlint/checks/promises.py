"""What an explicit initializer promises: a gain of its own, and whose gain that is."""

from __future__ import annotations

from initlint.analysis import contains, gain_of
from initlint.knowledge import Knowledge
from initlint.model import Judgement, Layer

_UNIT = ((0.9, 1.1),)


def names_gain(judgement: Judgement) -> bool:
    """Whether an explicit initializer scales with the width, so that it promises a gain."""
    weight = judgement.layer.weight
    return weight.source == "explicit" and weight.gain is not None


def is_kaiming(layer: Layer) -> bool:
    """Whether the initializer takes a nonlinearity to derive its gain from."""
    return (layer.weight.function or "").startswith("kaiming")


def promises_unit_gain(layer: Layer) -> bool:
    """Whether the gain is that of a linear layer."""
    gain = gain_of(layer)
    return gain is not None and contains(_UNIT, gain)


def promises_rectifier_gain(layer: Layer, knowledge: Knowledge) -> bool:
    """Whether the gain is one that a ReLU wants."""
    gain = gain_of(layer)
    return gain is not None and contains(knowledge.activations["relu"].bands, gain)
