"""What is told of a weight that several operations wrote is what torch makes of them."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from initlint.knowledge import load_knowledge
from initlint.source import scan

torch = pytest.importorskip("torch")

WRITES = (
    ("w.uniform_(-1, 1).erfinv_().mul_(0.02 * math.sqrt(2.0)).clamp_(min=-2, max=2)", True),
    ("w.uniform_(-0.9545, 0.9545).erfinv_().mul_(math.sqrt(2.0)).clamp_(min=-2, max=2)", True),
    ("w.uniform_(-0.3, 0.9).erfinv_().mul_(0.1 * math.sqrt(2.0)).add_(0.5)", True),
    ("w.normal_().mul_(0.1).clamp_(-0.5, 0.5)", True),
    ("w.uniform_(-1, 1).add_(2.0, alpha=0.5).div_(2.0)", True),
    ("w.uniform_(-1, 1).mul_(0.1).clamp_(-0.1, 0.1)", True),
    ("w.normal_().clamp_(-1, 1)", False),
    ("w.normal_().erfinv_()", False),
    ("w.normal_().add_(w.mean())", False),
)


@pytest.mark.parametrize(("writes", "known"), WRITES)
def test_what_is_told_is_what_is_measured(tmp_path: Path, writes: str, known: bool) -> None:
    path = tmp_path / "net.py"
    path.write_text(
        "import math\nfrom torch import nn\n\ndef build():\n    layer = nn.Linear(512, 512)\n"
        f"    w = layer.weight.data\n    {writes}\n    return layer\n"
    )
    (model,) = scan([path], knowledge=load_knowledge()).models
    (layer,) = model.layers
    if not known:
        assert layer.weight.std is None
        assert layer.weight.effective_gain is None
        return
    torch.manual_seed(0)
    weight = torch.empty(512, 512)
    exec(writes, {"w": weight, "math": math})
    assert layer.weight.std == pytest.approx(weight.std().item(), rel=0.02)
    assert layer.weight.mean == pytest.approx(weight.mean().item(), abs=0.02 * weight.std().item())
    assert layer.weight.effective_gain == pytest.approx(layer.weight.std * math.sqrt(512))
