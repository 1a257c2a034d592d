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


PLAIN_NET = NET.replace("from .one import thing", "from .part import thing").replace("gelu", "silu")


def _package(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def test_a_folder_without_init_inside_a_package_is_no_place_to_import_from(tmp_path: Path) -> None:
    files = {"__init__.py": "", "net.py": PLAIN_NET, "part.py": "def thing(): ...\n"}
    checkers = {"checkers/shapes.py": "import torch\n", "checkers/torch/__init__.py": "", "checkers/torch/image.py": ""}
    package = _package(tmp_path / "package", files | checkers)
    assert [finding.code for finding in check_paths([package], settings=Settings())] == ["INI312"]


def test_a_package_below_such_a_folder_is_read_once(tmp_path: Path) -> None:
    files = {
        "__init__.py": "",
        "models/part.py": "def thing(): ...\n",
        "models/ranking/__init__.py": "from .net import Net\n",
        "models/ranking/net.py": PLAIN_NET.replace(".part", "..part"),
        "models/ranking/deeper.py": "from .net import Net\n\n\ndef build():\n    return Net()\n",
        "train.py": "from .models.ranking import Net\n\n\ndef train():\n    return Net()\n",
    }
    package = _package(tmp_path / "package", files)
    named = [package / "train.py", package / "models" / "ranking" / "net.py"]
    assert [finding.code for finding in check_paths(named, settings=Settings())] == ["INI312"]
