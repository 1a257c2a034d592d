"""A repaired model can be built with whatever arguments it could be built with before."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from initlint.config import Settings
from initlint.engine import check, text_source
from initlint.repair import repair

WAYS = (
    ("self.{0} = nn.Linear(8, 8)",),
    ("self.{0} = {1}(flag)",),
    ("self.{0} = nn.Sequential({1}(flag), nn.ReLU())",),
    ("self.{0} = nn.Sequential(nn.Linear(8, 8) if flag else nn.Identity(), nn.ReLU())",),
    ("self.{0} = nn.Linear(8, 8) if flag else nn.Identity()",),
    ("self.{0} = nn.Linear(8, 8)", "if not flag:", "    self.{0} = nn.Identity()"),
    ("self.{0} = nn.Linear(8, 8)", "if not flag:", "    del self.{0}", "    self.add_module('{0}', nn.Identity())"),
    ("if flag:", "    self.{0} = nn.Linear(8, 8)", "else:", "    self.{0} = nn.Identity()"),
    ("made = nn.Linear(8, 8)", "if not flag:", "    made = nn.Identity()", "self.{0} = made"),
    ("self.{0} = nn.Sequential(nn.Linear(8, 8))", "if not flag:", "    self.{0}[0] = nn.Identity()"),
    ("self.{0} = nn.Sequential()", "if flag:", "    self.{0}.add_module('a', nn.Linear(8, 8))"),
    ("layers = [nn.Linear(8, 8)]", "if not flag:", "    layers = [nn.Identity()]", "self.{0} = nn.Sequential(*layers)"),
    ("layers = [nn.Linear(8, 8)]", "if not flag:", "    layers.clear()", "self.{0} = nn.Sequential(*layers)"),
    ("self.{0} = nn.ModuleDict({{'a': {1}(flag)}})['a']",),
    ("self.{0} = nn.Sequential(*[{1}(flag) for _ in range(2)])",),
    ("self.{0} = nn.Sequential(nn.Linear(8, 8), nn.ReLU())", "if not flag:", "    self.{0} = self.{0}[1:]"),
    ("self.{0} = nn.Sequential(nn.Linear(8, 8), nn.ReLU())", "if not flag:", "    self.{0}.insert(0, nn.Identity())"),
)
HELPERS = (
    ("def {0}(flag):", "    return nn.Linear(8, 8)"),
    ("def {0}(flag):", "    return nn.Linear(8, 8) if flag else nn.Identity()"),
    ("def {0}(flag):", "    if flag:", "        return nn.Linear(8, 8)", "    return nn.Identity()"),
    ("def {0}(flag):", "    made = nn.Linear(8, 8)", "    return made if flag else nn.Sequential(made, nn.Tanh())"),
    ("def {0}(flag):", "    return nn.Sequential(nn.Linear(8, 8), nn.ReLU()) if flag else nn.Sequential(nn.ReLU())"),
    ("def {0}(flag):", "    return {{True: nn.Linear(8, 8), False: nn.Identity()}}[flag]"),
)
NAMES = ("layer", "module", "m", "block", "net", "model", "build")
"""Names that a fix would like for its own variables, and one that it would not."""


@st.composite
def networks(draw: st.DrawFn) -> str:
    """A class `Net` that takes `flag`, and builds one to three layers of which that may leave none."""
    helper = draw(st.sampled_from(NAMES))
    ways = draw(st.lists(st.sampled_from(WAYS), min_size=1, max_size=3))
    lines = ["import torch", "from torch import nn", "", ""]
    lines += [line.format(helper) for line in draw(st.sampled_from(HELPERS))]
    lines += ["", "", "class Net(nn.Module):", "    def __init__(self, flag=True):", "        super().__init__()"]
    names = [f"fc{place}" for place in range(len(ways))]
    lines += [f"        {line.format(name, helper)}" for name, way in zip(names, ways, strict=True) for line in way]
    lines += ["", "    def forward(self, x):"]
    lines += [f"        x = torch.relu(self.{name}(x))" for name in names]
    return "\n".join([*lines, "        return x", ""])


@given(text=networks())
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_repaired_model_is_built_with_every_argument(nowhere: str, text: str) -> None:
    torch = pytest.importorskip("torch")
    for chosen in (Settings(), Settings(unsafe_fixes=True)):
        repaired = repair(check(text_source(text, nowhere), chosen), chosen)
        (fixed,) = repaired.texts.values() or (text,)
        for flag in (True, False):
            assert _runs(torch, fixed, flag=flag), fixed


def _runs(torch: Any, text: str, *, flag: bool) -> bool:
    namespace: dict[str, Any] = {"__name__": "generated"}
    exec(compile(text, "net.py", "exec"), namespace)
    return bool(namespace["Net"](flag)(torch.randn(2, 8)).isfinite().all())


@pytest.fixture(scope="module")
def nowhere(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file without neighbours, so that no project around it is read."""
    return str(tmp_path_factory.mktemp("project") / "net.py")
