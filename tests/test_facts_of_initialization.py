"""What torch does with an initialization, on the torch that is installed: the facts that the rules of lost init rest on."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import pytest

torch = pytest.importorskip("torch")
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations, weight_norm

from initlint import check_source

# Arguments


RAISES: tuple[tuple[str, str, type[Exception], str], ...] = (
    ("nn.init.kaiming_normal_(w, nonlinearity='gelu')", "INI312", ValueError, "Unsupported nonlinearity"),
    ("nn.init.kaiming_uniform_(w, nonlinearity='silu')", "INI312", ValueError, "Unsupported nonlinearity"),
    ("nn.init.kaiming_uniform_(w, nonlinearity='ReLU')", "INI312", ValueError, "Unsupported nonlinearity"),
    ("nn.init.kaiming_normal_(w, mode='fan_avg')", "INI312", ValueError, "Mode fan_avg not supported"),
    ("nn.init.kaiming_normal_(w, 'fan_out')", "INI312", ValueError, "not a valid number"),
    ("nn.init.kaiming_normal_(w, True)", "INI312", ValueError, "not a valid number"),
    ("nn.init.kaiming_normal_(w, gain=2.0)", "INI312", TypeError, "unexpected keyword argument"),
    ("nn.init.xavier_normal_(w, gain='relu')", "INI312", TypeError, ""),
    ("nn.init.orthogonal_(w, gain='relu')", "INI312", TypeError, ""),
    ("nn.init.xavier_uniform_(w, nonlinearity='relu')", "INI312", TypeError, "unexpected keyword argument"),
    ("nn.init.constant_(w)", "INI312", TypeError, "missing"),
    ("nn.init.zeros_(w, 0.0)", "INI312", TypeError, "positional argument"),
    ("nn.init.calculate_gain('gelu')", "INI312", ValueError, "Unsupported nonlinearity"),
    ("nn.init.calculate_gain('leaky_relu', 'a')", "INI312", ValueError, "not a valid number"),
    ("nn.init.xavier_uniform_(b)", "INI304", ValueError, "fewer than 2 dimensions"),
    ("nn.init.kaiming_uniform_(b)", "INI304", ValueError, "fewer than 2 dimensions"),
    ("nn.init.orthogonal_(b)", "INI304", ValueError, "2 or more dimensions"),
    ("nn.init.sparse_(b, 0.1)", "INI304", ValueError, "2 dimensions"),
    ("nn.init.dirac_(w)", "INI304", ValueError, "3, 4, or 5 dimensions"),
    ("nn.init.normal_(self.fc)", "INI307", AttributeError, ""),
    ("self.fc.weight.normal_()", "INI309", RuntimeError, "leaf Variable that requires grad"),
    ("self.fc.weight[0].fill_(1.0)", "INI309", RuntimeError, "leaf Variable that requires grad"),
    ("nn.init.zeros_(self.plain.bias)", "INI305", AttributeError, "NoneType"),
    ("self.plain.bias.data.zero_()", "INI305", AttributeError, "NoneType"),
    ("nn.init.normal_(self.lazy.weight)", "INI314", ValueError, "uninitialized"),
)
"""A statement, the rule that speaks of it, and what torch raises."""

ACCEPTED: tuple[str, ...] = (
    "nn.init.kaiming_normal_(w, mode='FAN_OUT')",
    "nn.init.kaiming_normal_(w, 'fan_out', nonlinearity='relu')",
    "nn.init.kaiming_normal_(w, a=0.2, nonlinearity='tanh')",
    "nn.init.kaiming_uniform_(w, nonlinearity='selu')",
    "nn.init.xavier_uniform_(w, 2)",
    "nn.init.orthogonal_(w, gain=0.01)",
    "nn.init.trunc_normal_(b, std=0.02)",
    "nn.init.eye_(w)",
    "self.fc.weight.data.normal_()",
    "self.fc.weight.detach().normal_()",
)

MODEL = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 4)
        self.plain = nn.Linear(8, 4, bias=False)
        self.lazy = nn.LazyLinear(4)
        w, b = self.fc.weight, self.fc.bias
        {statement}

    def forward(self, x):
        return self.lazy(torch.relu(self.fc(x))) + self.plain(x)
"""


def build(statement: str) -> nn.Module:
    """The net with `statement` at the end of its constructor."""
    names: dict[str, type[nn.Module]] = {}
    exec(compile(MODEL.format(statement=statement), "net.py", "exec"), names)
    return names["Net"]()


@pytest.mark.parametrize(("statement", "code", "error", "words"), RAISES, ids=[each[0] for each in RAISES])
@pytest.mark.filterwarnings("ignore")
def test_what_torch_rejects_is_an_error(statement: str, code: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        build(statement)
    found = [each for each in check_source(MODEL.format(statement=statement)) if each.code.startswith("INI3")]
    assert [(each.code, each.severity.label, each.site.line) for each in found] == [(code, "error", 13)]


@pytest.mark.parametrize("statement", ACCEPTED)
def test_what_torch_accepts_is_no_error(statement: str) -> None:
    build(statement)
    found = [each for each in check_source(MODEL.format(statement=statement)) if each.code.startswith("INI3")]
    assert [each for each in found if each.severity.label == "error"] == []


def test_a_mode_in_the_place_of_the_slope_is_ignored() -> None:
    torch.manual_seed(0)
    weight = nn.init.kaiming_normal_(torch.empty(2048, 512), "fan_out", nonlinearity="relu")  # type: ignore[arg-type]
    assert weight.std().item() == pytest.approx(math.sqrt(2 / 512), rel=0.02)


def test_a_slope_is_read_for_leaky_relu_alone() -> None:
    torch.manual_seed(0)
    weight = nn.init.kaiming_normal_(torch.empty(1024, 512), a=0.9, nonlinearity="relu")
    assert weight.std().item() == pytest.approx(math.sqrt(2 / 512), rel=0.02)


# Weights that are computed


WRAPPERS: tuple[Callable[[nn.Module], nn.Module], ...] = (weight_norm, parametrizations.weight_norm)


@pytest.mark.parametrize("wrap", WRAPPERS, ids=["hook", "parametrization"])
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_weight_norm_discards_what_is_written_behind_it(wrap: Callable[[nn.Module], nn.Module]) -> None:
    torch.manual_seed(0)
    conv = nn.Conv1d(8, 8, 3)
    before = conv.weight.detach().clone()
    wrapped = wrap(conv)
    wrapped.weight.data.normal_(0.0, 0.01)
    with torch.no_grad():
        nn.init.normal_(wrapped.weight, 0.0, 0.01)
    wrapped(torch.randn(1, 8, 5))
    assert torch.allclose(wrapped.weight, before, atol=1e-6)
    assert wrapped.weight.std().item() == pytest.approx(1 / math.sqrt(3 * 24), rel=0.1)


@pytest.mark.parametrize("wrap", WRAPPERS, ids=["hook", "parametrization"])
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_weight_norm_keeps_what_was_written_before_it(wrap: Callable[[nn.Module], nn.Module]) -> None:
    conv = nn.Conv1d(8, 8, 3)
    nn.init.normal_(conv.weight, 0.0, 0.01)
    before = conv.weight.detach().clone()
    wrapped = wrap(conv)
    wrapped(torch.randn(1, 8, 5))
    assert torch.allclose(wrapped.weight, before, atol=1e-6)


def test_a_parametrized_weight_takes_an_assignment() -> None:
    conv = parametrizations.weight_norm(nn.Conv1d(8, 8, 3))
    conv.weight = nn.init.normal_(torch.empty(8, 8, 3), 0.0, 0.01)
    assert conv.weight.std().item() == pytest.approx(0.01, rel=0.3)


# Embeddings


def test_an_initializer_overwrites_the_padding_row_which_then_has_no_gradient() -> None:
    words = nn.Embedding(20, 8, padding_idx=0)
    assert words.weight[0].abs().sum().item() == 0.0
    nn.init.normal_(words.weight)
    assert words.weight[0].abs().min().item() > 0.0
    words(torch.tensor([0, 1])).sum().backward()
    assert words.weight.grad is not None
    assert words.weight.grad[0].abs().sum().item() == 0.0
    assert words.weight.grad[1].abs().sum().item() > 0.0


def test_a_padded_batch_sums_the_overwritten_row() -> None:
    torch.manual_seed(0)
    words = nn.Embedding(20, 256, padding_idx=0)
    short = torch.tensor([[3, 0, 0, 0, 0, 0, 0, 0]])
    clean = words(short).sum(1)
    nn.init.normal_(words.weight)
    padded = words(short).sum(1)
    assert padded.std().item() > 5 * clean.std().item()


def test_tied_weights_keep_the_last_write() -> None:
    words, head = nn.Embedding(50, 16), nn.Linear(16, 50, bias=False)
    nn.init.constant_(head.weight, 1.0)
    head.weight = words.weight
    assert head.weight.std().item() == pytest.approx(1.0, rel=0.1)
    nn.init.constant_(head.weight, 3.0)
    nn.init.constant_(words.weight, 2.0)
    assert set(head.weight.unique().tolist()) == {2.0}


def test_a_tied_embedding_of_unit_spread_gives_logits_of_the_root_of_the_width() -> None:
    torch.manual_seed(0)
    words = nn.Embedding(1000, 64)
    logits = functional.linear(torch.randn(512, 64), words.weight)
    assert logits.std().item() == pytest.approx(8.0, rel=0.05)
    loss = functional.cross_entropy(logits, torch.randint(0, 1000, (512,)))
    assert 25 < loss.item() < 38
    assert math.log(1000) == pytest.approx(6.9, abs=0.02)


# Walks


def test_isinstance_with_or_sees_the_first_class_alone() -> None:
    either = nn.Conv2d or nn.Linear
    assert isinstance(nn.Conv2d(1, 1, 1), either)
    assert not isinstance(nn.Linear(1, 1), either)
    always = type(nn.ReLU()) is nn.Conv2d or nn.Linear
    assert always is nn.Linear


def test_apply_goes_to_the_children_first() -> None:
    seen: list[str] = []
    net = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.ReLU(), nn.Tanh()))
    net.apply(lambda module: seen.append(type(module).__name__))
    assert seen == ["Linear", "ReLU", "Tanh", "Sequential", "Sequential"]


def test_children_are_the_direct_ones_and_modules_all() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 2)))
    assert sum(isinstance(each, nn.Linear) for each in net.children()) == 1
    assert sum(isinstance(each, nn.Linear) for each in net.modules()) == 2


def test_names_of_parameters_are_qualified() -> None:
    net = nn.ModuleDict({"attention": nn.ModuleDict({"c_proj": nn.Linear(2, 2)})})
    assert [name for name, _ in net.named_parameters()] == ["attention.c_proj.weight", "attention.c_proj.bias"]
    assert not any(name == "c_proj.weight" for name, _ in net.named_parameters())


def test_layers_in_a_plain_list_are_met_by_nothing() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.hidden = [nn.Linear(4, 4) for _ in range(3)]

    assert list(Net().parameters()) == []
    assert [type(each).__name__ for each in Net().modules()] == ["Net"]


# Copies


def test_a_clone_and_a_deep_copy_leave_the_original_and_views_do_not() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(8, 8)
    before = layer.weight.detach().clone()
    nn.init.constant_(layer.weight.clone(), 1.0)
    nn.init.constant_(layer.weight.detach().clone(), 1.0)
    copy.deepcopy(layer).apply(lambda module: nn.init.ones_(module.weight))
    assert torch.equal(layer.weight, before)
    for view in (layer.weight.data, layer.weight.detach(), layer.weight.t().data, layer.weight.detach().view(-1)):
        nn.init.constant_(view, float(before.sum()))
        assert len(layer.weight.unique()) == 1
        with torch.no_grad():
            layer.weight.copy_(before)


def test_deep_copies_are_equal_and_so_are_the_layers_of_an_encoder() -> None:
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), 3)
    weights = [layer.linear1.weight for layer in encoder.layers]
    assert all(torch.equal(weights[0], each) for each in weights[1:])


# Symmetry and scale


def test_a_constant_layer_has_rank_one_and_equal_gradients() -> None:
    torch.manual_seed(0)
    hidden, head = nn.Linear(16, 64), nn.Linear(64, 4)
    nn.init.constant_(hidden.weight, 0.1)
    nn.init.zeros_(hidden.bias)
    out = hidden(torch.randn(32, 16))
    assert torch.linalg.matrix_rank(out).item() == 1
    assert torch.allclose(out, out[:, :1].expand_as(out), atol=1e-6)
    nn.init.constant_(head.weight, 0.1)
    head(torch.relu(out)).sum().backward()
    assert hidden.weight.grad is not None
    assert torch.allclose(hidden.weight.grad, hidden.weight.grad[:1].expand(64, 16), atol=1e-5)


def test_the_first_of_two_zero_layers_has_no_gradient() -> None:
    first, second = nn.Linear(8, 8), nn.Linear(8, 8)
    for layer in (first, second):
        nn.init.zeros_(layer.weight)
    second(first(torch.randn(4, 8))).square().sum().add(second(first(torch.randn(4, 8))).sum()).backward()
    assert first.weight.grad is not None
    assert first.weight.grad.abs().sum().item() == 0.0
    assert second.weight.grad is not None
    assert second.weight.grad.abs().sum().item() > 0.0


def test_unit_spread_scales_by_the_root_of_the_width() -> None:
    torch.manual_seed(0)
    x = torch.randn(4096, 128)
    assert (x @ torch.randn(128, 128)).std().item() == pytest.approx(math.sqrt(128), rel=0.05)
    positive = torch.rand(128, 128)
    assert positive.square().mean().sqrt().item() * math.sqrt(128) == pytest.approx(6.5, rel=0.02)
    outputs = x @ positive
    assert torch.corrcoef(outputs.t())[0, 1:].mean().item() > 0.6


def test_the_second_argument_of_normal_is_the_mean() -> None:
    torch.manual_seed(0)
    weight = nn.init.normal_(torch.empty(128, 128), 0.02)
    assert weight.mean().item() == pytest.approx(0.02, abs=0.03)
    assert weight.std().item() == pytest.approx(1.0, rel=0.02)
    truncated = nn.init.trunc_normal_(torch.empty(128, 128), 0.02)
    assert truncated.std().item() == pytest.approx(0.88, rel=0.02)


def test_xavier_and_orthogonal_take_packed_gates_for_one_matrix() -> None:
    torch.manual_seed(0)
    cell = nn.LSTM(256, 256)

    def gain_of_a_gate(weight: torch.Tensor) -> float:
        return float(weight.detach().chunk(4)[0].std() * math.sqrt(256))

    nn.init.orthogonal_(cell.weight_hh_l0)
    assert gain_of_a_gate(cell.weight_hh_l0) == pytest.approx(0.5, rel=0.03)
    nn.init.xavier_uniform_(cell.weight_ih_l0)
    assert gain_of_a_gate(cell.weight_ih_l0) == pytest.approx(0.632, rel=0.03)
    for gate in cell.weight_hh_l0.data.chunk(4):
        nn.init.orthogonal_(gate)
    assert gain_of_a_gate(cell.weight_hh_l0) == pytest.approx(1.0, rel=0.03)


def test_xavier_takes_packed_projections_for_one_matrix() -> None:
    torch.manual_seed(0)
    packed = nn.init.xavier_uniform_(torch.empty(3 * 256, 256))
    assert (packed[:256].std() * math.sqrt(256)).item() == pytest.approx(math.sqrt(0.5), rel=0.03)


def test_an_lstm_starts_with_a_forget_gate_half_open() -> None:
    cell = nn.LSTM(64, 64)
    forget = (cell.bias_ih_l0 + cell.bias_hh_l0).detach()[64:128]
    assert torch.sigmoid(forget).mean().item() == pytest.approx(0.5, abs=0.03)


# What it costs


def gain_of(layer: nn.Linear) -> float:
    """The measured gain: the standard deviation times the root of the number of inputs."""
    return float(layer.weight.detach().std() * math.sqrt(layer.in_features))


def kaiming(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.kaiming_normal_(module.weight)


def test_a_layer_behind_the_walk_keeps_the_default() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(256, 256))
    net.apply(kaiming)
    net.append(nn.Linear(256, 256))
    first, late = net
    assert isinstance(first, nn.Linear)
    assert isinstance(late, nn.Linear)
    assert gain_of(first) == pytest.approx(math.sqrt(2), rel=0.02)
    assert gain_of(late) == pytest.approx(math.sqrt(1 / 3), rel=0.02)


def test_a_nested_layer_is_missed_by_a_walk_over_the_children() -> None:
    torch.manual_seed(0)
    direct, nested = nn.Linear(256, 256), nn.Linear(256, 256)
    for child in nn.Sequential(direct, nn.Sequential(nested)).children():
        kaiming(child)
    assert gain_of(direct) == pytest.approx(math.sqrt(2), rel=0.02)
    assert gain_of(nested) == pytest.approx(math.sqrt(1 / 3), rel=0.02)


def test_a_test_with_or_initializes_the_first_class_alone() -> None:
    torch.manual_seed(0)
    conv, linear = nn.Conv2d(32, 64, 3), nn.Linear(256, 256)
    for layer in (conv, linear):
        if isinstance(layer, nn.Conv2d or nn.Linear):
            nn.init.kaiming_normal_(layer.weight)
    assert conv.weight.std().item() * math.sqrt(32 * 9) == pytest.approx(math.sqrt(2), rel=0.02)
    assert gain_of(linear) == pytest.approx(math.sqrt(1 / 3), rel=0.02)


def test_eight_layers_without_their_initialization_pass_a_thousandth() -> None:
    torch.manual_seed(0)
    spread = {}
    for name, init in (("default", nn.Module.train), ("kaiming", kaiming)):
        net = nn.Sequential(*(part for _ in range(8) for part in (nn.Linear(512, 512), nn.ReLU())))
        net.apply(init)
        spread[name] = net(torch.randn(256, 512)).std(0).mean().item()
    assert 3e-4 < spread["default"] / spread["kaiming"] < 3e-3


def test_an_initializer_leaves_nothing_of_what_was_loaded() -> None:
    torch.manual_seed(0)
    trained, layer = nn.Linear(64, 64), nn.Linear(64, 64)
    layer.load_state_dict(trained.state_dict())
    assert torch.equal(layer.weight, trained.weight)
    kaiming(layer)
    both = torch.stack([layer.weight.detach().flatten(), trained.weight.detach().flatten()])
    assert abs(torch.corrcoef(both)[0, 1].item()) < 0.06


def test_unscaled_projections_add_five_times_as_much_over_twelve_blocks() -> None:
    torch.manual_seed(0)
    added = {}
    for std in (0.02, 0.02 / math.sqrt(24)):
        x = start = torch.randn(64, 256)
        for _ in range(12):
            hidden = functional.gelu(functional.layer_norm(x, (256,)) @ torch.randn(256, 1024).mul(0.02))
            x = x + hidden @ torch.randn(1024, 256).mul(std)
        added[std] = (x - start).std().item()
    assert added[0.02] / added[0.02 / math.sqrt(24)] == pytest.approx(math.sqrt(24), rel=0.05)


def test_torch_can_fill_fresh_memory_with_nan() -> None:
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(mode=True)
    try:
        assert nn.Parameter(torch.empty(8, 8)).isnan().all()
    finally:
        torch.use_deterministic_algorithms(mode=before)


def test_a_forget_gate_half_open_leaves_a_thousandth_after_ten_steps() -> None:
    torch.manual_seed(0)
    cell = nn.LSTMCell(8, 256)
    hidden, memory = torch.zeros(1, 256), torch.full((1, 256), 100.0)
    with torch.no_grad():
        for _ in range(10):
            hidden, memory = cell(torch.zeros(1, 8), (hidden, memory))
    assert 0.0005 < (memory.mean() / 100.0).item() < 0.004
