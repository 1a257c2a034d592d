"""Every parameter knows the call and the line that last wrote it, and every layer the line that built it."""

from __future__ import annotations

import copy
import math
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from torch import nn

from initlint.graph.layers import find_layers
from initlint.graph.modes import seeded
from initlint.graph.provenance import Recorder
from initlint.graph.weights import recognize_default
from initlint.knowledge import load_knowledge
from initlint.model import Layer, Site

KNOWLEDGE = load_knowledge()
LINES = Path(__file__).read_text(encoding="utf-8").splitlines()


def text_at(site: Site | None) -> str:
    """The source text of one line that a site spans."""
    assert site is not None
    assert site.file == str(Path(__file__).resolve())
    assert site.line == site.end_line
    return LINES[site.line - 1][site.column - 1 : site.end_column - 1]


def layers_of(build: object, device: str = "cpu") -> dict[str, Layer]:
    with seeded(), torch.device(device), Recorder(KNOWLEDGE) as recorder:
        model = build()  # type: ignore[operator]
    return {layer.path: layer for layer in find_layers(model, recorder, KNOWLEDGE).layers}


def zero_half(weight: torch.Tensor) -> None:
    with torch.no_grad():
        weight[:1].zero_()


class Handmade(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.default = nn.Linear(32, 32)
        self.kaiming = nn.Linear(32, 32)
        self.data = nn.Linear(32, 32)
        self.copied = nn.Linear(32, 32)
        self.scaled = nn.Linear(32, 32)
        self.twice = nn.Linear(32, 32)
        self.replaced = nn.Linear(32, 32)
        self.partly = nn.Linear(32, 32)
        self.again = nn.Linear(32, 32)
        nn.init.kaiming_normal_(self.kaiming.weight, mode="fan_out", nonlinearity="relu")
        self.data.weight.data.normal_(0, 0.05)
        self.copied.weight.data.copy_(torch.randn(32, 32) * 0.3)
        with torch.no_grad():
            self.scaled.weight *= 0.1
        nn.init.xavier_uniform_(self.twice.weight)
        nn.init.orthogonal_(self.twice.weight, gain=2.0)
        self.replaced.weight = nn.Parameter(torch.randn(32, 32))
        nn.init.xavier_normal_(self.partly.weight)
        zero_half(self.partly.weight)
        nn.init.zeros_(self.again.weight)
        self.again.reset_parameters()


@pytest.fixture(scope="module")
def handmade() -> dict[str, Layer]:
    return layers_of(Handmade)


def test_what_nobody_wrote_is_the_default(handmade: dict[str, Layer]) -> None:
    weight = handmade["default"].weight
    assert weight.source == "default"
    assert weight.site is None
    assert not weight.editable
    assert weight.gain == pytest.approx(1 / math.sqrt(3))
    assert weight.std == pytest.approx(1 / math.sqrt(3 * 32))
    assert text_at(handmade["default"].site) == "nn.Linear(32, 32)"


def test_an_initializer_is_known_by_call_arguments_and_place(handmade: dict[str, Layer]) -> None:
    weight = handmade["kaiming"].weight
    assert (weight.source, weight.function) == ("explicit", "kaiming_normal_")
    assert weight.arguments == (("mode", "fan_out"), ("nonlinearity", "relu"))
    assert text_at(weight.site).startswith("nn.init.kaiming_normal_(self.kaiming.weight")
    assert text_at(weight.site).endswith(")")
    assert weight.gain == pytest.approx(math.sqrt(2))
    assert weight.editable


def test_a_write_through_data_counts(handmade: dict[str, Layer]) -> None:
    weight = handmade["data"].weight
    assert (weight.source, weight.function) == ("explicit", "normal_")
    assert weight.std == 0.05
    assert weight.gain is None
    assert weight.effective_gain == pytest.approx(0.05 * math.sqrt(32), rel=0.05)


def test_copied_values_are_measured(handmade: dict[str, Layer]) -> None:
    weight = handmade["copied"].weight
    assert (weight.source, weight.function) == ("explicit", "copy_")
    assert weight.std == pytest.approx(0.3, rel=0.1)


def test_scaling_in_place_is_a_write(handmade: dict[str, Layer]) -> None:
    weight = handmade["scaled"].weight
    assert weight.source == "explicit"
    assert weight.effective_gain == pytest.approx(0.1 / math.sqrt(3), rel=0.05)
    assert text_at(weight.site) == "self.scaled.weight *= 0.1"


def test_the_last_writer_wins_and_the_others_are_history(handmade: dict[str, Layer]) -> None:
    layer = handmade["twice"]
    assert layer.weight.function == "orthogonal_"
    assert layer.weight.gain == 2.0
    assert [earlier.function for earlier in layer.history] == ["kaiming_uniform_", "xavier_uniform_"]


def test_a_new_parameter_is_what_made_it(handmade: dict[str, Layer]) -> None:
    weight = handmade["replaced"].weight
    assert (weight.source, weight.function) == ("explicit", "randn")
    assert weight.std == pytest.approx(1.0, rel=0.05)


def test_a_small_part_does_not_count(handmade: dict[str, Layer]) -> None:
    assert handmade["partly"].weight.function == "xavier_normal_"


def test_reset_parameters_is_the_default_again(handmade: dict[str, Layer]) -> None:
    layer = handmade["again"]
    assert layer.weight.source == "default"
    assert [earlier.function for earlier in layer.history] == ["kaiming_uniform_", "zeros_"]


def my_init(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)


def test_a_callback_is_where_the_initializer_stands() -> None:
    layers = layers_of(lambda: nn.Sequential(nn.Linear(64, 64), nn.ReLU()).apply(my_init))
    assert text_at(layers["0"].weight.site) == "nn.init.trunc_normal_(module.weight, std=0.02)"


def by_hand(weight: torch.Tensor) -> None:
    with torch.no_grad():
        weight.uniform_(-1, 1)
        weight.mul_(0.5)
        weight.clamp_(-0.4, 0.4)


def test_several_steps_of_one_function_are_one_initializer() -> None:
    def build() -> nn.Module:
        layer = nn.Linear(64, 64)
        by_hand(layer.weight)
        return nn.Sequential(layer)

    weight = layers_of(build)["0"].weight
    assert (weight.source, weight.function) == ("explicit", None)
    assert text_at(weight.site) == "weight.uniform_(-1, 1)"
    assert weight.gain == weight.effective_gain


def test_loaded_weights_are_loaded() -> None:
    def build() -> nn.Module:
        model = nn.Sequential(nn.Linear(8, 8))
        model.load_state_dict(nn.Sequential(nn.Linear(8, 8)).state_dict())
        return model

    assert layers_of(build)["0"].weight.source == "loaded"


def test_a_deep_copy_has_the_place_and_initializer_of_its_original() -> None:
    def build() -> nn.Module:
        layer = nn.Linear(16, 16)
        nn.init.xavier_uniform_(layer.weight)
        return nn.ModuleList(copy.deepcopy(layer) for _ in range(2))

    layers = layers_of(build)
    for path in ("0", "1"):
        assert layers[path].weight.function == "xavier_uniform_"
        assert text_at(layers[path].site) == "nn.Linear(16, 16)"


class Wide(nn.Linear):
    """A layer of the user's own."""

    def __init__(self, width: int) -> None:
        super().__init__(width, width)


def test_a_subclass_is_built_where_it_is_called() -> None:
    layers = layers_of(lambda: nn.Sequential(Wide(8)))
    assert text_at(layers["0"].site) == "Wide(8)"
    assert layers["0"].kind == "Linear"


def test_columns_count_characters() -> None:
    layers = layers_of(lambda: ("größe → ", nn.Sequential(nn.Linear(8, 4)))[1])
    assert text_at(layers["0"].site) == "nn.Linear(8, 4)"


def test_a_meta_device_tells_as_much_without_memory() -> None:
    layers = layers_of(Handmade, device="meta")
    assert layers["kaiming"].weight.function == "kaiming_normal_"
    assert layers["kaiming"].weight.effective_gain == pytest.approx(math.sqrt(2))
    assert layers["default"].weight.source == "default"
    assert layers["twice"].weight.gain == 2.0


@pytest.mark.parametrize("write", [nn.init.orthogonal_, nn.init.trunc_normal_, nn.init.sparse_])
def test_what_torch_skips_on_meta_is_known_all_the_same(write: object) -> None:
    def build() -> nn.Module:
        layer = nn.Linear(16, 16)
        write(layer.weight, 0.5)  # type: ignore[operator]
        return nn.Sequential(layer)

    weight = layers_of(build, device="meta")["0"].weight
    assert (weight.source, weight.function) == ("explicit", write.__name__)  # type: ignore[attr-defined]
    assert text_at(weight.site) == "write(layer.weight, 0.5)"


def test_an_embedding_keeps_its_initializer_beside_its_padding_row() -> None:
    layers = layers_of(lambda: nn.Sequential(nn.Embedding(50, 8, padding_idx=0)))
    assert layers["0"].weight.source == "default"


@pytest.mark.parametrize(
    ("layer", "gain"),
    [
        (lambda: nn.Linear(256, 128), 1 / math.sqrt(3)),
        (lambda: nn.Conv2d(64, 64, 3, groups=8), 1 / math.sqrt(3)),
        (lambda: nn.Conv2d(64, 64, 3, groups=64), 1 / math.sqrt(3)),
        (lambda: nn.ConvTranspose2d(64, 32, 4, stride=2), math.sqrt(64 / (3 * 32 * 4))),
        (lambda: nn.Bilinear(64, 64, 32), math.sqrt(64 / 3)),
    ],
)
def test_the_gain_is_the_one_that_a_signal_meets(layer: object, gain: float) -> None:
    built = layers_of(lambda: nn.Sequential(layer()))["0"]  # type: ignore[operator]
    assert built.weight.effective_gain == pytest.approx(gain, rel=0.06)


def test_a_transposed_convolution_scales_a_signal_by_its_gain() -> None:
    layer = nn.ConvTranspose2d(64, 32, 4, stride=2, bias=False)
    found = find_layers(nn.Sequential(layer), None, KNOWLEDGE).layers[0]
    with seeded(), torch.no_grad():
        scaled = layer(torch.randn(8, 64, 32, 32))[:, :, 8:-8, 8:-8].square().mean().sqrt()
    assert float(scaled) == pytest.approx(found.weight.effective_gain, rel=0.03)


@pytest.mark.parametrize("kind", ["old", "new"])
def test_weight_normalization_is_said(kind: str) -> None:
    norm = nn.utils.weight_norm if kind == "old" else nn.utils.parametrizations.weight_norm
    assert layers_of(lambda: nn.Sequential(norm(nn.Linear(8, 8))))["0"].parametrization == "weight_norm"
    spectral = nn.utils.spectral_norm if kind == "old" else nn.utils.parametrizations.spectral_norm
    assert layers_of(lambda: nn.Sequential(spectral(nn.Linear(8, 8))))["0"].parametrization == "spectral_norm"


def test_one_std_for_several_widths_promises_no_gain() -> None:
    def build() -> nn.Module:
        model = nn.Sequential(nn.Linear(64, 64), nn.Linear(64, 128), nn.Linear(128, 8))
        for layer in model:
            nn.init.normal_(layer.weight, std=0.018042)
        return model

    assert [layer.weight.gain for layer in layers_of(build).values()] == [None] * 3


def test_a_std_computed_from_the_width_promises_its_gain() -> None:
    def build() -> nn.Module:
        layer = nn.Linear(200, 64)
        nn.init.normal_(layer.weight, std=math.sqrt(2 / 200) * 1.0001)
        return nn.Sequential(layer)

    assert layers_of(build)["0"].weight.gain == pytest.approx(math.sqrt(2), rel=0.05)


def test_recording_changes_nothing() -> None:
    names = ("__init__", "named_modules", "named_children")
    before = [getattr(nn.Module, name) for name in names]
    with seeded():
        plain = Handmade()
    with seeded(), Recorder(KNOWLEDGE):
        recorded = Handmade()
    for name, parameter in plain.named_parameters():
        assert torch.equal(parameter, recorded.get_parameter(name))
    assert [getattr(nn.Module, name) for name in names] == before


def test_the_default_is_recognised_by_its_values() -> None:
    with seeded():
        assert recognize_default(nn.Linear(64, 64).weight, 64).source == "default"
        assert recognize_default(nn.Conv2d(16, 32, 3, groups=4).weight, 36).source == "default"
        for write in (nn.init.kaiming_uniform_, nn.init.xavier_uniform_, nn.init.kaiming_normal_):
            weight = nn.Linear(64, 64).weight
            write(weight)
            assert recognize_default(weight, 64).source == "unknown"
        trained = nn.Linear(64, 64).weight
        with torch.no_grad():
            trained.add_(0.01 * torch.randn(64, 64))
        assert recognize_default(trained, 64).source == "unknown"
