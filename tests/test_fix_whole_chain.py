"""Layers of a chain are repaired together: also those that nothing was said of until others were repaired."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from initlint.config import Settings
from initlint.engine import check, read_sources, text_source
from initlint.model import Finding
from initlint.repair import repair
from initlint.selection import Layer, Selection

RELU = 'nonlinearity="relu"'


def network(*written: str) -> str:
    """Six layers before ReLU; what is written of the weights makes up for the small ones."""
    return "\n".join(
        [
            "from torch import nn",
            "",
            "class Net(nn.Module):",
            "    def __init__(self):",
            "        super().__init__()",
            *(f"        self.fc{number} = nn.Linear(256, 256)" for number in range(1, 6)),
            "        self.head = nn.Linear(256, 10)",
            *(f"        {line}" for line in written),
            "",
            "    def forward(self, x):",
            *(f"        x = self.fc{number}(x).relu()" for number in range(1, 6)),
            "        return self.head(x)",
            "",
        ]
    )


def findings(text: str, settings: Settings) -> tuple[Finding, ...]:
    return check(text_source(text, "net.py"), settings).findings


def fixed(text: str, settings: Settings) -> str:
    outcome = check(text_source(text, "net.py"), settings)
    return repair(outcome, settings).texts.get(next(iter(outcome.sources.files)), text)


LARGE = ("nn.init.normal_(self.fc2.weight, std=0.3)", "nn.init.normal_(self.fc4.weight, std=0.3)")


def test_what_a_repair_would_throw_off_is_repaired_with_it() -> None:
    text = network(*LARGE)
    assert {(one.code, one.layer) for one in findings(text, Settings())} == {
        ("INI101", f"Net.fc{number}") for number in (1, 3, 5)
    }
    assert {one.fix and one.fix.applicability for one in findings(text, Settings())} == {"unsafe"}
    assert fixed(text, Settings()) == text
    written = "".join(f"        nn.init.kaiming_normal_(self.fc{number}.weight, {RELU})\n" for number in (2, 4))
    written += "        for layer in (self.fc1, self.fc3, self.fc5):\n"
    written += f"            nn.init.kaiming_normal_(layer.weight, {RELU})\n"
    expected = re.sub(r"(        nn\.init\..*\n)+", written, text)
    assert fixed(text, Settings(unsafe_fixes=True)) == expected


@pytest.mark.parametrize("silence", ["# noqa: INI107", "# initlint: ignore[INI107]"])
def test_what_a_user_silenced_is_not_repaired_along(silence: str) -> None:
    text = network(LARGE[0], f"{LARGE[1]}  {silence}")
    outcome = [one for one in findings(text, Settings()) if one.code == "INI101"]
    assert [one.fix for one in outcome] == [None] * 3
    assert "the repair would bring INI107" in (outcome[0].help or "")


def test_a_rule_that_is_not_selected_is_not_repaired_along() -> None:
    settings = Settings(selection=Selection((Layer(ignore=("INI107",)),)))
    assert all(one.fix is None for one in findings(network(*LARGE), settings))


def test_a_fix_is_unsafe_where_layers_that_nobody_reported_would_make_the_signal_grow() -> None:
    """The J of 0.85 becomes 8: none of it is reported, before or after."""
    text = network(*(line.replace("0.3", "0.2") for line in LARGE))
    outcome = findings(text, Settings())
    assert {one.code for one in outcome} == {"INI101"}
    assert {one.fix and one.fix.applicability for one in outcome} == {"unsafe"}


def tower(*, optional: int) -> str:
    """Layers before ReLU, of which some are built on a condition and in other words, so that no call may name them."""
    return "\n".join(
        [
            "from torch import nn",
            "",
            "class Net(nn.Module):",
            "    def __init__(self, deep=True):",
            "        super().__init__()",
            "        self.fc1 = nn.Linear(256, 256)",
            "        self.fc2 = nn.Linear(256, 256)",
            *(f"        self.more{i} = nn.Linear(256, 256, True) if deep else nn.Identity()" for i in range(optional)),
            "        self.head = nn.Linear(256, 10)",
            "",
            "    def forward(self, x):",
            "        x = self.fc2(self.fc1(x).relu()).relu()",
            *(f"        x = self.more{i}(x).relu()" for i in range(optional)),
            "        return self.head(x)",
            "",
        ]
    )


@pytest.mark.parametrize(("optional", "repaired"), [(1, True), (3, False)])
def test_a_chain_is_repaired_in_part_only_where_the_rest_leaves_the_signal_calm(
    optional: int, *, repaired: bool
) -> None:
    """One layer at 0.41 is no loss that matters; three are."""
    text = tower(optional=optional)
    found = {one.layer: one for one in findings(text, Settings())}
    assert {bool(found[f"Net.fc{number}"].fix) for number in (1, 2)} == {repaired}
    assert found["Net.more0"].fix is None
    assert (fixed(text, Settings(unsafe_fixes=True)) != text) is repaired
    if not repaired:
        assert "another layer of its chain cannot be repaired: it is built only" in (found["Net.fc1"].help or "")


DECODER = """\
import torch.nn.functional as F
from torch import nn

class Decoder(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.up1 = nn.ConvTranspose1d(width, width // 2, 4, stride=2, padding=1)
        self.up2 = nn.ConvTranspose1d(width // 2, 1, 4, stride=2, padding=1)

    def forward(self, z):
        return F.relu(self.up2(F.relu(self.up1(z)))).sum(-1)
"""

ENCODER = """\
import torch.nn.functional as F
from decoder import Decoder
from torch import nn

class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(16, 64, 3, padding=1)
        self.decoder = Decoder(64)

    def forward(self, x):
        return self.decoder(F.relu(self.conv(x)))

class Critic(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(64, 64)
        self.value = nn.Linear(64, 1)

    def forward(self, x):
        return self.value(F.relu(self.hidden(x)))
"""


def test_a_later_round_leaves_what_the_first_left_for_the_rest_of_its_chain(tmp_path: Path) -> None:
    """The rest of the chain is in a file that no repair rewrites, so that it is not read again."""
    for name, text in (("encoder", ENCODER), ("decoder", DECODER)):
        (tmp_path / f"{name}.py").write_text(text)
    outcome = check(read_sources(sorted(tmp_path.iterdir())), Settings())
    texts = repair(outcome, Settings(unsafe_fixes=True)).texts
    before, line, after = ENCODER.partition("        self.value = nn.Linear(64, 1)\n")
    added = f"        nn.init.kaiming_normal_(self.hidden.weight, {RELU})\n"
    assert texts == {str(tmp_path / "encoder.py"): before + line + added + after}
