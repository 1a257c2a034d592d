"""Whatever network is written, its repair converges, keeps every line and leaves nothing to repair."""

from __future__ import annotations

import ast
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from initlint.config import Settings
from initlint.engine import check, text_source
from initlint.repair import repair

ACTIVATIONS = {
    "relu": "nn.ReLU()",
    "leaky": "nn.LeakyReLU(0.2)",
    "tanh": "nn.Tanh()",
    "selu": "nn.SELU()",
    "gelu": "nn.GELU()",
    "sigmoid": "nn.Sigmoid()",
}
CALLS = (
    None,
    "nn.init.xavier_uniform_({})",
    "nn.init.kaiming_normal_({}, nonlinearity='relu')",
    "nn.init.orthogonal_({})",
    "nn.init.normal_({}, std=0.001)",
    "{}.data.uniform_(-0.5, 0.5)",
)
UNSAFE = Settings(unsafe_fixes=True)


@pytest.fixture(scope="module")
def nowhere(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file without neighbours, so that no project around it is read."""
    return str(tmp_path_factory.mktemp("project") / "net.py")


@dataclass(frozen=True)
class Written:
    """A layer of a generated network."""

    activation: str
    call: str | None


@st.composite
def networks(draw: st.DrawFn) -> str:
    layers = draw(
        st.lists(
            st.builds(Written, st.sampled_from(sorted(ACTIVATIONS)), st.sampled_from(CALLS)), min_size=1, max_size=6
        )
    )
    grouped = draw(st.booleans())
    loop = draw(st.sampled_from([None, "nn.init.xavier_normal_(m.weight)", "m.weight.data.normal_(0, 0.02)"]))
    head = draw(st.booleans())
    accesses = [f"self.net[{2 * index}]" if grouped else f"self.fc{index}" for index in range(len(layers))]
    lines = ["import torch", "from torch import nn", "", "", "class Net(nn.Module):"]
    lines += ["    def __init__(self, width=64):", "        super().__init__()  # built below"]
    if grouped:
        pairs = [f"nn.Linear(width, width), {ACTIVATIONS[layer.activation]}" for layer in layers]
        lines.append(f"        self.net = nn.Sequential({', '.join(pairs)})")
    else:
        lines += [f"        self.fc{index} = nn.Linear(width, width)" for index in range(len(layers))]
    if head:
        lines.append("        self.head = nn.Linear(width, 3)")
    if loop is not None:
        lines += [
            "        for m in self.modules():",
            "            if isinstance(m, nn.Linear):",
            f"                {loop}",
        ]
    lines += [
        f"        {layer.call.format(f'{access}.weight')}  # {access}"
        for layer, access in zip(layers, accesses, strict=True)
        if layer.call is not None
    ]
    lines += ["", "    def forward(self, x):"]
    if grouped:
        lines.append("        x = self.net(x)")
    else:
        lines += [f"        x = {ACTIVATIONS[layer.activation]}(self.fc{i}(x))" for i, layer in enumerate(layers)]
    lines.append("        return self.head(x)" if head else "        return x")
    return draw(st.sampled_from(["\n", "\r\n"])).join([*lines, ""])


@given(text=networks())
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_repair_is_complete_and_final(nowhere: str, text: str) -> None:
    outcome = check(text_source(text, nowhere), UNSAFE)
    repairable = [finding for finding in outcome.findings if finding.judgements]
    repaired = repair(outcome, UNSAFE)
    (fixed,) = repaired.texts.values() or (text,)
    ast.parse(fixed)
    assert not [f for f in repaired.outcome.findings if f.code != "INI107" and f.judgements], fixed
    assert bool(repairable) == (fixed != text)
    assert repair(check(text_source(fixed, nowhere), UNSAFE), UNSAFE).texts == {}
    calls = ("init.", ".data.")
    kept = [line for line in text.splitlines() if not any(call in line for call in calls)]
    rest = iter(fixed.splitlines())
    assert all(line in rest for line in kept), fixed
    assert fixed.count("\r\n") in (0, fixed.count("\n"))


@given(text=networks())
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_safe_repair_overrides_no_choice(nowhere: str, text: str) -> None:
    repaired = repair(check(text_source(text, nowhere), Settings()), Settings())
    (fixed,) = repaired.texts.values() or (text,)
    rest = iter(fixed.splitlines())
    assert all(line in rest for line in text.splitlines()), fixed
