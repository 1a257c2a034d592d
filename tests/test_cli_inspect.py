"""`initlint inspect` lists what the scanner understood, in a shape that programs may rely on."""

from __future__ import annotations

import json

import pytest
from command_line import NET, Shell


def test_json_has_exactly_the_promised_shape(shell: Shell) -> None:
    shell.write("src/net.py", NET)
    result = shell("inspect", "src", "--output-format", "json")
    assert result.status == 0
    document = json.loads(result.out)
    assert set(document) == {"version", "layers"}
    assert document["version"] == 1
    hidden, head = document["layers"]
    assert hidden == {
        "file": "src/net.py",
        "line": 8,
        "column": 23,
        "class": "Net",
        "path": "hidden",
        "kind": "Linear",
        "init": {
            "source": "default",
            "function": hidden["init"]["function"],
            "gain": pytest.approx(0.5774, abs=1e-4),
            "line": None,
        },
        "followed_by": [
            {
                "activation": "relu",
                "params": {},
                "normalized": False,
                "residual": False,
                "gated": False,
                "output": False,
            }
        ],
        "chain": {"length": 2, "position": 1, "signal": hidden["chain"]["signal"]},
        "verdict": "mismatch",
    }
    assert (head["path"], head["followed_by"], head["verdict"]) == ("head", [], "exempt")


def test_the_line_of_an_explicit_initializer(shell: Shell) -> None:
    text = NET.replace(
        "\n\n    def forward", "\n        nn.init.kaiming_normal_(self.hidden.weight)\n\n    def forward"
    )
    hidden = json.loads(shell("inspect", "-", "--output-format", "json", stdin=text).out)["layers"][0]
    assert hidden["init"]["source"] == "explicit"
    assert hidden["init"]["function"] == "kaiming_normal_"
    assert hidden["init"]["line"] == 10
    assert hidden["init"]["gain"] == pytest.approx(2**0.5)
    assert hidden["verdict"] == "match"


def test_the_table_for_people(shell: Shell) -> None:
    shell.write("net.py", NET)
    out = shell("inspect").out
    assert out.startswith("net.py\n  Net\n    8:23  hidden  Linear  default gain 0.58  -> relu")
    assert out.endswith("2 layers, 1 mismatched.\n")
    shell.write("net.py", "")
    assert shell("inspect").out == "No layers found.\n"


def test_what_cannot_be_read_is_said_aside(shell: Shell) -> None:
    shell.write("broken.py", "import torch\ndef f(:\n")
    result = shell("inspect", "--output-format", "json")
    assert json.loads(result.out)["layers"] == []
    assert "broken.py:2:7: " in result.err


def test_a_missing_path_ends_in_two(shell: Shell) -> None:
    assert shell("inspect", "nowhere").status == 2


def test_what_a_layer_is_built_with_is_told_where_its_weights_are_loaded(shell: Shell) -> None:
    text = (
        NET + "\n\ndef pretrained():\n    net = Net()\n    net.load_state_dict(torch.load('net.pt'))\n    return net\n"
    )
    hidden = json.loads(shell("inspect", "-", "--output-format", "json", stdin=text).out)["layers"][0]
    assert (hidden["init"]["source"], hidden["init"]["loaded"], hidden["verdict"]) == ("default", True, "exempt")
    assert "default gain 0.58, then loaded" in shell("inspect", "-", stdin=text).out
