"""Whatever faults a constructor has, in whatever order and layout: their fixes converge and lose nothing."""

from __future__ import annotations

import ast
import re
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from initlint.config import Settings
from initlint.engine import check, text_source
from initlint.model import Severity
from initlint.repair import is_applicable, repair
from initlint.selection import Layer, Selection

UNSAFE = Settings(unsafe_fixes=True, selection=Selection(layers=(Layer(select=("INI2", "INI3")),)))
FAULTS = (
    "nn.init.xavier_uniform(self.out.weight)",
    "nn.init.kaiming_normal_(self.mid, nonlinearity='linear')",
    "self.out.bias.zero_()",
    "self.mid.weight.mul_(\n~0.5,  # half\n)",
    "self.mid.bias.data.zero_(); self.out.bias.fill_(1)",
    "nn.init.zeros_(self.conv.bias)",
    "for m in self.modules():\n~if isinstance(m, nn.Conv1d): m.bias.data.zero_()  # none",
    "nn.init.kaiming_normal_(self.mid.weight, 'fan_out', nonlinearity='ReLU')",
    "nn.init.normal_(self.out.weight, 0.02)",
    "nn.init.normal_(self.words.weight, std=0.02)",
    "self.words.weight.data.uniform_(-1, 1)",
    "for p in self.parameters():\n~nn.init.orthogonal_(p)",
    "for m in self.modules():\n~if isinstance(m, nn.Linear or nn.Conv1d):\n~~nn.init.eye_(m.weight)\n~~m.bias.data.zero_()",
    "for m in self.children():\n~if isinstance(m, nn.Linear):\n~~nn.init.normal_(m.weight, std=0.1)",
    "self.apply(fill(self))",
    "self.wrapped.weight.data.normal_(0.0, 0.01)",
)
HEAD = """\
import torch
from torch import nn
from torch.nn.utils import weight_norm


def fill(m):
    if isinstance(m, nn.Linear):
        nn.init.normal_(m.weight, std=0.02)


"""
LAYERS = (
    "self.norm = nn.LayerNorm(16)",
    "self.words = nn.Embedding(20, 16, padding_idx=0)",
    "self.conv = nn.Conv1d(16, 16, 1, bias=False)",
    "self.mid = nn.Linear(16, 16)  # middle",
    "self.body = nn.Sequential(nn.Linear(16, 16), nn.LayerNorm(16))",
    "self.wrapped = weight_norm(nn.Conv1d(16, 16, 1))",
    "self.out = nn.Linear(16, 16)",
)
FORWARD = "x = self.mid(self.norm(self.words(index)))\nreturn self.out(self.body(x))"


@pytest.fixture(scope="module")
def nowhere(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file without neighbours, so that no project around it is read."""
    return str(tmp_path_factory.mktemp("project") / "net.py")


@st.composite
def networks(draw: st.DrawFn) -> str:
    """A network with some faults behind its layers, perhaps a walk that comes too early, and a method that nothing calls."""
    step = draw(st.sampled_from(["    ", "  ", "\t"]))
    layers = list(LAYERS)
    if draw(st.booleans()):
        layers.insert(draw(st.integers(1, len(layers) - 1)), "# early\nself.apply(fill)")
    body = [*layers, *draw(st.lists(st.sampled_from(FAULTS), max_size=4, unique=True))]
    lines = ["class Net(nn.Module):", "~def __init__(self):", "~~super().__init__()"]
    lines += [f"~~{line}" for statement in body for line in statement.split("\n")]
    if draw(st.booleans()):
        lines += ["", "~def init_weights(self):", "~~nn.init.normal_(self.body[0].weight, std=0.02)"]
    lines += ["", "~def forward(self, index):", *(f"~~{line}" for line in FORWARD.split("\n"))]
    text = "\n".join(lines).replace("~", step)
    end = draw(st.sampled_from(["", "\n"]))
    return (HEAD + text + end).replace("\n", draw(st.sampled_from(["\n", "\r\n"])))


@pytest.mark.filterwarnings("ignore::FutureWarning")
@given(text=networks())
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_fixes_of_events_are_complete_and_final(nowhere: str, text: str) -> None:
    outcome = check(text_source(text, nowhere), UNSAFE)
    repaired = repair(outcome, UNSAFE)
    (fixed,) = repaired.texts.values() or (text,)
    ast.parse(fixed)
    assert not [one for one in repaired.outcome.findings if is_applicable(one, UNSAFE)], fixed
    assert repair(check(text_source(fixed, nowhere), UNSAFE), UNSAFE).texts == {}
    assert not _codes(repaired.outcome.findings) - _codes(outcome.findings), fixed
    assert Counter(re.findall(r"#[^\r\n]*", text)) == Counter(re.findall(r"#[^\r\n]*", fixed))
    assert fixed.count("\r\n") in (0, fixed.count("\n"))
    untouched = [line for line in _lines(text) if line in LAYERS and "weight_norm" not in line]
    assert [line for line in _lines(fixed) if line in untouched] == untouched
    if not [one for one in repaired.outcome.findings if one.severity == Severity.ERROR]:
        _build(fixed)


def _codes(findings: Any) -> Counter[str]:
    return Counter(finding.code for finding in findings)


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines()]


def _build(text: str) -> None:
    """What no error is found in any more is built, and runs."""
    torch = pytest.importorskip("torch")
    names: dict[str, Any] = {"__name__": "generated"}
    exec(compile(text, "net.py", "exec"), names)
    names["Net"]()(torch.randint(1, 20, (2, 3)))
