"""Initializers that scaled a weight by a fan which is not the one that its signal meets: seen in the values and in the forward pass."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from initlint.analysis.wiring import Wiring
from initlint.graph.weights import goes_by_fan_out, initializer_fact, torch_fans
from initlint.knowledge import Knowledge
from initlint.model import Initializer, Layer

_FITS = (0.75, 1.33)
_PASSING = frozenset({"transparent", "scale"})


@dataclass(frozen=True, slots=True)
class Misreading:
    """Why torch misreads a weight, and the std that was drawn over the one that the same formula gives with its true fans."""

    reason: str
    ratio: float


def misreading(layer: Layer, tensor: torch.Tensor, wiring: Wiring, knowledge: Knowledge) -> Misreading | None:
    """What an initializer took for the fans of a weight, where it matters; None where it was right, or is not known."""
    uses = wiring.uses.get(layer.id, ())
    if layer.frozen or layer.parametrization is not None or layer.weight.source != "explicit" or not uses:
        return None
    reason = _reason(layer, tensor)
    if reason is None or not _went_by_the_shape(layer, tensor):
        return None
    ratio = _ratio(layer, tensor, reason, knowledge)
    if ratio is None or _FITS[0] <= ratio <= _FITS[1] or any(_is_normalized(wiring, use) for use in uses):
        return None
    return Misreading(reason, ratio)


def _reason(layer: Layer, tensor: torch.Tensor) -> str | None:
    """Why the fans by the shape are not those of the layer."""
    if layer.transposed:
        return "transposed"
    if layer.kind != "Parameter":
        return "groups" if (layer.groups or 1) > 1 else None
    if tensor.dim() == 2 and layer.fan_in == tensor.shape[0] != tensor.shape[1]:
        return "left"
    return "stack" if tensor.dim() == 3 and layer.fan_in in tensor.shape[1:] else None


def _went_by_the_shape(layer: Layer, tensor: torch.Tensor) -> bool:
    """Whether the weights have the std that the shape as it is stored promises: an initializer may have been given a view."""
    promised, gain = layer.weight.std, layer.weight.effective_gain
    if not promised or gain is None or not layer.fan_in:
        return False
    measured = float(torch.std(tensor.detach().float(), correction=0))
    return abs(measured / promised - 1) < 0.02 + 4 / math.sqrt(2 * tensor.numel())


def _ratio(layer: Layer, tensor: torch.Tensor, reason: str, knowledge: Knowledge) -> float | None:
    fact = initializer_fact(layer.weight.function, knowledge)
    fan_in, fan_out = torch_fans(tensor)
    true_in, true_out = layer.fan_in, layer.fan_out
    if reason == "stack" and true_in:
        true_out = int(tensor.shape[1] * tensor.shape[2]) // true_in
    if fact is None or not true_in or not true_out:
        return None
    if fact.formula == "xavier":
        return math.sqrt((true_in + true_out) / (fan_in + fan_out))
    if reason == "left" and _was_computed_from(fan_in, true_in, layer.weight, fact.formula):
        return math.sqrt(true_in / fan_in)
    if fact.formula != "kaiming":
        return None
    backward = goes_by_fan_out({**dict(layer.weight.arguments), **fact.fixed})
    used = fan_out if backward else fan_in
    if reason == "stack":  # which of the two is meant is not said: the one that is nearer
        return min((math.sqrt(true / used) for true in (true_in, true_out)), key=lambda ratio: abs(math.log(ratio)))
    return math.sqrt((true_out if backward and reason != "transposed" else true_in) / used)


def _was_computed_from(fan: int, other: int, weight: Initializer, formula: str) -> bool:
    """Whether a spread is a formula's for `fan`, to the last digit, and no formula's for `other`, and no number that is chosen."""
    given = dict(weight.arguments)
    spread = given.get({"uniform": "b", "normal": "std"}.get(formula, ""))
    centered = given.get("a") == -spread if formula == "uniform" and isinstance(spread, float) else not weight.mean
    if not isinstance(spread, float) or not centered or spread == float(f"{spread:.3g}"):
        return False
    return _is_formula(spread, fan, formula) and not _is_formula(spread, other, formula)


def _is_formula(spread: float, fan: int, formula: str) -> bool:
    return any(math.isclose(spread * spread * fan, constant, rel_tol=1e-9) for constant in _CONSTANTS[formula])


_CONSTANTS = {"uniform": (1.0, 3.0, 6.0), "normal": (1.0, 2.0)}
"""Fan times the square of the spread: LeCun's and Kaiming's, and the 1 / sqrt(fan) that many take for a bound."""


def _is_normalized(wiring: Wiring, position: int) -> bool:
    """Whether a normalization comes before anything else that changes the signal."""
    pending = list(wiring.consumers[position])
    while pending:
        kind = wiring.ops[each := pending.pop()].kind
        if kind == "norm":
            return True
        if kind in _PASSING:
            pending += wiring.consumers[each]
    return False
