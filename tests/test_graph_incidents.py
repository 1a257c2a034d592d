"""What a record of construction leaves in doubt is not said: overwritten calls and wrong fans, and what only looks like them."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

torch = pytest.importorskip("torch")

from torch import nn

from initlint.graph.modes import seeded
from initlint.graph.provenance import Recorder
from initlint.graph.tracer import trace
from initlint.knowledge import load_knowledge
from initlint.model import Event

KNOWLEDGE = load_knowledge()


def events(build: Callable[[], nn.Module], kind: str, device: str = "cpu") -> list[Event]:
    with seeded(), torch.device(device), Recorder(KNOWLEDGE) as recorder:
        model = build()
    return [event for event in trace(model, KNOWLEDGE, recorder=recorder).model.events if event.kind == kind]


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(32, 32)
        self.outer = nn.Linear(32, 32)
        nn.init.zeros_(self.outer.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.outer(torch.tanh(self.inner(x)))


def draw(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)


def by_apply(net: nn.Module) -> None:
    net.apply(draw)


def by_modules(net: nn.Module) -> None:
    for module in net.modules():
        draw(module)


def by_parameters(net: nn.Module) -> None:
    for _, parameter in net.named_parameters():
        if parameter.dim() > 1:
            nn.init.xavier_uniform_(parameter)


def from_the_block(net: nn.Module) -> None:
    for module in net.modules():
        if isinstance(module, Block):
            nn.init.xavier_uniform_(module.outer.weight)


def by_zeroing_again(net: nn.Module) -> None:
    for module in net.modules():
        if isinstance(module, nn.Linear):
            nn.init.constant_(module.weight, 0.0)


def by_name(net: nn.Module) -> None:
    nn.init.xavier_uniform_(net.block.outer.weight)


def after_a_walk(net: nn.Module) -> None:
    for module in net.modules():
        if isinstance(module, Block):
            break
    first = next(module.children())
    assert isinstance(first, nn.Linear)
    nn.init.xavier_uniform_(module.outer.weight)


def beside_a_walk(net: nn.Module) -> None:
    for name, _ in list(net.named_children()):
        for _ in net.block.children():
            fresh = Block()
            nn.init.xavier_uniform_(fresh.outer.weight)
        net.add_module(name, fresh)


def all_but_the_last(net: nn.Module) -> None:
    for name, module in net.named_modules():
        if not name.endswith("outer"):
            draw(module)


class Net(nn.Module):
    def __init__(self, initialize: Callable[[nn.Module], None]) -> None:
        super().__init__()
        self.block = Block()
        initialize(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.block(x)


@pytest.mark.parametrize("initialize", [by_zeroing_again, by_name, after_a_walk, beside_a_walk, all_but_the_last])
def test_what_is_meant_or_kept_is_not_overwritten(initialize: Callable[[nn.Module], None]) -> None:
    assert events(lambda: Net(initialize), "init-overwritten") == []


@pytest.mark.parametrize("initialize", [by_apply, by_modules, by_parameters, from_the_block])
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_a_walk_overwrites_what_a_block_gave_itself(initialize: Callable[[nn.Module], None], device: str) -> None:
    (event,) = events(lambda: Net(initialize), "init-overwritten", device)
    assert [event.detail(name) for name in ("layer", "parameter")] == ["Block.outer", "weight"]
    assert [event.detail(name) for name in ("function", "later")] == ["zeros_", "xavier_uniform_"]


def test_a_call_that_one_layer_keeps_is_of_use() -> None:
    class Two(Net):
        def __init__(self) -> None:
            super().__init__(by_apply)
            self.later = Block()

    assert events(Two, "init-overwritten") == []


class Matrix(nn.Module):
    """A matrix that is multiplied from the left."""

    def __init__(self, fill: Callable[[torch.Tensor], object], *, normalized: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(96, 24))
        self.norm = nn.LayerNorm(24) if normalized else nn.Identity()
        with torch.no_grad():
            fill(self.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(x @ self.weight)


def uniform(bound: float) -> Callable[[torch.Tensor], object]:
    return lambda weight: weight.uniform_(-bound, bound)


@pytest.mark.parametrize(
    "fill",
    [
        lambda weight: nn.init.kaiming_uniform_(weight.t()),
        nn.init.xavier_normal_,  # the sum of both fans
        uniform(1 / math.sqrt(96)),  # the true one
        uniform(0.2),
        lambda weight: nn.init.kaiming_uniform_(weight).mul_(0.5),
    ],
)
def test_what_may_be_the_true_fan_is_no_wrong_one(fill: Callable[[torch.Tensor], object]) -> None:
    assert events(lambda: Matrix(fill), "wrong-fan") == []


def test_a_wrong_fan_before_a_normalization_does_no_harm_and_one_without_values_is_not_known() -> None:
    fill = nn.init.kaiming_uniform_
    assert events(lambda: Matrix(fill, normalized=True), "wrong-fan") == []
    assert events(lambda: Matrix(fill), "wrong-fan", "meta") == []


def test_a_fan_read_off_the_wrong_side_is_said_with_what_it_costs() -> None:
    for fill in (nn.init.kaiming_uniform_, uniform(1 / math.sqrt(24))):
        (event,) = events(lambda fill=fill: Matrix(fill), "wrong-fan")
        assert [event.detail(name) for name in ("layer", "parameter", "reason", "ratio")] == [
            "Matrix",
            "weight",
            "left",
            2.0,
        ]
