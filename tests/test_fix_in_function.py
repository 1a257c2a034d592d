"""Outside of classes, calls follow the variable that holds the layer, or the name that a returned container is given."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fix_builder import FILE, RELU, Net, refusal

from initlint import check_source
from initlint.fix import FixOptions, attach
from initlint.fix.edits import apply


def test_a_variable_at_module_level_is_initialized_after_its_assignment() -> None:
    net = Net(
        "from torch import nn\n\nnet = nn.Sequential(nn.Linear(8, 8), nn.ReLU())  # small\nnet.train()\n", owner=""
    )
    net.layer("nn.Linear(8, 8)", "net[0]")
    assert net.repaired() == net.text.replace(
        "  # small\n", f"  # small\nnn.init.kaiming_normal_(net[0].weight, {RELU})\n"
    )


def test_a_variable_with_a_type_is_a_variable() -> None:
    net = Net("from torch import nn\n\nnet: nn.Module = nn.Sequential(nn.Linear(8, 8), nn.ReLU())\n", owner="")
    net.layer("nn.Linear(8, 8)", "net[0]")
    assert net.repaired() == f"{net.text}nn.init.kaiming_normal_(net[0].weight, {RELU})\n"
    (finding,) = check_source(net.text)
    assert finding.layer == "net[0]"
    assert finding.fix is not None


def test_a_variable_in_a_function_is_initialized_after_its_assignment() -> None:
    text = (
        "from torch import nn\ndef build():\n"
        "  net = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 9), nn.ReLU())\n  return net\n"
    )
    net = Net(text, owner="")
    net.layer("nn.Linear(8, 8)", "net[0]")
    net.layer("nn.Linear(8, 9)", "net[2]")
    assert net.repaired() == text.replace(
        "  return",
        "  for layer in net:\n"
        "    if isinstance(layer, nn.Linear):\n"
        f"      nn.init.kaiming_normal_(layer.weight, {RELU})\n"
        "  return",
    )


def _factory(*lines: str, owner: str = "") -> Net:
    body = "".join(f"    {line}\n" for line in lines)
    net = Net(f"from torch import nn\n\n\ndef build(n):\n{body}", owner=owner)
    net.layer("nn.Linear(8, 8)", None, path="0", context="build")
    net.layer("nn.Linear(8, 9)", None, path="2", context="build")
    return net


def test_what_a_function_returns_is_named_first() -> None:
    net = _factory("return nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 9), nn.ReLU())  # all")
    assert net.repaired() == net.text.replace("return", "net =") + (
        "    for layer in net:\n"
        "        if isinstance(layer, nn.Linear):\n"
        f"            nn.init.kaiming_normal_(layer.weight, {RELU})\n"
        "    return net\n"
    )


def test_lines_that_are_aligned_to_a_bracket_stay_so() -> None:
    aligned = "return nn.Sequential(nn.Linear(8, 8), nn.ReLU(),\n                         nn.Linear(8, 9), nn.ReLU())"
    assert _factory(aligned).repaired().splitlines()[4:6] == [
        "    net = nn.Sequential(nn.Linear(8, 8), nn.ReLU(),",
        "                        nn.Linear(8, 9), nn.ReLU())",
    ]
    hanging = "return nn.Sequential(\n        nn.Linear(8, 8), nn.ReLU(),\n        nn.Linear(8, 9), nn.ReLU(),\n    )"
    assert "        nn.Linear(8, 9), nn.ReLU(),\n    )\n" in _factory(hanging).repaired()


def test_a_name_that_the_function_uses_is_not_taken() -> None:
    net = _factory("net = n", "return nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 9), nn.ReLU())")
    assert "for layer in model:" in net.repaired()
    assert net.repaired().endswith("    return model\n")


def test_a_function_on_one_line_becomes_a_block() -> None:
    net = Net("from torch import nn\ndef build(): return nn.Sequential(nn.Linear(8, 8), nn.ReLU())\n", owner="")
    net.layer("nn.Linear(8, 8)", None, path="0")
    assert net.repaired().splitlines()[1:] == [
        "def build():",
        "    net = nn.Sequential(nn.Linear(8, 8), nn.ReLU())",
        f"    nn.init.kaiming_normal_(net[0].weight, {RELU})",
        "    return net",
    ]


@pytest.mark.parametrize(
    "lines",
    [
        ("if n: return None", "return nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 9), nn.ReLU())"),
        ("return wrap(nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 9), nn.ReLU()))",),
        ("return nn.Sequential(nn.Linear(8, 8), nn.ReLU()) if n else nn.Linear(8, 9)",),
    ],
)
def test_what_is_not_plainly_returned_is_left(lines: tuple[str, ...]) -> None:
    assert refusal(_factory(*lines)) == "no expression names the layer where it could be initialized"


def test_a_layer_built_by_a_function_for_several_owners_is_initialized_there_once() -> None:
    net = Net(
        "from torch import nn\n\n\ndef build():\n    return nn.Sequential(nn.Linear(8, 8), nn.ReLU())\n\n\n"
        "class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.a = build()\n",
    )
    inside = net.layer("nn.Linear(8, 8)", "self.a[0]")
    net.owner = ""
    alone = net.layer("nn.Linear(8, 8)", None, path="0")
    merged = replace(net.findings()[0], judgements=(inside, alone))
    fixed = attach((merged,), {FILE: net.text}, FixOptions(), lambda _: (), judgements=net.judgements)[0]
    assert fixed.fix is not None
    text = apply(net.text, fixed.fix.edits)
    assert text.count("kaiming_normal_") == 1
    assert "    nn.init.kaiming_normal_(net[0].weight" in text


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        ("net = nn.Sequential(nn.Linear(8, 8), nn.ReLU())", "net[0]"),
        ("try:\n    net = nn.Sequential(nn.Linear(8, 8), nn.ReLU())\nfinally:\n    pass", "net[0]"),
        ("def build():\n    net = nn.Sequential(nn.Linear(8, 8), nn.ReLU())\n    return net", "net[0]"),
        ("net = nn.DataParallel(nn.Sequential(nn.Linear(8, 8), nn.ReLU()))", "Sequential[0]"),
    ],
)
def test_a_layer_outside_of_classes_is_called_by_its_variable(statement: str, name: str) -> None:
    (finding,) = check_source(f"from torch import nn\n\n{statement}\n")
    assert finding.layer == name
    assert finding.help is not None
    target = name if name.startswith("net") else "layer"
    assert finding.help.startswith(f"write `nn.init.kaiming_normal_({target}.weight, nonlinearity=")
