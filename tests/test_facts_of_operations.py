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
