"""Operations of the installed torch do to a signal what the facts say."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.installed_torch import KNOWLEDGE, named

pytestmark = pytest.mark.usefixtures("same_numbers")


def rms(tensor: torch.Tensor) -> float:
    return float(tensor.square().mean().sqrt())


def maps(*, smooth: bool) -> torch.Tensor:
    """Rectified feature maps: of independent neighbours, or of neighbours that agree."""
    noise = torch.randn(4, 32, 64, 64)
    if smooth:
        noise = functional.avg_pool2d(noise, 9, stride=1)
    return torch.relu(noise / noise.std())


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("torch.nn.MaxPool2d", nn.MaxPool2d(2)),
        ("torch.nn.AvgPool2d", nn.AvgPool2d(2)),
        ("torch.nn.AdaptiveMaxPool2d", nn.AdaptiveMaxPool2d(32)),
    ],
)
def test_the_factor_of_a_pool_lies_between_independent_and_equal_neighbours(name: str, module: nn.Module) -> None:
    claimed = KNOWLEDGE.operations[name].factor
    assert claimed is not None
    measured = sorted(rms(module(x)) / rms(x) for x in (maps(smooth=False), maps(smooth=True)))
    assert measured[0] < claimed < measured[1]


@pytest.mark.parametrize("name", ["torch.nn.MaxPool2d", "torch.nn.AdaptiveMaxPool2d"])
def test_the_slope_of_a_max_pool_lies_between_what_equal_and_independent_neighbours_pass_on(name: str) -> None:
    """A maximum passes its gradient to one of its inputs, which a rectifier left open more often than every other one."""
    module = nn.AdaptiveMaxPool2d(32) if "Adaptive" in name else nn.MaxPool2d(2)

    def passed(noise: torch.Tensor) -> float:
        noise.requires_grad_()
        pooled = module(torch.relu(noise))
        weights = torch.randn_like(pooled)
        pooled.backward(weights)
        assert noise.grad is not None
        return float(noise.grad.square().sum() / weights.square().sum()) ** 0.5 / 0.5**0.5

    slope = KNOWLEDGE.operations[name].slope
    assert slope is not None
    equal = torch.randn(4, 32, 32, 32).repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert passed(equal) < slope < passed(torch.randn(4, 32, 64, 64))


def test_of_max_pools_the_input_dependent_signal_gains_less_than_the_rms() -> None:
    """Five rectified convolutions with torch's default: J says what becomes of the gradient and of the std over inputs."""
    convolutions = [nn.Conv2d(3 if i == 0 else 64, 64, 3, padding=1, padding_mode="circular") for i in range(5)]
    tensor, met = torch.randn(16, 3, 64, 64), list[torch.Tensor]()
    for index, convolution in enumerate(convolutions):
        tensor = convolution(tensor if not index else functional.max_pool2d(torch.relu(tensor), 2 if index < 4 else 1))
        tensor.retain_grad()
        met.append(tensor)
    weights = torch.randn_like(tensor)
    tensor.backward(weights)
    first = met[0].grad
    assert first is not None
    gradient = float(first.square().sum() / weights.square().sum()) ** 0.5
    spread = float(met[-1].detach().std(0).mean() / met[0].detach().std(0).mean())
    predicted = 6**-2 * float(KNOWLEDGE.operations["torch.nn.MaxPool2d"].slope or 0) ** 3
    assert spread < predicted < gradient


def test_the_factor_of_global_pooling() -> None:
    x = maps(smooth=False)
    for name, pooled in (("torch.nn.AdaptiveAvgPool2d", nn.AdaptiveAvgPool2d(1)(x)), ("Tensor.mean", x.mean((2, 3)))):
        assert rms(pooled) / rms(x) == pytest.approx(KNOWLEDGE.operations[name].factor, rel=0.01)


def test_the_factor_of_interpolation() -> None:
    fact = KNOWLEDGE.operations["torch.nn.functional.interpolate"]
    x = torch.randn(4, 32, 32, 32)
    for mode in ("nearest", "bilinear"):
        measured = rms(functional.interpolate(x, scale_factor=2, mode=mode)) / rms(x)
        assert measured == pytest.approx(1.0 if mode == "nearest" else fact.factor, abs=0.15)


@pytest.mark.parametrize("p", [0.1, 0.5])
@pytest.mark.parametrize("name", ["torch.nn.Dropout", "torch.nn.Dropout2d", "torch.nn.AlphaDropout"])
def test_the_factor_of_dropout(name: str, p: float) -> None:
    x = torch.randn(64, 256, 4, 4)
    expected = (1 - p) ** -0.5 if KNOWLEDGE.operations[name].factor_by == "dropout" else 1.0
    assert rms(named(name)(p)(x)) / rms(x) == pytest.approx(expected, rel=0.03)


def test_the_long_path_of_a_function_leads_to_its_fact() -> None:
    assert KNOWLEDGE.resolve("torch.functional.einsum") == "torch.einsum"
    assert KNOWLEDGE.resolve("torch._C._nn.gelu") == "torch.nn.functional.gelu"
    assert KNOWLEDGE.resolve("torch.Tensor.relu_") == "Tensor.relu_"
    assert (
        KNOWLEDGE.resolve("torch.nn.modules.sparse.Embedding.from_pretrained") == "torch.nn.Embedding.from_pretrained"
    )
