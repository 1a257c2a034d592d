"""What nobody would merge is not written: into copies of other projects, models that are only shown, or against words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from fix_builder import Net, network, refusal, site_of

from initlint import check_source
from initlint.config import Settings
from initlint.engine import check, read_sources
from initlint.model import UNKNOWN_INITIALIZER
from initlint.repair import repair

SETTINGS = Settings(unsafe_fixes=True)
NET = """\
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(8, 16)
        self.fc2 = nn.Linear(16, 2)

    def forward(self, x):
        return self.fc2(self.fc1(x).relu())
"""
OLD = "from torch import nn\n\nlayer = nn.Linear(8, 8)\nnn.init.xavier_uniform(layer.weight)\n"
SHOWN = "\n\nmodel = Net()\nprint(model, model(torch.ones(1, 8)), dict(model.named_parameters()))\n"


def _repaired(folder: Path, texts: Iterable[tuple[str, str]]) -> set[str]:
    """The files that a run over all of a folder changes."""
    paths = [folder / name for name, _ in texts]
    for path, (_, text) in zip(paths, texts, strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return {
        Path(one).relative_to(folder).as_posix() for one in repair(check(read_sources(paths), SETTINGS), SETTINGS).texts
    }


@pytest.mark.parametrize(
    ("folder", "copied"),
    [
        ("third_party/detr", True),
        ("pkg/_vendor", True),
        ("vision-0.9.0/models", True),
        ("externals", True),
        ("models", False),
        ("stage-2", False),
        ("vendors", False),
    ],
)
def test_a_copy_of_another_project_is_left(folder: str, tmp_path: Path, *, copied: bool) -> None:
    texts = [("train.py", ""), (f"{folder}/net.py", NET), (f"{folder}/old.py", OLD)]
    assert _repaired(tmp_path, texts) == (set() if copied else {f"{folder}/net.py", f"{folder}/old.py"})


@pytest.mark.parametrize(
    ("script", "others", "shown"),
    [
        (SHOWN, "", True),
        (SHOWN.replace("model(", "model.eval()("), "", False),
        (f"{SHOWN}optimizer = torch.optim.Adam(model.parameters())\n", "", False),
        (SHOWN, "from net import Net\n", False),
        (SHOWN, "from nets import Network\n", True),
        (SHOWN, f"{NET}\n\nNet().fit()\n", True),
        ("\n\nif __name__ == '__main__':\n    model = Net()\n    print(model(torch.ones(1, 8)))\n", "", False),
        ("", "", False),
    ],
)
def test_what_a_script_only_shows_is_left(script: str, others: str, tmp_path: Path, *, shown: bool) -> None:
    changed = _repaired(tmp_path, [("net.py", f"import torch\n{NET}{script}"), ("train.py", others)])
    assert ("net.py" in changed) != shown


def test_a_model_of_no_class_that_a_script_only_runs_is_left(tmp_path: Path) -> None:
    text = "import torch\nfrom torch import nn\n\nnet = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))\n"
    run = f"{text}print(net(torch.ones(1, 8)))\n"
    trained = f"{run}net(torch.ones(1, 8)).sum().backward()\n"
    assert _repaired(tmp_path, [("shown.py", run), ("trained.py", trained), ("built.py", text)]) == {
        "trained.py",
        "built.py",
    }


@pytest.mark.parametrize("words", ["Xavier for all layers.", "All layers."])
def test_an_init_method_whose_words_name_another_scheme_gets_no_call(words: str) -> None:
    text = (
        NET.replace("    def forward", "        self.init_weights()\n\n    def forward")
        + f'\n    def init_weights(self):\n        """{words}"""\n        nn.init.xavier_uniform_(self.fc2.weight)\n'
    )
    (finding,) = check_source(text)
    assert (finding.fix is None) == ("Xavier" in words)


def test_one_of_layers_that_are_built_alike_is_left_where_the_others_lie_in_a_residual_branch() -> None:
    text = (
        "import torch\nfrom torch import nn\n\n\nclass Net(nn.Module):\n    def __init__(self):\n"
        "        super().__init__()\n        self.first = nn.Linear(8, 8)\n        self.second = nn.Linear(8, 8)\n"
        "        self.third = nn.Linear(8, 8)\n\n    def forward(self, x):\n        x = torch.relu(self.first(x))\n"
        "        return x + torch.relu(self.third(torch.relu(self.second(x))))\n"
    )
    (finding,) = check_source(text)
    assert (finding.layer, finding.fix) == ("Net.first", None)
    assert "is built alike and stays as it is" in (finding.help or "")
    apart = check_source(text.replace("self.first = nn.Linear(8, 8)", "self.first = nn.Linear(8, 8, bias=False)"))
    assert apart[0].fix is not None


HELPED = """\
import torch
from torch import nn


def make(width):
    return nn.Sequential(nn.Linear(width, 16), nn.ReLU(), nn.Linear(16, width))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = make(8)
        self.shift = make(8)

    def forward(self, x):
        x = x * torch.exp(self.scale(x))
        return x + self.shift(x)
"""


def test_what_a_helper_builds_for_two_ends_is_initialized_for_both_or_neither(tmp_path: Path) -> None:
    assert not _repaired(tmp_path, [("block.py", HELPED)])
    tried = "from block import make\n\n\ndef test_make():\n    assert make(4)(torch.ones(1, 4)).shape == (1, 4)\n"
    assert not _repaired(tmp_path, [("block.py", HELPED), ("tests/test_block.py", tried)])
    alike = HELPED.replace("x + self.shift(x)", "self.shift(x)")
    assert _repaired(tmp_path, [("block.py", alike)]) == {"block.py"}


OWN = """
    def init_weights(self):
        for m in self.modules():
            if isinstance(m, nn.Linear):
                nn.init.kaiming_uniform_(m.weight, a=1)
                nn.init.zeros_(m.bias)
"""
FOUNDATION = "from torch import nn\n\n\nclass Foundation(nn.Module):\n    pass\n"
BUILT = "from net import Net\n\nnet = Net()\n"
HEIR = "from net import Net\n\n\nclass Small(Net):\n    pass\n\n\nnet = Small()\n"


@pytest.mark.parametrize("train", [BUILT, HEIR])
def test_an_init_method_that_nothing_calls_is_called_and_gets_no_second_scheme_beside_it(
    train: str, tmp_path: Path
) -> None:
    """Also where only another file says that its class is a module."""
    own = NET.replace("nn.Module", "Foundation").replace(
        "import nn\n", "import nn\n\nfrom foundation import Foundation\n"
    )
    texts = {"net.py": own + OWN, "foundation.py": FOUNDATION, "train.py": train}
    paths = [tmp_path / name for name in texts]
    for path, text in zip(paths, texts.values(), strict=True):
        path.write_text(text)
    safe = Settings()
    assert not repair(check(read_sources(paths), safe), safe).texts
    (written,) = repair(check(read_sources(paths), SETTINGS), SETTINGS).texts.values()
    built = "        self.fc2 = nn.Linear(16, 2)\n"
    assert written == own.replace(built, f"{built}        self.init_weights()\n") + OWN


def test_a_method_for_other_layers_that_nothing_calls_keeps_nobody_from_a_repair() -> None:
    method = "\n    def init_output(self):\n        nn.init.normal_(self.fc2.weight, std=0.01)\n"
    found = {finding.code: finding.fix is not None for finding in check_source(NET + method)}
    assert found["INI101"]


DISTURBED = "\n\ndef build(mend):\n    net = Net(8)\n    mend(net)\n    return net\n"


@pytest.mark.parametrize(
    ("lines", "called"),
    [
        (("bound = self.width**-0.5", "nn.init.uniform_(self.fc1.weight, -bound, bound)"), False),
        (("nn.init.kaiming_uniform_(self.fc1.weight, a=5**0.5)",), False),
        (("nn.init.kaiming_uniform_(self.fc1.weight, a=5**0.5)", "nn.init.zeros_(self.fc1.bias)"), True),
        (("nn.init.normal_(self.fc1.weight, std=(3 * self.width) ** -0.5)",), True),
        (("nn.init.kaiming_uniform_(self.fc1.weight, nonlinearity='relu')",), True),
    ],
)
def test_a_method_that_draws_what_torch_has_drawn_is_not_called(lines: tuple[str, ...], *, called: bool) -> None:
    method = "\n    def reset_parameters_fc(self):\n" + "".join(f"        {line}\n" for line in lines)
    text = NET.replace("(self):", "(self, width):", 1).replace("nn.Linear(8, 16)", "nn.Linear(width, 16)") + method
    text = text.replace("super().__init__()\n", "super().__init__()\n        self.width = width\n")
    for builder in ("",) if called else ("", DISTURBED):
        (found,) = (finding for finding in check_source(text + builder) if finding.code == "INI301")
        assert (found.fix is not None) is called
        if not called:
            assert "it would draw what torch has drawn already" in (found.help or "")


@pytest.mark.parametrize(("is_seen", "is_left"), [(False, True), (True, False)])
def test_a_layer_is_left_like_its_twin_of_which_nobody_can_tell_what_fills_it(*, is_seen: bool, is_left: bool) -> None:
    """Only builders whose weights are loaded may ask for the twin; one that a helper is seen to fill is no such twin."""
    net = Net(network("self.a = nn.Linear(8, 8)", "self.b = nn.Linear(8, 8)", "fill(self.b)"))
    net.layer("nn.Linear(8, 8)", "self.a")
    weight = replace(UNKNOWN_INITIALIZER, site=site_of(net.text, "fill(self.b)") if is_seen else None)
    twin = net.layer("nn.Linear(8, 8)", "self.b", occurrence=1, weight=weight)
    net.judgements[1] = replace(twin, verdict="unknown")
    if is_left:
        assert refusal(net) == "b is built alike and stays as it is"
    else:
        assert net.attached()[0].fix is not None
