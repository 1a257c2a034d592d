"""New code is spelled in the file's own names, quotes and widths, and everything else in the file stays."""

from __future__ import annotations

from pathlib import Path

import pytest
from fix_builder import HEAD, RELU, Net, added, network, refusal

from initlint.config import Settings
from initlint.engine import check, read_sources
from initlint.repair import repair

LEAKY = 'nonlinearity="leaky_relu"'


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("normal_", "kaiming_normal_, normal_"),
        ("constant_, uniform_", "constant_, kaiming_normal_, uniform_"),
        ("(\n    constant_,\n    uniform_,\n)", "(\n    constant_,\n    kaiming_normal_,\n    uniform_,\n)"),
        ("(\n    constant_,\n    dirac_\n)", "(\n    constant_,\n    dirac_,\n    kaiming_normal_\n)"),
    ],
)
def test_a_file_that_imports_initializers_by_name_gets_another(before: str, after: str) -> None:
    head = HEAD.replace("import nn\n", f"import nn\nfrom torch.nn.init import {before}\n")
    net = Net(network("self.fc = nn.Linear(8, 8)", head=head))
    net.layer("nn.Linear(8, 8)", "self.fc")
    text = net.repaired()
    assert f"from torch.nn.init import {after}\n" in text
    assert f"        kaiming_normal_(self.fc.weight, {RELU})\n" in text
    mixed = Net(text.replace("kaiming_normal_(self", "nn.init.normal_(self").replace("kaiming_normal_", "zeros_"))
    mixed.layer("nn.Linear(8, 8)", "self.fc")
    assert f"        nn.init.kaiming_normal_(self.fc.weight, {RELU})\n" in mixed.repaired()


def test_a_name_that_only_a_star_import_binds_is_used() -> None:
    head = HEAD.replace("import torch\nfrom torch import nn\n", "from .layers import *\n")
    net = Net(network("self.fc = nn.Linear(8, 8)", head=head))
    net.layer("nn.Linear(8, 8)", "self.fc")
    assert added(net) == [f"nn.init.kaiming_normal_(self.fc.weight, {RELU})"]


@pytest.mark.parametrize("used", ["torch.nn.init", "nn.init"])
def test_a_file_that_calls_initializers_in_one_way_gets_another_such_call(used: str) -> None:
    net = Net(network("self.fc = nn.Linear(8, 8)", f"{used}.zeros_(self.fc.bias)"))
    net.layer("nn.Linear(8, 8)", "self.fc")
    assert added(net) == [f"{used}.kaiming_normal_(self.fc.weight, {RELU})"]


@pytest.mark.parametrize(
    ("imports", "linear", "new_import", "init"),
    [
        ("import torch.nn as nn", "nn.Linear", None, "nn.init."),
        ("import torch.nn.init as I\nfrom torch import nn", "nn.Linear", None, "I."),
        ("from torch import nn as N", "N.Linear", None, "N.init."),
        ("import torch", "torch.nn.Linear", None, "torch.nn.init."),
        ("import torch as t", "t.nn.Linear", None, "t.nn.init."),
        ("import torch.nn", "torch.nn.Linear", None, "torch.nn.init."),
        ("from torch.nn import Linear, init", "Linear", None, "init."),
        ("from torch.nn import Linear\nfrom torch.nn.init import kaiming_normal_", "Linear", None, ""),
        ("from torch.nn import Linear", "Linear", "from torch import nn", "nn.init."),
        ("import jax.nn as nn\nfrom torch.nn import Linear", "Linear", "import torch", "torch.nn.init."),
    ],
)
def test_the_names_of_the_file_are_used(imports: str, linear: str, new_import: str | None, init: str) -> None:
    text = f"{imports}\n\n\nclass Net(Module):\n    def __init__(self):\n        self.fc = {linear}(8, 8)\n"
    net = Net(text)
    net.layer(f"{linear}(8, 8)", "self.fc")
    call = f"{init}kaiming_normal_(self.fc.weight, {RELU})"
    assert added(net) == ([call] if new_import is None else [new_import, call])


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            '"""Doc."""\n\nfrom torch.nn import Linear\n',
            '"""Doc."""\n\nfrom torch import nn\nfrom torch.nn import Linear\n',
        ),
        (
            "from __future__ import annotations\n\nimport math\nfrom torch.nn import Linear\n",
            "from __future__ import annotations\n\nimport math\nfrom torch import nn\nfrom torch.nn import Linear\n",
        ),
        (
            "import os\nfrom layers import Linear\n\nX = 1\n",
            "import os\nfrom layers import Linear\nfrom torch import nn\n\nX = 1\n",
        ),
        (
            "import os\nimport layers\n\nfrom .layers import Linear\n",
            "import os\nimport layers\nfrom torch import nn\n\nfrom .layers import Linear\n",
        ),
        (
            "from .layers import Linear\n",
            "from torch import nn\nfrom .layers import Linear\n",
        ),
    ],
)
def test_a_missing_import_is_added_where_it_belongs(before: str, after: str) -> None:
    body = "\n\nclass Net(Module):\n    def __init__(self):\n        self.fc = Linear(8, 8)\n"
    net = Net(before + body)
    net.layer("Linear(8, 8)", "self.fc")
    assert net.repaired() == after + body + f"        nn.init.kaiming_normal_(self.fc.weight, {RELU})\n"


def test_a_name_that_the_function_binds_itself_is_not_used() -> None:
    head = HEAD.replace("__init__(self)", "__init__(self, nn=None, layer=None)")
    net = Net(network("self.a = torch.nn.Linear(8, 8)", "self.b = torch.nn.Linear(8, 9)", head=head))
    net.layer("torch.nn.Linear(8, 8)", "self.a")
    net.layer("torch.nn.Linear(8, 9)", "self.b")
    assert added(net) == [
        "for module in (self.a, self.b):",
        f"torch.nn.init.kaiming_normal_(module.weight, {RELU})",
    ]


def test_how_long_documentation_is_says_nothing_of_code() -> None:
    text = network("self.projection = nn.Linear(8, 8)", *["self.width = 8"] * 100)
    long = f"{'word ' * 30}\n"
    text = f'"""{long}{long}"""\n{text}x = "{long[:-1]}"\n'
    net = Net(text)
    net.layer("nn.Linear(8, 8)", "self.projection", "leaky_relu")
    assert f"        nn.init.kaiming_normal_(\n            self.projection.weight, a=0.01, {LEAKY}\n" in net.repaired()


def test_what_black_would_wrap_is_wrapped() -> None:
    names = ["encoder_projection", "decoder_projection", "context_projection", "attention_projection"]
    net = Net(network(*(f"self.{name} = nn.Linear(8, {index})" for index, name in enumerate(names))))
    for index, name in enumerate(names):
        net.layer(f"nn.Linear(8, {index})", f"self.{name}", "tanh")
    text = net.repaired()
    assert max(map(len, text.splitlines())) <= 88
    assert added(net) == [
        "for layer in (",
        *(f"self.{name}," for name in names),
        "):",
        'nn.init.xavier_uniform_(layer.weight, gain=nn.init.calculate_gain("tanh"))',
    ]


STRANGE = {
    "crlf": network("self.fc = nn.Linear(8, 8)  # é").replace("\n", "\r\n"),
    "tabs": network("self.fc = nn.Linear(8, 8)").replace("    ", "\t"),
    "two spaces": network("self.fc = nn.Linear(8, 8)").replace("    ", "  "),
    "byte order mark": "\ufeff" + network("self.fc = nn.Linear(8, 8)"),
    "form feed": network("self.fc = nn.Linear(8, 8)").replace("\n\n\n", "\n\x0c\n"),
    "form feed before a method": network("self.fc = nn.Linear(8, 8)").replace("    def forward", "\x0c    def forward"),
    "form feed in a body": network("self.fc = nn.Linear(8, 8)").replace("        self", "  \x0c        self"),
    "form feed behind a byte order mark": "\ufeff\x0c" + network("self.fc = nn.Linear(8, 8)"),
    "no final newline": network("self.fc = nn.Linear(8, 8)", forward="").rstrip("\n"),
    "one line": HEAD.replace(
        ":\n        super().__init__()\n", ": super().__init__(); self.fc = nn.Linear(8, 8)  # ok\n"
    ),
    "semicolons": network("self.fc = nn.Linear(8, 8); self.n = 'nn'"),
    "wide characters": network("self.s = '𝒳é'; self.fc = nn.Linear(8, 8)"),
    "trailing spaces": network("self.fc = nn.Linear(8, 8)   ", "   "),
    "line separators": network("self.s = '\u2028\x0b'; self.fc = nn.Linear(8, 8)"),
}


@pytest.mark.parametrize("text", STRANGE.values(), ids=STRANGE.keys())
def test_everything_else_in_the_file_stays(text: str) -> None:
    net = Net(text)
    net.layer("nn.Linear(8, 8)", "self.fc")
    repaired = net.repaired()
    newline = "\r\n" if "\r\n" in text else "\n"
    assert repaired.count("\r\n") * 2 in (0, repaired.count("\r\n") + repaired.count("\n"))
    quote = "'" if "'" in text else '"'
    lines = [line for line in repaired.split(newline) if "kaiming_normal_" in line]
    assert [line.strip() for line in lines] == [
        f"nn.init.kaiming_normal_(self.fc.weight, nonlinearity={quote}relu{quote})"
    ]
    if "; super" not in text and ": super" not in text:
        without = [line for line in repaired.split(newline) if line not in lines]
        assert newline.join(without) == text


def test_a_file_that_libcst_cannot_keep_is_left() -> None:
    net = Net(network("self.fc = nn.Linear(8, 8)").replace("\n", "\r"))
    net.layer("nn.Linear(8, 8)", "self.fc")
    assert refusal(net) == "libcst cannot rewrite a statement of its file"


def test_a_name_that_another_module_gave_to_torch_nn_is_the_files_own(tmp_path: Path) -> None:
    (tmp_path / "backend.py").write_text("from torch import nn, Tensor\n")
    path = tmp_path / "net.py"
    path.write_text(
        "import torch\n"
        "from backend import nn, Tensor\n"
        "class Net(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.fc = nn.Linear(8, 8)\n"
        "    def forward(self, x: Tensor) -> Tensor:\n"
        "        return torch.relu(self.fc(x))\n"
    )
    repaired = repair(check(read_sources([path]), Settings()), Settings()).texts[str(path)]
    added = repaired.split("\n")[6]
    assert added == '        nn.init.kaiming_normal_(self.fc.weight, nonlinearity="relu")'
