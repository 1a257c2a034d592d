"""What a test builds is compared by its numbers: no fix changes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from initlint import check_source
from initlint.config import Settings
from initlint.engine import check, read_sources
from initlint.repair import repair

MODEL = """\
from torch import nn


def model():
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2))


def embedding():
    table = nn.Embedding(5, 3, padding_idx=0)
    nn.init.normal_(table.weight, std=0.5)
    return table


def old():
    layer = nn.Linear(8, 8)
    nn.init.xavier_uniform(layer.weight)
    return layer
"""


def repaired(path: Path) -> list[str]:
    """The lines that a run over its folder adds to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(MODEL)
    other = path.parent.parent / "net.py"
    other.write_text("")
    settings = Settings(unsafe_fixes=True)
    texts = repair(check(read_sources([path, other]), settings), settings).texts
    return [line.strip() for line in texts.get(str(path), MODEL).split("\n") if line not in MODEL.split("\n")]


@pytest.mark.parametrize("name", ["tests/models.py", "test/models.py", "package/test_models.py", "package/conftest.py"])
def test_only_what_changes_no_numbers_is_repaired_in_a_test(name: str, tmp_path: Path) -> None:
    assert repaired(tmp_path / name) == ["nn.init.xavier_uniform_(layer.weight)"]


def test_elsewhere_all_is_repaired(tmp_path: Path) -> None:
    lines = repaired(tmp_path / "package" / "models.py")
    assert "nn.init.xavier_uniform_(layer.weight)" in lines
    assert len(lines) == 5


@pytest.mark.parametrize(
    ("name", "repaired"), [("_TestModule", False), ("TestNet", True), ("_Testimony", True), ("_Net", True)]
)
def test_a_class_that_is_there_for_tests_is_left(name: str, *, repaired: bool) -> None:
    text = (
        f"from torch import nn\n\n\nclass {name}(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.fc = nn.Linear(8, 16)\n        self.out = nn.Linear(16, 2)\n\n"
        "    def forward(self, x):\n        return self.out(self.fc(x).relu())\n"
    )
    (finding,) = check_source(text)
    assert (finding.fix is not None) is repaired


def test_what_a_test_builds_is_left_though_a_class_elsewhere_is_given_it(tmp_path: Path) -> None:
    """The layer then belongs to that class, and the lines would be written into the test."""
    holder = (
        "from torch import nn\n\n\nclass Joined(nn.Module):\n    def __init__(self, head):\n        super().__init__()\n"
        "        self.head = head\n\n    def forward(self, x):\n        return self.head(x)\n"
    )
    use = (
        "import torch\nfrom torch import nn\n\nfrom joined import Joined\n\n\ndef test_joined():\n"
        "    head = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2))\n    model = Joined(head)\n"
        "    torch.optim.SGD(model.parameters()).step()\n"
    )
    settings = Settings(unsafe_fixes=True)
    for name, changes in (("tests/test_joined.py", False), ("use.py", True)):
        folder = tmp_path / name.partition("/")[0]
        paths = [folder / "joined.py", folder / name]
        for path, text in zip(paths, (holder, use), strict=True):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        texts = repair(check(read_sources(paths), settings), settings).texts
        assert bool(texts) is changes
