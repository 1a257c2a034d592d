"""One file of a project is judged by what the others do with it, and no more of them is run than that takes."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from initlint.engine import Reading, understand

IMPORTS = "import torch\nfrom torch import nn\n"


def project(folder: Path, block: str, user: str, *, last: str = "", count: int = 20) -> Path:
    """A package of one block and of `count` models that use it; what differs in the last of them is `last`."""
    package = folder / "pkg"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "block.py").write_text(IMPORTS + dedent(block))
    for index in range(count):
        text = dedent(last if last and index == count - 1 else user).replace("NUMBER", str(index))
        (package / f"model{index:02}.py").write_text(f"{IMPORTS}from pkg.block import *\n{text}")
    return package / "block.py"


def one_file(path: Path) -> Reading:
    return understand({str(path): path.read_text()}, sparing=True)


def all_files(path: Path) -> list[str]:
    """What a run over the whole project says of that file."""
    texts = {str(each): each.read_text() for each in path.parent.glob("*.py")}
    return [found.code for found in understand(texts, sparing=True).findings if found.site.file == str(path)]


def users_run(reading: Reading, path: Path) -> int:
    return sum(file != str(path) for file, _ in reading.visits or ())


BARE = """
    class Block(nn.Module):
        def __init__(self, width, act=nn.ReLU):
            super().__init__()
            self.fc1, self.fc2, self.act = nn.Linear(width, width), nn.Linear(width, width), act()

        def forward(self, x):
            return self.fc2(self.act(self.fc1(x)))
    """
GOOD = BARE.replace("act()", "act()\n            nn.init.kaiming_normal_(self.fc1.weight)")
OPTIONAL = """
    class Block(nn.Module):
        def __init__(self, width, wide=False):
            super().__init__()
            self.fc = nn.Linear(width, width)
            if wide:
                self.wide = nn.Linear(width, 4 * width)

        def forward(self, x):
            return torch.relu(self.wide(x)) if hasattr(self, "wide") else self.fc(x)
    """
USER = """
    class ModelNUMBER(nn.Module):
        def __init__(self):
            super().__init__()
            self.block = Block(64 + NUMBER)

        def forward(self, x):
            return self.block(x)
    """
WIDE = USER.replace("64 + NUMBER", "64, wide=True").replace(
    "def forward", "    nn.init.kaiming_normal_(self.block.wide.weight)\n\n        def forward"
)
INITIALIZING = USER.replace("def forward", "    nn.init.kaiming_normal_(self.block.fc1.weight)\n\n        def forward")


def test_a_few_users_tell_enough_of_a_block(tmp_path: Path) -> None:
    path = project(tmp_path, GOOD, USER)
    reading = one_file(path)
    assert reading.findings == ()
    assert 0 < users_run(reading, path) <= 8


@pytest.mark.parametrize("last", ["", INITIALIZING])
def test_an_accused_layer_is_heard_by_all_users(tmp_path: Path, last: str) -> None:
    path = project(tmp_path, BARE, USER, last=last)
    reading = one_file(path)
    assert users_run(reading, path) == 20
    assert [found.code for found in reading.findings] == all_files(path) == ([] if last else ["INI101"])


def test_what_only_a_user_that_was_not_run_builds_is_not_judged_alone(tmp_path: Path) -> None:
    """The last model builds `wide` and initializes it; on its own the block would be accused of it."""
    path = project(tmp_path, OPTIONAL, USER, last=WIDE)
    reading = one_file(path)
    assert users_run(reading, path) < 20
    assert [found.code for found in reading.findings] == all_files(path) == []


def test_what_no_user_builds_is_judged_alone_once_all_were_run(tmp_path: Path) -> None:
    handing = USER.replace("__init__(self)", "__init__(self, wide=False)").replace("64 + NUMBER", "64 + NUMBER, wide")
    path = project(tmp_path, OPTIONAL, handing, count=3)
    assert [found.code for found in one_file(path).findings] == all_files(path) == ["INI101"]


def test_what_no_user_asks_for_is_built_by_nobody(tmp_path: Path) -> None:
    path = project(tmp_path, OPTIONAL, USER, count=3)
    assert [found.code for found in one_file(path).findings] == all_files(path) == []


def test_a_block_that_hardly_anyone_builds_is_waited_for(tmp_path: Path) -> None:
    """All models mention it by way of a choice; the last one takes it, and initializes it."""
    choice = """
        def make(kind, width):
            return {"block": Block, "rare": Rare}[kind](width)

        class Rare(nn.Module):
            def __init__(self, width):
                super().__init__()
                self.fc = nn.Linear(width, width)

            def forward(self, x):
                return torch.relu(self.fc(x))
        """
    user = USER.replace("Block(", 'make("block", ')
    rare = user.replace('"block"', '"rare"').replace(
        "def forward", "    nn.init.kaiming_normal_(self.block.fc.weight)\n\n        def forward"
    )
    path = project(tmp_path, dedent(GOOD) + dedent(choice), user, last=rare)
    reading = one_file(path)
    assert [found.code for found in reading.findings] == all_files(path) == []
    assert any(found.layer.path == "fc" for found in reading.judgements)


def test_a_helper_that_only_later_users_call_is_not_run_alone(tmp_path: Path) -> None:
    helper = """
        def head(width, classes):
            return nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, classes))
        """
    user = """
        class ModelNUMBER(nn.Module):
            def __init__(self, classes=0):
                super().__init__()
                self.block = Block(64 + NUMBER)
                self.head = head(64, classes) if classes else nn.Identity()

            def forward(self, x):
                return self.head(self.block(x))
        """
    last = user.replace("classes=0", "classes=10").replace(
        "nn.Identity()", "nn.Identity()\n                nn.init.kaiming_normal_(self.head[0].weight)"
    )
    path = project(tmp_path, dedent(GOOD) + dedent(helper), user, last=last)
    reading = one_file(path)
    assert users_run(reading, path) < 20
    assert [found.code for found in reading.findings] == all_files(path) == []


def test_what_was_noted_is_heard_by_all_users(tmp_path: Path) -> None:
    """The sweep reaches nothing in most models; in the last one it does."""
    block = """
        class Holder(nn.Module):
            def __init__(self, inner):
                super().__init__()
                self.inner = inner
                for m in self.modules():
                    if isinstance(m, nn.Conv2d):
                        nn.init.kaiming_normal_(m.weight)

            def forward(self, x):
                return self.inner(x)
        """
    user = """
        class ModelNUMBER(nn.Module):
            def __init__(self):
                super().__init__()
                self.net = Holder(nn.Linear(64, 64 + NUMBER))

            def forward(self, x):
                return self.net(x)
        """
    last = user.replace("nn.Linear(64, 64 + NUMBER)", "nn.Conv2d(3, 64, 3)")
    path = project(tmp_path, block, user, last=last)
    assert [found.code for found in one_file(path).findings] == all_files(path) == []
    (tmp_path / "other").mkdir()
    path = project(tmp_path / "other", block, user)
    assert [found.code for found in one_file(path).findings] == all_files(path) != []
