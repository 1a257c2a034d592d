"""What an activation does to a Gaussian pre-activation x ~ N(0, q): E[f(x)^2] and E[f'(x)^2], integrated here."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType

Parameters = tuple[tuple[str, float], ...]
Function = Callable[[float], float]

_REACH = 8.0  # standard deviations; what lies beyond weighs less than 1e-15
_CELLS = 256
_STEP = 0.125  # of ln q between two integrations; in between the logarithms are interpolated
_LOG_LIMIT = 60.0  # of |ln q|: beyond it a signal has vanished or exploded whatever the next digit


@dataclass(frozen=True, slots=True)
class Moments:
    """`square` is E[f(x)^2] and `slope` E[f'(x)^2], for x ~ N(0, q)."""

    square: float
    slope: float


def moments(activation: str, parameters: Parameters, square: float) -> Moments | None:
    """The moments of one activation for a pre-activation of mean square `square`, None if it has no formula here.

    `parameters` are those that the activation was built with; what is absent has torch's default.
    """
    formula = _FORMULAS.get(activation)
    if formula is None:
        return None
    if square <= 0.0 or not math.isfinite(square):
        square = math.exp(-_LOG_LIMIT) if square <= 0.0 else math.exp(_LOG_LIMIT)
    if activation in _HOMOGENEOUS:
        unit = _integrate(activation, parameters, 0)
        return Moments(unit.square * square, unit.slope)
    place = min(max(math.log(square), -_LOG_LIMIT), _LOG_LIMIT) / _STEP
    knot = math.floor(place)
    low, high = _integrate(activation, parameters, knot), _integrate(activation, parameters, knot + 1)
    part = place - knot
    return Moments(_between(low.square, high.square, part), _between(low.slope, high.slope, part))


def has_formula(activation: str) -> bool:
    """Whether the activation can be integrated."""
    return activation in _FORMULAS


def _between(low: float, high: float, part: float) -> float:
    if low > 0.0 and high > 0.0:
        return math.exp((1.0 - part) * math.log(low) + part * math.log(high))
    return (1.0 - part) * low + part * high


@functools.lru_cache(maxsize=4096)
def _integrate(activation: str, parameters: Parameters, knot: int) -> Moments:
    """The moments at ln q = knot * _STEP.

    The grid is uniform both in standard deviations and, around zero, in x, so that neither a narrow nor a wide
    Gaussian steps over a bend. The slope is that of the chord over a cell: no derivative has to be written down.
    """
    function = _FORMULAS[activation](dict(parameters))
    deviation = math.exp(0.5 * knot * _STEP)
    square = slope = 0.0
    value_left: float | None = None
    for left, right, dense_left, dense_middle, dense_right, between in _grid(knot):
        if value_left is None:
            value_left = function(deviation * left)
        value_right, middle = function(deviation * right), function(deviation * 0.5 * (left + right))
        ends = value_left * value_left * dense_left + value_right * value_right * dense_right
        square += (right - left) / 6.0 * (ends + 4.0 * middle * middle * dense_middle)
        chord = (value_right - value_left) / (deviation * (right - left))
        slope += between * chord * chord
        value_left = value_right
    return Moments(square, slope)


@functools.lru_cache(maxsize=1024)
def _grid(knot: int) -> tuple[tuple[float, float, float, float, float, float], ...]:
    """The grid at ln q = knot * _STEP: both edges of each cell, the density there and between them, and the cell's probability."""
    deviation = math.exp(0.5 * knot * _STEP)
    uniform = {_REACH * (2 * index / _CELLS - 1) for index in range(_CELLS + 1)}
    central = {point / deviation for point in uniform if abs(point) < _REACH * deviation}
    edges = sorted(uniform | central)  # a set: a repeated edge would be a cell without width
    known = [(edge, _density(edge), _below(edge)) for edge in edges]
    return tuple(
        (left, right, dense_left, _density(0.5 * (left + right)), dense_right, below_right - below_left)
        for (left, dense_left, below_left), (right, dense_right, below_right) in pairwise(known)
    )


def _below(deviations: float) -> float:
    """The probability that a standard normal lies below `deviations`."""
    return 0.5 * math.erfc(-deviations / math.sqrt(2.0))


def _density(deviations: float) -> float:
    return math.exp(-0.5 * deviations * deviations) / math.sqrt(2.0 * math.pi)


def _sigmoid(x: float) -> float:
    if x >= 0.0:
        return 1.0 / (1.0 + math.exp(-x))
    grown = math.exp(x)
    return grown / (1.0 + grown)


def _softplus(x: float) -> float:
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def _clip(x: float, low: float, high: float) -> float:
    return min(max(x, low), high)


def _leaky(slope: float) -> Function:
    return lambda x: x if x >= 0.0 else slope * x


def _elu(alpha: float, reach: float = 1.0) -> Function:
    return lambda x: x if x >= 0.0 else alpha * math.expm1(x / reach)


def _gelu_tanh(x: float) -> float:
    return 0.5 * x * (1.0 + math.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)))


def _rms_slope(lower: float, upper: float) -> float:
    """The slope that has the second moment of a uniform one: sqrt(E[a^2]) (He et al. 2015 with a random slope)."""
    return math.sqrt((lower * lower + lower * upper + upper * upper) / 3.0)


def _selu(x: float) -> float:
    # Klambauer et al. 2017, equation 2.
    return 1.0507009873554805 * (x if x >= 0.0 else 1.6732632423543772 * math.expm1(x))


def _scaled_softplus(beta: float) -> Function:
    return lambda x: _softplus(beta * x) / beta


def _shrink_soft(width: float) -> Function:
    return lambda x: math.copysign(max(abs(x) - width, 0.0), x)


def _threshold(threshold: float, value: float) -> Function:
    return lambda x: x if x > threshold else value


_FORMULAS: Mapping[str, Callable[[dict[str, float]], Function]] = MappingProxyType(
    {
        "identity": lambda _: lambda x: x,
        "relu": lambda _: _leaky(0.0),
        "relu6": lambda _: lambda x: _clip(x, 0.0, 6.0),
        "leaky_relu": lambda p: _leaky(p.get("negative_slope", 0.01)),
        "prelu": lambda p: _leaky(p.get("init", 0.25)),
        "rrelu": lambda p: _leaky(_rms_slope(p.get("lower", 1 / 8), p.get("upper", 1 / 3))),
        "threshold": lambda p: _threshold(p.get("threshold", 0.0), p.get("value", 0.0)),
        "elu": lambda p: _elu(p.get("alpha", 1.0)),
        "celu": lambda p: _elu(p.get("alpha", 1.0), p.get("alpha", 1.0)),
        "selu": lambda _: _selu,
        "gelu": lambda _: lambda x: x * _below(x),
        "gelu_tanh": lambda _: _gelu_tanh,
        "quick_gelu": lambda _: lambda x: x * _sigmoid(1.702 * x),
        "silu": lambda _: lambda x: x * _sigmoid(x),
        "mish": lambda _: lambda x: x * math.tanh(_softplus(x)),
        "hardswish": lambda _: lambda x: x * _clip(x + 3.0, 0.0, 6.0) / 6.0,
        "softplus": lambda p: _scaled_softplus(p.get("beta", 1.0)),
        "tanh": lambda _: math.tanh,
        "tanh_lecun": lambda _: lambda x: 1.7159 * math.tanh(2.0 * x / 3.0),
        "hardtanh": lambda p: lambda x: _clip(x, p.get("min_val", -1.0), p.get("max_val", 1.0)),
        "softsign": lambda _: lambda x: x / (1.0 + abs(x)),
        "sigmoid": lambda _: _sigmoid,
        "hardsigmoid": lambda _: lambda x: _clip(x / 6.0 + 0.5, 0.0, 1.0),
        "logsigmoid": lambda _: lambda x: -_softplus(-x),
        "tanhshrink": lambda _: lambda x: x - math.tanh(x),
        "softshrink": lambda p: _shrink_soft(p.get("lambd", 0.5)),
        "relu_squared": lambda _: lambda x: max(x, 0.0) ** 2,
        "sin": lambda _: math.sin,
    }
)
_HOMOGENEOUS = frozenset({"identity", "relu", "leaky_relu", "prelu", "rrelu"})
