"""What is still known of a program where a part of it was not seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from initlint import check_paths

PRETRAINED = """
from torch import nn
from transformers import PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer


class Block(GradientCheckpointingLayer):
    def __init__(self, config):
        super().__init__()
        self.fc = nn.Linear(config.dim, config.dim)

    def forward(self, x):
        return x + self.fc(x)


class Net(PreTrainedModel):
    def __init__(self, config):
        super().__init__(config)
        self.layers = nn.ModuleList([Block(config) for _ in range(config.depth)])
        self.post_init()

    def _init_weights(self, module):
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.02)
        elif isinstance(module, nn.Parameter):
            nn.init.normal_(module, std=0.02)

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x
"""

GATED = """
import torch
from torch import nn
from elsewhere import Attention


class Gated(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.attend = Attention(dim)
        self.gate = nn.Linear(dim, dim)

    def forward(self, x):
        return torch.sigmoid(self.gate(x)) * self.attend(x)


net = Gated(8)
y = {call}(torch.ones(4, 8))
"""


def test_a_module_of_an_unseen_base_is_no_parameter(tmp_path: Path) -> None:
    file = tmp_path / "net.py"
    file.write_text(PRETRAINED, encoding="utf-8")
    assert not check_paths([file])


@pytest.mark.parametrize("call", ["net", "net.forward"])
def test_what_a_program_feeds_to_a_model_is_an_input_of_it(tmp_path: Path, call: str) -> None:
    file = tmp_path / "net.py"
    file.write_text(GATED.format(call=call), encoding="utf-8")
    assert not check_paths([file])
