"""Initializers of the installed torch draw what the facts say."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping

import pytest
import torch
from torch import nn

from initlint.knowledge import InitializerFact
from tests.installed_torch import KNOWLEDGE, named, of_torch

pytestmark = pytest.mark.usefixtures("same_numbers")


def test_deprecated_names_warn() -> None:
    old = [fact for fact in KNOWLEDGE.initializers.values() if fact.deprecated]
    assert len(old) == 11
    arguments = {"constant": (0.5,), "sparse": (0.1,)}
    for fact in old:
        function = named(fact.name)
        short = fact.name.rpartition(".")[2]
        shape = (4, 4, 3) if short == "dirac" else (4, 4)
        with pytest.warns(FutureWarning, match=fact.canonical):
            function(torch.empty(shape), *arguments.get(short, ()))


def test_other_names_do_not_warn() -> None:
    for fact in KNOWLEDGE.initializers.values():
        if fact.name.startswith("torch.nn.init") and not fact.deprecated:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                fill(fact, torch.empty(4, 4, 3) if fact.minimum_dimensions == 3 else torch.empty(4, 4))


def fill(fact: InitializerFact, tensor: torch.Tensor) -> torch.Tensor:
    """Calls the initializer on `tensor`, with a value for what has no default."""
    given = {
        "val": 0.5,
        "value": 0.5,
        "sparsity": 0.1,
        "p": 0.5,
        "src": torch.zeros(1),
        "other": 2.0,
        "fill_value": 1.0,
    }
    function = named(fact.name)
    required = [given[name] for name, default in fact.signature if default is ... and name not in ("tensor", "source")]
    return function(tensor, *required)


@pytest.mark.parametrize("name", [name for name in of_torch(KNOWLEDGE.initializers) if name.startswith("torch")])
def test_minimum_dimensions(name: str) -> None:
    fact = KNOWLEDGE.initializers[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for dimensions in range(1, fact.minimum_dimensions):
            with pytest.raises(ValueError, match=r"dimension|tensor"):
                fill(fact, torch.empty((4,) * dimensions))
        filled = fill(fact, torch.full((4,) * max(1, fact.minimum_dimensions), math.nan))
    assert not filled.isnan().any()


def claimed_std(fact: InitializerFact, arguments: Mapping[str, object], shape: tuple[int, int]) -> float:
    """The standard deviation that the fact's formula gives to a matrix (out, in)."""
    fan_out, fan_in = shape
    n: Mapping[str, float] = {key: value for key, value in arguments.items() if isinstance(value, (int, float))}
    match fact.formula:
        case "kaiming":
            gain = nn.init.calculate_gain(str(arguments["nonlinearity"]), n["a"])
            return gain / math.sqrt(fan_in if arguments["mode"] == "fan_in" else fan_out)
        case "xavier":
            return n["gain"] * math.sqrt(2 / (fan_in + fan_out))
        case "orthogonal":
            return n["gain"] / math.sqrt(max(shape))
        case "normal" | "trunc_normal":
            return n["std"]
        case "uniform":
            low, high = (n[key] for key in (("a", "b") if "a" in n else ("from", "to")))
            return (high - low) / math.sqrt(12)
        case "sparse":
            return n["std"] * math.sqrt(1 - n["sparsity"])
        case "constant":
            return 0.0
    raise AssertionError(fact.formula)


FORMULAS = (
    ("torch.nn.init.kaiming_normal_", {"a": 0.2}),
    ("torch.nn.init.kaiming_uniform_", {"mode": "fan_out", "nonlinearity": "relu"}),
    ("torch.nn.init.kaiming_uniform_", {"a": math.sqrt(5)}),
    ("torch.nn.init.kaiming_normal_", {"a": 0.5, "nonlinearity": "tanh"}),
    ("torch.nn.init.xavier_uniform_", {"gain": 2.0}),
    ("torch.nn.init.xavier_normal_", {}),
    ("torch.nn.init.orthogonal_", {"gain": 0.5}),
    ("torch.nn.init.normal_", {"mean": 0.02}),
    ("torch.nn.init.trunc_normal_", {"std": 0.02}),
    ("torch.nn.init.uniform_", {"b": 0.1}),
    ("torch.nn.init.sparse_", {"sparsity": 0.1}),
    ("torch.nn.init.constant_", {"val": 0.5}),
    ("torch.nn.init.ones_", {}),
    ("torch.nn.init.zeros_", {}),
    ("Tensor.normal_", {"std": 0.3}),
    ("Tensor.uniform_", {"to": 0.1}),
    ("Tensor.fill_", {"value": 0.3}),
    ("Tensor.zero_", {}),
)


@pytest.mark.parametrize(("name", "given"), FORMULAS)
@pytest.mark.parametrize("shape", [(512, 256), (128, 512)], ids=str)
def test_formulas(name: str, given: Mapping[str, object], shape: tuple[int, int]) -> None:
    fact = KNOWLEDGE.initializers[name]
    weight = torch.empty(shape)
    named(name)(weight, **given)
    claimed = claimed_std(fact, {**dict(fact.signature), **fact.fixed, **given}, shape)
    assert weight.std().item() == pytest.approx(claimed, rel=0.02, abs=1e-7)


def test_identities() -> None:
    for name, shape in (("eye_", (8, 8)), ("dirac_", (8, 8, 3))):
        assert KNOWLEDGE.initializers[f"torch.nn.init.{name}"].formula == "identity"
        weight = getattr(nn.init, name)(torch.empty(shape))
        assert weight.sum() == 8
        assert set(weight.unique().tolist()) == {0.0, 1.0}
