"""A call that is wrong is rewritten where it stands."""

from __future__ import annotations

import pytest
from fix_builder import RELU, SQRT2, Net, added, explicit_and_default, network, refusal

from initlint import check_source
from initlint.config import Settings
from initlint.engine import check, text_source
from initlint.fix.edits import apply
from initlint.repair import repair


def test_a_wrong_call_is_rewritten_where_it_stands() -> None:
    net = explicit_and_default()
    explicit = net.attached()[1].fix
    assert explicit is not None
    assert apply(net.text, explicit.edits) == net.text.replace(
        "nn.init.xavier_uniform_(self.b.weight)",
        'nn.init.kaiming_uniform_(self.b.weight, nonlinearity="relu")\n'
        '        nn.init.kaiming_uniform_(self.a.weight, nonlinearity="relu")',
    )


@pytest.mark.parametrize(
    ("before", "function", "gain", "activation", "after"),
    [
        (
            "nn.init.xavier_normal_(self.fc.weight)",
            "xavier_normal_",
            1.0,
            "relu",
            f"nn.init.kaiming_normal_(self.fc.weight, {RELU})",
        ),
        (
            "nn.init.kaiming_uniform_(self.fc.weight, a=math.sqrt(5))",
            "kaiming_uniform_",
            0.577,
            "relu",
            f"nn.init.kaiming_uniform_(self.fc.weight, {RELU})",
        ),
        (
            'nn.init.kaiming_normal_(self.fc.weight, mode="fan_in", nonlinearity="relu")',
            "kaiming_normal_",
            SQRT2,
            "sigmoid",
            "nn.init.xavier_normal_(self.fc.weight, gain=3.6)  # for a sigmoid: Kumar 2017",
        ),
        (
            "nn.init.orthogonal_(self.fc.weight)",
            "orthogonal_",
            1.0,
            "relu",
            'nn.init.orthogonal_(self.fc.weight, gain=nn.init.calculate_gain("relu"))',
        ),
        (
            "nn.init.orthogonal_(self.fc.weight)",
            "orthogonal_",
            1.0,
            "leaky_relu",
            'nn.init.orthogonal_(self.fc.weight, gain=nn.init.calculate_gain("leaky_relu", 0.01))',
        ),
        (
            "self.fc.weight.data.normal_(0, 0.02)",
            "normal_",
            0.1,
            "relu",
            f"nn.init.kaiming_normal_(self.fc.weight, {RELU})",
        ),
        (
            "self.fc.weight.detach().uniform_(-1, 1)",
            "uniform_",
            9.0,
            "relu",
            f"nn.init.kaiming_uniform_(self.fc.weight, {RELU})",
        ),
        (
            "torch.nn.init.normal_(self.fc.weight, std=1)",
            "normal_",
            9.0,
            "relu",
            f"torch.nn.init.kaiming_normal_(self.fc.weight, {RELU})",
        ),
        (
            "nn.init.xavier_uniform_(\n    self.fc.weight,  # the weight\n    gain=2.0,\n        )",
            "xavier_uniform_",
            2.0,
            "relu",
            'nn.init.kaiming_uniform_(\n    self.fc.weight,  # the weight\n    nonlinearity="relu",\n        )',
        ),
    ],
)
def test_a_rewritten_call_keeps_what_it_can(
    before: str, function: str, gain: float, activation: str, after: str
) -> None:
    net = Net(network("self.fc = nn.Linear(8, 8)", before))
    net.layer("nn.Linear(8, 8)", "self.fc", activation, weight=net.call(before, function, gain))
    assert net.repaired(census=False) == net.text.replace(before, after)


def test_a_comment_inside_a_call_is_never_lost() -> None:
    call = "nn.init.normal_(\n        self.fc.weight,\n        mean=0.0,  # centred\n        std=1.0,\n        )"
    net = Net(network("self.fc = nn.Linear(8, 8)", call))
    net.layer("nn.Linear(8, 8)", "self.fc", weight=net.call(call, "normal_", 9.0))
    assert refusal(net) == "a comment would be lost"


def _loop_over_modules(judged: int) -> Net:
    net = Net(
        network(
            "self.fc1 = nn.Linear(8, 8)",
            "self.fc2 = nn.Linear(8, 8)",
            "for m in self.modules():",
            "    if isinstance(m, nn.Linear):",
            "        nn.init.xavier_uniform_(m.weight)  # of all layers",
        )
    )
    weight = net.call("nn.init.xavier_uniform_(m.weight)", "xavier_uniform_", 1.0)
    for index in range(2):
        activation = "relu" if index < judged else None
        net.layer("nn.Linear(8, 8)", f"self.fc{index + 1}", activation, occurrence=index, weight=weight)
    return net


def test_a_call_that_writes_only_wrong_layers_is_rewritten() -> None:
    net = _loop_over_modules(judged=2)
    assert net.repaired() == net.text.replace("xavier_uniform_(m.weight)", f"kaiming_uniform_(m.weight, {RELU})")


@pytest.mark.parametrize(
    ("lines", "explained"),
    [
        (["nn.init.xavier_uniform_(self.fc.weight)  # Glorot"], True),
        (["# Glorot and Bengio 2010,", "# as in the paper", "nn.init.xavier_uniform_(self.fc.weight)"], True),
        (["# the other one by Glorot", "self.other = 1", "nn.init.xavier_uniform_(self.fc.weight)"], False),
        (["nn.init.xavier_uniform_(self.fc.weight)  # Kaiming"], False),
        (["# he said so", "nn.init.xavier_uniform_(self.fc.weight)"], False),
    ],
)
def test_a_call_is_not_rewritten_where_words_would_be_false_of_it(lines: list[str], *, explained: bool) -> None:
    net = Net(network("self.fc = nn.Linear(8, 8)", *lines))
    net.layer(
        "nn.Linear(8, 8)",
        "self.fc",
        weight=net.call("nn.init.xavier_uniform_(self.fc.weight)", "xavier_uniform_", 1.0),
    )
    fix = net.attached()[0].fix
    assert (fix is None) == explained


def test_a_docstring_that_names_the_scheme_is_kept_true() -> None:
    text = (
        "from torch import nn\n\n\ndef make_fc(dim):\n"
        '    """What Caffe2 calls XavierFill is kaiming_uniform_ in PyTorch."""\n'
        "    fc = nn.Linear(dim, dim)\n    nn.init.kaiming_uniform_(fc.weight, a=1)\n    return fc\n\n\n"
        "class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.fc = make_fc(8)\n        self.out = nn.Linear(8, 2)\n\n"
        "    def forward(self, x):\n        return self.out(self.fc(x).relu())\n"
    )
    findings = check_source(text)
    assert [one.code for one in findings] == ["INI105"]
    assert findings[0].fix is None
    silent = check_source(text.replace("What Caffe2 calls XavierFill is kaiming_uniform_ in PyTorch.", "A layer."))
    assert silent[0].fix is not None


def test_a_call_that_also_writes_a_right_layer_is_left_and_overridden() -> None:
    net = _loop_over_modules(judged=1)
    assert added(net) == [f"nn.init.kaiming_uniform_(self.fc1.weight, {RELU})"]


def test_a_call_whose_layers_are_not_all_known_is_left_and_overridden() -> None:
    net = _loop_over_modules(judged=2)
    assert added(net, census=False) == [
        "for layer in (self.fc1, self.fc2):",
        f"nn.init.kaiming_uniform_(layer.weight, {RELU})",
    ]


def test_a_call_is_rewritten_in_place_also_where_an_event_was_repaired_before() -> None:
    """What is judged anew after the first round is judged with all layers in sight."""
    text = (
        "from torch import nn\n\n\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.words = nn.Embedding(100, 64, padding_idx=0)\n"
        "        self.fc1 = nn.Linear(64, 64)\n        self.fc2 = nn.Linear(64, 64)\n"
        "        self.apply(self._init)\n\n"
        "    def _init(self, module):\n        if isinstance(module, nn.Embedding):\n"
        "            nn.init.xavier_normal_(module.weight)\n        elif isinstance(module, nn.Linear):\n"
        "            nn.init.xavier_normal_(module.weight)\n\n"
        "    def forward(self, x):\n        return self.fc2(self.fc1(self.words(x)).relu()).relu()\n"
    )
    settings = Settings(unsafe_fixes=True)
    outcome = check(text_source(text, "net.py"), settings)
    assert {finding.code for finding in outcome.findings} == {"INI104", "INI207"}
    (fixed,) = repair(outcome, settings).texts.values()
    kept, written = text.splitlines(), fixed.splitlines()
    assert [line.strip() for line in written if line not in kept] == [
        "if module.padding_idx is not None:",
        "nn.init.zeros_(module.weight[module.padding_idx])",
        f"nn.init.kaiming_normal_(module.weight, {RELU})",
    ]


def test_what_an_author_initialized_as_part_of_a_residual_branch_is_left() -> None:
    """T5 draws what enters its feed-forward layers with std 1 / sqrt(width): a recipe, and the trunk's scale hangs on it."""
    text = (
        "from torch import nn\n\n\nclass Block(nn.Module):\n    def __init__(self, width=512):\n        super().__init__()\n"
        "        self.norm = nn.LayerNorm(width)\n        self.wi = nn.Linear(width, 4 * width)\n"
        "        self.wi.weight.data.normal_(mean=0.0, std=width**-0.5)\n        self.wo = nn.Linear(4 * width, width)\n\n"
        "    def forward(self, x):\n        return x + self.wo(self.wi(self.norm(x)).relu())\n"
    )
    (finding,) = check_source(text)
    assert finding.fix is None
    assert "it lies in a residual branch, whose scale is part of a recipe" in (finding.help or "")
    (alone,) = check_source(text.replace("return x + ", "return "))
    assert alone.fix is not None
    assert alone.fix.applicability == "unsafe"
