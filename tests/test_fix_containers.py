"""The layers of a container are reached by an index, a key or a loop that reaches no others."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fix_builder import RELU, Net, added, network, refusal

from initlint.model import Verdict

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


def test_a_loop_spares_the_head_that_gets_a_call_of_its_own() -> None:
    """As beside a container whose head gets none."""
    assert added(_sequential("tanh")) == [
        "for layer in self.net[:-1]:",
        "if isinstance(layer, nn.Linear):",
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
            "if norm:",
            "    layers.append(nn.BatchNorm1d(9))",
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


@pytest.mark.parametrize(("more", "tested"), [("", False), ("layers.append(nn.Flatten())", True)])
def test_a_module_list_that_a_local_name_is_given_first_needs_no_type_test_either(more: str, *, tested: bool) -> None:
    loop = ("for _ in range(3):", "    layers.append(nn.Linear(8, 8))")
    net = Net(network("layers = nn.ModuleList()", *loop, *([more] if more else []), "self.layers = layers"))
    for index in range(3):
        net.layer("nn.Linear(8, 8)", f"self.layers[{index}]")
    assert ("if isinstance(layer, nn.Linear):" in added(net)) == tested


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


def test_a_list_that_a_comprehension_builds_has_no_first_layer_to_name() -> None:
    net = Net(network("self.convs = nn.ModuleList([nn.Linear(8, n) for n in sizes])"))
    net.layer("nn.Linear(8, n)", "self.convs[0]")
    assert added(net)[0] == "for layer in self.convs:"


@pytest.mark.parametrize(("verdict", "whole"), [("unknown", True), ("exempt", False)])
def test_what_of_a_list_another_run_applies_is_initialized_with_it(verdict: Verdict, *, whole: bool) -> None:
    net = Net(network("self.heads = nn.ModuleList([nn.Linear(8, 1), nn.Linear(8, 2), nn.Linear(8, 3)])"))
    for place in range(2):
        net.layer(f"nn.Linear(8, {place + 1})", f"self.heads[{place}]", None)
        net.judgements[place] = replace(net.judgements[place], verdict=verdict)
    net.layer("nn.Linear(8, 3)", "self.heads[2]")
    named = [f"nn.init.kaiming_normal_(self.heads[2].weight, {RELU})"]
    looped = ["for layer in self.heads:", f"nn.init.kaiming_normal_(layer.weight, {RELU})"]
    assert added(net) == (looped if whole else named)


def test_a_list_of_layers_that_have_a_name_first_needs_no_type_test() -> None:
    lines = (
        "self.convs = nn.ModuleList()",
        "for n in sizes:",
        "    conv = nn.Linear(8, 8)",
        "    self.convs.append(conv)",
    )
    net = Net(network(*lines))
    for place in range(2):
        net.layer("nn.Linear(8, 8)", f"self.convs[{place}]")
    assert added(net) == ["for layer in self.convs:", f"nn.init.kaiming_normal_(layer.weight, {RELU})"]
    other = Net(network(*lines[:3], "    if n: conv = nn.Identity()", lines[3]))
    for place in range(2):
        other.layer("nn.Linear(8, 8)", f"self.convs[{place}]")
    assert "if isinstance(layer, nn.Linear):" in added(other)


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
    net = Net(text.replace('"', "'"))
    net.layer("nn.Linear(8, 8)", 'self.parts["a"]')
    net.layer("nn.Linear(8, 9)", 'self.parts["b"]', None)
    assert added(net) == ["nn.init.kaiming_normal_(self.parts['a'].weight, nonlinearity='relu')"]


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


def test_layers_named_in_an_ordered_dict_are_reached_by_their_names() -> None:
    pairs = '("a", nn.Linear(8, 8)), ("act", nn.ReLU()), ("b", nn.Linear(8, 9)), ("out", nn.Tanh())'
    net = Net(network(f"self.net = nn.Sequential(OrderedDict([{pairs}]))"))
    net.layer("nn.Linear(8, 8)", "self.net.a")
    net.layer("nn.Linear(8, 9)", "self.net.b", "tanh")
    assert added(net) == [
        f"nn.init.kaiming_normal_(self.net.a.weight, {RELU})",
        'nn.init.xavier_uniform_(self.net.b.weight, gain=nn.init.calculate_gain("tanh"))',
    ]


@pytest.mark.parametrize(
    ("last", "named"),
    [('self.net.add_module("b", nn.Linear(8, 9))', True), ("self.net.add_module(name, nn.ReLU())", False)],
)
def test_layers_added_by_name_are_reached_by_their_names(last: str, *, named: bool) -> None:
    net = Net(network("self.net = nn.Sequential()", 'self.net.add_module("a", nn.Linear(8, 8))', last))
    net.layer("nn.Linear(8, 8)", "self.net.a")
    call = f"nn.init.kaiming_normal_(self.net.a.weight, {RELU})"
    assert (added(net) == [call]) is named


def test_a_dict_of_modules_is_never_sliced() -> None:
    net = Net(network("self.parts = nn.ModuleDict(parts)", "self.parts['out'] = nn.Linear(8, 9)"))
    net.layer("nn.Linear(8, 9)", 'self.parts["a"]')
    net.layer("nn.Linear(8, 9)", 'self.parts["out"]', None)
    assert refusal(net) == "no expression reaches it without reaching other layers"


def test_a_comprehension_of_layers_in_a_dict_needs_no_type_test() -> None:
    net = Net(network("self.parts = nn.ModuleDict({name: nn.Linear(8, 8) for name in names})"))
    for name in "ab":
        net.layer("nn.Linear(8, 8)", f'self.parts["{name}"]')
    assert added(net) == ["for layer in self.parts.values():", f"nn.init.kaiming_normal_(layer.weight, {RELU})"]


def test_a_loop_spares_what_it_holds_for_a_class_of_its_name_elsewhere() -> None:
    net = _sequential(None)
    elsewhere = replace(net.judgements[-1].layer.site, file="/src/other.py", line=1)
    net.judgements[-1] = replace(net.judgements[-1], layer=replace(net.judgements[-1].layer, owner_site=elsewhere))
    assert added(net)[0] == "for layer in self.net[:-1]:"


def test_many_layers_at_the_beginning_of_a_container_are_not_named_one_by_one() -> None:
    hidden = [f"nn.Linear({width}, {width + 1})" for width in range(8, 12)]
    lines = (line for layer in hidden for line in (f"    {layer},", "    nn.ReLU(),"))
    net = Net(network("self.net = nn.Sequential(", *lines, "    nn.Linear(12, 4),", "    nn.Tanh(),", ")"))
    for index, layer in enumerate(hidden):
        net.layer(layer, f"self.net[{2 * index}]")
    net.layer("nn.Linear(12, 4)", "self.net[8]", None)
    assert added(net) == [
        "for layer in self.net[:-2]:",
        "if isinstance(layer, nn.Linear):",
        f"nn.init.kaiming_normal_(layer.weight, {RELU})",
    ]


def test_a_list_that_is_written_out_and_unpacked_is_as_good_as_its_elements() -> None:
    net = Net(network("self.net = nn.Sequential(*[", "    nn.Linear(8, 16),", "    nn.ReLU(),", "])"))
    net.layer("nn.Linear(8, 16)", "self.net[0]")
    assert added(net) == [f"nn.init.kaiming_normal_(self.net[0].weight, {RELU})"]


def test_what_one_container_holds_of_several_kinds_gets_one_loop() -> None:
    net = Net(
        network(
            "self.net = nn.Sequential(",
            "    nn.ConvTranspose2d(8, 8, 3),",
            "    nn.ReLU(),",
            "    nn.Linear(16, 32),",
            "    nn.ReLU(),",
            "    nn.ConvTranspose2d(8, 4, 3),",
            "    nn.ReLU(),",
            "    nn.Linear(4, 3),",
            ")",
        )
    )
    for index, layer in enumerate(("nn.ConvTranspose2d(8, 8, 3)", "nn.Linear(16, 32)", "nn.ConvTranspose2d(8, 4, 3)")):
        net.layer(layer, f"self.net[{2 * index}]", transposed="Transpose" in layer)
    net.layer("nn.Linear(4, 3)", "self.net[6]")
    heads = [line for line in added(net) if line.endswith(":")]
    assert heads == [
        "for layer in self.net:",
        "if isinstance(layer, nn.ConvTranspose2d):",
        "elif isinstance(layer, nn.Linear):",
    ]
