"""Programs whose imports lead in a circle are read to their end."""

from __future__ import annotations

from pathlib import Path

from initlint import check_paths
from initlint.config import Settings

NET = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        from .one import thing

        self.fc = nn.Linear(8, 8)
        self.thing = thing()
        self.out = nn.Linear(8, 1)
        nn.init.kaiming_normal_(self.fc.weight, nonlinearity="gelu")

    def forward(self, x):
        return self.out(torch.relu(self.fc(x)))
"""


def test_a_name_that_two_modules_import_from_each_other_is_not_known(tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    texts = {"__init__": "", "one": "from .other import thing\n", "other": "from .one import thing\n", "net": NET}
    for name, text in texts.items():
        (package / f"{name}.py").write_text(text, encoding="utf-8")
    assert [finding.code for finding in check_paths([package], settings=Settings())] == ["INI312"]
