"""Programs whose imports lead in a circle are read to their end."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

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


CIRCLE = {
    "tools/__init__": "from torch import nn\nfrom .data import *\nfrom .misc import *\ndef probe():\n    return nn.Linear(2, 2)\n",
    "tools/data": "from nets import config\n",
    "tools/misc": """
        def registrar(table):
            def register(each):
                table[each.__name__] = each
                return each
            return register
        """,
    "nets/__init__": "from .zoo import *\n",
    "nets/config": "WIDTH = 8\n",
    "nets/zoo": """
        import torch
        from torch import nn
        from tools import registrar

        TABLE = {}
        register = registrar(TABLE)

        @register
        class Net(nn.Module):
            def __init__(self, width):
                super().__init__()
                self.fc = nn.Linear(width, width)
                self.head = nn.Linear(width, 1)

            def forward(self, x):
                return self.head(torch.relu(self.fc(x)))

        def build(name="Net"):
            net = TABLE[name](8)
            nn.init.kaiming_normal_(net.fc.weight)
            return net
        """,
}
"""Python comes to it by way of nets, a scan by way of tools, which is not at its end when nets asks it for something."""


def test_what_a_star_import_will_bring_is_there_in_a_circle(tmp_path: Path) -> None:
    write(tmp_path, CIRCLE)
    assert [finding.code for finding in check_paths([tmp_path], settings=Settings())] == []


REGISTRY = {
    "nets/__init__": "from .zoo import *\n",
    "nets/acts": "from nets import config\n",
    "nets/config": "WIDTH = 8\n",
    "nets/builder": """
        from nets.acts import *
        from torch import nn

        TABLE = {}

        def register(each):
            TABLE[each.__name__] = each
            return each

        def probe():
            return nn.Linear(2, 2)

        def make(name, width):
            net = TABLE[name](width)
            nn.init.kaiming_normal_(net.fc.weight)
            return net
        """,
    "nets/zoo": CIRCLE["nets/zoo"]
    .replace("from tools import registrar", "from .builder import *")
    .replace("TABLE = {}\n        register = registrar(TABLE)", "")
    .replace("TABLE[name](8)", "make(name, 8)"),
}


def test_what_was_put_into_a_table_before_its_module_was_at_its_end_stays_there(tmp_path: Path) -> None:
    write(tmp_path, REGISTRY)
    assert [finding.code for finding in check_paths([tmp_path], settings=Settings())] == []


def write(folder: Path, texts: Mapping[str, str]) -> None:
    """Modules by their paths."""
    for name, text in texts.items():
        path = folder / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(dedent(text), encoding="utf-8")
