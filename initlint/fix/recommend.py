"""The initializer to write follows from the layer, the activation that decided, and what the class already uses."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from initlint.fix.options import FixOptions
from initlint.knowledge import Activation
from initlint.model import Follower, Judgement, Layer

Distribution = Literal["normal", "uniform"]
Mode = Literal["fan_in", "fan_out"]

_GAIN_TOLERANCE = 0.01
BARE = "Parameter"
"""The kind of a bare `nn.Parameter` used as a matrix."""

_DENSE = frozenset({"Linear", "Conv1d", "Conv2d", "Conv3d"})
_TRANSPOSED = frozenset({"ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"})


@dataclass(frozen=True, slots=True)
class CalculatedGain:
    """``nn.init.calculate_gain(nonlinearity, parameter)``, written out as an author would."""

    nonlinearity: str
    parameter: float | None = None


Argument = str | float | CalculatedGain


@dataclass(frozen=True, slots=True)
class Call:
    """One initializer call without its target: a function of torch.nn.init, its keyword arguments, its gain.

    `note` says where a number among the arguments comes from.
    """

    function: str
    arguments: tuple[tuple[str, Argument], ...]
    gain: float
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a layer is not repaired, as a clause that can follow "not repaired:".

    `entire`: the rest of its chain suffers from the repair, so that no part of it is to be made either. `thrown` are the
    layers that suffer, as they are judged then, if all of them might be repaired along with it. `incomplete`: what stands in the
    way of another layer of its chain is all that speaks against it.
    """

    reason: str
    entire: bool = False
    incomplete: bool = False
    thrown: tuple[Judgement, ...] = ()


@dataclass(frozen=True, slots=True)
class Habit:
    """What the surrounding code already uses, None where it uses neither or both."""

    distribution: Distribution | None = None
    mode: Mode | None = None


def recommend(
    judgement: Judgement,
    activations: Mapping[str, Activation],
    habit: Habit,
    options: FixOptions,
    *,
    stride: int | None = None,
    together: bool = False,
) -> Call | Refusal:
    """The call to write for one mismatched layer, or why there is none.

    `together`: the activation is built with the layer, as one Sequential: whatever branch they lie on, it follows.
    `stride` is that of a transposed convolution, where it is known: torch swaps the fans of its weight, so Kaiming
    with mode="fan_out" is exact for stride 1, and nothing in torch.nn.init is for any other: units then sum unlike many inputs.
    """
    follower = judgement.decisive
    if follower is None:
        return Refusal("no activation decides")
    refusal = _refuse(judgement, follower, together=together)
    if refusal is not None:
        return Refusal(refusal)
    activation = activations.get(follower.activation)
    if activation is None or "function" not in _recommended(follower, activation):
        return Refusal(f"there is no initializer to recommend before {follower.activation}")
    if _disagree(judgement, activations):
        return Refusal("its followers ask for different gains")
    if kind_of(judgement.layer) in _TRANSPOSED and (stride != 1 or judgement.layer.groups != 1):
        return Refusal("torch swaps the fans of a transposed convolution")
    return _call(judgement, follower, activation, habit, options)


def _refuse(judgement: Judgement, follower: Follower, *, together: bool) -> str | None:
    """Why nothing certain can be written for this layer, whatever the activation."""
    layer = judgement.layer
    chain = judgement.chain
    reasons = (
        (judgement.verdict != "mismatch", "it is not a mismatch"),
        (not has_usual_fans(layer) and layer.kind == BARE, "torch may take its inputs for its outputs"),
        (not has_usual_fans(layer), f"{layer.kind} has no initializer that is right for it"),
        (layer.lazy, "a lazy layer has no weight yet"),
        (layer.parametrization is not None, f"{layer.parametrization} rebuilds the weight"),
        (layer.frozen, "the weight is frozen"),
        (layer.weight.source in ("loaded", "unknown"), "what fills the weight is not known"),
        (layer.weight.conditional, "the weight is initialized only under a condition"),
        (layer.weight.rescaled, "its author scaled what was drawn"),
        (follower.residual or (chain is not None and chain.residual), "it lies in a residual branch"),
        (chain is not None and chain.renewed, "it lies in a residual branch, whose scale is part of a recipe"),
        (follower.gated, "the activation is a gate"),
        (
            not together and follower.alternative and sum(one.alternative for one in judgement.followers) == 1,
            "only one of several branches has this activation",
        ),
        (
            follower.scaled is None or not math.isclose(follower.scaled, 1.0, rel_tol=0.02),
            "its output is rescaled first",
        ),
    )
    return next((reason for holds, reason in reasons if holds), None)


def has_usual_fans(layer: Layer) -> bool:
    """Whether what torch divides by is known to be right for the weight, or known to be wrong in a known way.

    A bare parameter is used as F.linear would use it where what its initializer gives is what it promises.
    """
    if layer.kind != BARE:
        return kind_of(layer) in _DENSE | _TRANSPOSED
    gain, effective = layer.weight.gain, layer.weight.effective_gain
    return gain is not None and effective is not None and math.isclose(gain, effective)


def kind_of(layer: Layer) -> str:
    """The class of a layer without its module: ``Conv2d``."""
    return layer.kind.rpartition(".")[2]


def _disagree(judgement: Judgement, activations: Mapping[str, Activation]) -> bool:
    """Whether activations that have an opinion on one output ask for different calls."""
    opinions = {
        (tuple(sorted(_recommended(one, activation).items())), _slope(one, activation))
        for one in judgement.followers
        if not (one.normalized or one.gated)
        and (activation := activations.get(one.activation)) is not None
        and not activation.exempt
    }
    return len(opinions) > 1


def _recommended(follower: Follower, activation: Activation) -> Mapping[str, str | float]:
    if follower.output is not False and activation.output_recommended is not None:
        return activation.output_recommended
    return activation.recommended


def _call(
    judgement: Judgement, follower: Follower, activation: Activation, habit: Habit, options: FixOptions
) -> Call | Refusal:
    layer = judgement.layer
    recommended = _recommended(follower, activation)
    family = str(recommended["function"])
    distribution = _distribution(layer, family, habit, options)
    gain = judgement.ideal if judgement.ideal is not None else activation.gain
    if layer.weight.function == "orthogonal_":
        return _scaled("orthogonal_", gain, recommended, follower, activation)
    if family.startswith("kaiming"):
        return _kaiming(layer, follower, activation, distribution, _mode(layer, habit, options))
    if layer.groups == 1 and not layer.transposed:
        return _scaled(f"xavier_{distribution}_", gain, recommended, follower, activation)
    return _fan_in_equivalent(layer, gain, recommended, distribution)


def _kaiming(layer: Layer, follower: Follower, activation: Activation, distribution: Distribution, mode: Mode) -> Call:
    nonlinearity = str(_recommended(follower, activation).get("nonlinearity", "relu"))
    arguments: list[tuple[str, Argument]] = []
    gain = 1.0 if nonlinearity == "linear" else math.sqrt(2.0)
    slope = _slope(follower, activation) if nonlinearity == "leaky_relu" else 0.0
    if not slope and nonlinearity == "leaky_relu":
        nonlinearity = "relu"
    if slope:
        arguments.append(("a", slope))
        gain = math.sqrt(2.0 / (1.0 + slope * slope))
    if mode == "fan_out":
        arguments.append(("mode", mode))
    arguments.append(("nonlinearity", nonlinearity))
    return Call(f"kaiming_{distribution}_", tuple(arguments), gain)


def _fan_in_equivalent(
    layer: Layer, gain: float, recommended: Mapping[str, str | float], distribution: Distribution
) -> Call | Refusal:
    """Xavier's gain by Kaiming, which scales by the one fan that torch counts rightly for such a weight."""
    mode: tuple[tuple[str, Argument], ...] = (("mode", "fan_out"),) if layer.transposed else ()
    nonlinearity = recommended.get("calculate_gain")
    if nonlinearity is None and math.isclose(gain, 1.0, rel_tol=_GAIN_TOLERANCE):
        nonlinearity = "linear"
    if nonlinearity is None:
        return Refusal("torch computes Xavier's fans wrongly for grouped and transposed convolutions")
    return Call(f"kaiming_{distribution}_", (*mode, ("nonlinearity", nonlinearity)), gain)


def _scaled(
    function: str, gain: float, recommended: Mapping[str, str | float], follower: Follower, activation: Activation
) -> Call:
    """A call of a function that takes a gain; a number says who found it."""
    arguments = _gain(gain, recommended, follower, activation)
    known = activation.gain_reference if gain == activation.gain else None
    is_number = any(isinstance(value, float) for _, value in arguments)
    note = f"for a {activation.name}: {known}" if is_number and known is not None else None
    return Call(function, arguments, gain, note)


def _gain(
    gain: float, recommended: Mapping[str, str | float], follower: Follower, activation: Activation
) -> tuple[tuple[str, Argument], ...]:
    """The `gain` argument: absent for 1, torch's name for the gains that torch can name, else the number."""
    if math.isclose(gain, 1.0, rel_tol=_GAIN_TOLERANCE):
        return ()
    if "calculate_gain" in recommended:
        return (("gain", CalculatedGain(str(recommended["calculate_gain"]))),)
    if recommended.get("nonlinearity") == "leaky_relu":
        return (("gain", CalculatedGain("leaky_relu", _slope(follower, activation))),)
    if recommended.get("nonlinearity") == "relu":
        return (("gain", CalculatedGain("relu")),)
    return (("gain", round(gain, 4)),)


def _slope(follower: Follower, activation: Activation) -> float:
    """The negative slope of this use of a leaky rectifier."""
    written = activation.recommended.get("a", 0.0)
    if isinstance(written, float | int) or activation.slope_parameter is None:
        return float(written)
    return {**dict(activation.parameters), **dict(follower.params)}[activation.slope_parameter]


def _distribution(layer: Layer, family: str, habit: Habit, options: FixOptions) -> Distribution:
    """Options first, then the call that is overridden, then what the class uses, then what is recommended."""
    if options.distribution != "auto":
        return options.distribution
    if layer.weight.source == "explicit":
        return "uniform" if "uniform" in str(layer.weight.function) else "normal"
    return habit.distribution or ("uniform" if "uniform" in family else "normal")


def _mode(layer: Layer, habit: Habit, options: FixOptions) -> Mode:
    """The fan to scale by; fan_in wherever torch counts the other one wrongly, fan_out where it swaps the two."""
    if layer.transposed:
        return "fan_out"
    if layer.groups != 1:
        return "fan_in"
    if options.mode != "auto":
        return options.mode
    if layer.weight.source == "explicit" and str(layer.weight.function).startswith("kaiming"):
        return "fan_out" if dict(layer.weight.arguments).get("mode") == "fan_out" else "fan_in"
    return habit.mode or "fan_in"
