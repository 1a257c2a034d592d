"""Both ways of tracing lay down the same ops, whatever the forward pass is written with."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F
from torch import nn

from initlint.analysis import judge
from initlint.graph.inputs import Inputs
from initlint.graph.modes import seeded
from initlint.graph.provenance import Recorder
from initlint.graph.tracer import Trace, trace
from initlint.knowledge import load_knowledge
from initlint.model import Judgement, Op

KNOWLEDGE = load_knowledge()
Build = Callable[[], nn.Module]


class Net(nn.Module):
    """Two layers with something between them."""

    def __init__(self, between: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.fc1 = nn.Linear(16, 16)
        self.fc2 = nn.Linear(16, 16)
        self.between = between

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc2(self.between(self.fc1(x)))


def traced(build: Build, *inputs: torch.Tensor) -> Trace:
    with seeded(), Recorder(KNOWLEDGE) as recorder:
        model = build()
    return trace(model, KNOWLEDGE, recorder=recorder, inputs=Inputs(inputs) if inputs else None)


def both(build: Build, *inputs: torch.Tensor) -> list[Trace]:
    return [traced(build), traced(build, *inputs)]


def shape(ops: tuple[Op, ...]) -> list[tuple[str, tuple[int, ...]]]:
    return [(op.name if op.kind == "activation" else op.kind, op.inputs) for op in ops]


def judgements(found: Trace) -> dict[str, Judgement]:
    return {judgement.layer.path: judgement for judgement in judge(found.model, KNOWLEDGE)}


def followers(found: Trace, path: str) -> list[str]:
    return [follower.activation for follower in judgements(found)[path].followers]


SPELLINGS: dict[str, tuple[Callable[[torch.Tensor], torch.Tensor], str, dict[str, float]]] = {
    "F.relu": (F.relu, "relu", {}),
    "method": (lambda x: x.relu(), "relu", {}),
    "in place": (lambda x: x.relu_(), "relu", {}),
    "torch.relu": (torch.relu, "relu", {}),
    "clamp": (lambda x: x.clamp(min=0), "relu", {}),
    "clamp_min": (lambda x: torch.clamp_min(x, 0), "relu", {}),
    "relu6": (F.relu6, "relu6", {}),
    "leaky by position": (lambda x: F.leaky_relu(x, 0.2), "leaky_relu", {"negative_slope": 0.2}),
    "leaky by keyword": (lambda x: F.leaky_relu(x, negative_slope=0.3), "leaky_relu", {"negative_slope": 0.3}),
    "elu": (lambda x: F.elu(x, alpha=0.5), "elu", {"alpha": 0.5}),
    "tanh": (torch.tanh, "tanh", {}),
    "sigmoid method": (lambda x: x.sigmoid(), "sigmoid", {}),
    "gelu": (F.gelu, "gelu", {}),
    "gelu tanh": (lambda x: F.gelu(x, approximate="tanh"), "gelu", {}),
    "swish by hand": (lambda x: x * torch.sigmoid(x), "silu", {}),
    "swish turned round": (lambda x: torch.sigmoid(x) * x, "silu", {}),
    "quick gelu": (lambda x: x * torch.sigmoid(1.702 * x), "quick_gelu", {}),
    "gelu by hand": (lambda x: 0.5 * x * (1.0 + torch.erf(x / math.sqrt(2.0))), "gelu", {}),
    "gelu by hand, tanh": (
        lambda x: 0.5 * x * (1.0 + torch.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * torch.pow(x, 3.0)))),
        "gelu",
        {},
    ),
    "mish by hand": (lambda x: x * torch.tanh(F.softplus(x)), "mish", {}),
    "hardswish by hand": (lambda x: x * F.relu6(x + 3) / 6, "hardswish", {}),
    "squared relu": (lambda x: F.relu(x) ** 2, "relu_squared", {}),
    "behind a view": (lambda x: F.relu(x.view(-1, 4, 4)).flatten(1), "relu", {}),
    "behind dropout": (lambda x: F.relu(F.dropout(x, 0.1)), "relu", {}),
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_an_activation_is_known_by_any_spelling(name: str) -> None:
    between, activation, params = SPELLINGS[name]
    for found in both(lambda: Net(between), torch.randn(4, 16)):
        judgement = judgements(found)["fc1"]
        assert [follower.activation for follower in judgement.followers] == [activation]
        assert dict(judgement.followers[0].params) == pytest.approx(params)
        assert not judgement.followers[0].gated


@pytest.mark.parametrize(
    ("module", "activation"),
    [
        (nn.ReLU(inplace=True), "relu"),
        (nn.LeakyReLU(0.1), "leaky_relu"),
        (nn.PReLU(), "prelu"),
        (nn.GELU("tanh"), "gelu"),
        (nn.SiLU(), "silu"),
        (nn.Sequential(nn.Dropout(0.5), nn.Tanh()), "tanh"),
        (nn.Hardtanh(), "hardtanh"),
    ],
)
def test_an_activation_module_is_known(module: nn.Module, activation: str) -> None:
    for found in both(lambda: Net(module), torch.randn(4, 16)):
        assert followers(found, "fc1") == [activation]


def gate(x: torch.Tensor) -> torch.Tensor:
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * torch.sigmoid(b), a], dim=-1)


def test_a_gate_of_two_halves_is_no_swish() -> None:
    for found in both(lambda: Net(gate), torch.randn(4, 16)):
        assert "silu" not in followers(found, "fc1")
        assert all(follower.gated for follower in judgements(found)["fc1"].followers)


class Squeeze(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.value = nn.Linear(16, 16)
        self.gate = nn.Linear(16, 16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.value(x) * torch.sigmoid(self.gate(x))


def test_a_gate_multiplies_another_tensor() -> None:
    for found in both(Squeeze, torch.randn(4, 16)):
        assert [follower.gated for follower in judgements(found)["gate"].followers] == [True]
        assert judgements(found)["gate"].verdict == "exempt"


def rms_norm(x: torch.Tensor) -> torch.Tensor:
    return F.relu(x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6))


def layer_norm(x: torch.Tensor) -> torch.Tensor:
    return F.relu((x - x.mean(-1, keepdim=True)) / torch.sqrt(x.var(-1, keepdim=True) + 1e-6))


@pytest.mark.parametrize("norm", [rms_norm, layer_norm, nn.Sequential(nn.LayerNorm(16), nn.ReLU()), nn.BatchNorm1d(16)])
def test_a_normalization_is_one_by_any_spelling(norm: Callable[[torch.Tensor], torch.Tensor]) -> None:
    for found in both(lambda: Net(norm), torch.randn(4, 16)):
        assert "norm" in {op.kind for op in found.model.ops}
        assert judgements(found)["fc1"].verdict == "exempt"


class Trained(nn.Module):
    """A detector in training: it takes the target and returns the loss."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(8, 8)
        self.head = nn.Linear(8, 3)
        self.box = nn.Linear(8, 4)
        self.loss = nn.SmoothL1Loss()

    def forward(self, x: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.body(x))
        return F.cross_entropy(self.head(x), target) + self.loss(self.box(x), torch.ones(8, 4))


def test_what_a_loss_compares_leaves_the_model() -> None:
    for found in both(Trained, torch.randn(8, 8), torch.zeros(8, dtype=torch.int64)):
        said = judgements(found)
        assert [(path, said[path].verdict) for path in ("head", "box")] == [("head", "exempt"), ("box", "exempt")]
        leaving = [found.model.ops[op.inputs[0]].kind for op in found.model.ops if op.kind == "output"]
        assert leaving == ["layer", "input", "layer"]


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.act = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.act(self.conv(x))
        y += x
        return self.act(y)


def test_a_reused_activation_is_two_ops_and_a_sum_joins_both_tensors() -> None:
    for found in both(Residual, torch.randn(2, 4, 8, 8)):
        assert shape(found.model.ops) == [
            ("input", ()),
            ("layer", (0,)),
            ("relu", (1,)),
            ("add", (2, 0)),
            ("relu", (3,)),
            ("output", (4,)),
        ]


class Shared(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Linear(8, 8)
        self.two = self.one

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        y = torch.relu(self.one(x))
        return self.two(y), {"hidden": y}


def test_a_shared_layer_is_one_layer_applied_twice_and_every_output_leaves() -> None:
    for found in both(Shared, torch.randn(4, 8)):
        assert len(found.model.layers) == 1
        assert [op.layer for op in found.model.ops if op.kind == "layer"] == [0, 0]
        assert [op.kind for op in found.model.ops].count("output") == 2


class Stubborn(nn.Module):
    """A branch on values: torch.fx cannot follow it, running can."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.sum() > 1000:
            return x
        return self.inner(x)


class Around(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.before = nn.Linear(8, 8)
        self.stubborn = Stubborn()
        self.after = nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.after(self.stubborn(torch.relu(self.before(x)))))


def test_what_fx_cannot_trace_is_opaque_and_its_children_are_traced_alone() -> None:
    found = traced(Around)
    assert list(found.opaque) == ["stubborn"]
    assert "Around" not in found.model.opaque[0]
    assert "TraceError" in found.opaque["stubborn"]
    assert followers(found, "before") == ["relu"]
    assert followers(found, "inner.0") == ["relu"]
    assert followers(found, "after") == ["tanh"]


class Points(nn.Module):
    """The largest over all points is what a pool takes; the larger of two tensors is not."""

    def __init__(self) -> None:
        super().__init__()
        self.each = nn.Conv1d(3, 16, 1)
        self.other = nn.Conv1d(3, 16, 1)
        self.whole = nn.Linear(16, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pooled = torch.max(self.each(x), 2)[0] + torch.max(self.other(x), self.other(x)).mean(2)
        return self.whole(torch.relu(pooled))


@pytest.mark.parametrize("inputs", [None, torch.randn(4, 3, 32)], ids=["fx", "run"])
def test_the_largest_over_a_dimension_is_a_pool(inputs: torch.Tensor | None) -> None:
    found = traced(Points) if inputs is None else traced(Points, inputs)
    assert followers(found, "each") == ["relu"]
    assert followers(found, "other") == []


class Levels(nn.Module):
    """The head of a detector: it takes a list of maps, however many."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 3)
        self.score = nn.Conv2d(8, 1, 1)
        self.extra = nn.ModuleList(nn.Sequential(nn.Conv2d(8, 8, 1), nn.ReLU(), nn.Conv2d(8, 1, 1)) for _ in range(3))

    def forward(self, maps: list[torch.Tensor]) -> list[torch.Tensor]:
        found = []
        for place, each in enumerate(maps):
            found.append(torch.sigmoid(self.score(torch.relu(self.conv(each)))) + self.extra[place](each))
        return found


def test_a_loop_over_an_unknown_number_of_tensors_is_read_once() -> None:
    found = traced(Levels)
    assert not found.opaque
    assert followers(found, "conv") == ["relu"]
    assert followers(found, "score") == ["sigmoid"]
    assert [followers(found, f"extra.{place}.0") for place in range(3)] == [["relu"]] * 3


def test_running_sees_through_what_fx_cannot() -> None:
    found = traced(Around, torch.randn(4, 8))
    assert not found.opaque
    assert judgements(found)["inner.0"].chain is not None
    assert judgements(found)["inner.0"].chain.length == 4  # type: ignore[union-attr]


class Bare(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.plain = nn.Parameter(torch.randn(16, 32) * 0.1)
        self.turned = nn.Parameter(torch.randn(8, 32) * 0.1)
        self.experts = nn.Parameter(torch.randn(3, 8, 4) * 0.1)
        self.unused = nn.Parameter(torch.randn(3, 3))
        self.position = nn.Parameter(torch.randn(1, 16) * 0.02)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu((x + self.position) @ self.plain)
        x = torch.relu(F.linear(x, self.turned))
        return torch.einsum("bi,eio->beo", x, self.experts)


def test_a_bare_matrix_is_a_layer_with_the_fan_that_it_is_used_with() -> None:
    for found in both(Bare, torch.randn(4, 16)):
        layers = {layer.path: layer for layer in found.model.layers}
        assert {path: layer.fan_in for path, layer in layers.items()} == {"plain": 16, "turned": 32, "experts": 8}
        assert layers["plain"].kind == "Parameter"
        assert layers["plain"].weight.effective_gain == pytest.approx(0.1 * 4, rel=0.1)
        assert followers(found, "plain") == ["relu"]


class Standardized(nn.Conv2d):
    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 - torch's name
        weight = self.weight - self.weight.mean(dim=(1, 2, 3), keepdim=True)
        return F.conv2d(input, weight / weight.std(), self.bias)


def test_a_weight_that_is_rebuilt_at_every_use_is_said_to_be() -> None:
    for found in both(lambda: nn.Sequential(Standardized(4, 4, 3), nn.ReLU()), torch.randn(2, 4, 8, 8)):
        assert [layer.parametrization for layer in found.model.layers] == ["other"]
        assert judgements(found)["0"].verdict == "exempt"


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(16, 4, batch_first=True)
        self.rnn = nn.LSTM(16, 16, batch_first=True)
        self.head = nn.Linear(16, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x, _ = self.attention(x, x, x)
        x, (hidden, _) = self.rnn(x)
        return self.head(torch.relu(hidden[0]))


def test_attention_and_recurrence_are_single_steps() -> None:
    for found in both(Attention, torch.randn(4, 6, 16)):
        kinds = {layer.path: layer.kind for layer in found.model.layers}
        assert kinds == {
            "attention": "MultiheadAttention",
            "attention.out_proj": "NonDynamicallyQuantizableLinear",
            "rnn": "LSTM",
            "head": "Linear",
        }
        assert {judgement.verdict for judgement in judgements(found).values()} == {"exempt"}
        assert {op.layer for op in found.model.ops if op.kind == "layer"} == {0, 1, 2, 3}


class Halves(nn.Module):
    """What one layer makes is taken apart, and `rectified` of the two parts meet a ReLU."""

    def __init__(self, rectified: int) -> None:
        super().__init__()
        self.fc = nn.Linear(8, 8)
        self.out = nn.Linear(4, 1)
        self.rectified = rectified

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first, second = self.fc(x).chunk(2, dim=1)
        first = F.relu(first) if self.rectified > 0 else first
        second = F.relu(second) if self.rectified > 1 else second
        return self.out(first) + self.out(second)


@pytest.mark.parametrize(("rectified", "verdict"), [(0, "exempt"), (1, "exempt"), (2, "mismatch")])
def test_an_activation_of_a_part_does_not_judge_the_whole(rectified: int, verdict: str) -> None:
    for found in both(lambda: Halves(rectified), torch.randn(2, 8)):
        assert judgements(found)["fc"].verdict == verdict


def test_an_encoder_layer_is_run_through() -> None:
    found = traced(lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 4, 32), 2), torch.randn(5, 2, 16))
    assert followers(found, "layers.0.linear1") == ["relu"]
    assert (
        judgements(found)["layers.1.linear1"].layer.site.line == judgements(found)["layers.0.linear1"].layer.site.line
    )


class Optional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(8, 8)

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        x = self.fc(x)
        if mask is not None:
            x = torch.sigmoid(x) * mask
        return torch.relu(x)


def test_an_optional_input_is_left_out() -> None:
    for found in both(Optional, torch.randn(4, 8)):
        assert followers(found, "fc") == ["relu"]


def test_sites_are_the_users_own_lines() -> None:
    for found in both(Residual, torch.randn(2, 4, 8, 8)):
        relu = next(op for op in found.model.ops if op.kind == "activation")
        assert relu.site is not None
        assert relu.site.file == str(__import__("pathlib").Path(__file__).resolve())


def test_fx_leaves_nothing_behind_on_the_module() -> None:
    class Constant(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.fc(x) + torch.ones(4)

    model = Constant()
    before = set(vars(model))
    trace(model, KNOWLEDGE)
    assert set(vars(model)) == before


def test_what_the_users_forward_raises_comes_through() -> None:
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        traced(lambda: Net(F.relu), torch.randn(4, 5))
    assert nn.Module.__call__.__name__ != "call"
