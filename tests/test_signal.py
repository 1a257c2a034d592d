"""What is predicted of a signal, against what torch measures."""

from __future__ import annotations

import math
from typing import Any

import pytest

from initlint.analysis import judge, severity_of, severity_of_signal
from initlint.analysis.moments import has_formula, moments
from initlint.analysis.severity import local_factor
from initlint.analysis.signal import nominal_weights, propagate
from initlint.knowledge import load_knowledge
from initlint.model import Initializer, Severity
from tests.model_builder import DEFAULT, WIDTH, ModelBuilder, kaiming, normal, plain, xavier

KNOWLEDGE = load_knowledge()
DEFAULT_BIAS = Initializer("default", "uniform_", std=1 / math.sqrt(3 * WIDTH), mean=0.0)

# 1 / sqrt(E f(z)^2) and 1 / sqrt(E f'(z)^2), z ~ N(0, 1), from a grid of two million points in double precision.
GAINS = {
    "identity": (1.0, 1.0),
    "relu": (1.4142, 1.4142),
    "relu6": (1.4142, 1.4142),
    "leaky_relu": (1.4141, 1.4141),
    "prelu": (1.3720, 1.3720),
    "rrelu": (1.3763, 1.3763),
    "elu": (1.2452, 1.2234),
    "celu": (1.2452, 1.2234),
    "selu": (1.0, 0.9660),
    "gelu": (1.5335, 1.4811),
    "quick_gelu": (1.5395, 1.4915),
    "silu": (1.6765, 1.6233),
    "mish": (1.4868, 1.4448),
    "hardswish": (1.7367, 1.6701),
    "tanh": (1.5925, 1.4674),
    "tanh_lecun": (1.1544, 1.1153),
    "hardtanh": (1.3920, 1.2103),
    "softsign": (2.3375, 2.0958),
    "sigmoid": (1.8462, 4.7226),
    "hardsigmoid": (1.8978, 6.0081),
    "softplus": (1.0419, 1.8462),
    "logsigmoid": (1.0419, 1.8462),
    "tanhshrink": (2.3384, 1.9881),
    "softshrink": (1.5444, 1.2730),
    "relu_squared": (0.8165, 0.7071),
    "sin": (1.5209, 1.3273),
}


@pytest.mark.parametrize("activation", GAINS)
def test_moments_at_unit_variance(activation: str) -> None:
    known = moments(activation, (), 1.0)
    assert known is not None
    square, slope = GAINS[activation]
    assert 1 / math.sqrt(known.square) == pytest.approx(square, rel=5e-4)
    assert 1 / math.sqrt(known.slope) == pytest.approx(slope, rel=1e-3)


@pytest.mark.parametrize(("slope", "gain"), [(0.01, 1.4141), (0.1, 1.4072), (0.2, 1.3868), (0.3, 1.3546)])
def test_leaky_slopes(slope: float, gain: float) -> None:
    known = moments("leaky_relu", (("negative_slope", slope),), 1.0)
    assert known is not None
    assert 1 / math.sqrt(known.square) == pytest.approx(gain, rel=1e-4)


def test_the_facts_agree_with_the_integrals() -> None:
    for activation in KNOWLEDGE.activations.values():
        if activation.second_moment_gain is None or activation.slope_parameter or not has_formula(activation.name):
            continue
        known = moments(activation.name, activation.parameters, 1.0)
        assert known is not None
        assert 1 / math.sqrt(known.square) == pytest.approx(activation.second_moment_gain, rel=1e-3), activation.name


def test_every_activation_that_judges_has_a_formula() -> None:
    judging = [name for name, activation in KNOWLEDGE.activations.items() if not activation.exempt]
    assert [name for name in judging if not has_formula(name)] == []


@pytest.mark.parametrize("square", [1e-12, 0.03, 1.0, 7.7, 400.0, 1e9])
def test_rectifiers_are_exact_at_every_scale(square: float) -> None:
    known = moments("relu", (), square)
    assert known is not None
    assert known.square == pytest.approx(square / 2, rel=1e-6)
    assert known.slope == pytest.approx(0.5, rel=1e-9)


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "gelu", "softplus", "selu"])
@pytest.mark.parametrize("square", [1e-6, 0.05, 3.3, 90.0, 2500.0])
def test_moments_against_samples(activation: str, square: float) -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    function = getattr(torch.nn.functional, activation)
    sample = torch.randn(2_000_000, dtype=torch.float64).mul_(math.sqrt(square)).requires_grad_()
    value = function(sample)
    (slope,) = torch.autograd.grad(value.sum(), sample)
    known = moments(activation, (), square)
    assert known is not None
    assert known.square == pytest.approx(value.square().mean().item(), rel=0.01)
    assert known.slope == pytest.approx(slope.square().mean().item(), rel=0.03)


def test_an_unknown_activation_has_no_moments() -> None:
    assert moments("wavelet", (), 1.0) is None
    net = plain(6, act="wavelet")
    chain = judge(net, KNOWLEDGE)[0].chain
    assert chain is not None
    assert chain.signal is None


def _measure(torch: Any, depth: int, width: int, name: str, gain: float | None, nets: int = 6) -> tuple[float, ...]:
    """Rms of the last hidden pre-activation, and the gradient there over the gradient at the first, averaged in log.

    `gain` None leaves torch's own initialization; else the weights are N(0, gain^2 / width) and the biases zero.
    """
    function = getattr(torch.nn.functional, name, None) or getattr(torch, name)
    logs = []
    for seed in range(nets):
        torch.manual_seed(seed)
        layers = [torch.nn.Linear(width, width) for _ in range(depth)]
        for layer in layers:
            if gain is not None:
                torch.nn.init.normal_(layer.weight, std=gain / math.sqrt(width))
                torch.nn.init.zeros_(layer.bias)
        tensor = torch.randn(256, width)
        pre = []
        for layer in layers:
            tensor = layer(tensor)
            tensor.retain_grad()
            pre.append(tensor)
            tensor = function(tensor)
        (pre[-1] * torch.randn_like(pre[-1])).sum().backward()
        rms = pre[-1].square().mean().sqrt()
        ratio = (pre[0].grad.square().mean() / pre[-1].grad.square().mean()).sqrt()
        logs.append((rms.log().item(), ratio.log().item()))
    return tuple(math.exp(sum(column) / nets) for column in zip(*logs, strict=True))


CASES = [
    (name, gain, depth)
    for name in ("relu", "gelu", "tanh", "sigmoid", "selu", "elu")
    for gain in (None, 1.0, math.sqrt(2))
    for depth in (4, 8)
]


@pytest.mark.parametrize(("name", "gain", "depth"), CASES)
def test_signal_and_gradient_are_predicted(name: str, gain: float | None, depth: int) -> None:
    """`depth` hidden layers of width 128; single nets scatter by exp(0.5 sqrt(5 L / n)), six of them by 12 %."""
    torch = pytest.importorskip("torch")
    rms, gradient = _measure(torch, depth, WIDTH, name, gain)
    init, bias = (DEFAULT, DEFAULT_BIAS) if gain is None else (normal_of(gain), None)
    model = plain(depth + 1, init, name, bias)
    weights = {layer.id: nominal_weights(layer) for layer in model.layers}
    steps = sorted(propagate(model, weights, KNOWLEDGE).steps.values(), key=lambda step: step.position)
    last = steps[depth - 1]
    assert last.square is not None
    assert math.sqrt(last.square) == pytest.approx(rms, rel=0.2)
    chain = judge(model, KNOWLEDGE)[0].chain
    assert chain is not None
    assert chain.signal == pytest.approx(gradient, rel=0.25)


def normal_of(gain: float) -> Initializer:
    return kaiming(gain) if gain > 1.2 else xavier(gain)


def test_default_biases_keep_the_rms_of_a_dying_relu_net() -> None:
    """rms -> sqrt(0.4 / n) under torch's default biases: a plot of the std hides what J shows."""
    model = plain(12, bias=DEFAULT_BIAS)
    weights = {layer.id: nominal_weights(layer) for layer in model.layers}
    steps = sorted(propagate(model, weights, KNOWLEDGE).steps.values(), key=lambda step: step.position)
    assert steps[9].square is not None
    assert math.sqrt(steps[9].square) == pytest.approx(math.sqrt(0.4 / WIDTH), rel=0.01)
    chain = judge(model, KNOWLEDGE)[0].chain
    assert chain is not None
    assert chain.signal is not None
    assert chain.signal < 2e-4


# Weight layers including the head at which a chain becomes info, warning and error under the default's severity.
@pytest.mark.parametrize(
    ("init", "activation", "depths"),
    [
        (DEFAULT, "relu", {3: "info", 5: "info", 6: "warning", 9: "warning", 10: "error"}),
        (xavier(), "relu", {8: "info", 12: "info", 13: "warning", 21: "warning", 22: "error"}),
        (DEFAULT, "tanh", {6: "info", 8: "warning"}),
        (DEFAULT, "sigmoid", {3: "info", 4: "warning", 5: "warning", 6: "error"}),
    ],
    ids=["default relu", "xavier relu", "default tanh", "default sigmoid"],
)
def test_severity_follows_depth(init: Initializer, activation: str, depths: dict[int, str]) -> None:
    found = {}
    for depth in depths:
        chain = judge(plain(depth, init, activation, DEFAULT_BIAS), KNOWLEDGE)[0].chain
        assert chain is not None
        found[depth] = severity_of_signal(chain.signal).label
    assert found == depths


@pytest.mark.parametrize(
    ("signal", "severity"),
    [
        (None, "info"),
        (1.0, "info"),
        (0.05, "info"),
        (20.0, "info"),
        (0.029, "warning"),
        (0.0011, "warning"),
        (31.0, "warning"),
        (999.0, "warning"),
        (0.0009, "error"),
        (1001.0, "error"),
        (0.0, "error"),
    ],
)
def test_severity_of_a_chain_gain(signal: float | None, severity: str) -> None:
    assert severity_of_signal(signal).label == severity


def test_what_an_author_wrote_is_one_step_milder() -> None:
    assert severity_of(judge(plain(22, xavier()), KNOWLEDGE)[0]) is Severity.WARNING
    assert severity_of(judge(plain(13, xavier()), KNOWLEDGE)[0]) is Severity.INFO
    assert severity_of(judge(plain(22), KNOWLEDGE)[0]) is Severity.ERROR


@pytest.mark.parametrize("name", ["max_pool2d", "MaxPool2d"])
def test_max_pools_cap_the_severity(name: str) -> None:
    def pooled(pools: int) -> Severity:
        net = ModelBuilder()
        tensor = net.input()
        for index in range(14):
            tensor = net.block(tensor)
            if index < pools:
                tensor = net.op("transparent", tensor, name=name, factor=1.5, slope=1.1)
        net.output(net.layer(tensor))
        return severity_of(judge(net.build(), KNOWLEDGE)[0])

    assert pooled(1) is Severity.ERROR
    assert pooled(2) is Severity.WARNING


def test_pools_and_dropout_lift_the_signal() -> None:
    def signal(*factors: float) -> float:
        net = ModelBuilder()
        tensor = net.block(net.input())
        for factor in factors:
            tensor = net.op("transparent", tensor, name="dropout", factor=factor)
        net.output(net.layer(net.block(tensor)))
        chain = judge(net.build(), KNOWLEDGE)[0].chain
        assert chain is not None
        assert chain.signal is not None
        return chain.signal

    assert signal() == pytest.approx(1 / math.sqrt(6))
    assert signal(math.sqrt(2), 1.5) == pytest.approx(1.5 * math.sqrt(2) / math.sqrt(6))


def test_a_max_pool_lifts_the_rms_more_than_the_signal() -> None:
    net = ModelBuilder()
    tensor = net.block(net.input())
    for _ in range(4):
        tensor = net.block(net.op("transparent", tensor, name="max_pool2d", factor=1.5, slope=1.1))
    net.output(net.layer(tensor))
    chain = judge(net.build(), KNOWLEDGE)[0].chain
    assert chain is not None
    assert chain.signal == pytest.approx(6**-2 * 1.1**4)
    assert chain.fixed_signal == pytest.approx(1.1**4, rel=0.01)
    assert chain.fixed_growth == pytest.approx(1.5**4, rel=0.01)


def test_an_effective_gain_is_what_the_signal_meets() -> None:
    wide = normal(0.02, fan_in=4096)
    chain = judge(plain(6, wide), KNOWLEDGE)[0].chain
    assert chain is not None
    assert chain.signal == pytest.approx((1.28 / math.sqrt(2)) ** 4, rel=1e-3)


def test_a_gain_that_is_not_known_leaves_the_chain_unmeasured() -> None:
    net = ModelBuilder()
    tensor = net.block(net.input())
    tensor = net.block(tensor, normal(0.02, fan_in=None))
    tensor = net.block(tensor)
    net.output(net.layer(tensor))
    judgements = judge(net.build(), KNOWLEDGE)
    assert judgements[0].chain is not None
    assert judgements[0].chain.signal is None
    assert severity_of(judgements[0]) is Severity.INFO


def test_repairing_every_mismatch_makes_the_chain_neutral() -> None:
    for activation in ("relu", "leaky_relu", "tanh", "gelu", "elu", "selu"):
        chain = judge(plain(9, act=activation), KNOWLEDGE)[0].chain
        assert chain is not None
        assert chain.fixed_signal is not None
        assert 0.3 <= chain.fixed_signal <= 3.0, activation


@pytest.mark.parametrize(
    ("activation", "factor"), [("relu", 0.408), ("sigmoid", 0.135), ("tanh", 0.47), ("gelu", 0.354)]
)
def test_what_default_init_costs_one_layer(activation: str, factor: float) -> None:
    judgement = judge(plain(3, act=activation), KNOWLEDGE)[0]
    assert local_factor(judgement, KNOWLEDGE.activations) == pytest.approx(factor, rel=0.01)
