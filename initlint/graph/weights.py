"""What a parameter holds, as an `Initializer`: who wrote it by the record, what it amounts to by measurement."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import nn

from initlint.graph.provenance import Write
from initlint.knowledge import InitializerFact, Knowledge
from initlint.model import UNKNOWN_INITIALIZER, Initializer, Value


@dataclass(frozen=True, slots=True)
class Statistics:
    """Mean and standard deviation of all elements of a parameter."""

    mean: float
    std: float


def measure_parameter(tensor: torch.Tensor) -> Statistics | None:
    """The statistics of a parameter; None where its elements do not exist."""
    if tensor.is_meta or nn.parameter.is_lazy(tensor) or not tensor.is_floating_point() or not tensor.numel():
        return None
    std, mean = torch.std_mean(tensor.detach().float(), correction=0)
    return Statistics(float(mean), float(std))


def true_gain(std: float, fan_in: float | None) -> float | None:
    """The gain that a signal meets; None where the fan is not known."""
    return None if fan_in is None else std * math.sqrt(fan_in)


def true_fan_in(module: nn.Module, weight: torch.Tensor, fans: str) -> float | None:
    """How many products an output of `module` sums: std(W) * sqrt(this) is the gain that a signal meets.

    A transposed convolution with stride s reaches an output with one in s^d of its taps; torch's own fan is that of
    (in, out / groups, *kernel) read the wrong way round.
    """
    shape = tuple(weight.shape)
    match fans:
        case "linear" | "conv" | "bilinear":
            return float(math.prod(shape[1:]))
        case "conv_transpose":
            stride = cast("tuple[int, ...]", module.stride)
            groups = cast("int", module.groups)
            return shape[0] / groups * math.prod(shape[2:]) / math.prod(stride)
        case _:
            return None


def read_initializer(
    writes: Sequence[Write], tensor: torch.Tensor, fan_in: float | None, knowledge: Knowledge
) -> tuple[Initializer, tuple[Initializer, ...]]:
    """The initializer in effect, and those before it, oldest first.

    Its effective gain is measured. So are mean and std where no formula promises them: a promise holds for every seed.
    """
    history = tuple(_initializer(write, tensor, fan_in, knowledge) for write in _effective(writes))
    statistics = measure_parameter(tensor)
    current = history[-1] if history else UNKNOWN_INITIALIZER
    if statistics is None:
        return current, history[:-1]
    effective = true_gain(statistics.std, fan_in)
    gain = effective if current.gain is None and not _is_fixed(current) else current.gain
    measured = replace(
        current,
        gain=gain,
        effective_gain=effective,
        std=statistics.std if current.std is None else current.std,
        mean=statistics.mean if current.mean is None else current.mean,
    )
    return measured, history[:-1]


def recognize_default(tensor: torch.Tensor, fan_in: float | None) -> Initializer:
    """The initializer of a weight that nobody saw being written: torch's default by its values, or unknown.

    The default is uniform within 1 / sqrt(torch's fan_in): it fills that interval to its ends, and nothing lies outside.
    """
    statistics = measure_parameter(tensor)
    if statistics is None or tensor.dim() < 2 or tensor.numel() < _TELLING:
        return UNKNOWN_INITIALIZER
    effective = true_gain(statistics.std, fan_in)
    measured = Initializer("unknown", effective_gain=effective, std=statistics.std, mean=statistics.mean)
    bound = 1 / math.sqrt(torch_fans(tensor)[0])
    reach = float(tensor.detach().abs().max())
    uniform = abs(statistics.std * math.sqrt(3) / bound - 1) < 2 / math.sqrt(tensor.numel())
    if not (uniform and 1 - 20 / tensor.numel() < reach / bound <= 1 + 1e-6):
        return measured
    return replace(measured, source="default", gain=1 / math.sqrt(3))


_TELLING = 64
"""With fewer elements chance may look like the default."""


def _is_fixed(initializer: Initializer) -> bool:
    """Whether every number in a call was chosen rather than computed from a width: 0.02 is, 0.0883883 is not."""
    numbers = [value for _, value in initializer.arguments if isinstance(value, float)]
    return initializer.function is not None and all(value == float(f"{value:.3g}") for value in numbers)


def _effective(writes: Sequence[Write]) -> list[Write]:
    """The writes that gave a parameter its values, each over the one before.

    Memory that was only created counts where nothing was written into it; a write to a small part of the
    parameter (a padding row, one gate's bias) leaves its initializer what it was.
    """
    filled = [write for write in writes if not write.created]
    kept = [write for write in filled if write.whole]
    if kept or not filled:
        return kept or list(writes[-1:])
    return filled[-1:]


def _initializer(write: Write, tensor: torch.Tensor, fan_in: float | None, knowledge: Knowledge) -> Initializer:
    fact = initializer_fact(write.function, knowledge)
    arguments = {} if fact is None else _in_full(write, fact)
    std = None if fact is None else _analytic_std(fact, arguments, tensor, knowledge)
    effective = None if std is None or fan_in is None else std * math.sqrt(fan_in)
    gain = None if fact is None else _nominal_gain(fact, arguments, knowledge)
    return Initializer(
        source=write.source,
        function=write.function,
        arguments=_given(write, fact),
        gain=gain,
        effective_gain=effective,
        std=std,
        mean=None if fact is None else _analytic_mean(fact, arguments),
        site=write.site if write.source != "default" else None,
        editable=write.editable,
    )


def _given(write: Write, fact: InitializerFact | None) -> tuple[tuple[str, Value], ...]:
    """The arguments that differ from the initializer's own defaults: what the call spells out."""
    defaults = {} if fact is None else dict(fact.signature)
    return tuple((name, value) for name, value in write.arguments if defaults.get(name, ...) != value)


def initializer_fact(function: str | None, knowledge: Knowledge) -> InitializerFact | None:
    """What is known of the function or tensor method that a write was made by."""
    if function is None:
        return None
    return knowledge.initializers.get(f"torch.nn.init.{function}") or knowledge.initializers.get(f"Tensor.{function}")


def constant_of(write: Write, fact: InitializerFact) -> float | None:
    """The number that a write puts everywhere, None for one that draws."""
    if fact.formula != "constant":
        return None
    value = _in_full(write, fact).get("val")
    return float(value) if isinstance(value, int | float) else None


def _in_full(write: Write, fact: InitializerFact) -> dict[str, object]:
    """The arguments of a call by name, with those that it leaves to their defaults and those that its function fixes."""
    return {**dict(fact.signature), **dict(write.arguments), **fact.fixed}


def _number(arguments: Mapping[str, object], name: str, default: float) -> float:
    value = arguments.get(name, default)
    return float(value) if isinstance(value, int | float) else default


def _nominal_gain(fact: InitializerFact, arguments: Mapping[str, object], knowledge: Knowledge) -> float | None:
    """Std * sqrt(the fan that the initializer scales by)."""
    match fact.formula:
        case "kaiming":
            nonlinearity = str(arguments.get("nonlinearity", "leaky_relu"))
            if nonlinearity == "leaky_relu":
                return math.sqrt(2 / (1 + _number(arguments, "a", 0.0) ** 2))
            return knowledge.gains.get(nonlinearity)
        case "xavier" | "orthogonal":
            return _number(arguments, "gain", 1.0)
        case _:
            return None


def _analytic_std(
    fact: InitializerFact, arguments: Mapping[str, object], tensor: torch.Tensor, knowledge: Knowledge
) -> float | None:
    """The standard deviation an initializer gives a tensor of this shape (torch/nn/init.py); None where that is not known."""
    gain = _nominal_gain(fact, arguments, knowledge)
    match fact.formula:
        case "kaiming" | "xavier" | "orthogonal" if tensor.dim() < 2 or gain is None:
            return None
        case "kaiming":
            fan_in, fan_out = torch_fans(tensor)
            assert gain is not None
            return gain / math.sqrt(fan_out if goes_by_fan_out(arguments) else fan_in)
        case "xavier":
            assert gain is not None
            return gain * math.sqrt(2 / sum(torch_fans(tensor)))
        case "orthogonal":
            assert gain is not None
            return gain / math.sqrt(max(tensor.shape[0], tensor.numel() // tensor.shape[0]))
        case "normal":
            return _number(arguments, "std", 1.0)
        case "trunc_normal" | "trunc_normal_tf":
            return _truncated_std(arguments, in_units=fact.formula == "trunc_normal_tf")
        case "uniform":
            return abs(_number(arguments, "b", 1.0) - _number(arguments, "a", 0.0)) / math.sqrt(12)
        case "constant":
            return 0.0
        case _:
            return None


def _analytic_mean(fact: InitializerFact, arguments: Mapping[str, object]) -> float | None:
    """The mean an initializer gives a tensor, None where that is not known."""
    match fact.formula:
        case "kaiming" | "xavier" | "orthogonal":
            return 0.0
        case "normal":
            return _number(arguments, "mean", 0.0)
        case "uniform":
            return (_number(arguments, "a", 0.0) + _number(arguments, "b", 1.0)) / 2
        case "constant":
            return _number(arguments, "val", 0.0)
        case _:
            return None


def torch_fans(tensor: torch.Tensor) -> tuple[int, int]:
    """The fans that torch.nn.init computes, right or wrong."""
    receptive = math.prod(tensor.shape[2:])
    return int(tensor.shape[1]) * receptive, int(tensor.shape[0]) * receptive


def goes_by_fan_out(arguments: Mapping[str, object]) -> bool:
    """Whether a call of a Kaiming initializer keeps the size of the gradient, not that of the signal."""
    return str(arguments.get("mode", "fan_in")).lower() == "fan_out"


def _truncated_std(arguments: Mapping[str, object], *, in_units: bool) -> float:
    """The standard deviation of a normal cut at a and b (Johnson, Kotz & Balakrishnan 1994, section 10.1)."""
    std, mean = _number(arguments, "std", 1.0), _number(arguments, "mean", 0.0)
    unit, center = (1.0, 0.0) if in_units else (std or 1.0, mean)
    low = (_number(arguments, "a", -2.0) - center) / unit
    high = (_number(arguments, "b", 2.0) - center) / unit
    below, above = _cumulative(low), _cumulative(high)
    if above - below <= 0:
        return std
    density_low, density_high = _density(low), _density(high)
    shift = (density_low - density_high) / (above - below)
    return std * math.sqrt(max(0.0, 1 + (low * density_low - high * density_high) / (above - below) - shift**2))


def _density(x: float) -> float:
    return math.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def _cumulative(x: float) -> float:
    return (1 + math.erf(x / math.sqrt(2))) / 2
