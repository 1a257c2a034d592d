"""Which call a repair writes, whether it is safe, and when nothing is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from fix_builder import DEFAULT, FILE, RELU, Net, added, explicit_and_default, network, one_layer, refusal

from initlint.fix import FixOptions, attach, plan
from initlint.fix.bench import FixedTexts
from initlint.fix.recommend import Refusal
from initlint.fix.verify import Verifier
from initlint.model import Finding, Follower, Initializer


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
        ("prelu", (("init", 0.0),), False, 'kaiming_normal_(self.fc.weight, nonlinearity="relu")'),
        ("prelu", (), False, 'kaiming_normal_(self.fc.weight, a=0.25, nonlinearity="leaky_relu")'),
        ("rrelu", (), False, 'kaiming_normal_(self.fc.weight, a=0.2369, nonlinearity="leaky_relu")'),
        ("selu", (), False, 'kaiming_normal_(self.fc.weight, nonlinearity="linear")'),
        ("tanh", (), False, 'xavier_uniform_(self.fc.weight, gain=nn.init.calculate_gain("tanh"))'),
        ("softsign", (), False, "xavier_uniform_(self.fc.weight)"),
        ("sigmoid", (), False, "xavier_normal_(self.fc.weight, gain=3.6)  # for a sigmoid: Kumar 2017"),
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


def test_the_fan_that_convolutions_scale_by_is_not_that_of_linear_layers() -> None:
    net = Net(
        network(
            "self.a = nn.Conv2d(3, 8, 3)",
            "self.b = nn.Linear(8, 8)",
            "nn.init.kaiming_normal_(self.a.weight, mode='fan_out', nonlinearity='relu')",
        )
    )
    call = net.call(
        "nn.init.kaiming_normal_(self.a.weight, mode='fan_out', nonlinearity='relu')", "kaiming_normal_", 1.0
    )
    net.layer("nn.Conv2d(3, 8, 3)", "self.a", None, weight=replace(call, arguments=(("mode", "fan_out"),)))
    net.layer("nn.Linear(8, 8)", "self.b")
    assert added(net) == ["nn.init.kaiming_normal_(self.b.weight, nonlinearity='relu')"]


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
        ({"kind": "Parameter"}, "torch may take its inputs for its outputs"),
        ({"weight": replace(DEFAULT, conditional=True)}, "the weight is initialized only under a condition"),
        ({"weight": replace(DEFAULT, rescaled=True)}, "its author scaled what was drawn"),
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
        ("act=None", "if act is None:\n            act = nn.ReLU()\n        self.act = act", True),
        ("act=None", "act = act or nn.ReLU()\n        self.act = act", True),
        ("act=None", "if act is None:\n            act = nn.ReLU()\n        self.act = nn.ReLU()", False),
        ("action=3", "self.act = act_layer()", False),
        ("config=None", "self.act = ACTIVATIONS[config.hidden_act]", True),
        (
            "act='relu'",
            "self.act = nn.ReLU() if act == 'relu' else nn.GELU() if act == 'gelu' else nn.LeakyReLU()",
            False,
        ),
        ("act='relu'", "self.act = {'relu': nn.ReLU, 'tanh': nn.Tanh}[act]()", True),
        ("config=None", "self.act = ACTIVATIONS[config.action]", False),
        ("config=None", "self.act = nn.ReLU() if config.act == 'relu' else nn.Tanh()", False),
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


def test_nothing_is_repaired_in_a_branch_that_begins_in_a_normalization() -> None:
    net = one_layer()
    (finding,) = net.findings()
    (judgement,) = finding.judgements
    assert judgement.chain is not None
    net.judgements = [replace(judgement, chain=judgement.chain._replace(renewed=True))]
    found = replace(finding, judgements=tuple(net.judgements))
    (fixed,) = attach([found], {FILE: net.text}, FixOptions(), lambda _: ())
    assert fixed.fix is None
    assert "it lies in a residual branch, whose scale is part of a recipe" in str(fixed.help)


def test_an_explicit_choice_is_overridden_only_by_an_unsafe_fix() -> None:
    default, explicit = explicit_and_default().attached()
    assert default.fix is not None
    assert explicit.fix is not None
    assert (default.fix.applicability, default.fix.title) == ("safe", "Initialize a with kaiming_uniform_")
    assert (explicit.fix.applicability, explicit.fix.title) == ("unsafe", "Initialize a and b with kaiming_uniform_")


def test_the_rest_of_a_chain_counts_in_the_signal_after_a_partial_fix() -> None:
    net = explicit_and_default()
    net.layer("nn.Linear(8, 8)", "self.a", None)  # a head, so that b is none
    net.judgements[1] = replace(
        net.judgements[1],
        layer=replace(net.judgements[1].layer, weight=replace(net.judgements[1].layer.weight, gain=0.2)),
    )
    fix = net.attached()[0].fix
    assert fix is not None
    assert fix.applicability == "unsafe"
    assert fix.title == "Initialize a and b with kaiming_uniform_"


def test_biases_are_zeroed_on_request() -> None:
    zeros = FixOptions(bias="zeros")
    assert added(one_layer(bias=DEFAULT), zeros)[1:] == ["nn.init.zeros_(self.fc.bias)"]
    assert len(added(one_layer(bias=None), zeros)) == 1
    assert len(added(one_layer(bias=Initializer("explicit", "zeros_", std=0.0)), zeros)) == 1
    assert len(added(one_layer(bias=DEFAULT))) == 1


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
    net = explicit_and_default()
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


def test_parts_of_a_chain_that_is_not_written_as_a_whole_are_made_together_or_not_at_all() -> None:
    net = Net(
        network(
            "self.a = nn.Linear(8, 8)",
            "self.b = nn.Linear(8, 9)",
            "layers = [nn.Linear(9, 7), nn.ReLU(), nn.Linear(7, 7)]",
            "layers.reverse()",
            "self.net = nn.Sequential(*layers)",
        )
    )
    net.layer("nn.Linear(8, 8)", "self.a")
    net.layer("nn.Linear(8, 9)", "self.b")
    net.layer("nn.Linear(9, 7)", "self.net[0]")
    head = net.layer("nn.Linear(7, 7)", "self.net[2]", None)
    first, second, unnamed = net.findings()
    misfit = replace(first, code="INI107", layer="Net.net.2", judgements=(head,))

    def planned(both: tuple[Finding, ...]) -> FixedTexts:
        def rescan(texts: Mapping[str, str]) -> tuple[Finding, ...]:
            if "(self.a, self.b)" in texts[FILE]:
                return both
            return *(
                one for one in (first, second) if f"{one.judgements[0].layer.access}.w" not in texts[FILE]
            ), unnamed

        return plan(net.findings(), {FILE: net.text}, FixOptions(), rescan, unsafe=True, judgements=net.judgements)

    assert planned((unnamed,)).fixed == (first, second)
    left = planned((unnamed, misfit))
    assert left.texts == {}
    reasons = {finding.layer: reason for finding, reason in left.left}
    assert reasons == {
        "Net.a": "the repair would bring INI107 at Net.net.2",
        "Net.b": "the repair would bring INI107 at Net.net.2",
        "Net.net.0": "no expression reaches it without reaching other layers",
    }


def test_a_fix_that_names_what_nothing_binds_is_dropped() -> None:
    net = one_layer()
    verifier = Verifier({FILE: net.text}, net.findings(), lambda _: ())
    call = "        kaiming_normal_(self.fc.weight)\n"
    built = "        self.fc = nn.Linear(8, 8)\n"
    text = net.text.replace(built, built + call)
    assert verifier.objection({FILE: text}, net.findings()) == Refusal("nothing binds the name kaiming_normal_")
    imported = "from torch.nn.init import kaiming_normal_\n" + text
    assert verifier.objection({FILE: imported}, net.findings()) is None
