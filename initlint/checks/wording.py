"""How findings speak: the user's own names, the measure, and what to write instead."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence

from initlint.analysis import gain_of, local_factor
from initlint.analysis.ideals import leaky_gain, parameters_of
from initlint.knowledge import Activation, Knowledge
from initlint.model import Follower, Initializer, Judgement, Layer

_NOTICED = 0.05
_RETUNE = 10.0
"""A repair that moves J by more than this moves the learning rate that suits the model."""

_SAME_GAIN = 0.01


def name_of(layer: Layer) -> str:
    """What a user calls the layer: ``Net.features.0``, or outside a class what it is reached by: ``net[0]``.

    In a container that nothing names this is the container's class: ``Sequential[0]``.
    """
    if layer.owner:
        return f"{layer.owner}.{layer.path}"
    if layer.access is not None:
        return layer.access
    steps = [f"[{step}]" if step.isdecimal() else f".{step}" for step in layer.path.split(".") if step]
    return "".join((layer.holder or layer.kind, *steps))


def name_layers(layers: Sequence[Layer]) -> str:
    """One name for several layers of one place: ``Net.layers.0..7`` for a run, else the first and how many more."""
    names = list(dict.fromkeys(map(name_of, layers)))
    if len(names) == 1:
        return f"`{names[0]}`"
    numbers = [re.split(r"(\d+)", name) for name in names]
    differing = [
        place for place in range(len(numbers[0])) if len({tuple(parts[place : place + 1]) for parts in numbers}) > 1
    ]
    if len(differing) == 1 and all(
        len(parts) == len(numbers[0]) and parts[differing[0]].isdigit() for parts in numbers
    ):
        place = differing[0]
        indices = sorted(int(parts[place]) for parts in numbers)
        first = numbers[0]
        return f"`{''.join(first[:place])}{indices[0]}..{indices[-1]}{''.join(first[place + 1 :])}`"
    return f"`{names[0]}` and {len(names) - 1} more"


def context_phrase(judgement: Judgement) -> str:
    """Who builds the layer so that the finding holds, where it does not hold whoever builds it; else empty."""
    layer = judgement.layer
    if not judgement.partial or layer.context is None or layer.context.partition(" in ")[0] == layer.owner:
        return ""
    return f", when built by {layer.context},"


def initializer_text(initializer: Initializer) -> str:
    """The initializer in effect as a report shows it: ``default``, ``kaiming_normal_(mode='fan_out')``."""
    if initializer.source != "explicit" or initializer.function is None:
        return initializer.source
    arguments = ", ".join(f"{name}={_value(value)}" for name, value in initializer.arguments)
    return f"{initializer.function}({arguments})"


def _value(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else repr(value)


def measure(judgements: Sequence[Judgement], knowledge: Knowledge) -> str:
    """The clause that says what the gains do here and over the chain of the first; empty where neither is known."""
    chain = judgements[0].chain
    factors = [local_factor(each, knowledge.activations) for each in judgements]
    known = [factor for factor in factors if factor is not None]
    over = None if chain is None or chain.length < 3 or chain.residual else chain.signal
    if factors[0] is None:
        return ""
    text = f", which scales the signal by {_span(known, number)} here"
    if chain is None or over is None:
        return text
    return f"{text} and by {number(over)} over this {chain.length}-layer chain"


def _span(values: Sequence[float], say: Callable[[float], str]) -> str:
    """One value, or the least and the most of several that read differently."""
    least, most = say(min(values)), say(max(values))
    return least if least == most else f"{least} to {most}"


def number(value: float) -> str:
    """Two significant digits, as a reader compares them: 0.58, 1.4, 0.0019, 66, 1500, 2.6e-08."""
    if value >= 1e5 or 0.0 < value < 1e-4:
        return f"{value:.1e}"
    if value >= 10.0:
        return str(int(float(f"{value:.2g}")))
    return f"{value:#.2g}"


def gain_text(gain: float) -> str:
    """A gain with two decimals."""
    return f"{gain:.2f}"


def advice(
    judgements: Sequence[Judgement], knowledge: Knowledge, written: Callable[[str], str] | None = None
) -> str | None:
    """What to write instead, and that a learning rate may have to follow; the first judgement gives the figures.

    `written` makes of a target the call that a fix writes: what is advised and what is done are one.
    """
    worst = judgements[0]
    follower, activation = _decided(worst, knowledge)
    if follower is None or activation is None:
        return None
    several = len(judgements) > 1
    texts: dict[str, list[Layer]] = {}
    for each in judgements:
        target = "layer" if several or each.layer.access is None else each.layer.access
        if each.layer.kind != "Parameter":
            target += ".weight"
        text = (
            _recommendation(each, *_decided(each, knowledge), target)
            if written is None
            else f"write `{written(target)}`"
        )
        if text is not None:
            texts.setdefault(text, []).append(each.layer)
    if not texts:
        return None
    if len(texts) > 1:
        text = "; ".join(f"{text} for {name_layers(layers)}" for text, layers in texts.items())
    else:
        text = next(iter(texts)) + (" for each of them" if several else "")
    if activation.family == "saturating" and len(activation.bands) > 1 and follower.output is False:
        text += ", or use tanh or ReLU"
    return text + _retune(worst)


def _decided(judgement: Judgement, knowledge: Knowledge) -> tuple[Follower | None, Activation | None]:
    """What a layer runs into that judges it, and the activation that this is."""
    follower = judgement.decisive
    return follower, None if follower is None else knowledge.activations.get(follower.activation)


def _retune(judgement: Judgement) -> str:
    chain = judgement.chain
    if chain is None or chain.residual or not chain.signal or not chain.fixed_signal:
        return ""
    moved = chain.fixed_signal / chain.signal
    if 1.0 / _RETUNE <= moved <= _RETUNE:
        return ""
    if len(set(chain.layers)) < len(chain.layers):
        return ", and re-tune the learning rate"  # a layer's last application reaches the end by less of the chain
    return f", and re-tune the learning rate: the gradient of the first layers changes {number(moved)}-fold"


def _recommendation(
    judgement: Judgement, follower: Follower | None, activation: Activation | None, target: str
) -> str | None:
    if follower is None or activation is None:
        return None
    call = activation.recommended
    if follower.output is not False and activation.output_recommended is not None:
        call = activation.output_recommended
    if "function" not in call or judgement.ideal is None:
        return None
    if judgement.layer.transposed and judgement.layer.kind != "Parameter":
        return (
            f"draw it by hand with gain {gain_text(judgement.ideal)}: torch swaps the fans of transposed convolutions"
        )
    if not math.isclose(judgement.ideal, _called_for(follower, activation), rel_tol=_SAME_GAIN):
        if judgement.layer.groups != 1:
            return f"draw it with gain {gain_text(judgement.ideal)}"
        gain = gain_text(judgement.ideal)
        return f"write `nn.init.xavier_uniform_({target}{'' if gain == '1.00' else f', gain={gain}'})`"
    if judgement.layer.transposed and str(call["function"]).startswith("kaiming"):
        call = {**call, "mode": "fan_out"}  # torch takes the rows of a matrix for its outputs
    arguments = [target, *_arguments(call, follower, activation)]
    return f"write `nn.init.{call['function']}({', '.join(arguments)})`"


def _called_for(follower: Follower, activation: Activation) -> float:
    """The gain that the call which is recommended before an activation gives."""
    gain = activation.gain
    if follower.output is not False and activation.output_gain is not None:
        gain = activation.output_gain
    return gain * (leaky_gain(follower, activation) or 1.0)


def _arguments(call: Mapping[str, str | float], follower: Follower, activation: Activation) -> list[str]:
    written = []
    for name, value in call.items():
        if name == "function" or (name, value) == ("mode", "fan_in"):
            continue
        if name == "calculate_gain":
            written.append(f"gain=nn.init.calculate_gain('{value}')")
        elif value == "slope" and activation.slope_parameter is not None:
            slope = dict(parameters_of(follower, activation))[activation.slope_parameter]
            written.append(f"{name}={slope:.4g}")
        else:
            written.append(f"{name}={_value(value)}")
    return written


def gain_phrase(judgements: Sequence[Judgement]) -> str:
    """`before relu (wants 1.41)`; of several layers every activation that judges one."""
    activations = dict.fromkeys(each.decisive.activation for each in judgements if each.decisive is not None)
    before = f" before {' or '.join(activations)}" if activations else ""
    ideals = [each.ideal for each in judgements if each.ideal is not None]
    return before + (f" (wants {_span(ideals, gain_text)})" if ideals else "")


def started(judgements: Sequence[Judgement]) -> str:
    """How the layers start, in brackets: the gain they are given, what their widths make of it, and the sum that it is a term of."""
    texts = dict.fromkeys(map(_started, judgements))
    if len(texts) == 1:
        return next(iter(texts))
    return f" (gain {_span([met for each in judgements if (met := _met(each.layer)) is not None], gain_text)})"


def _met(layer: Layer) -> float | None:
    """The gain that a layer has in effect, where that differs noticeably from the one it is given."""
    gain, effective = gain_of(layer), layer.weight.effective_gain
    if gain is None or effective is None or math.isclose(gain, effective, rel_tol=_NOTICED):
        return gain
    return effective


def _started(judgement: Judgement) -> str:
    gain, met, follower = gain_of(judgement.layer), _met(judgement.layer), judgement.decisive
    if gain is None or met is None:
        return ""
    in_effect = f", in effect {gain_text(met)}" if met != gain else ""
    total = met if follower is None or not follower.summed else met * follower.summed
    in_sum = f", {gain_text(total)} in the sum" if gain_text(total) != gain_text(met) else ""
    return f" (gain {gain_text(gain)}{in_effect}{in_sum})"
