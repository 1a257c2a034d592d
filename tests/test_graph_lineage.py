"""What runs without a Python call is read off the autograd graph, and nothing is claimed of what that does not tell."""

from __future__ import annotations

from collections.abc import Callable

import pytest

torch = pytest.importorskip("torch")

from torch import nn

from benchmarks.awkward import WIDTH, Clipped, Function, Loud, Net
from initlint.graph.inputs import Inputs
from initlint.graph.modes import seeded
from initlint.graph.provenance import Recorder
from initlint.knowledge import load_knowledge
from initlint.live import Live, examine

KNOWLEDGE = load_knowledge()


def scripted(code: str) -> Function:
    unit = torch.jit.CompilationUnit(f"def f(x: Tensor) -> Tensor:\n    return {code}\n")
    return unit.f


def examined(build: Callable[[], nn.Module]) -> Live:
    with seeded(), Recorder(KNOWLEDGE) as recorder:
        model = build()
    with seeded():
        return examine(model, KNOWLEDGE, recorder=recorder, inputs=Inputs((torch.randn(8, WIDTH),)))


def first_of(between: Function) -> tuple[str, list[tuple[str, tuple[tuple[str, float], ...]]]]:
    live = examined(lambda: Net(between))
    judgement = next(each for each in live.judgements if each.layer.path == "first")
    assert live.coverage.judged == live.coverage.total - (judgement.verdict == "unknown")
    return judgement.verdict, [(each.activation, each.params) for each in judgement.followers]


@pytest.mark.parametrize(
    "between",
    [
        scripted("torch.relu(x)"),
        Clipped.apply,
        torch.vmap(torch.relu),
        lambda x: torch.relu(x.as_subclass(Loud)),
        lambda x: torch.relu(x.as_subclass(Loud)).as_subclass(torch.Tensor),
        torch.compile(torch.relu),
    ],
    ids=["script", "autograd-function", "vmap", "subclass", "subclass-and-back", "compile"],
)
def test_an_activation_is_known_though_no_python_called_it(between: Function) -> None:
    assert first_of(between) == ("mismatch", [("relu", ())])


def test_a_formula_is_known_though_no_python_spelled_it() -> None:
    formula = scripted("x * 0.5 * (1.0 + torch.tanh(0.79788456 * x * (1 + 0.044715 * x * x)))")
    for _ in range(3):  # TorchScript would rewrite what has run before
        assert first_of(formula) == ("mismatch", [("gelu", ())])


def test_a_slope_is_the_one_that_was_used() -> None:
    assert first_of(scripted("torch.nn.functional.leaky_relu(x, 0.25)")) == (
        "mismatch",
        [("leaky_relu", (("negative_slope", 0.25),))],
    )


@pytest.mark.parametrize(
    "between",
    [
        scripted("torch.lgamma(x)"),
        lambda x: torch.relu(torch.from_numpy(x.detach().numpy())),
    ],
    ids=["unknown operator", "numpy"],
)
def test_what_leads_into_the_unknown_is_not_judged(between: Function) -> None:
    assert first_of(between) == ("unknown", [])


def test_what_is_no_choice_of_scale_is_set_aside_wherever_it_leads() -> None:
    def build() -> nn.Module:
        net = Net(lambda x: torch.relu(torch.from_numpy(x.detach().numpy())))
        net.first.weight.requires_grad_(requires_grad=False)
        return net

    live = examined(build)
    first = next(each for each in live.judgements if each.layer.path == "first")
    assert (first.verdict, first.reason) == ("exempt", "it is frozen")
    assert live.coverage.judged == live.coverage.total


def test_a_child_that_torchscript_runs_is_said_to_be_and_read_as_far_as_autograd_tells() -> None:
    live = examined(lambda: Net(torch.relu, lambda module: torch.jit.trace(module, torch.randn(2, WIDTH))))
    followers = [
        [each.activation for each in found.followers] for found in live.judgements if found.layer.kind == "Linear"
    ]
    assert followers == [["relu"], []]
    assert [place.partition(":")[0] for place in live.opaque] == ["inner"]


def test_a_compiled_model_is_called_what_it_is() -> None:
    live = examined(lambda: torch.compile(Net(torch.relu)))  # type: ignore[arg-type, return-value]
    assert (live.model.name, live.coverage.judged) == ("Net", 4)


def test_an_output_that_nobody_uses_is_not_judged_as_one_that_leaves() -> None:
    class Idle(Net):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.first(x)
            return self.last(self.inner(x))

    live = examined(lambda: Idle(torch.relu))
    assert dict(live.coverage.reasons) == {"what it runs into was not understood": ("Idle.first",)}
