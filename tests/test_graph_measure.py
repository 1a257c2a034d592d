"""What is measured agrees with what is predicted, and measuring leaves a model as it was."""

from __future__ import annotations

import math
import random

import pytest

torch = pytest.importorskip("torch")

from torch import nn

from initlint.analysis import judge
from initlint.graph.inputs import Inputs
from initlint.graph.measure import Measurement, measure
from initlint.graph.modes import seeded
from initlint.graph.observations import observed, scatter
from initlint.graph.profile import profile
from initlint.graph.provenance import Recorder
from initlint.knowledge import load_knowledge
from initlint.live import examine
from initlint.model import Event

KNOWLEDGE = load_knowledge()


def plain(depth: int, activation: type[nn.Module], width: int = 256) -> nn.Module:
    layers: list[nn.Module] = []
    for _ in range(depth - 1):
        layers += [nn.Linear(width, width), activation()]
    return nn.Sequential(*layers, nn.Linear(width, 10))


def measured(model: nn.Module, inputs: torch.Tensor | None = None) -> Measurement:
    with seeded():
        given = torch.randn(64, 256) if inputs is None else inputs
    return measure(model, Inputs((given,)), KNOWLEDGE)


def built(depth: int, activation: type[nn.Module]) -> tuple[nn.Module, Recorder]:
    with seeded(), Recorder(KNOWLEDGE) as recorder:
        model = plain(depth, activation)
    return model, recorder


def chain_event(measurement: Measurement) -> Event:
    judgements = judge(measurement.trace.model, KNOWLEDGE)
    events = observed(measurement, judgements, KNOWLEDGE).events
    return next(event for event in events if event.kind == "measured-chain")


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh, nn.GELU, nn.SiLU, nn.ELU, nn.SELU, nn.LeakyReLU])
@pytest.mark.parametrize("depth", [4, 10])
def test_signal_and_gradient_change_by_the_predicted_factor(activation: type[nn.Module], depth: int) -> None:
    model, recorder = built(depth, activation)
    with seeded():
        found = measure(model, Inputs((torch.randn(64, 256),)), KNOWLEDGE, recorder=recorder)
    event = chain_event(found)
    predicted = event.detail("predicted")
    # A single net scatters; measured over many, the prediction is within a few percent.
    tolerance = 2 * scatter(depth, 256)
    for name in ("signal", "gradient"):
        ratio = event.detail(name)
        assert isinstance(ratio, float)
        assert isinstance(predicted, float)
        assert 1 / tolerance < ratio / predicted < tolerance


def test_a_net_of_the_width_scatters_as_the_bound_says() -> None:
    logs = []
    for seed in range(40):
        torch.manual_seed(seed)
        model = plain(8, nn.ReLU, width=64)
        for layer in model:
            if isinstance(layer, nn.Linear):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)
        with torch.no_grad():
            logs.append(math.log(float(model[:-1](torch.randn(64, 64)).square().mean().sqrt())))
    spread = torch.tensor(logs).std().item()
    assert 0.4 < spread / math.log(scatter(7, 64)) < 1.6


def test_measuring_leaves_a_model_as_it_was() -> None:
    torch.manual_seed(3)
    model = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.ReLU(inplace=True), nn.Linear(8, 2))
    model[0].eval()
    model[4].weight.grad = torch.ones(2, 8)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    python, generator = random.getstate(), torch.get_rng_state()
    measure(model, Inputs((torch.randn(16, 8),)), KNOWLEDGE)
    for name, value in model.state_dict().items():
        assert torch.equal(value, state[name]), name
    assert [module.training for module in model.modules()] == modes
    assert torch.equal(model[4].weight.grad, torch.ones(2, 8))
    assert model[0].weight.grad is None
    assert random.getstate() == python
    torch.randn(16, 8)
    assert not any(module._forward_hooks for module in model.modules())
    torch.set_rng_state(generator)


def test_two_measurements_agree() -> None:
    model = plain(5, nn.ReLU)
    assert measured(model).layer_signals() == measured(model).layer_signals()


def test_a_signal_that_no_longer_depends_on_the_input_has_no_spread() -> None:
    model = nn.Sequential(nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 256))
    nn.init.zeros_(model[0].weight)
    signals = measured(model).layer_signals()
    assert signals[0].rms > 0
    assert signals[0].spread == pytest.approx(0.0, abs=1e-7)


def test_a_tiny_spread_beside_a_large_bias_is_seen() -> None:
    model = nn.Sequential(nn.Linear(256, 256))
    with torch.no_grad():
        model[0].weight.mul_(1e-4)
        model[0].bias.fill_(1.0)
    signal = measured(model).layer_signals()[0]
    assert signal.rms == pytest.approx(1.0, rel=0.01)
    assert signal.spread == pytest.approx(1e-4 / math.sqrt(3), rel=0.1)


def test_one_sample_has_no_spread_but_a_gradient() -> None:
    signal = measured(plain(3, nn.ReLU), torch.randn(1, 256)).layer_signals()[0]
    assert signal.spread is None
    assert signal.gradient


def activities(model: nn.Module) -> dict[str, Event]:
    found = measured(model)
    events = observed(found, judge(found.trace.model, KNOWLEDGE), KNOWLEDGE).events
    return {str(event.detail("activation")): event for event in events if event.kind == "measured-activation"}


def test_dead_units_are_counted() -> None:
    model = nn.Sequential(nn.Linear(256, 100), nn.ReLU(), nn.Linear(100, 2))
    with torch.no_grad():
        model[0].bias[:75] = -50.0
    assert activities(model)["relu"].detail("dead") == 0.75
    assert activities(model)["relu"].detail("samples") == 64


@pytest.mark.parametrize(
    ("units", "dead", "told"), [(1, 1, False), (4, 4, False), (16, 11, False), (16, 14, True), (100, 75, True)]
)
def test_chance_may_kill_most_of_few_units(units: int, dead: int, told: bool) -> None:
    model = nn.Sequential(nn.Linear(256, units), nn.ReLU(), nn.Linear(units, 2))
    with torch.no_grad():
        model[0].bias.fill_(5.0)
        model[0].bias[:dead] = -50.0
    live = examine(model, KNOWLEDGE, inputs=Inputs((torch.randn(64, 256),)))
    assert ("INI503" in {finding.code for finding in live.findings}) is told


def test_dead_channels_are_counted_over_all_positions() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(2))
    images = torch.randn(4, 3, 8, 8)
    model(images)
    with torch.no_grad():
        model[0].bias[:2] = -50.0
    found = measured(model, images)
    assert found.activities[0].dead == 0.25
    assert found.activities[0].samples == 4 * 36


def test_saturated_units_are_counted() -> None:
    model = nn.Sequential(nn.Linear(256, 100), nn.Tanh(), nn.Linear(100, 2))
    assert activities(model)["tanh"].detail("saturated") == pytest.approx(0.0, abs=0.01)
    nn.init.normal_(model[0].weight, std=10 / 16)
    # P(|10 z| > atanh(0.97)) for a standard normal z
    expected = math.erfc(math.atanh(0.97) / 10 / math.sqrt(2))
    assert activities(model)["tanh"].detail("saturated") == pytest.approx(expected, abs=0.03)


class Gate(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.value = nn.Linear(256, 256)
        self.gate = nn.Linear(256, 256)
        nn.init.normal_(self.gate.weight, std=5.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.value(x) * torch.sigmoid(self.gate(x))


def test_a_gate_may_saturate() -> None:
    assert activities(Gate()) == {}


class Branches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(256)
        self.fc1 = nn.Linear(256, 256)
        self.fc2 = nn.Linear(256, 256)
        nn.init.normal_(self.fc2.weight, std=1e-4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.fc2(torch.relu(self.fc1(self.norm(x))))


class Pooled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 64, 3)
        self.fc = nn.Linear(64, 64)
        self.out = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(torch.relu(self.fc(torch.relu(self.conv(x)).mean((2, 3)))))


def chain_events(model: nn.Module, inputs: torch.Tensor | None = None) -> list[Event]:
    found = measured(model, inputs)
    events = observed(found, judge(found.trace.model, KNOWLEDGE), KNOWLEDGE).events
    return [event for event in events if event.kind == "measured-chain"]


def test_the_size_of_a_branch_or_of_a_pooled_map_is_no_signal_lost() -> None:
    assert chain_events(Branches()) == []
    assert chain_events(Gate()) == []
    assert chain_events(Pooled(), torch.randn(4, 3, 32, 32)) == []


class Ended(nn.Module):
    """What comes out of a normalization has the size that the normalization gives it."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(256, 256, bias=False)
        self.fc2 = nn.Linear(256, 256, bias=False)
        self.norm = nn.LayerNorm(256)
        self.head = nn.Linear(256, 10)
        nn.init.normal_(self.fc2.weight, std=1e-4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.relu(self.norm(self.fc2(torch.relu(self.fc1(x))))))


class Refine(nn.Module):
    """What a recurrent refinement starts from does not depend on the input, and its layers are applied again and again."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(128, 64)
        self.head = nn.Linear(64, 64)
        self.motion = nn.Linear(64, 64)
        self.last = nn.Linear(64, 64)
        self.out = nn.Linear(64, 8)
        for layer in (self.body, self.head, self.motion, self.last):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        flow = torch.zeros_like(x)
        for _ in range(3):
            moved = torch.relu(self.last(torch.relu(self.motion(flow))))
            flow = torch.relu(self.head(torch.relu(self.body(torch.cat([x, moved], 1)))))
        return self.out(flow)


def test_a_layer_applied_again_is_followed_from_one_application_to_the_next() -> None:
    events = chain_events(Refine(), torch.randn(16, 64))
    signals = [event.detail("signal") for event in events]
    assert signals
    assert all(isinstance(signal, float) and signal > 0.1 for signal in signals)


def test_before_a_normalization_only_the_share_that_depends_on_the_input_counts() -> None:
    (event,) = chain_events(Ended())
    assert 0.5 < event.detail("signal") <= 1.0  # type: ignore[operator]
    assert event.detail("gradient") is None


def test_a_profile_shows_both_states_and_puts_the_weights_back() -> None:
    model, recorder = built(8, nn.ReLU)
    inputs = Inputs((torch.randn(64, 256),))
    found = measure(model, inputs, KNOWLEDGE, recorder=recorder)
    before = [parameter.clone() for parameter in model.parameters()]
    points = profile(model, inputs, found, judge(found.trace.model, KNOWLEDGE), KNOWLEDGE)
    assert all(torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True))
    assert [point.judgement.layer.path for point in points] == ["0", "2", "4", "6", "8", "10", "12", "14"]
    built_last, repaired_last = points[6].built.signal, points[6].repaired.signal  # type: ignore[union-attr]
    assert built_last.measured < 0.01  # type: ignore[operator]
    assert 0.3 < repaired_last.measured < 3  # type: ignore[operator]
    for reading in (built_last, repaired_last, points[0].built.gradient):
        assert reading.measured == pytest.approx(reading.predicted, rel=0.7)
