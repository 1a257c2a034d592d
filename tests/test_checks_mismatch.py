"""INI101 to INI108: which rule speaks of which mismatch, where, how loudly, and in which words."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from initlint.analysis import judge, merge
from initlint.checks import CHECKS, run, wording
from initlint.checks.wording import name_layers, number
from initlint.knowledge import load_knowledge
from initlint.model import Finding, Initializer, Model, Severity
from tests.model_builder import DEFAULT, WIDTH, ModelBuilder, kaiming, normal, plain, site, xavier

KNOWLEDGE = load_knowledge()
JUDGING = sorted(name for name, activation in KNOWLEDGE.activations.items() if not activation.exempt)


def found(*models: Model | ModelBuilder) -> tuple[Finding, ...]:
    built = [model.build() if isinstance(model, ModelBuilder) else model for model in models]
    return run(merge(judgement for model in built for judgement in judge(model, KNOWLEDGE)), built, KNOWLEDGE)


def codes(*models: Model | ModelBuilder) -> set[str]:
    return {finding.code for finding in found(*models)}


def by_hand(gain: float) -> Initializer:
    """A formula written out: normal_ with a std that follows the width."""
    return Initializer(
        "explicit", "normal_", (("mean", 0.0),), gain, gain, gain / math.sqrt(WIDTH), 0.0, site(90), editable=False
    )


SILENT = {
    "kaiming before relu": plain(9, kaiming()),
    "kaiming with fan_out before relu": plain(9, kaiming(mode="fan_out", nonlinearity="relu")),
    "xavier with the gain of relu": plain(9, xavier(math.sqrt(2))),
    "kaiming before gelu": plain(9, kaiming(), "gelu"),
    "kaiming before leaky_relu": plain(9, kaiming(), "leaky_relu"),
    "kaiming before tanh": plain(9, kaiming(), "tanh"),
    "xavier before tanh": plain(9, xavier(), "tanh"),
    "xavier with tanh's gain": plain(9, xavier(5 / 3), "tanh"),
    "orthogonal before tanh": plain(5, by_hand(1.0), "tanh"),
    "xavier before one sigmoid": plain(3, xavier(), "sigmoid"),
    "xavier with gain 3.6 before sigmoids": plain(9, xavier(3.6), "sigmoid"),
    "lecun normal before selu": plain(9, by_hand(1.0), "selu"),
    "torch's gain for selu": plain(9, kaiming(0.75, nonlinearity="selu"), "selu"),
    "he by hand": plain(9, by_hand(math.sqrt(2))),
    "std 0.02 where the chain is short": plain(3, normal(0.02)),
    "std 0.02 where it fits the width": plain(9, normal(0.02, fan_in=4096)),
    "std 0.02 of unknown width": plain(9, normal(0.02, fan_in=None)),
    "std 1: another rule's": plain(9, normal(1.0)),
    "the mean in place of the std: another rule's": plain(9, normal(1.0, mean=0.02)),
}


@pytest.mark.parametrize("case", SILENT)
def test_silence(case: str) -> None:
    assert found(SILENT[case]) == ()


NOISY = {
    "default before relu": ("INI101", plain(9)),
    "default before gelu": ("INI101", plain(9, act="gelu")),
    "default before elu": ("INI101", plain(4, act="elu")),
    "default before tanh": ("INI102", plain(4, act="tanh")),
    "default before sigmoid": ("INI102", plain(4, act="sigmoid")),
    "kaiming before sigmoid": ("INI103", plain(4, kaiming(), "sigmoid")),
    "he by hand before sigmoid": ("INI103", plain(4, by_hand(math.sqrt(2)), "sigmoid")),
    "xavier before relu": ("INI104", plain(4, xavier())),
    "orthogonal before gelu": ("INI104", plain(4, by_hand(1.0), "gelu")),
    "default copied from torch": ("INI105", plain(4, kaiming(1 / math.sqrt(3), a=math.sqrt(5)))),
    "kaiming for a linear layer before relu": ("INI105", plain(4, kaiming(1.0, nonlinearity="linear"))),
    "xavier with a tiny gain": ("INI105", plain(4, xavier(0.1))),
    "xavier with a huge gain before tanh": ("INI105", plain(4, xavier(4.0), "tanh")),
    "xavier in a chain of sigmoids": ("INI105", plain(6, xavier(), "sigmoid")),
    "kaiming before selu": ("INI106", plain(4, kaiming(), "selu")),
    "default before selu": ("INI106", plain(4, act="selu")),
    "std 0.02 in a deep narrow net": ("INI107", plain(6, normal(0.02))),
    "std 0.5 in a net": ("INI107", plain(5, normal(0.5))),
}


@pytest.mark.parametrize("case", NOISY)
def test_which_rule_speaks(case: str) -> None:
    code, model = NOISY[case]
    assert codes(model) == {code}


@given(
    activation=st.sampled_from(JUDGING),
    gain=st.floats(0.05, 20.0),
    kind=st.sampled_from(["default", "kaiming", "xavier", "by hand"]),
)
def test_every_mismatch_of_a_promised_gain_belongs_to_exactly_one_rule(activation: str, gain: float, kind: str) -> None:
    init = {"default": DEFAULT, "kaiming": kaiming(gain), "xavier": xavier(gain), "by hand": by_hand(gain)}[kind]
    model = plain(4, init, activation)
    mismatched = {judgement.layer.id for judgement in judge(model, KNOWLEDGE) if judgement.verdict == "mismatch"}
    reported = [judgement.layer.id for finding in found(model) for judgement in finding.judgements]
    assert sorted(reported) == sorted(mismatched)


def test_default_is_reported_where_the_layer_is_built() -> None:
    finding = found(plain(4))[0]
    assert finding.site == site(10)
    assert [related.message for related in finding.related] == ["relu follows here"]
    assert (finding.layer, finding.activation, finding.init) == ("Net.fc0", "relu", "default")
    assert finding.gain == pytest.approx(0.5774, abs=1e-4)
    assert finding.ideal_gain == pytest.approx(math.sqrt(2))
    assert (finding.chain_length, finding.chain_signal) == (4, pytest.approx(1 / 6))


def test_an_explicit_call_is_reported_once_for_all_it_reaches() -> None:
    (finding,) = found(plain(6, xavier()))
    assert finding.site == site(90)
    assert len(finding.judgements) == 5
    assert [related.message for related in finding.related] == ["`Net.fc0` is built here", "relu follows here"]
    assert finding.init == "xavier_uniform_()"


def test_layers_of_one_construction_are_one_finding() -> None:
    net = ModelBuilder()
    tensor = net.input()
    for index in range(8):
        tensor = net.block(tensor, path=f"layers.{index}", line=12)
    net.output(net.layer(tensor))
    (finding,) = found(net)
    assert finding.layer == "Net.layers.0..7"
    assert finding.severity is Severity.WARNING
    assert len(finding.judgements) == 8


def test_the_costliest_of_one_place_speaks() -> None:
    def net(depth: int, name: str) -> ModelBuilder:
        built = ModelBuilder(name)
        tensor = built.block(built.input(), path="stem", line=12)
        for _ in range(depth - 2):
            tensor = built.block(tensor, kaiming())
        built.output(built.layer(tensor, kaiming()))
        return built

    shallow, deep = net(3, "Small"), net(9, "Large")
    (finding,) = found(shallow, deep)
    assert finding.layer == "Large.stem and 1 more"
    assert finding.chain_length == 9


def test_the_message_states_the_measure() -> None:
    assert found(plain(9))[0].message == (
        "`Net.fc0` keeps torch's default init (gain 0.58) before relu (wants 1.41),"
        " which scales the signal by 0.41 here and by 0.0019 over this 9-layer chain"
    )
    assert found(plain(4, xavier()))[0].message == (
        "`Net.fc0..2` are initialized by xavier_uniform_ (gain 1.00) before relu (wants 1.41),"
        " which scales the signal by 0.71 here and by 0.50 over this 4-layer chain"
    )
    assert found(plain(6, normal(0.02)))[0].message == (
        "`Net.fc0..4` are drawn with std 0.020 whatever the width (gain 0.23) before relu (wants 1.41),"
        " which scales the signal by 0.16 here and by 0.00066 over this 6-layer chain"
    )


def test_help_says_what_to_write() -> None:
    def advice(model: Model) -> str:
        return found(model)[0].help or ""

    assert advice(plain(3)) == "write `nn.init.kaiming_normal_(self.fc0.weight, nonlinearity='relu')`"
    assert advice(plain(3, act="leaky_relu")) == (
        "write `nn.init.kaiming_normal_(self.fc0.weight, a=0.01, nonlinearity='leaky_relu')`"
    )
    assert advice(plain(3, act="tanh")) == (
        "write `nn.init.xavier_uniform_(self.fc0.weight, gain=nn.init.calculate_gain('tanh'))`"
    )
    assert advice(plain(3, act="selu")) == "write `nn.init.kaiming_normal_(self.fc0.weight, nonlinearity='linear')`"
    assert "or use tanh or ReLU" in advice(plain(3, act="sigmoid"))
    assert "for each of them" in advice(plain(4, xavier()))


def test_help_says_when_the_learning_rate_has_to_follow() -> None:
    assert "learning rate" not in (found(plain(4))[0].help or "")
    assert (found(plain(9))[0].help or "").endswith(
        "re-tune the learning rate: the gradient of the first layers changes 530-fold"
    )


@pytest.mark.parametrize(
    ("now", "then", "told"),
    [(0.1, 1.0, False), (0.099, 1.0, True), (10.0, 1.0, False), (10.1, 1.0, True), (None, 1.0, False)],
)
def test_the_learning_rate_follows_where_the_gradient_moves_more_than_tenfold(
    now: float | None, then: float, *, told: bool
) -> None:
    judgement = next(one for one in judge(plain(4), KNOWLEDGE) if one.verdict == "mismatch")
    assert judgement.chain is not None
    moved = replace(judgement, chain=judgement.chain._replace(signal=now, fixed_signal=then))
    assert ("re-tune the learning rate" in (wording.advice([moved], KNOWLEDGE) or "")) is told
    residual = replace(judgement, chain=judgement.chain._replace(signal=now, fixed_signal=then, residual=True))
    assert "learning rate" not in (wording.advice([residual], KNOWLEDGE) or "")


def test_no_factor_is_told_for_the_gradient_of_layers_that_one_chain_applies_twice() -> None:
    judgement = next(one for one in judge(plain(9), KNOWLEDGE) if one.verdict == "mismatch")
    assert judgement.chain is not None
    again = replace(judgement, chain=judgement.chain._replace(layers=judgement.chain.layers * 2))
    assert "-fold" in (wording.advice([judgement], KNOWLEDGE) or "")
    assert (wording.advice([again], KNOWLEDGE) or "").endswith(", and re-tune the learning rate")


def test_what_no_expression_names_is_called_a_layer() -> None:
    net = ModelBuilder()
    net.output(net.layer(net.block(net.input())))
    net.layers[0] = replace(net.layers[0], owner="", path="0", access=None)
    (finding,) = found(net)
    assert finding.help == "write `nn.init.kaiming_normal_(layer.weight, nonlinearity='relu')`"


@pytest.mark.parametrize(
    ("path", "holder", "name"),
    [
        ("0", "Sequential", "Sequential[0]"),
        ("head.2", "ModuleDict", "ModuleDict.head[2]"),
        ("", "Linear", "Linear"),
        ("", "", "Linear"),
    ],
)
def test_what_no_expression_names_is_told_by_the_class_that_holds_it(path: str, holder: str, name: str) -> None:
    net = ModelBuilder()
    net.output(net.layer(net.block(net.input())))
    net.layers[0] = replace(net.layers[0], owner="", path=path, access=None, holder=holder)
    (finding,) = found(net)
    assert finding.message.startswith(f"`{name}` keeps torch's default init")


def test_before_an_output_sigmoid_plain_xavier_is_advised_at_info() -> None:
    net = ModelBuilder()
    net.output(net.block(net.block(net.input(), kaiming()), act="sigmoid"))
    (finding,) = found(net)
    assert (finding.code, finding.severity) == ("INI102", Severity.INFO)
    assert finding.help == "write `nn.init.xavier_uniform_(self.fc1.weight)`"


def test_before_an_output_tanh_the_gain_that_is_named_is_the_one_that_is_written() -> None:
    net = ModelBuilder()
    net.output(net.block(net.block(net.input(), xavier(5 / 3), act="tanh"), act="tanh"))
    (finding,) = found(net)
    assert (finding.code, finding.severity) == ("INI102", Severity.INFO)
    assert "before tanh (wants 1.00)" in finding.message
    assert finding.help == "write `nn.init.xavier_uniform_(self.fc1.weight)`"


def test_a_matrix_that_is_multiplied_from_the_left_is_to_be_scaled_by_what_torch_takes_for_its_outputs() -> None:
    net = ModelBuilder()
    net.output(net.layer(net.act(net.layer(net.input(), xavier(), kind="Parameter", transposed=True))))
    assert (found(net)[0].help or "").startswith("write `nn.init.kaiming_normal_(self.fc0, mode='fan_out',")


def test_what_the_widths_make_of_a_gain_is_quoted_beside_it() -> None:
    net = ModelBuilder()
    widening = replace(xavier(), effective_gain=0.63)
    net.output(net.layer(net.act(net.layer(net.input(), widening))))
    (finding,) = found(net)
    assert finding.message == (
        "`Net.fc0` is initialized by xavier_uniform_ (gain 1.00, in effect 0.63) before relu (wants 1.41),"
        " which scales the signal by 0.45 here"
    )


def test_xavier_is_no_mismatch_where_the_widths_make_the_wanted_gain_of_it() -> None:
    net = ModelBuilder()
    net.output(net.layer(net.act(net.layer(net.input(), replace(xavier(), effective_gain=1.39)))))
    assert not found(net)


def test_transposed_convolutions_get_no_call_that_torch_would_scale_wrongly() -> None:
    net = ModelBuilder()
    tensor = net.act(net.layer(net.input(), kind="ConvTranspose2d", transposed=True))
    net.output(net.layer(tensor))
    assert "nn.init" not in (found(net)[0].help or "")


def test_of_layers_of_one_call_each_is_told_what_holds_for_it() -> None:
    net = ModelBuilder()
    tensor = net.block(net.input(), normal(0.02, 768), kind="ConvTranspose2d", transposed=True)
    tensor = net.block(net.block(tensor, normal(0.02, 32), "gelu"), normal(0.02, 32), "gelu")
    net.output(net.layer(tensor))
    (finding,) = found(net)
    assert finding.message.startswith(
        "`Net.fc0..2` are drawn with std 0.020 whatever the width (gain 0.11 to 0.55) before relu or gelu (wants 1.41),"
        " which scales the signal by 0.057 to 0.39 here and by "
    )
    assert (finding.help or "").startswith(
        "draw it by hand with gain 1.41: torch swaps the fans of transposed convolutions for `Net.fc0`;"
        " write `nn.init.kaiming_normal_(layer.weight, nonlinearity='relu')` for `Net.fc1..2`"
    )


def test_gates_norms_and_loaded_weights_are_silent() -> None:
    net = ModelBuilder()
    entering = net.input()
    gate = net.block(entering, act="sigmoid")
    tensor = net.op("gate", net.layer(entering), gate)
    tensor = net.act(net.op("norm", net.layer(tensor)))
    tensor = net.block(tensor, Initializer("loaded"))
    net.output(net.layer(tensor))
    assert found(net) == ()


def _residual(blocks: int, init: Initializer, last: Initializer | None = None) -> ModelBuilder:
    net = ModelBuilder()
    tensor = net.input()
    for index in range(blocks):
        hidden = net.block(tensor, init, path=f"blocks.{index}.fc1", line=12)
        tensor = net.op("add", tensor, net.layer(hidden, last or init, path=f"blocks.{index}.fc2", line=13))
    net.output(net.layer(tensor))
    return net


def test_rectifier_gain_in_residual_branches() -> None:
    (finding,) = found(_residual(4, kaiming()))
    assert (finding.code, finding.severity, finding.site) == ("INI108", Severity.INFO, site(90))
    # Each branch adds 2 (1/2) 2 = 2 to a variance of 1: sqrt(3)^4.
    assert finding.chain_signal == pytest.approx(9.0)
    assert finding.message == (
        "`Net.blocks.0.fc1` and 7 more have gain 1.41 inside un-normalised residual branches,"
        " which scales the signal by 9.0 over these 8 layers"
    )


@pytest.mark.parametrize(
    "net",
    [_residual(3, kaiming()), _residual(12, DEFAULT), _residual(12, kaiming(), kaiming(0.1)), plain(12, kaiming())],
    ids=["few blocks", "torch's default", "the last layer scaled down", "no residual"],
)
def test_residual_overscale_is_silent(net: ModelBuilder | Model) -> None:
    assert "INI108" not in codes(net)


@pytest.mark.parametrize("case", NOISY)
def test_messages_are_one_lower_case_clause(case: str) -> None:
    for finding in found(NOISY[case][1]):
        for text in (finding.message, finding.help or "", *(related.message for related in finding.related)):
            assert not text.endswith(".")
            assert text[0] in "`abcdefghijklmnopqrstuvwxyz"
            assert "  " not in text
        assert re.search(r"\bwill (not )?(train|vanish|explode|die)", finding.message) is None


def test_findings_come_in_the_order_of_the_text() -> None:
    places = [finding.site for finding in found(plain(6), plain(4, xavier()))]
    assert places == sorted(places)


def test_checks_stand_in_order_and_are_named_as_their_files() -> None:
    assert [check.code for check in CHECKS] == sorted(check.code for check in CHECKS)
    assert len({check.name for check in CHECKS}) == len(CHECKS)
    for check in CHECKS:
        module = __import__(f"initlint.checks.{check.name.replace('-', '_')}", fromlist=["CHECK"])
        assert module.CHECK is check


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.408, "0.41"), (0.00189, "0.0019"), (1.4142, "1.4"), (9.0, "9.0"), (81.0, "81"), (529.2, "530"),
     (1512.0, "1500"), (2.5e-8, "2.5e-08"), (1.2e7, "1.2e+07"), (0.0, "0.0"), (0.5, "0.50")],
)  # fmt: skip
def test_numbers_have_two_digits(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("paths", "name"),
    [
        (["conv1"], "`Net.conv1`"),
        (["layers.0", "layers.1", "layers.2"], "`Net.layers.0..2`"),
        (["net.0", "net.2", "net.10"], "`Net.net.0..10`"),
        (["blocks.0.fc.1", "blocks.1.fc.1"], "`Net.blocks.0..1.fc.1`"),
        (["a", "b", "c"], "`Net.a` and 2 more"),
        (["blocks.0.a", "blocks.1.b"], "`Net.blocks.0.a` and 1 more"),
        (["x", "x"], "`Net.x`"),
    ],
)
def test_names_of_several_layers(paths: list[str], name: str) -> None:
    net = ModelBuilder()
    tensor = net.input()
    for path in paths:
        tensor = net.layer(tensor, path=path)
    assert name_layers(net.layers) == name
