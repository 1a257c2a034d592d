"""What a repair writes, where, and when it writes nothing."""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping
from dataclasses import replace

import pytest
from fix_builder import DEFAULT, FILE, Net

from initlint.fix import FixOptions, attach, plan
from initlint.fix.edits import apply
from initlint.model import Finding, Follower, Initializer

HEAD = """\
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
"""
FORWARD = """
    def forward(self, x):
        return x
"""
SQRT2 = math.sqrt(2.0)
RELU = 'nonlinearity="relu"'


def network(*lines: str, head: str = HEAD, forward: str = FORWARD) -> str:
    return head + "".join(f"        {line}\n" if line else "\n" for line in lines) + forward


def added(net: Net, options: FixOptions | None = None, *, census: bool = True) -> list[str]:
    """The lines that the repair adds, without indentation; everything else must still be there."""
    before, after = net.text.splitlines(), net.repaired(options, census=census).splitlines()
    ast.parse("\n".join(after).removeprefix("\ufeff"))
    rest = iter(after)
    new = []
    for line in before:
        for candidate in rest:
            if candidate == line:
                break
            new.append(candidate)
        else:
            pytest.fail(f"{line!r} was lost")
    return [line.strip() for line in [*new, *rest] if line.strip()]


def refusal(net: Net, position: int = 0) -> str:
    finding = net.attached()[position]
    assert finding.fix is None
    assert finding.help is not None
    return finding.help.removeprefix("not repaired automatically: ")


def one_layer(construction: str = "nn.Linear(8, 8)", activation: str = "relu", **changes: object) -> Net:
    net = Net(network(f"self.fc = {construction}"))
    net.layer(construction, "self.fc", activation, **changes)  # type: ignore[arg-type]
    return net


def test_the_network_of_the_article() -> None:
    text = network(
        "self.conv1 = nn.Conv2d(3, 32, 3)",
        "self.conv2 = nn.Conv2d(32, 64, 3)",
        "self.fc1 = nn.Linear(64 * 36, 128)",
        "self.fc2 = nn.Linear(128, 64)",
        "self.fc3 = nn.Linear(64, 1)",
        'nn.init.kaiming_normal_(self.fc1.weight, mode="fan_in", nonlinearity="relu")',
        'nn.init.kaiming_normal_(self.fc2.weight, mode="fan_in", nonlinearity="relu")',
    )
    net = Net(text)
    net.layer("nn.Conv2d(3, 32, 3)", "self.conv1")
    net.layer("nn.Conv2d(32, 64, 3)", "self.conv2")
    net.layer("nn.Linear(64, 1)", "self.fc3", "sigmoid", output=True)
    assert added(net) == [
        "for layer in (self.conv1, self.conv2):",
        f"nn.init.kaiming_normal_(layer.weight, {RELU})",
        "nn.init.xavier_normal_(self.fc3.weight)",
    ]
    fixes = [finding.fix for finding in net.attached()]
    assert fixes[0] == fixes[1] == fixes[2]
    assert fixes[0] is not None
    assert fixes[0].title == "Initialize conv1 and conv2 with kaiming_normal_ and fc3 with xavier_normal_"
    assert fixes[0].applicability == "safe"


@pytest.mark.parametrize(
    ("activation", "params", "output", "written"),
    [
        ("relu", (), False, 'kaiming_normal_(self.fc.weight, nonlinearity="relu")'),
        ("gelu", (), False, 'kaiming_normal_(self.fc.weight, nonlinearity="relu")'),
        ("leaky_relu", (), False, 'kaiming_normal_(self.fc.weight, a=0.01, nonlinearity="leaky_relu")'),
        (
            "leaky_relu",
            (("negative_slope", 0.2),),
            False,
            'kaiming_normal_(self.fc.weight, a=0.2, nonlinearity="leaky_relu")',
        ),
        ("prelu", (), False, 'kaiming_normal_(self.fc.weight, a=0.25, nonlinearity="leaky_relu")'),
        ("rrelu", (), False, 'kaiming_normal_(self.fc.weight, a=0.2369, nonlinearity="leaky_relu")'),
        ("selu", (), False, 'kaiming_normal_(self.fc.weight, nonlinearity="linear")'),
        ("tanh", (), False, 'xavier_uniform_(self.fc.weight, gain=nn.init.calculate_gain("tanh"))'),
        ("softsign", (), False, "xavier_uniform_(self.fc.weight)"),
        ("sigmoid", (), False, "xavier_normal_(self.fc.weight, gain=3.6)"),
        ("sigmoid", (), True, "xavier_uniform_(self.fc.weight)"),
    ],
)
def test_the_call_fits_the_activation(
    activation: str, params: tuple[tuple[str, float], ...], *, output: bool, written: str
) -> None:
    net = one_layer(activation=activation, params=params, output=output)
    assert added(net) == [f"nn.init.{written}"]


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "selu", "tanh", "softsign", "sigmoid", "gelu", "rrelu"])
@pytest.mark.parametrize("construction", ["nn.Linear(512, 512)", "nn.Conv2d(64, 64, 3)"])
@pytest.mark.parametrize("distribution", ["normal", "uniform"])
def test_the_measured_gain_is_the_promised_one(activation: str, construction: str, distribution: str) -> None:
    torch = pytest.importorskip("torch")
    net = one_layer(construction, activation)
    text = net.repaired(FixOptions(distribution=distribution))  # type: ignore[arg-type]
    promised = net.judgements[0].ideal
    namespace: dict[str, object] = {}
    torch.manual_seed(0)
    exec(compile(text, "net.py", "exec"), namespace)
    weight = namespace["Net"]().fc.weight  # type: ignore[operator]
    assert float(weight.detach().std() * weight[0].numel() ** 0.5) == pytest.approx(promised, rel=0.05)


def test_the_distribution_and_the_fan_of_the_class_are_followed() -> None:
    net = Net(
        network(
            "self.a = nn.Conv2d(3, 8, 3)",
            "self.b = nn.Conv2d(8, 8, 3)",
            "nn.init.kaiming_uniform_(self.a.weight, mode='fan_out', nonlinearity='relu')",
        )
    )
    net.layer("nn.Conv2d(8, 8, 3)", "self.b")
    assert added(net) == ["nn.init.kaiming_uniform_(self.b.weight, mode='fan_out', nonlinearity='relu')"]


def test_options_come_before_habits() -> None:
    options = FixOptions(distribution="uniform", mode="fan_out")
    assert added(one_layer(), options) == [
        'nn.init.kaiming_uniform_(self.fc.weight, mode="fan_out", nonlinearity="relu")'
    ]


def test_a_grouped_convolution_scales_by_fan_in_only() -> None:
    construction = "nn.Conv2d(8, 8, 3, groups=8)"
    net = one_layer(construction, groups=8)
    assert added(net, FixOptions(mode="fan_out")) == [f"nn.init.kaiming_normal_(self.fc.weight, {RELU})"]
    net = one_layer(construction, "tanh", groups=8)
    assert added(net) == ['nn.init.kaiming_uniform_(self.fc.weight, nonlinearity="tanh")']
    net = one_layer(construction, "sigmoid", groups=8)
    assert refusal(net) == "torch computes Xavier's fans wrongly for grouped and transposed convolutions"


def test_a_transposed_convolution_is_repaired_where_a_fan_of_torch_is_exact() -> None:
    net = one_layer("nn.ConvTranspose2d(8, 16, 3)", transposed=True)
    assert added(net) == ['nn.init.kaiming_normal_(self.fc.weight, mode="fan_out", nonlinearity="relu")']
    for strided in ("nn.ConvTranspose2d(8, 16, 4, 2)", "nn.ConvTranspose2d(8, 16, 4, stride=s)"):
        net = one_layer(strided, transposed=True)
        assert refusal(net) == "torch swaps the fans of a transposed convolution"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"lazy": True}, "a lazy layer has no weight yet"),
        ({"parametrization": "weight_norm"}, "weight_norm rebuilds the weight"),
        ({"frozen": True}, "the weight is frozen"),
        ({"access": None}, "no expression names the layer where it could be initialized"),
        ({"kind": "Parameter"}, "Parameter has no initializer that is right for it"),
        ({"weight": replace(DEFAULT, conditional=True)}, "the weight is initialized only under a condition"),
        ({"weight": Initializer("loaded")}, "what fills the weight is not known"),
        ({"follower": Follower("relu", residual=True)}, "it lies in a residual branch"),
        ({"follower": Follower("relu", scaled=None)}, "its output is rescaled first"),
        ({"follower": Follower("relu", alternative=True)}, "only one of several branches has this activation"),
    ],
)
def test_what_is_not_certain_is_not_repaired(changes: dict[str, object], reason: str) -> None:
    net = Net(network("self.fc = nn.Linear(8, 8)"))
    access = changes.pop("access", "self.fc")
    net.layer("nn.Linear(8, 8)", access, **changes)  # type: ignore[arg-type]
    assert refusal(net) == reason


def test_two_activations_that_disagree_are_left() -> None:
    net = one_layer()
    judgement = net.judgements[0]
    net.judgements[0] = replace(judgement, followers=(*judgement.followers, Follower("tanh")))
    assert refusal(net) == "its followers ask for different gains"


def test_a_fix_is_unsafe_where_the_signal_after_it_would_not_be_calm() -> None:
    for signal, applicability in ((0.3, "safe"), (3.0, "safe"), (0.29, "unsafe"), (3.1, "unsafe"), (None, "unsafe")):
        net = one_layer()
        net.fixed_signal = signal
        fix = net.attached()[0].fix
        assert fix is not None
        assert fix.applicability == applicability, signal


@pytest.mark.parametrize(
    ("argument", "body", "chosen"),
    [
        ("act_layer=nn.ReLU", "self.act = act_layer()", True),
        ("activation='relu'", "self.act = ACTIVATIONS[activation]", True),
        ("out_act=nn.Tanh", "self.act = nn.ReLU()", False),
        ("activation=None", "self.act = torch.relu", False),
        ("action=3", "self.act = act_layer()", False),
    ],
)
def test_nothing_is_certain_where_who_builds_the_model_chooses_the_activation(
    argument: str, body: str, *, chosen: bool
) -> None:
    text = network("self.fc = nn.Linear(8, 8)", body).replace(
        "def __init__(self", f"def __init__(self, *, {argument}", 1
    )
    net = Net(text)
    net.layer("nn.Linear(8, 8)", "self.fc")
    assert (net.attached()[0].fix is None) == chosen
    if chosen:
        assert refusal(net) == "who builds the model chooses the activation"


def test_a_fix_is_unsafe_in_a_branch_that_begins_in_a_normalization() -> None:
    net = one_layer()
    (finding,) = net.findings()
    (judgement,) = finding.judgements
    assert judgement.chain is not None
    net.judgements = [replace(judgement, chain=replace(judgement.chain, renewed=True))]
    found = replace(finding, judgements=tuple(net.judgements))
    (fixed,) = attach([found], {FILE: net.text}, FixOptions(), lambda _: ())
    assert fixed.fix is not None
    assert fixed.fix.applicability == "unsafe"


def _explicit_and_default() -> Net:
    net = Net(
        network(
            "self.a = nn.Linear(8, 8)",
            "self.b = nn.Linear(8, 9)",
            "nn.init.xavier_uniform_(self.b.weight)",
        )
    )
    net.layer("nn.Linear(8, 8)", "self.a")
    weight = net.call("nn.init.xavier_uniform_(self.b.weight)", "xavier_uniform_", 1.0)
    net.layer("nn.Linear(8, 9)", "self.b", weight=weight)
    return net


def test_an_explicit_choice_is_overridden_only_by_an_unsafe_fix() -> None:
    default, explicit = _explicit_and_default().attached()
    assert default.fix is not None
    assert explicit.fix is not None
    assert (default.fix.applicability, default.fix.title) == ("safe", "Initialize a with kaiming_uniform_")
    assert (explicit.fix.applicability, explicit.fix.title) == ("unsafe", "Initialize a and b with kaiming_uniform_")


def test_the_rest_of_a_chain_counts_in_the_signal_after_a_partial_fix() -> None:
    net = _explicit_and_default()
    net.layer("nn.Linear(8, 8)", "self.a", None)  # a head, so that b is none
    net.judgements[1] = replace(
        net.judgements[1],
        layer=replace(net.judgements[1].layer, weight=replace(net.judgements[1].layer.weight, gain=0.2)),
    )
    fix = net.attached()[0].fix
    assert fix is not None
    assert fix.applicability == "unsafe"
    assert fix.title == "Initialize a and b with kaiming_uniform_"


def test_a_wrong_call_is_rewritten_where_it_stands() -> None:
    net = _explicit_and_default()
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
            "nn.init.xavier_normal_(self.fc.weight, gain=3.6)",
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
            "        nn.init.xavier_uniform_(m.weight)  # Glorot",
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


def test_a_call_that_also_writes_a_right_layer_is_left_and_overridden() -> None:
    net = _loop_over_modules(judged=1)
    assert added(net) == [f"nn.init.kaiming_uniform_(self.fc1.weight, {RELU})"]


def test_a_call_whose_layers_are_not_all_known_is_left_and_overridden() -> None:
    net = _loop_over_modules(judged=2)
    assert added(net, census=False) == [
        "for layer in (self.fc1, self.fc2):",
        f"nn.init.kaiming_uniform_(layer.weight, {RELU})",
    ]


SEQUENTIAL = network(
    "self.net = nn.Sequential(",
    "    nn.Linear(8, 16),",
    "    nn.ReLU(),",
    "    nn.Linear(16, 32),",
    "    nn.ReLU(),",
    "    nn.Linear(32, 4),",
    ")",
)


def _sequential(head: str | None, text: str = SEQUENTIAL) -> Net:
    net = Net(text)
    net.layer("nn.Linear(8, 16)", "self.net[0]")
    net.layer("nn.Linear(16, 32)", "self.net[2]")
    net.layer("nn.Linear(32, 4)", "self.net[4]", head)
    return net


def test_a_container_whose_layers_all_need_the_call_gets_a_loop() -> None:
    for census in (True, False):
        assert added(_sequential("relu"), census=census) == [
            "for layer in self.net:",
            "if isinstance(layer, nn.Linear):",
            f"nn.init.kaiming_normal_(layer.weight, {RELU})",
        ]


def test_a_loop_spares_the_head() -> None:
    assert added(_sequential(None))[:2] == ["for layer in self.net[:-1]:", "if isinstance(layer, nn.Linear):"]
    assert added(_sequential(None), census=False)[0] == "for layer in (self.net[0], self.net[2]):"


def test_layers_of_one_container_that_need_different_calls_are_named() -> None:
    assert added(_sequential("tanh")) == [
        "for layer in (self.net[0], self.net[2]):",
        f"nn.init.kaiming_normal_(layer.weight, {RELU})",
        'nn.init.xavier_uniform_(self.net[4].weight, gain=nn.init.calculate_gain("tanh"))',
    ]


def test_one_layer_of_a_container_is_named_by_its_index() -> None:
    net = Net(SEQUENTIAL)
    net.layer("nn.Linear(16, 32)", "self.net[2]")
    assert added(net, census=False) == [f"nn.init.kaiming_normal_(self.net[2].weight, {RELU})"]


def test_an_index_that_depends_on_arguments_is_never_written() -> None:
    net = Net(
        network(
            "layers = [nn.Linear(8, 8)]",
            "if norm:",
            "    layers.append(nn.BatchNorm1d(8))",
            "layers += [nn.ReLU(), nn.Linear(8, 9), nn.Flatten()]",
            "self.net = nn.Sequential(*layers)",
        )
    )
    net.layer("nn.Linear(8, 8)", "self.net[0]", None)
    net.layer("nn.Linear(8, 9)", "self.net[2]")
    assert refusal(net) == "no expression reaches it without reaching other layers"


@pytest.mark.parametrize(
    ("later", "exact"),
    [
        ("layers.append(nn.Flatten())", True),
        ("layers += [nn.Flatten()]", True),
        ("layers.insert(0, nn.Flatten())", False),
        ("layers[0] = nn.Flatten()", False),
        ("layers = layers[1:]", False),
        ("layers.reverse()", False),
    ],
)
def test_what_a_local_list_begins_with_is_named_by_its_index(later: str, *, exact: bool) -> None:
    lines = ("layers = [nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 9)]", later, "self.net = nn.Sequential(*layers)")
    net = Net(network(*lines))
    net.layer("nn.Linear(8, 8)", "self.net[0]")
    net.layer("nn.Linear(8, 9)", "self.net[2]", None)
    if exact:
        assert added(net) == ['nn.init.kaiming_normal_(self.net[0].weight, nonlinearity="relu")']
    else:
        assert refusal(net) == "no expression reaches it without reaching other layers"


def test_a_module_list_of_layers_needs_no_type_test() -> None:
    net = Net(network("self.layers = nn.ModuleList([nn.Linear(8, 8) for _ in range(3)])", "self.out = nn.Linear(8, 1)"))
    for index in range(3):
        net.layer("nn.Linear(8, 8)", f"self.layers[{index}]")
    net.layer("nn.Linear(8, 1)", "self.out", "sigmoid", output=True)
    assert added(net) == [
        "for layer in self.layers:",
        f"nn.init.kaiming_normal_(layer.weight, {RELU})",
        "nn.init.xavier_uniform_(self.out.weight)",
    ]


def test_layers_of_several_containers_with_one_call_share_a_loop() -> None:
    net = Net(
        network(
            "self.first = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU())",
            "self.middle = nn.Linear(8, 8)",
            "self.last = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU())",
        )
    )
    for place, access in enumerate(("first[0]", "first[2]", "middle", "last[0]", "last[2]")):
        net.layer("nn.Linear(8, 8)", f"self.{access}", occurrence=place)
    assert added(net) == [
        "for layer in (*self.first, self.middle, *self.last):",
        "if isinstance(layer, nn.Linear):",
        f"nn.init.kaiming_normal_(layer.weight, {RELU})",
    ]


def test_a_list_that_a_loop_fills_ends_in_the_layer_built_last() -> None:
    lines = ("self.convs = nn.ModuleList()", "for n in (8, 8, 9):", "    self.convs.append(nn.Linear(8, n))")
    net = Net(network(*lines))
    for place in range(2):
        net.layer("nn.Linear(8, n)", f"self.convs[{place}]")
    net.layer("nn.Linear(8, n)", "self.convs[2]", None)
    assert added(net)[0] == "for layer in self.convs[:-1]:"
    net = Net(network(*lines))
    net.layer("nn.Linear(8, n)", "self.convs[0]", None)
    for place in range(1, 3):
        net.layer("nn.Linear(8, n)", f"self.convs[{place}]")
    assert refusal(net) == "no expression reaches it without reaching other layers"


def test_a_module_dict_that_a_loop_fills_needs_no_type_test() -> None:
    lines = ("self.convs = nn.ModuleDict()", "for name in names:", "    self.convs[name] = nn.Linear(8, 8)")
    net = Net(network(*lines))
    for name in "ab":
        net.layer("nn.Linear(8, 8)", f'self.convs["{name}"]')
    assert added(net) == [
        "for layer in self.convs.values():",
        f"nn.init.kaiming_normal_(layer.weight, {RELU})",
    ]


def test_one_layer_of_every_block_in_a_list_is_named_in_the_block() -> None:
    block = "nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 1))"
    net = Net(network(f"self.blocks = nn.ModuleList([{block} for _ in range(n)])"))
    for place in range(2):
        net.layer("nn.Linear(8, 8)", f"self.blocks[{place}][0]")
        net.layer("nn.Linear(8, 1)", f"self.blocks[{place}][2]", None)
    assert added(net) == ["for block in self.blocks:", f"nn.init.kaiming_normal_(block[0].weight, {RELU})"]


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


def test_a_list_that_a_comprehension_builds_has_no_first_layer_to_name() -> None:
    net = Net(network("self.convs = nn.ModuleList([nn.Linear(8, n) for n in sizes])"))
    net.layer("nn.Linear(8, n)", "self.convs[0]")
    assert added(net)[0] == "for layer in self.convs:"


def test_a_name_that_only_a_star_import_binds_is_used() -> None:
    head = HEAD.replace("import torch\nfrom torch import nn\n", "from .layers import *\n")
    net = Net(network("self.fc = nn.Linear(8, 8)", head=head))
    net.layer("nn.Linear(8, 8)", "self.fc")
    assert added(net) == [f"nn.init.kaiming_normal_(self.fc.weight, {RELU})"]


def test_a_module_dict_is_walked_by_its_values_or_named_by_its_key() -> None:
    text = network('self.parts = nn.ModuleDict({"a": nn.Linear(8, 8), "b": nn.Linear(8, 9)})')
    net = Net(text)
    net.layer("nn.Linear(8, 8)", 'self.parts["a"]')
    net.layer("nn.Linear(8, 9)", 'self.parts["b"]')
    assert added(net)[0] == "for layer in self.parts.values():"
    net = Net(text)
    net.layer("nn.Linear(8, 8)", 'self.parts["a"]')
    net.layer("nn.Linear(8, 9)", 'self.parts["b"]', None)
    assert added(net) == [f'nn.init.kaiming_normal_(self.parts["a"].weight, {RELU})']


def test_layers_deep_in_a_container_are_reached_through_modules() -> None:
    net = Net(
        network(
            "self.net = nn.Sequential(",
            "    nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU()),",
            "    nn.Sequential(nn.Conv2d(8, 9, 3), nn.ReLU()),",
            ")",
        )
    )
    net.layer("nn.Conv2d(3, 8, 3)", "self.net[0][0]")
    net.layer("nn.Conv2d(8, 9, 3)", "self.net[1][0]")
    assert added(net) == [
        "for layer in self.net.modules():",
        "if isinstance(layer, nn.Conv2d):",
        f"nn.init.kaiming_normal_(layer.weight, {RELU})",
    ]


def test_a_layer_that_a_helper_builds_is_named_in_its_owner() -> None:
    head = HEAD.replace(
        "class Net", "def block(i, o):\n    return nn.Sequential(nn.Conv2d(i, o, 3), nn.ReLU())\n\n\nclass Net"
    )
    net = Net(network("self.a = block(3, 8)", "self.b = block(8, 8)", head=head))
    net.layer("nn.Conv2d(i, o, 3)", "self.a[0]")
    net.layer("nn.Conv2d(i, o, 3)", "self.b[0]")
    assert added(net) == [
        "for layer in (self.a[0], self.b[0]):",
        f"nn.init.kaiming_normal_(layer.weight, {RELU})",
    ]


def test_a_called_init_method_is_extended() -> None:
    method = """
    def init_weights(self):
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight)
        # that is all
"""
    net = Net(network("self.fc = nn.Linear(8, 8)", "self.init_weights()", forward=method + FORWARD))
    net.layer("nn.Linear(8, 8)", "self.fc")
    call = f"        nn.init.kaiming_normal_(self.fc.weight, {RELU})\n"
    assert net.repaired() == net.text.replace("        # that is all", call + "        # that is all")


@pytest.mark.parametrize("last", ["return", "self.apply(init)", "for m in self.modules(): init(m)"])
def test_calls_come_after_what_writes_weights_and_before_a_return(last: str) -> None:
    net = Net(network("self.fc = nn.Linear(8, 8)", last))
    net.layer("nn.Linear(8, 8)", "self.fc")
    call = f"        nn.init.kaiming_normal_(self.fc.weight, {RELU})\n"
    expected = call + f"        {last}\n" if last == "return" else f"        {last}\n" + call
    assert net.repaired() == net.text.replace(f"        {last}\n", expected)


@pytest.mark.parametrize(
    "barrier", ["self.load_state_dict(torch.load(path))", "self.target = copy.deepcopy(self.fc)", "load_weights(self)"]
)
def test_calls_come_before_weights_are_loaded_or_copied(barrier: str) -> None:
    net = Net(network("self.fc = nn.Linear(8, 8)", barrier))
    net.layer("nn.Linear(8, 8)", "self.fc")
    call = f"        nn.init.kaiming_normal_(self.fc.weight, {RELU})\n"
    assert net.repaired() == net.text.replace(f"        {barrier}\n", call + f"        {barrier}\n")


def test_a_layer_built_under_a_condition_is_initialized_under_it() -> None:
    net = Net(network("if deep:", "    self.fc = nn.Linear(8, 8)", "else:", "    self.fc = None", "self.n = 1"))
    net.layer("nn.Linear(8, 8)", "self.fc")
    built = "            self.fc = nn.Linear(8, 8)\n"
    call = f"            nn.init.kaiming_normal_(self.fc.weight, {RELU})\n"
    assert net.repaired() == net.text.replace(built, built + call)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("self.fc = nn.Linear(8, 8) if deep else nn.Identity()", "it is built only under a condition"),
        ("for _ in range(2): self.fc = nn.Linear(8, 8)", "it is built in a loop"),
        ("setattr(self, name, nn.Linear(8, 8))", "the class that holds it does not build it in __init__"),
        ("self.fc = load(nn.Linear(8, 8))", "it is loaded or copied where it is built"),
    ],
)
def test_a_layer_that_may_not_be_there_is_left(line: str, reason: str) -> None:
    net = Net(network(line))
    net.layer("nn.Linear(8, 8)", "self.fc")
    assert refusal(net) == reason


def test_many_statements_go_into_a_method() -> None:
    activations = ("relu", "tanh", "selu", "sigmoid")
    text = network(*(f"self.fc{n} = nn.Linear(8, {n})" for n in range(4)))
    net = Net(text)
    for n, activation in enumerate(activations):
        net.layer(f"nn.Linear(8, {n})", f"self.fc{n}", activation)
    assert added(net)[:2] == ["self.init_weights()", "def init_weights(self):"]
    assert added(net, FixOptions(style="inline"))[0] == f"nn.init.kaiming_normal_(self.fc0.weight, {RELU})"


def test_the_method_is_written_in_the_manner_of_its_class() -> None:
    head = HEAD.replace("def __init__(self):", 'def __init__(self) -> None:\n        """Build it."""')
    net = Net(network("self.fc = nn.Linear(8, 8)", head=head))
    net.layer("nn.Linear(8, 8)", "self.fc")
    assert net.repaired(FixOptions(style="init_weights")) == net.text.replace(
        "nn.Linear(8, 8)\n",
        "nn.Linear(8, 8)\n"
        "        self.init_weights()\n"
        "\n"
        "    def init_weights(self) -> None:\n"
        '        """Scale every weight for the activation that follows it."""\n'
        f"        nn.init.kaiming_normal_(self.fc.weight, {RELU})\n",
    )


def test_a_method_never_takes_the_place_of_another() -> None:
    options = FixOptions(style="init_weights")
    net = Net(network("self.fc = nn.Linear(8, 8)", forward=FORWARD + "\n    def init_weights(self):\n        pass\n"))
    net.layer("nn.Linear(8, 8)", "self.fc")
    assert "def initialize_weights(self):" in added(net, options)
    child = "\n\nclass Child(Net):\n    def init_weights(self):\n        nn.init.zeros_(self.head.weight)\n"
    net = Net(network("self.fc = nn.Linear(8, 8)") + child)
    net.layer("nn.Linear(8, 8)", "self.fc")
    assert "def initialize_weights(self):" in added(net, options)
    net = Net(network("self.fc = nn.Linear(8, 8)", head=HEAD.replace("nn.Module", "PreTrainedModel")))
    net.layer("nn.Linear(8, 8)", "self.fc")
    assert added(net, options) == [f"nn.init.kaiming_normal_(self.fc.weight, {RELU})"]


def test_biases_are_zeroed_on_request() -> None:
    zeros = FixOptions(bias="zeros")
    assert added(one_layer(bias=DEFAULT), zeros)[1:] == ["nn.init.zeros_(self.fc.bias)"]
    assert len(added(one_layer(bias=None), zeros)) == 1
    assert len(added(one_layer(bias=Initializer("explicit", "zeros_", std=0.0)), zeros)) == 1
    assert len(added(one_layer(bias=DEFAULT))) == 1


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


def test_a_variable_at_module_level_is_initialized_after_its_assignment() -> None:
    net = Net(
        "from torch import nn\n\nnet = nn.Sequential(nn.Linear(8, 8), nn.ReLU())  # small\nnet.train()\n", owner=""
    )
    net.layer("nn.Linear(8, 8)", "net[0]")
    assert net.repaired() == net.text.replace(
        "  # small\n", f"  # small\nnn.init.kaiming_normal_(net[0].weight, {RELU})\n"
    )


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


def test_a_class_that_is_a_container_indexes_itself() -> None:
    text = (
        "from torch import nn\n\n\nclass Net(nn.Sequential):\n    def __init__(self):\n"
        "        super().__init__(nn.Linear(8, 8), nn.ReLU())\n"
    )
    net = Net(text)
    net.layer("nn.Linear(8, 8)", "self[0]")
    assert added(net) == [f"nn.init.kaiming_normal_(self[0].weight, {RELU})"]


def test_a_layer_of_a_parent_class_is_initialized_in_the_parent() -> None:
    text = (
        network("self.fc = nn.Linear(8, 8)")
        + "\n\nclass Child(Net):\n    def __init__(self):\n        super().__init__()\n"
    )
    net = Net(text, owner="Child")
    net.layer("nn.Linear(8, 8)", "self.fc")
    built = "        self.fc = nn.Linear(8, 8)\n"
    assert net.repaired() == text.replace(built, built + f"        nn.init.kaiming_normal_(self.fc.weight, {RELU})\n")


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


def _repairable() -> Net:
    return one_layer()


def test_a_fix_that_does_not_reach_the_layer_is_dropped_and_said_so() -> None:
    net = _repairable()
    findings = attach(net.findings(), {FILE: net.text}, FixOptions(), lambda _: net.findings())
    assert findings[0].fix is None
    assert (
        findings[0].help
        == "not repaired automatically: the repair would not last: something initializes the layer later"
    )


def test_a_fix_that_brings_something_new_is_dropped_and_said_so() -> None:
    net = _repairable()
    new = replace(net.findings()[0], code="INI303", layer="Net.other", judgements=())

    def rescan(texts: object) -> tuple[Finding, ...]:
        return net.findings() if texts == {FILE: net.text} else (new,)

    findings = attach(net.findings(), {FILE: net.text}, FixOptions(), rescan)
    assert findings[0].fix is None
    assert findings[0].help == "not repaired automatically: the repair would bring INI303 at Net.other"


def test_findings_of_other_rules_pass_through() -> None:
    other = replace(_repairable().findings()[0], code="INI201")
    assert attach((other,), {FILE: ""}, FixOptions(), lambda _: ()) == (other,)


def test_a_text_that_does_not_parse_is_left() -> None:
    net = _repairable()
    findings = attach(net.findings(), {FILE: net.text + ")"}, FixOptions(), lambda _: ())
    assert findings[0].fix is None


def test_plan_makes_only_what_may_be_made() -> None:
    net = _explicit_and_default()
    texts = {FILE: net.text}

    def rescan(texts: Mapping[str, str]) -> tuple[Finding, ...]:
        text = texts[FILE]
        default, explicit = net.findings()
        done = "self.a.weight" in text
        return (*([] if done else [default]), *([explicit] if "xavier" in text else []))

    safe = plan(net.findings(), texts, FixOptions(), rescan, judgements=net.judgements)
    assert [finding.layer for finding in safe.fixed] == ["Net.a"]
    assert [(finding.layer, reason) for finding, reason in safe.left] == [("Net.b", "the fix is unsafe")]
    assert "xavier_uniform_" in safe.texts[FILE]
    both = plan(net.findings(), texts, FixOptions(), rescan, unsafe=True, judgements=net.judgements)
    assert sorted(str(finding.layer) for finding in both.fixed) == ["Net.a", "Net.b"]
    assert both.texts[FILE].count("kaiming_uniform_") == 2
    assert both.left == ()


def _initialized(text: str) -> list[str]:
    return [line for line in text.splitlines() if "kaiming" in line or "for layer" in line]


def test_fixes_of_several_models_in_one_function_are_merged() -> None:
    net = Net(network("self.a = nn.Linear(8, 8)", "self.b = nn.Linear(8, 9)"))
    net.layer("nn.Linear(8, 8)", "self.a")
    net.layer("nn.Linear(8, 9)", "self.b")
    findings = tuple(
        replace(finding, judgements=(replace(finding.judgements[0], model=f"Net {index}"),))
        for index, finding in enumerate(net.findings())
    )

    def rescan(texts: Mapping[str, str]) -> tuple[Finding, ...]:
        done = [any(name in line for line in _initialized(texts[FILE])) for name in ("self.a", "self.b")]
        return tuple(finding for finding, gone in zip(findings, done, strict=True) if not gone)

    fixed = plan(findings, {FILE: net.text}, FixOptions(), rescan, judgements=net.judgements)
    assert len(fixed.fixed) == 2
    assert "for layer in (self.a, self.b):" in fixed.texts[FILE]
