"""In a class, calls go to the end of `__init__`, into an init method, or beside the layer that a condition builds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from fix_builder import FILE, FORWARD, HEAD, RELU, Net, added, network, refusal, site_of

from initlint import check_paths, check_source
from initlint.config import Settings
from initlint.fix import FixOptions, plan
from initlint.model import Finding


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
    assert net.repaired() == net.text.replace("        # that is all\n", f"        # that is all\n{call}")


@pytest.mark.parametrize("last", ["return", "self.apply(init)", "for m in self.modules(): init(m)"])
def test_calls_come_after_what_writes_weights_and_before_a_return(last: str) -> None:
    net = Net(network("self.fc = nn.Linear(8, 8)", last))
    net.layer("nn.Linear(8, 8)", "self.fc")
    call = f"        nn.init.kaiming_normal_(self.fc.weight, {RELU})\n"
    expected = call + f"        {last}\n" if last == "return" else f"        {last}\n" + call
    assert net.repaired() == net.text.replace(f"        {last}\n", expected)


def test_layers_are_initialized_together_before_their_author_scales_them() -> None:
    scaled = "        self.fc.weight.data *= 2\n        self.mu.weight.data /= 2\n"
    net = Net(network("self.fc = nn.Linear(8, 8)", "self.mu = nn.Linear(8, 9)", scaled.strip()))
    net.layer("nn.Linear(8, 8)", "self.fc")
    net.layer("nn.Linear(8, 9)", "self.mu")
    loop = "        for layer in (self.fc, self.mu):\n"
    call = f"            nn.init.kaiming_normal_(layer.weight, {RELU})\n"
    assert net.repaired() == net.text.replace(scaled, f"{loop}{call}{scaled}")


@pytest.mark.parametrize("scaled", ["self.fc.weight.data *= eps", "self.fc.weight *= eps"])
def test_calls_come_before_their_author_scales_the_weight(scaled: str) -> None:
    net = Net(network("self.fc = nn.Linear(8, 8)", "eps = 1.0", scaled))
    net.layer("nn.Linear(8, 8)", "self.fc")
    call = f"        nn.init.kaiming_normal_(self.fc.weight, {RELU})\n"
    assert net.repaired() == net.text.replace(f"        {scaled}\n", f"{call}        {scaled}\n")


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


@pytest.mark.parametrize(
    ("body", "sure"),
    [
        (["return nn.Linear(8, 8)"], True),
        (["made = nn.Linear(8, 8)", "return made"], True),
        (["if wide: return nn.Linear(16, 8)", "return nn.Linear(8, 8)"], True),
        (["return spectral(nn.Linear(8, 8))"], True),
        (["if not wide: return nn.Identity()", "return nn.Linear(8, 8)"], False),
        (["return nn.Linear(8, 8) if wide else nn.Identity()"], False),
        (["made = nn.Identity()", "if wide: made = wrap(nn.Linear(8, 8))", "return made"], False),
        (["if wide: return nn.Linear(8, 8)", "return None"], False),
    ],
)
def test_a_helper_that_may_build_something_else_names_no_layer(body: list[str], *, sure: bool) -> None:
    helper = "".join(f"    {line}\n" for line in body)
    head = HEAD.replace("class Net", f"def build(wide):\n{helper}\n\nclass Net")
    for construction, access in (("build(wide)", "self.fc"), ("nn.Sequential(build(wide), nn.ReLU())", "self.fc[0]")):
        net = Net(network(f"self.fc = {construction}", head=head))
        net.layer("nn.Linear(8, 8)", access)
        if sure:
            assert added(net) == [f"nn.init.kaiming_normal_({access}.weight, {RELU})"]
        else:
            assert refusal(net) == "what builds or brings it may make it another layer"


@pytest.mark.parametrize(
    ("wrapper", "lost"),
    [
        ("nn.utils.parametrizations.spectral_norm", True),
        ("nn.utils.weight_norm", True),
        ("nn.utils.spectral_norm", False),
        ("nn.Sequential", False),
    ],
)
def test_a_layer_whose_weight_an_option_has_computed_is_left(wrapper: str, *, lost: bool) -> None:
    helper = f"def maybe(layer, wrapped):\n    if wrapped:\n        return {wrapper}(layer)\n    return layer\n\n\n"
    head = HEAD.replace("class Net", f"{helper}class Net").replace("(self)", "(self, wrapped=False)")
    net = Net(network("self.fc = nn.Sequential(maybe(nn.Linear(8, 8), wrapped), nn.ReLU())", head=head))
    net.layer("nn.Linear(8, 8)", "self.fc[0]")
    if lost:
        assert refusal(net) == "what builds it may have its weight computed, and an initializer's values are lost then"
    else:
        assert net.attached()[0].fix is not None


def test_a_helper_that_may_build_something_else_initializes_what_it_builds() -> None:
    helper = (
        "def build(wide):\n    made = nn.Identity()\n    if wide:\n        made = nn.Linear(8, 8)\n    return made\n"
    )
    net = Net(network("self.fc = build(wide)", head=HEAD.replace("class Net", f"{helper}\n\nclass Net")))
    net.layer("nn.Linear(8, 8)", "self.fc")
    built = "        made = nn.Linear(8, 8)\n"
    assert net.repaired() == net.text.replace(built, built + f"        nn.init.kaiming_normal_(made.weight, {RELU})\n")


def test_a_variable_that_may_hold_something_else_names_no_layer() -> None:
    lines = ("made = nn.Linear(8, 8)", "if not wide:", "    made = nn.Identity()", "self.fc = made")
    net = Net(network(*lines))
    net.layer("nn.Linear(8, 8)", "self.fc")
    assert refusal(net) == "what builds or brings it may make it another layer"


@pytest.mark.parametrize("later", ["self.fc = nn.Identity()", "del self.fc", "self.fc = nn.Sequential(self.fc)"])
def test_calls_come_before_what_takes_the_layer_away(later: str) -> None:
    net = Net(network("self.fc = nn.Linear(8, 8)", "if not wide:", f"    {later}"))
    net.layer("nn.Linear(8, 8)", "self.fc")
    call = f"        nn.init.kaiming_normal_(self.fc.weight, {RELU})\n"
    assert net.repaired() == net.text.replace("        if not", call + "        if not")


def test_a_loop_hides_no_name_that_its_function_reads() -> None:
    net = Net(network("self.a = layer(nn.Linear(8, 8))", "self.b = layer(nn.Linear(8, 9))"))
    net.layer("nn.Linear(8, 8)", "self.a")
    net.layer("nn.Linear(8, 9)", "self.b")
    assert added(net)[0] == "for module in (self.a, self.b):"


def test_what_a_helper_of_another_file_returns_is_named_by_its_index(tmp_path: Path) -> None:
    helper = "from torch import nn\n\n\ndef block():\n    return nn.Sequential(nn.Conv2d(8, 8, 3), nn.ReLU())\n"
    (tmp_path / "blocks.py").write_text(helper, encoding="utf-8")
    head = HEAD.replace("import nn\n", "import nn\n\nfrom blocks import block\n")
    text = network("self.a = block()", "self.out = nn.Conv2d(8, 1, 3)", head=head).replace(
        "return x", "return self.out(self.a(x))"
    )
    (tmp_path / "net.py").write_text(text, encoding="utf-8")
    (finding,) = check_paths([tmp_path], settings=Settings())
    assert finding.fix is not None
    assert [edit.content.strip() for edit in finding.fix.edits] == [
        f"nn.init.kaiming_normal_(self.a[0].weight, {RELU})"
    ]


@pytest.mark.parametrize("product", ['torch.einsum("bd,bd->bd", made, x)', 'einops.einsum(made, x, "b d, b d -> b d")'])
def test_a_branch_that_a_product_of_tensors_leads_on_has_no_fix(product: str) -> None:
    text = (
        "import einops\nimport torch\nfrom torch import nn\n\n\n"
        "class Block(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.ff = nn.Sequential(nn.LayerNorm(64), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64))\n\n"
        f"    def forward(self, x):\n        made = self.ff(x)\n        return {product} + x\n"
    )
    (finding,) = check_source(text)
    assert finding.fix is None
    (alone,) = check_source(text.replace(" + x", ""))
    assert alone.fix is not None
    assert alone.fix.applicability == "safe"


def test_a_class_of_which_a_branch_initializes_its_own_layers_gets_no_method_for_the_rest() -> None:
    net = Net(
        network("self.a = nn.Linear(8, 8)", "if deep:\n            self.b = nn.Linear(8, 8)").replace(
            "(self)", "(self, deep)"
        )
    )
    for name in "ab":
        net.layer("nn.Linear(8, 8)", f"self.{name}", occurrence="ab".index(name))
    written = [line.strip() for line in added(net, FixOptions(style="init_weights"))]
    assert written == [f"nn.init.kaiming_normal_(self.{name}.weight, {RELU})" for name in "ba"]


BUILDER = """
    def _build(self):
        self.fc = nn.Linear(8, 8)
        self.mu = nn.Linear(8, 8)
        nn.init.normal_(self.mu.weight, std=0.1)
"""


@pytest.mark.parametrize(
    ("chosen", "last"),
    [
        ("nn.init.xavier_uniform_(self.other)", True),
        ("self.other.weight.data.normal_(0, 0.1)", True),
        ("nn.init.zeros_(self.fc.bias)", True),
        ("nn.init.normal_(self.fc.weight)", False),
        ("self.fc.weight.data.normal_(0, 0.1)", False),
        ("self.apply(reset)", False),
        ("self.init_weights()", False),
        ("[nn.init.normal_(p) for p in self.parameters()]", False),
    ],
)
def test_what_the_caller_may_ask_for_comes_last_where_it_may_be_for_the_same_layer(chosen: str, *, last: bool) -> None:
    net = Net(network("self.fc = nn.Linear(8, 8)", "if self.flag:", f"    {chosen}"))
    net.layer("nn.Linear(8, 8)", "self.fc")
    text = net.repaired()
    assert (text.index(RELU) > text.index(chosen)) is last


PUBLIC = """
    def build(self):
        self.fc = nn.Linear(8, 8)
"""
AGAIN = """
    def enlarge(self):
        self._build()
"""


@pytest.mark.parametrize(
    ("constructor", "builder", "beside"),
    [
        (["self._build()"], BUILDER, True),
        (["self._build()", "self.deep = deep"], BUILDER, True),
        (["self._build()"], BUILDER.rpartition("        nn")[0], False),
        (["self._build()", "self.apply(reset)"], BUILDER, False),
        (["self._build()", "self.load_state_dict(state)"], BUILDER, False),
        (["for _ in range(2):", "    self._build()"], BUILDER, False),
        (["self.build()"], PUBLIC, True),
        (["self.build()", "self.apply(reset)"], PUBLIC, False),
        (["self._build()"], f"{PUBLIC.replace('build', '_build')}{AGAIN}", True),
        (["self._build()"], PUBLIC.replace("build", "_build"), False),
    ],
)
def test_a_method_that_builds_and_initializes_is_where_its_layers_are_initialized(
    constructor: list[str], builder: str, *, beside: bool
) -> None:
    """Or one that others may call as well: they build what it builds anew."""
    net = Net(network(*constructor, forward=f"{builder}{FORWARD}"))
    net.layer("nn.Linear(8, 8)", "self.fc")
    fix = net.attached()[0].fix
    written = net.repaired() if fix is not None else net.text
    call = f"        nn.init.kaiming_normal_(self.fc.weight, {RELU})\n"
    assert (f"{builder.removesuffix(AGAIN)}{call}" in written) is beside


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (["self.fc.reset_parameters()"], "restart initializes it anew"),
        (["for m in self.modules():", "    m.reset_parameters()"], "restart initializes it anew"),
        (["nn.init.zeros_(self.fc.weight)"], "restart initializes it anew"),
        (
            ["for layer in self.fc:", "    if hasattr(layer, 'bias'):", "        layer.reset_parameters()"],
            "restart initializes it anew",
        ),
        (["for layer in self.others:", "    layer.reset_parameters()"], None),
        (["self.other.reset_parameters()"], None),
        (["self.fc.zero_grad()"], None),
    ],
)
def test_what_another_method_initializes_anew_is_left(body: list[str], reason: str | None) -> None:
    method = "\n    def restart(self):\n" + "".join(f"        {line}\n" for line in body)
    net = Net(network("self.fc = nn.Linear(8, 8)", forward=FORWARD + method))
    net.layer("nn.Linear(8, 8)", "self.fc")
    if reason is None:
        assert net.attached()[0].fix is not None
    else:
        assert refusal(net) == reason


@pytest.mark.parametrize(("reset", "left"), [("self.conv.inner", True), ("self.conv", True), ("self.other", False)])
def test_what_is_initialized_anew_under_the_name_of_what_it_was_given_to_is_left(reset: str, *, left: bool) -> None:
    method = f"\n    def restart(self):\n        for layer in {reset}:\n            layer.reset_parameters()\n"
    lines = ("made = nn.Sequential(nn.Linear(8, 8), nn.ReLU())", "self.conv = Messages(8, inner=made)")
    net = Net(network(*lines, forward=FORWARD + method))
    net.layer("nn.Linear(8, 8)", "made[0]")
    if left:
        assert refusal(net) == "restart initializes it anew"
    else:
        assert net.attached()[0].fix is not None


def test_a_method_that_resets_the_layers_and_that_the_constructor_calls_is_extended() -> None:
    method = "\n    def reset_parameters(self):\n        self.fc.reset_parameters()\n"
    net = Net(network("self.fc = nn.Linear(8, 8)", "self.reset_parameters()", forward=FORWARD + method))
    net.layer("nn.Linear(8, 8)", "self.fc")
    assert net.repaired().endswith(f"{method}        nn.init.kaiming_normal_(self.fc.weight, {RELU})\n")


@pytest.mark.parametrize(
    ("value", "access"),
    [
        ("shared", "self.net[0]"),
        ("parts.shared", "self.net[0]"),
        ("nn.Sequential(shared, nn.ReLU())", "self.net[0][0]"),
    ],
)
def test_what_a_caller_brings_is_not_initialized_by_the_class_that_it_is_given_to(value: str, access: str) -> None:
    """Another class may be given it, too, or this one something else."""
    brought = (
        "\nclass Agent:\n    def __init__(self):\n        self.net = Net(nn.Sequential(nn.Linear(8, 8), nn.ReLU()))\n"
    )
    text = network(f"self.net = {value}").replace("(self)", "(self, shared, parts=None)", 1) + brought
    net = Net(text)
    net.layer("nn.Linear(8, 8)", access)
    assert refusal(net) == "what builds or brings it may make it another layer"


@pytest.mark.parametrize(
    ("forward", "chosen"),
    [
        (["x = self.fc(x)", "if not self._unbounded:", "    x = torch.tanh(x)", "return x"], True),
        (["x = self.fc(x)", "return x if self._unbounded else torch.tanh(x)"], True),
        (["if not self._unbounded:", "    x = torch.tanh(self.fc(x))", "return x"], False),
        (["x = self.fc(x)", "if self.training:", "    x = torch.tanh(x)", "return x"], False),
    ],
)
def test_whether_a_layer_is_activated_at_all_may_be_the_choice_of_who_builds_the_model(
    forward: list[str], *, chosen: bool
) -> None:
    lines = "".join(f"        {line}\n" for line in forward)
    text = network(
        "self.fc = nn.Linear(8, 8)", "self._unbounded = unbounded", forward=f"\n    def forward(self, x):\n{lines}"
    )
    net = Net(text.replace("(self)", "(self, unbounded=False)", 1))
    judgement = net.layer("nn.Linear(8, 8)", "self.fc", "tanh")
    assert judgement.decisive is not None
    site = site_of(net.text, "torch.tanh(self.fc(x))" if "torch.tanh(self.fc" in lines else "torch.tanh(x)")
    net.judgements = [replace(judgement, decisive=judgement.decisive._replace(site=site))]
    fixed = net.attached()[0].fix
    assert (fixed is None) is chosen
    if chosen:
        assert refusal(net) == "who builds the model chooses the activation"


@pytest.mark.parametrize(("other", "chosen"), [("dice", True), ("gelu", False)])
def test_a_word_that_stands_for_an_unknown_activation_is_a_choice(other: str, *, chosen: bool) -> None:
    text = network(
        "self.fc = nn.Linear(8, 8)",
        'if activation == "relu":',
        "    self.act = nn.ReLU()",
        f'elif activation == "{other}":',
        "    self.act = Other()",
    ).replace("(self)", "(self, activation)", 1)
    net = Net(text)
    net.layer("nn.Linear(8, 8)", "self.fc")
    assert (net.attached()[0].fix is None) is chosen


@pytest.mark.parametrize(
    "last",
    [
        ["self.to(device)"],
        ["print(self)"],
        ["logger.info(self)", "self.to(device)"],
        ["", "if verbose:", "    self._log.debug(self)", "    print_rank_0(self)"],
    ],
)
def test_a_model_is_initialized_before_it_is_moved_or_said_to_be_built(last: list[str]) -> None:
    net = Net(network("self.fc = nn.Linear(8, 8)", *last))
    net.layer("nn.Linear(8, 8)", "self.fc")
    built = "        self.fc = nn.Linear(8, 8)\n"
    assert net.repaired() == net.text.replace(
        built, f"{built}        nn.init.kaiming_normal_(self.fc.weight, {RELU})\n"
    )


@pytest.mark.parametrize("last", ["self.math.log(1)", "report(self)", "if deep: self.fc = None", "self.to_rgb()"])
def test_what_is_no_report_stays_before_the_calls(last: str) -> None:
    net = Net(network("self.fc = nn.Linear(8, 8)", "self.depth = 1", last.replace("self.fc", "self.mu")))
    net.layer("nn.Linear(8, 8)", "self.fc")
    assert net.repaired().index(RELU) > net.text.index(last.partition(":")[0])


@pytest.mark.parametrize(
    ("test", "repaired"),
    [("inference_mode", False), ("self.deploy", False), ("not inference_mode", True), ("wide", True)],
)
def test_what_is_built_for_inference_only_is_left(test: str, *, repaired: bool) -> None:
    """A convolution into which the branches of training are folded gets its weights from them."""
    net = Net(network(f"if {test}:", "    self.fc = nn.Linear(8, 8)", "else:", "    self.fc = None"))
    net.layer("nn.Linear(8, 8)", "self.fc")
    if repaired:
        assert net.attached()[0].fix is not None
    else:
        assert refusal(net) == "it is built for weights that are loaded into it"


def test_what_is_moved_under_its_own_name_is_initialized_behind_that() -> None:
    net = Net(
        network(
            "self.stem = nn.Identity()",
            "self.fc = nn.Linear(8, 8)",
            "self.stem = self.stem.to('cuda:0')",
            "self.fc = self.fc.to('cuda:1')",
            "self.width = 8",
        )
    )
    net.layer("nn.Linear(8, 8)", "self.fc")
    call = "nn.init.kaiming_normal_(self.fc.weight, nonlinearity='relu')"
    assert net.repaired() == net.text.replace("self.width = 8\n", f"self.width = 8\n        {call}\n")
