"""Which layers form one un-normalised path, and which are excused by where they lie."""

from __future__ import annotations

import math
import time

import pytest

from initlint.analysis import judge, merge, severity_of
from initlint.knowledge import load_knowledge
from initlint.model import Chain, Initializer, Judgement, Severity
from tests.model_builder import DEFAULT, LOADED, UNKNOWN, ZERO, ModelBuilder, kaiming, normal, plain, xavier

KNOWLEDGE = load_knowledge()


def judged(net: ModelBuilder) -> tuple[Judgement, ...]:
    return judge(net.build(), KNOWLEDGE)


def chain(net: ModelBuilder, layer: int = 0) -> Chain:
    found = judged(net)[layer].chain
    assert found is not None
    return found


def test_a_plain_net_is_one_chain() -> None:
    judgements = judge(plain(9), KNOWLEDGE)
    chains = [judgement.chain for judgement in judgements]
    assert {found.layers for found in chains if found} == {tuple(range(9))}
    assert [found.position for found in chains if found] == list(range(1, 10))
    assert {found.signal for found in chains if found} == {chains[0].signal if chains[0] else None}
    assert chains[0] is not None
    assert chains[0].signal == pytest.approx(6**-3.5)
    assert judgements[-1].verdict == "exempt"


def test_the_head_is_not_counted() -> None:
    net = ModelBuilder()
    net.output(net.layer(net.block(net.block(net.input())), normal(50.0)))
    assert chain(net).length == 3
    assert chain(net).signal == pytest.approx(1 / math.sqrt(6))


def test_a_head_is_one_whether_its_output_is_kept_or_dropped() -> None:
    """A test that calls a model and looks at nothing, or a loss that is made of it, says no more of the model."""
    dropped, lost = ModelBuilder(), ModelBuilder()
    dropped.layer(dropped.block(dropped.block(dropped.input())))
    lost.op("opaque", lost.layer(lost.block(lost.block(lost.input()))))
    assert [chain(net).signal for net in (dropped, lost)] == pytest.approx([1 / math.sqrt(6)] * 2)


def test_a_norm_ends_a_path() -> None:
    net = ModelBuilder()
    tensor = net.block(net.block(net.input()))
    tensor = net.op("norm", tensor)
    tensor = net.block(net.block(net.block(tensor)))
    net.output(net.layer(tensor))
    assert [judgement.chain.layers for judgement in judged(net) if judgement.chain] == [(0, 1)] * 2 + [(2, 3, 4, 5)] * 4
    assert [judgement.verdict for judgement in judged(net)] == ["exempt"] * 2 + ["mismatch"] * 3 + ["exempt"]


def test_two_heads_share_one_trunk() -> None:
    """D17: the trunk lies on the longer way, each head is measured from the trunk."""
    net = ModelBuilder()
    trunk = net.block(net.block(net.input()))
    short = net.layer(trunk)
    long = net.layer(net.block(trunk))
    net.output(short, long)
    chains = [judgement.chain.layers for judgement in judged(net) if judgement.chain]
    assert chains == [(0, 1, 3, 4), (0, 1, 3, 4), (0, 1, 2), (0, 1, 3, 4), (0, 1, 3, 4)]


def test_nerf_restarts_where_the_input_is_concatenated() -> None:
    """B04: eight layers, the input again after the fifth: the longest stretch has J of about 0.03."""
    net = ModelBuilder()
    entering = tensor = net.input()
    for index in range(8):
        tensor = net.block(tensor)
        if index == 4:
            tensor = net.op("concat", entering, tensor)
    net.output(net.layer(tensor))
    first = chain(net)
    assert first.layers == (0, 1, 2, 3, 4)
    assert first.signal == pytest.approx(1 / 36)
    assert chain(net, 5).layers == (5, 6, 7, 8)
    assert severity_of(judged(net)[0]) is Severity.WARNING
    assert severity_of(judged(net)[5]) is Severity.INFO


def test_a_concat_goes_on_with_the_stronger_operand() -> None:
    """D08: a skip around decayed layers carries the signal past them."""
    net = ModelBuilder()
    early = net.block(net.input())
    deep = early
    for _ in range(5):
        deep = net.block(deep)
    net.output(net.layer(net.op("concat", early, deep)))
    assert chain(net, 6).layers == (0, 6)
    assert chain(net, 3).layers == (0, 1, 2, 3, 4, 5)


def test_unnormalised_residual_branches_are_excused() -> None:
    """D05: x + fc2(relu(fc1(x))) with torch's default."""
    net = ModelBuilder()
    tensor = net.input()
    for _ in range(6):
        tensor = net.op("add", tensor, net.layer(net.block(tensor)))
    net.output(net.layer(tensor))
    found = chain(net)
    assert found.residual
    assert found.length == 12
    # Each block multiplies the variance by 1 + (1/3)(1/2)(1/3).
    assert found.signal == pytest.approx((1 + 1 / 18) ** 3)
    assert {judgement.verdict for judgement in judged(net)} == {"exempt"}
    assert judged(net)[0].reason == "it lies in a residual branch, where small is harmless"


def test_residual_branches_of_rectifier_gain_grow() -> None:
    """h + relu(Wh): the variance doubles with every block."""
    net = ModelBuilder()
    tensor = net.input()
    for _ in range(8):
        tensor = net.op("add", tensor, net.block(tensor, kaiming()))
    net.output(net.layer(tensor))
    assert chain(net).signal == pytest.approx(16.0)
    assert judged(net)[0].verdict == "match"


@pytest.mark.parametrize("begins", ["norm", "matmul", "concat", "opaque"])
@pytest.mark.parametrize("summed", [False, True])
@pytest.mark.parametrize("scaled", [False, True])
def test_a_branch_whose_path_begins_later_than_what_it_is_added_to_is_renewed(
    begins: str, *, summed: bool, scaled: bool
) -> None:
    """``x + ff(norm(x))``; also where x is itself a sum, written twice, and where it is scaled first."""
    net = ModelBuilder()
    entering = net.layer(net.input())
    beside = net.layer(net.input())
    trunk, again = (net.op("add", entering, beside) for _ in range(2)) if summed else (entering, entering)
    source = net.op(begins, again, net.op("norm", net.input()))
    trunk = net.op("scale", trunk, factor=2.0) if scaled else trunk
    net.output(net.op("add", trunk, net.layer(net.block(source))))
    chains = [found.chain for found in judged(net)]
    assert [chain.renewed for chain in chains if chain] == [False, False, True, True]


@pytest.mark.parametrize("ends", ["matmul", "opaque"])
@pytest.mark.parametrize("begins", ["norm", "transparent"])
def test_a_branch_whose_path_ends_before_the_sum_is_renewed(begins: str, ends: str) -> None:
    """``x + A @ ff(x)``: what a product or an unknown call makes of a branch is still added to where that began."""
    net = ModelBuilder()
    trunk = net.input()
    mixed = net.op(ends, net.layer(net.block(net.op(begins, trunk))), net.input())
    net.output(net.layer(net.op("add", trunk, net.op(ends, mixed))))
    chains = [found.chain for found in judged(net)]
    assert [chain.renewed for chain in chains if chain] == [True, True, False]


def test_small_is_harmless_where_the_trunk_is_added_before_the_activation() -> None:
    net = ModelBuilder()
    trunk = net.layer(net.input(), kaiming())
    summed = net.op("add", trunk, net.layer(net.op("norm", trunk)))
    net.output(net.layer(net.act(summed)))
    assert judged(net)[1].reason == "it lies in a residual branch, where small is harmless"
    net = ModelBuilder()
    trunk = net.layer(net.input(), kaiming())
    net.output(net.op("add", trunk, net.layer(net.block(net.op("norm", trunk)))))
    assert judged(net)[1].verdict == "mismatch"


def test_a_trunk_that_is_summed_many_times_over_takes_no_longer_for_it() -> None:
    """``0.2 * (x + ...) + x`` in blocks in blocks: the ways through such sums double with every one."""
    net = ModelBuilder()
    tensor = net.layer(net.input())
    for _ in range(60):
        tensor = net.op("add", net.op("scale", tensor, factor=0.2), tensor)
    net.output(net.op("add", tensor, net.layer(net.op("norm", tensor))))
    start = time.process_time()
    assert judged(net)
    assert time.process_time() - start < 2.0


def test_towers_that_are_added_up_are_not_renewed() -> None:
    net = ModelBuilder()
    entering = net.layer(net.input())
    towers = [net.layer(net.block(net.op("norm", entering))) for _ in range(2)]
    net.output(net.op("add", *towers))
    assert not any(found.chain.renewed for found in judged(net) if found.chain)


def test_too_large_is_not_excused_in_a_residual_branch() -> None:
    net = ModelBuilder()
    tensor = net.input()
    net.output(net.layer(net.op("add", tensor, net.layer(net.block(tensor, normal(1.0)), normal(1.0)))))
    assert judged(net)[0].verdict == "mismatch"


def test_a_projected_shortcut_is_a_residual_too() -> None:
    """The longer of two ways from one tensor is the branch, the shorter its shortcut."""
    net = ModelBuilder()
    trunk = net.block(net.input())
    branch = net.layer(net.block(trunk))
    shortcut = net.layer(trunk)
    net.output(net.layer(net.act(net.op("add", branch, shortcut))))
    assert [found.chain.residual for found in judged(net) if found.chain] == [False, True, True, False, False]
    assert chain(net).layers == (0, 3, 4)


def test_parallel_branches_of_equal_depth_are_no_residual() -> None:
    """tanh(W x + U h): both layers are judged."""
    net = ModelBuilder()
    summed = net.op("add", net.layer(net.input()), net.layer(net.input()))
    net.output(net.layer(net.act(summed, "tanh")))
    assert [found.verdict for found in judged(net)] == ["mismatch", "mismatch", "exempt"]


def test_layers_of_which_one_is_taken_lie_in_the_residual_together_and_count_once() -> None:
    net = ModelBuilder()
    tensor = net.input()
    trunk = net.act(net.op("join", net.layer(tensor), net.layer(tensor)))
    branch = net.act(net.op("join", net.layer(trunk), net.layer(trunk)))
    net.output(net.layer(net.op("add", trunk, net.layer(branch))))
    chains = [found.chain for found in judged(net)]
    assert [found.residual for found in chains if found] == [False, False, True, True, True, False]
    assert [(found.position, found.length) for found in chains if found and found.residual] == [(1, 2), (1, 2), (2, 2)]


def test_every_branch_that_is_concatenated_lies_in_the_residual() -> None:
    """x + W [f(x), g(x)]: both f and g."""
    net = ModelBuilder()
    trunk = net.block(net.input())
    first, second = net.block(net.block(trunk)), net.block(net.block(trunk))
    net.output(net.layer(net.op("add", trunk, net.layer(net.op("concat", first, second)))))
    assert [found.chain.residual for found in judged(net) if found.chain] == [False, *[True] * 5, False]


def test_a_pre_norm_transformer_block_is_judged() -> None:
    """x + fc2(gelu(fc1(norm(x)))): its branch begins at a norm, so its gain is real, and its chain short."""
    net = ModelBuilder()
    tensor = net.input()
    for _ in range(12):
        branch = net.layer(net.block(net.op("norm", tensor), act="gelu"))
        tensor = net.op("add", tensor, branch)
    net.output(net.layer(net.op("norm", tensor)))
    first = judged(net)[0]
    assert first.verdict == "mismatch"
    assert first.chain is not None
    assert (first.chain.length, first.chain.residual) == (2, False)
    assert severity_of(first) is Severity.INFO


@pytest.mark.parametrize(("factor", "verdict"), [(None, "exempt"), (0.1, "exempt"), (1.0, "mismatch")])
def test_a_branch_that_is_scaled_down_is_excused(factor: float | None, verdict: str) -> None:
    """D06: x + gamma * fc2(gelu(fc1(norm(x)))), gamma learned, a tenth, or 1."""
    net = ModelBuilder()
    trunk = net.input()
    branch = net.layer(net.block(net.op("norm", trunk), act="gelu"))
    branch = net.op("scale", branch) if factor is None else net.op("scale", branch, factor=factor)
    net.output(net.layer(net.op("norm", net.op("add", trunk, branch))))
    assert judged(net)[0].verdict == verdict


def test_a_post_norm_sum_does_not_erase() -> None:
    """norm(x + f(x)): beside x the scale of f still counts."""
    net = ModelBuilder()
    trunk = net.op("norm", net.input())
    summed = net.op("add", trunk, net.layer(net.block(trunk)))
    net.output(net.layer(net.op("norm", summed)))
    assert judged(net)[0].verdict == "exempt"
    assert judged(net)[0].reason == "it lies in a residual branch, where small is harmless"


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"init": LOADED}, "its weights are loaded"),
        ({"init": ZERO}, "its weight is constant"),
        ({"parametrization": "weight_norm"}, "weight_norm rebuilds the weight"),
        ({"parametrization": "spectral_norm"}, "spectral_norm rebuilds the weight"),
        ({"frozen": True}, "it is frozen"),
        ({"kind": "Embedding"}, "embedding layers are not judged by what follows"),
        ({"kind": "LSTM"}, "recurrent layers are not judged by what follows"),
    ],
)
def test_exemptions(more: dict[str, object], reason: str) -> None:
    net = ModelBuilder()
    net.output(net.layer(net.block(net.input(), **more)))  # type: ignore[arg-type]
    found = judged(net)[0]
    assert (found.verdict, found.reason) == ("exempt", reason)


def test_unknown_is_silent() -> None:
    net = ModelBuilder()
    net.output(net.layer(net.block(net.block(net.input(), UNKNOWN), normal(0.02, fan_in=None))))
    assert [found.verdict for found in judged(net)] == ["unknown", "unknown", "exempt"]


def test_a_recurrent_layer_begins_a_new_path() -> None:
    net = ModelBuilder()
    tensor = net.block(net.block(net.input()))
    tensor = net.layer(tensor, kind="LSTM")
    net.output(net.layer(net.block(tensor)))
    assert chain(net).layers == (0, 1)
    assert chain(net, 3).layers == (3, 4)


def test_xavier_before_a_chain_of_hidden_sigmoids_stops_matching() -> None:
    """Gain 1 is taught before a sigmoid, and starves a chain of them."""
    shallow = judge(plain(4, xavier(), "sigmoid"), KNOWLEDGE)[0]
    deep = judge(plain(5, xavier(), "sigmoid"), KNOWLEDGE)[0]
    assert (shallow.verdict, deep.verdict) == ("match", "mismatch")
    assert deep.ideal == 3.6
    assert judge(plain(9, xavier(3.6), "sigmoid"), KNOWLEDGE)[0].verdict == "match"


@pytest.mark.parametrize(("gain", "passed"), [(1 / math.sqrt(3), 0.14), (1.0, 0.24), (math.sqrt(2), 0.32), (3.6, 0.60)])
def test_what_a_hidden_sigmoid_passes_on(gain: float, passed: float) -> None:
    """The factor that one more sigmoid layer brings, once the chain is long enough to be the same everywhere."""
    longer, shorter = (judge(plain(depth, xavier(gain), "sigmoid"), KNOWLEDGE)[0].chain for depth in (12, 11))
    assert longer is not None
    assert shorter is not None
    assert longer.signal is not None
    assert shorter.signal is not None
    assert longer.signal / shorter.signal == pytest.approx(passed, abs=0.005)


def test_one_starved_sigmoid_among_rectifiers_is_not_its_fault() -> None:
    net = ModelBuilder()
    tensor = net.block(net.input(), xavier(), act="sigmoid")
    for _ in range(8):
        tensor = net.block(tensor)
    net.output(net.layer(tensor))
    assert judged(net)[0].verdict == "match"


@pytest.mark.parametrize(
    ("gain", "verdict"),
    [(0.577, "mismatch"), (0.8, "match"), (1.25, "match"), (math.sqrt(2), "mismatch"), (1.6, "match"), (3.6, "match")],
)
def test_a_hidden_sigmoid_has_two_bands(gain: float, verdict: str) -> None:
    assert judge(plain(3, xavier(gain), "sigmoid"), KNOWLEDGE)[0].verdict == verdict


def test_deep_graphs_take_linear_time() -> None:
    """A dense net of 400 layers (80 000 edges) and a plain one of 3000: a second each would be far too long."""
    dense = ModelBuilder()
    features = [dense.block(dense.input())]
    for _ in range(400):
        features.append(dense.block(dense.op("concat", *features)))
    dense.output(dense.layer(dense.op("concat", *features)))
    began = time.process_time()
    judge(dense.build(), KNOWLEDGE)
    judge(plain(3000), KNOWLEDGE)
    assert time.process_time() - began < 10.0


# ---- several contexts, one layer of the text


def _context(init: Initializer, depth: int = 3, act: str = "relu", *, norm: bool = False) -> tuple[Judgement, ...]:
    net = ModelBuilder()
    tensor = net.layer(net.input(), init, path="shared", line=5)
    if norm:
        tensor = net.op("norm", tensor)
    tensor = net.act(tensor, act)
    for _ in range(depth - 2):
        tensor = net.block(tensor)
    net.output(net.layer(tensor))
    return judge(net.build(), KNOWLEDGE)[:1]


@pytest.mark.parametrize(
    ("contexts", "verdict"),
    [
        ([_context(DEFAULT), _context(DEFAULT, 12)], "mismatch"),
        ([_context(DEFAULT), _context(kaiming())], "match"),
        ([_context(DEFAULT), _context(kaiming(), norm=True)], "match"),
        ([_context(DEFAULT), _context(DEFAULT, norm=True)], "mismatch"),
        ([_context(DEFAULT), _context(UNKNOWN)], "unknown"),
        ([_context(DEFAULT), _context(LOADED)], "mismatch"),
        ([_context(kaiming()), _context(LOADED)], "match"),
        ([_context(LOADED), _context(LOADED)], "exempt"),
        ([_context(DEFAULT), _context(normal(0.1, fan_in=None))], "unknown"),
        ([_context(xavier()), _context(xavier(), act="tanh")], "match"),
        ([_context(DEFAULT, norm=True), _context(DEFAULT, norm=True)], "exempt"),
        ([_context(UNKNOWN), _context(kaiming())], "match"),
        ([_context(DEFAULT), _context(ZERO)], "mismatch"),
        ([_context(normal(0.02)), _context(normal(0.02, fan_in=None))], "mismatch"),
        ([_context(normal(0.02)), _context(normal(0.3, fan_in=None))], "unknown"),
    ],
    ids=[
        "all mismatch",
        "one initializes it",
        "one initializes it behind a norm",
        "one normalizes it",
        "one is unreadable",
        "one loads it and says nothing of the others",
        "one loads what matches",
        "all load it",
        "one has an unknown gain",
        "content before another activation",
        "all exempt",
        "unknown and match",
        "one starts it at zero",
        "one constant, one width unknown",
        "two constants, one width unknown",
    ],
)
def test_contexts_are_merged(contexts: list[tuple[Judgement, ...]], verdict: str) -> None:
    merged = merge(judgement for context in contexts for judgement in context)
    assert [found.verdict for found in merged] == [verdict]
    backwards = merge(judgement for context in reversed(contexts) for judgement in context)
    assert [found.verdict for found in backwards] == [verdict]


def test_the_most_severe_context_speaks_with_the_followers_of_all() -> None:
    (merged,) = merge([*_context(DEFAULT), *_context(DEFAULT, 12, act="gelu"), *_context(DEFAULT, 6)])
    assert merged.chain is not None
    assert merged.chain.length == 12
    assert {found.activation for found in merged.followers} == {"relu", "gelu"}


def test_a_constant_that_costs_nothing_is_a_choice() -> None:
    """GPT-2's std of 0.02 in the model, torch's default where the block stands alone: nothing is reported."""
    (merged,) = merge([*_context(DEFAULT), *_context(normal(0.02))])
    assert merged.layer.weight.function == "normal_"
    (costly,) = merge([*_context(DEFAULT, 9), *_context(normal(0.02), 12)])
    assert costly.chain is not None
    assert costly.chain.length == 12


def test_layers_of_different_paths_stay_apart() -> None:
    net = ModelBuilder()
    tensor = net.input()
    for index in range(3):
        tensor = net.block(tensor, path=f"layers.{index}", line=5)
    net.output(net.layer(tensor))
    assert len(merge(judged(net))) == 4


def test_a_branch_that_a_gate_leads_on_is_renewed() -> None:
    """``x + f(x) * softmax(g(f(x)))``: the path begins anew in the gate, and all layers are still added to where it began."""
    net = ModelBuilder()
    trunk = net.input()
    made = net.block(trunk)
    gate = net.op("softmax", net.layer(net.block(net.op("transparent", made))))
    net.output(net.op("add", trunk, net.op("gate", made, gate)))
    net.output(net.layer(net.block(trunk)))
    chains = [found.chain for found in judged(net)]
    assert [chain.renewed for chain in chains if chain] == [True, True, False, False, False]
