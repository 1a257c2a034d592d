"""What a layer runs into, on op graphs of the idioms that real code uses."""

from __future__ import annotations

import pytest
import torch

from initlint.analysis import judge, local_factor
from initlint.analysis.followers import find_followers
from initlint.analysis.gates import Gates
from initlint.analysis.wiring import wire
from initlint.knowledge import load_knowledge
from initlint.model import Follower, Initializer, Judgement
from tests.model_builder import DEFAULT, ModelBuilder, plain, xavier

KNOWLEDGE = load_knowledge()


def followers(net: ModelBuilder, layer: int = 0) -> tuple[Follower, ...]:
    wiring = wire(net.build())
    return find_followers(wiring, Gates(wiring, KNOWLEDGE.activations), KNOWLEDGE.parts)[layer]


def only(net: ModelBuilder, layer: int = 0) -> Follower:
    found = followers(net, layer)
    assert len(found) == 1, found
    return found[0]


def verdict(net: ModelBuilder, layer: int = 0) -> Judgement:
    return judge(net.build(), KNOWLEDGE)[layer]


def test_conv_relu() -> None:
    net = ModelBuilder()
    net.output(net.layer(net.block(net.input())))
    found = only(net)
    assert (found.activation, found.normalized, found.adds, found.gated, found.output) == (
        "relu",
        False,
        0,
        False,
        False,
    )
    assert found.site == net.ops[2].site
    assert followers(net, 1) == ()


def test_conv_norm_relu_is_normalized() -> None:
    """D01, D03, D04."""
    net = ModelBuilder()
    tensor = net.op("norm", net.layer(net.input()), name="batch_norm")
    net.output(net.layer(net.act(tensor)))
    assert only(net).normalized
    assert verdict(net).verdict == "exempt"


def test_conv_relu_norm_has_its_scale_erased() -> None:
    """D02."""
    net = ModelBuilder()
    net.output(net.layer(net.op("norm", net.block(net.input()))))
    assert not only(net).normalized
    judged = verdict(net)
    assert (judged.verdict, judged.reason) == ("exempt", "a later normalization erases its scale")


def test_pools_views_and_dropout_are_looked_through() -> None:
    """A05."""
    net = ModelBuilder()
    tensor = net.op("transparent", net.layer(net.input()), name="max_pool2d", factor=1.5)
    net.output(net.layer(net.act(net.op("transparent", tensor, name="flatten"))))
    assert only(net).activation == "relu"


def test_one_activation_reused_is_a_follower_of_each() -> None:
    """A04."""
    net = ModelBuilder()
    tensor = net.block(net.input())
    net.output(net.layer(net.block(tensor)))
    assert [len(followers(net, layer)) for layer in (0, 1)] == [1, 1]


def test_two_activations_of_one_layer() -> None:
    """A14: a mismatch only where no follower is content."""
    net = ModelBuilder()
    tensor = net.layer(net.input(), xavier())
    net.output(net.layer(net.act(tensor, "relu")), net.layer(net.act(tensor, "tanh")))
    assert {found.activation for found in followers(net)} == {"relu", "tanh"}
    assert verdict(net).verdict == "match"


def test_a_layer_used_twice_has_the_followers_of_both_uses() -> None:
    net = ModelBuilder()
    entering = net.input()
    first = net.act(net.layer(entering), "relu")
    second = net.act(net.again(first, 0), "tanh")
    net.output(second)
    assert {found.activation for found in followers(net)} == {"relu", "tanh"}


def test_residual_sum_then_relu() -> None:
    """D07 without its norm: one sum lies between."""
    net = ModelBuilder()
    trunk = net.input()
    tensor = net.layer(net.block(trunk))
    net.output(net.layer(net.act(net.op("add", tensor, trunk))))
    found = only(net, 1)
    assert (found.residual, found.adds) == (True, 1)


def _sum_of_two(init: Initializer, other: Initializer, act: str = "relu") -> ModelBuilder:
    """What PyG's SAGEConv and a recurrent cell by hand do: two layers, each with an input of its own, and their sum."""
    net = ModelBuilder()
    total = net.op("add", net.layer(net.input(), init), net.layer(net.input(), other))
    net.output(net.layer(net.act(total, act)))
    return net


def test_the_variances_of_a_sum_add() -> None:
    net = _sum_of_two(DEFAULT, DEFAULT)
    assert verdict(net).followers[0].summed == pytest.approx(2**0.5)
    judged = verdict(net)
    assert (judged.verdict, judged.ideal) == ("mismatch", pytest.approx(1.0))
    factor = local_factor(judged, KNOWLEDGE.activations)
    assert factor is not None
    torch.manual_seed(0)
    inputs = torch.randn(2, 256, 512)
    weights = [torch.nn.Linear(512, 512, bias=False).weight for _ in inputs]
    measured = torch.relu(sum(each @ weight.T for each, weight in zip(inputs, weights, strict=True)))
    assert measured.square().mean().sqrt().item() == pytest.approx(factor, rel=0.05)


@pytest.mark.parametrize(
    ("init", "other", "said"),
    [
        (xavier(), xavier(), "exempt"),
        (xavier(2**0.5), xavier(2**0.5), "match"),
        (DEFAULT, xavier(2**0.5), "exempt"),
        (DEFAULT, xavier(0.1), "mismatch"),
        (xavier(16.0), DEFAULT, "mismatch"),
    ],
)
def test_a_layer_of_a_sum_is_wrong_only_where_the_sum_is(init: Initializer, other: Initializer, said: str) -> None:
    assert verdict(_sum_of_two(init, other)).verdict == said


def test_beside_a_term_that_is_not_known_only_too_much_is_certain() -> None:
    def net(init: Initializer) -> ModelBuilder:
        built = ModelBuilder()
        total = built.op("add", built.layer(built.input(), init), built.op("opaque", built.input()))
        built.output(built.layer(built.act(total)))
        return built

    assert verdict(net(DEFAULT)).followers[0].summed is None
    assert verdict(net(DEFAULT)).verdict == "exempt"
    judged = verdict(net(xavier(16.0)))
    assert (judged.verdict, judged.ideal) == ("mismatch", None)


def test_beyond_one_sum_nothing_is_followed() -> None:
    net = ModelBuilder()
    trunk = net.input()
    tensor = net.layer(trunk)
    tensor = net.op("add", net.op("add", tensor, trunk), net.op("opaque", trunk))
    net.output(net.layer(net.act(tensor)))
    assert followers(net) == ()


def test_concat_is_looked_through() -> None:
    """D08."""
    net = ModelBuilder()
    entering = net.input()
    left, right = net.layer(entering), net.layer(entering)
    net.output(net.layer(net.act(net.op("concat", left, right))))
    assert only(net).activation == only(net, 1).activation == "relu"


def test_a_sigmoid_that_multiplies_is_a_gate() -> None:
    """D10: a * sigmoid(b), split from one projection; also through 1 - z."""
    net = ModelBuilder()
    projected = net.layer(net.input())
    value = net.op("transparent", projected, name="chunk")
    gate = net.act(net.op("transparent", projected, name="chunk"), "sigmoid")
    net.output(net.layer(net.op("gate", value, net.op("scale", gate, factor=-1.0))))
    assert all(found.gated for found in followers(net))
    judged = verdict(net)
    assert (judged.verdict, judged.reason) == ("exempt", "it is part of a gate")


def test_an_activation_of_a_part_does_not_judge_the_whole() -> None:
    """D21: of what one layer makes, a half is rectified."""
    net = ModelBuilder()
    projected = net.layer(net.input())
    rectified = net.act(net.op("transparent", projected, name="chunk"))
    plain_part = net.layer(net.op("transparent", projected, name="chunk"))
    net.output(net.layer(net.op("concat", rectified, plain_part)))
    assert only(net).part
    judged = verdict(net)
    assert (judged.verdict, judged.reason) == ("exempt", "its activation meets only a part of its output")


def test_an_activation_of_every_part_is_one_of_the_whole() -> None:
    net = ModelBuilder()
    projected = net.op("transparent", net.layer(net.input()), name="view")
    parts = [net.act(net.op("transparent", projected, name="getitem")) for _ in range(2)]
    net.op("transparent", projected, name="getitem")
    net.output(net.layer(net.op("concat", *parts)))
    assert not only(net).part
    assert verdict(net).verdict == "mismatch"


def test_what_comes_to_nothing_consumes_nothing() -> None:
    """The mean of a feature is read off; a normalization of the feature still erases its scale."""
    net = ModelBuilder()
    feature = net.block(net.input())
    net.op("transparent", net.op("transparent", feature, name="mean"), name="sqrt")
    net.output(net.layer(net.op("norm", feature)))
    assert verdict(net).reason == "a later normalization erases its scale"


def test_what_nobody_consumes_is_still_consumed() -> None:
    net = ModelBuilder()
    made = net.layer(net.input())
    net.op("transparent", net.act(made), name="flatten")
    assert only(net).activation == "relu"


def test_of_many_summands_one_meets_the_activation_and_all_of_them_decide() -> None:
    """However they are nested, it is the one that is added last."""
    net = ModelBuilder()
    entering = net.input()
    total = net.layer(entering)
    for _ in range(3):
        total = net.op("transparent", net.op("add", total, net.layer(entering)), name="dropout")
    net.output(net.layer(net.act(total)))
    assert [len(followers(net, layer)) for layer in range(4)] == [0, 0, 0, 1]
    judged = verdict(net, 3)
    assert judged.followers[0].summed == pytest.approx(2.0)
    assert (judged.verdict, judged.reason) == ("exempt", "what it is added to may make up for it")


def test_swiglu() -> None:
    """D10: down(silu(gate(x)) * up(x))."""
    net = ModelBuilder()
    entering = net.input()
    gate = net.block(entering, act="silu")
    up = net.layer(entering)
    net.output(net.layer(net.op("gate", gate, up)))
    assert only(net).gated
    assert followers(net, 1) == ()
    assert [judged.verdict for judged in judge(net.build(), KNOWLEDGE)] == ["exempt", "exempt", "exempt"]


def test_squeeze_excitation_gates_by_its_sigmoid_only() -> None:
    """D11: what is rescaled is a feature; the first layer of the branch has a plain ReLU."""
    net = ModelBuilder()
    feature = net.block(net.input())
    squeezed = net.op("transparent", feature, name="avg_pool2d")
    gate = net.act(net.layer(net.block(squeezed)), "sigmoid")
    net.output(net.layer(net.op("gate", feature, gate)))
    assert [only(net, layer).gated for layer in (0, 1, 2)] == [False, False, True]
    judgements = judge(net.build(), KNOWLEDGE)
    assert [found.verdict for found in judgements] == ["mismatch", "exempt", "exempt", "exempt"]
    assert judgements[1].reason == "it is part of a gate"


def test_a_layer_that_feeds_more_than_a_gate_is_judged() -> None:
    """As D11, but its hidden layer leaves the model as well; and a gate of something else than it began from."""
    net = ModelBuilder()
    feature = net.input()
    hidden = net.block(feature)
    gate = net.act(net.layer(hidden), "sigmoid")
    net.output(net.layer(net.op("gate", net.input(), gate)))
    assert verdict(net).verdict == "mismatch"


def test_lstm_like_tanh_is_a_gate_although_it_is_used_twice() -> None:
    net = ModelBuilder()
    tensor = net.block(net.input(), act="tanh")
    gated = net.op("gate", tensor, net.input())
    net.output(net.layer(gated), net.layer(tensor))
    assert only(net).gated


def test_a_product_before_the_activation_gates_it() -> None:
    net = ModelBuilder()
    net.output(net.layer(net.act(net.op("gate", net.layer(net.input()), net.input()))))
    assert only(net).gated


def test_attention_is_not_followed() -> None:
    """D12: q and k meet in a product of matrices, its result in a softmax."""
    net = ModelBuilder()
    entering = net.input()
    query, key, value = (net.layer(entering) for _ in range(3))
    weights = net.op("softmax", net.op("matmul", query, key))
    net.output(net.layer(net.act(net.op("matmul", weights, value))))
    assert [followers(net, layer) for layer in (0, 1, 2)] == [(), (), ()]


def test_output_activations() -> None:
    """D13: the result leaves the model; Xavier is content with a sigmoid there, default is a mismatch at info."""
    net = ModelBuilder()
    net.output(net.op("transparent", net.block(net.block(net.input()), act="sigmoid")))
    assert only(net, 1).output
    assert not only(net, 0).output
    judged = verdict(net, 1)
    assert (judged.verdict, judged.ideal, judged.bands) == ("mismatch", 1.0, ((0.8, 1.25),))


def test_a_tanh_output_wants_xavier_with_either_gain() -> None:
    """D15: Kaiming there is reported at info; before a hidden tanh its gain is as good as any."""

    def net(gain: float, *, hidden: bool) -> ModelBuilder:
        built = ModelBuilder()
        tensor = built.block(built.input(), xavier(gain), act="tanh")
        built.output(built.layer(tensor) if hidden else tensor)
        return built

    assert [verdict(net(gain, hidden=True)).verdict for gain in (1.0, 2**0.5, 5 / 3)] == ["match"] * 3
    assert [verdict(net(gain, hidden=False)).verdict for gain in (1.0, 2**0.5, 5 / 3)] == ["match", "mismatch", "match"]


def test_scores_that_a_softmax_makes_weights_of_are_no_features() -> None:
    """Graph attention: softmax(leaky_relu(a @ [h_i, h_j])) multiplies the values."""
    net = ModelBuilder()
    weights = net.op("softmax", net.act(net.layer(net.input()), "leaky_relu"))
    net.output(net.op("gate", weights, net.input()))
    assert only(net).gated
    assert verdict(net).verdict == "exempt"


def _ending(end: str, gain: float = 3**-0.5) -> ModelBuilder:
    net = ModelBuilder()
    tensor = net.op("concat", net.block(net.input(), xavier(gain), act="sigmoid"), net.input())
    if end in ("unknown", "both"):
        net.op("opaque", tensor)
    if end in ("output", "both"):
        net.output(tensor)
    if end == "layer behind the unknown":
        net.output(net.layer(net.op("opaque", tensor)))
    if end == "layer":
        net.output(net.layer(tensor))
    if end == "output and layer":
        net.output(tensor, net.layer(tensor))
    return net


@pytest.mark.parametrize("end", ["unknown", "both", "nothing", "layer behind the unknown", "output and layer"])
def test_what_is_said_holds_for_a_hidden_activation_and_for_an_output_where_that_was_not_seen(end: str) -> None:
    assert only(_ending(end)).output is None
    judged = verdict(_ending(end))
    assert (judged.verdict, judged.ideal) == ("mismatch", 1.0)
    assert [verdict(_ending(end, gain)).verdict for gain in (1.0, 2**0.5, 3.6)] == ["match", "mismatch", "match"]


@pytest.mark.parametrize(("end", "leaves"), [("output", True), ("layer", False)])
def test_what_was_seen_decides_whether_an_activation_is_hidden(end: str, leaves: bool) -> None:
    assert only(_ending(end)).output is leaves


def test_a_conditional_activation_judges_by_all_its_branches() -> None:
    """A13: relu(h) if flag else tanh(h)."""
    net = ModelBuilder()
    tensor = net.layer(net.input(), xavier())
    net.output(net.layer(net.op("join", net.act(tensor), net.act(tensor, "tanh"))))
    assert all(found.alternative for found in followers(net))
    assert verdict(net).verdict == "match"


def test_an_activation_that_may_be_left_out_does_not_judge() -> None:
    """A13: if flag: h = relu(h)."""
    net = ModelBuilder()
    tensor = net.layer(net.input())
    net.output(net.layer(net.op("join", tensor, net.act(tensor))))
    judged = verdict(net)
    assert (judged.verdict, judged.reason) == ("exempt", "its activation may be left out")


def test_what_is_optional_before_the_activation_leaves_it_certain() -> None:
    """if self.training: h = dropout(h), and then a ReLU."""
    net = ModelBuilder()
    tensor = net.layer(net.input())
    either = net.op("join", net.op("transparent", tensor, name="dropout"), tensor)
    net.output(net.layer(net.act(either)))
    assert verdict(net).verdict == "mismatch"


def test_a_conditional_norm_is_taken_to_be_there() -> None:
    """B10: LayerNorm or Identity, it is not known which."""
    net = ModelBuilder()
    tensor = net.layer(net.input())
    either = net.op("join", net.op("norm", tensor), tensor)
    net.output(net.layer(net.act(either)))
    judged = verdict(net)
    assert (judged.verdict, judged.reason) == ("exempt", "a normalization follows")


def test_scalars_belong_to_the_gain() -> None:
    """A09: a pre-activation that is multiplied by 3 wants a third of the gain."""
    net = ModelBuilder()
    net.output(net.layer(net.act(net.op("scale", net.layer(net.input()), factor=3.0))))
    assert only(net).scaled == 3.0
    judged = verdict(net)
    assert judged.verdict == "match"
    assert judged.ideal is not None
    assert abs(judged.ideal - 2**0.5 / 3) < 1e-9


def test_an_unknown_scale_judges_nobody() -> None:
    """A learned scale per channel (LayerScale)."""
    net = ModelBuilder()
    net.output(net.layer(net.act(net.op("scale", net.layer(net.input())))))
    assert only(net).scaled is None
    judged = verdict(net)
    assert (judged.verdict, judged.reason) == ("exempt", "its output is rescaled first")


def test_opaque_ends_the_search() -> None:
    net = ModelBuilder()
    net.output(net.layer(net.act(net.op("opaque", net.layer(net.input())))))
    assert followers(net) == ()


def test_equal_followers_are_one() -> None:
    """A dense block: every later norm and ReLU meets the same output."""
    net = ModelBuilder()
    features = [net.layer(net.input())]
    for _ in range(12):
        features.append(net.layer(net.act(net.op("norm", net.op("concat", *features)))))
    net.output(net.op("concat", *features))
    assert len(followers(net)) == 1


def test_leaky_slopes_move_the_band() -> None:
    net = ModelBuilder()
    steep = net.act(net.layer(net.input(), xavier(1.0)), "leaky_relu", negative_slope=1.0)
    net.output(net.layer(steep))
    judged = verdict(net)
    assert (judged.verdict, judged.ideal) == ("match", 1.0)


def test_a_threshold_elsewhere_than_zero_judges_nobody() -> None:
    net = ModelBuilder()
    net.output(net.layer(net.act(net.layer(net.input()), "threshold", threshold=0.5, value=0.0)))
    assert verdict(net).verdict == "exempt"


def test_activations_that_never_judge() -> None:
    for activation in ("sin", "softmax", "glu", "tanhshrink", "identity"):
        assert judge(plain(3, act=activation), KNOWLEDGE)[0].verdict == "exempt", activation


def test_a_layer_that_is_never_applied_is_unknown() -> None:
    net = ModelBuilder()
    net.output(net.layer(net.block(net.input())))
    unused = ModelBuilder()
    unused.layer(unused.input())
    model = net.build()
    orphan = unused.layers[0].__class__(
        id=9, kind="Linear", owner="Net", path="x", site=net.layers[0].site, weight=DEFAULT
    )
    judged = judge(model.__class__(model.name, (*model.layers, orphan), model.ops), KNOWLEDGE)[-1]
    assert (judged.verdict, judged.reason) == ("unknown", "where it is applied was not seen")


def test_default_init_is_named_by_its_nominal_gain() -> None:
    init = Initializer("explicit", "kaiming_normal_", (("mode", "fan_out"),), gain=2**0.5, effective_gain=0.177)
    assert judge(plain(3, init), KNOWLEDGE)[0].verdict == "match"
