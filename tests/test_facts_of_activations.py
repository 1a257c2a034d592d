"""What the facts say of activations is what the installed torch computes."""

from __future__ import annotations

import contextlib
import inspect
import math
import operator
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from initlint.knowledge import Activation
from tests.installed_torch import KNOWLEDGE, named

WIDTH = 256

pytestmark = pytest.mark.usefixtures("same_numbers")


ONLY_PATTERNS: Mapping[str, Callable[[torch.Tensor], torch.Tensor]] = MappingProxyType(
    {
        "quick_gelu": lambda x: x * torch.sigmoid(1.702 * x),
        "relu_squared": lambda x: torch.relu(x) ** 2,
        "tanh_lecun": lambda x: 1.7159 * torch.tanh(2 * x / 3),
        "identity": lambda x: x,
        "threshold": nn.Threshold(0, 0),
    }
)


def applied(activation: Activation) -> Callable[[torch.Tensor], torch.Tensor]:
    if activation.name in ONLY_PATTERNS:
        return ONLY_PATTERNS[activation.name]
    module = next(s for s in activation.spellings if inspect.isclass(named(s)) or activation.name == "sin")
    cls = named(module)
    return cls().double() if inspect.isclass(cls) else cls


def second_moment(function: Callable[[torch.Tensor], torch.Tensor]) -> float:
    """E f(z)^2 for z ~ N(0, 1), by the midpoint rule."""
    edges = np.linspace(-12.0, 12.0, 400_001)
    z = (edges[:-1] + edges[1:]) / 2
    density = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    with torch.no_grad():
        values = function(torch.from_numpy(z)).numpy()
    return float(np.sum(values**2 * density) * (z[1] - z[0]))


def absolute(activation: Activation, gain: float) -> float:
    """A gain of a leaky rectifier as a number, at its default slope."""
    if activation.slope_parameter is None:
        return gain
    slope = dict(activation.parameters)[activation.slope_parameter]
    return gain * math.sqrt(2 / (1 + slope**2))


INTEGRABLE = [
    activation
    for activation in KNOWLEDGE.activations.values()
    if activation.second_moment_gain is not None and activation.name not in ("glu", "rrelu")
]


@pytest.mark.parametrize("activation", INTEGRABLE, ids=operator.attrgetter("name"))
def test_second_moment_gains(activation: Activation) -> None:
    assert activation.second_moment_gain is not None
    claimed = absolute(activation, activation.second_moment_gain)
    assert claimed == pytest.approx(1 / math.sqrt(second_moment(applied(activation))), rel=2e-4)


def test_the_second_moment_gain_of_glu_is_that_of_its_sigmoid() -> None:
    claimed = KNOWLEDGE.activations["glu"].second_moment_gain
    assert claimed == pytest.approx(1 / math.sqrt(second_moment(torch.sigmoid)), rel=2e-4)


def test_the_second_moment_gain_of_rrelu_in_training() -> None:
    rrelu = KNOWLEDGE.activations["rrelu"]
    lower, upper = (value for _, value in rrelu.parameters)
    mean_square = (lower**2 + lower * upper + upper**2) / 3
    assert rrelu.second_moment_gain == pytest.approx(math.sqrt(2 / (1 + mean_square)), rel=2e-4)
    assert rrelu.recommended["a"] == pytest.approx(math.sqrt(mean_square), rel=2e-4)


def test_the_gains_are_those_of_calculate_gain() -> None:
    for name, gain in KNOWLEDGE.gains.items():
        if gain is None:
            assert nn.init.calculate_gain(name, 0.1) != nn.init.calculate_gain(name, 0.5)
        else:
            assert nn.init.calculate_gain(name) == pytest.approx(gain, rel=1e-12)


def test_calculate_gain_knows_no_other_name() -> None:
    known = []
    for name in {
        *vars(functional),
        *KNOWLEDGE.activations,
        *KNOWLEDGE.layers,
        "swish",
        "ReLU",
    } - KNOWLEDGE.gains.keys():
        with contextlib.suppress(ValueError):
            nn.init.calculate_gain(name)
            known.append(name)
    assert not known


def test_nonlinearities_are_names_that_calculate_gain_knows() -> None:
    assert {a.nonlinearity for a in KNOWLEDGE.activations.values()} - {None} <= KNOWLEDGE.gains.keys()


JUDGED = [activation for activation in KNOWLEDGE.activations.values() if not activation.exempt]


@pytest.mark.parametrize("activation", JUDGED, ids=operator.attrgetter("name"))
def test_bands_hold_the_gain_to_write_and_not_the_default(activation: Activation) -> None:
    default = 1 / math.sqrt(3) / absolute(activation, 1.0)
    assert any(low <= activation.gain <= high for low, high in activation.bands)
    assert not any(low <= default <= high for low, high in activation.bands)
    output = activation.gain if activation.output_gain is None else activation.output_gain
    assert any(low <= output <= high for low, high in activation.output_bands)
    assert any(low <= output <= high for low, high in activation.bands), (
        "said where it is not known which of both it is"
    )


@pytest.mark.parametrize("activation", JUDGED, ids=operator.attrgetter("name"))
@pytest.mark.parametrize("place", ["hidden", "output"])
def test_the_recommended_call_gives_the_gain_to_write(activation: Activation, place: str) -> None:
    output = place == "output"
    call = dict((output and activation.output_recommended) or activation.recommended)
    gain = activation.output_gain if output and activation.output_gain is not None else activation.gain
    if "calculate_gain" in call:
        call["gain"] = nn.init.calculate_gain(str(call.pop("calculate_gain")))
    if call.get("a") == "slope":
        call["a"] = dict(activation.parameters)[str(activation.slope_parameter)]
    weight = torch.empty(2 * WIDTH, 2 * WIDTH)
    getattr(nn.init, str(call.pop("function")))(weight, **call)
    assert weight.std().item() * math.sqrt(2 * WIDTH) == pytest.approx(absolute(activation, gain), rel=0.03)
