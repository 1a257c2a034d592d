"""The narrower selector has the last word, and a selector that means nothing is a mistake."""

from __future__ import annotations

from pathlib import Path

import pytest
from sample_rules import RULES

from initlint.errors import InitlintError
from initlint.selection import Layer, Selection, covers


def enabled(*layers: Layer) -> set[str]:
    return set(Selection(layers).enabled(RULES))


def test_by_default_every_rule_that_is_not_opt_in() -> None:
    assert enabled() == {code for code, rule in RULES.items() if rule.default}
    assert "INI401" not in enabled()


@pytest.mark.parametrize("selector", ["INI401", "INI4", "ini401", "lstm-forget-bias", "ALL"])
def test_an_opt_in_rule_is_selected_by_code_prefix_name_or_all(selector: str) -> None:
    assert "INI401" in enabled(Layer(select=(selector,)))
    assert "INI401" in enabled(Layer(extend_select=(selector,)))


def test_select_replaces_and_extend_select_adds() -> None:
    assert enabled(Layer(select=("INI204",))) == {"INI204", "INI900"}
    assert enabled(Layer(extend_select=("INI401",))) == enabled() | {"INI401"}


@pytest.mark.parametrize(
    ("select", "ignore", "has_101", "has_102"),
    [
        (("INI1",), ("INI101",), False, True),
        (("INI101",), ("INI1",), True, False),
        (("ALL",), ("INI1",), False, False),
        (("default-init-before-rectifier",), ("INI1",), True, False),
        (("INI101",), ("default-init-before-rectifier",), False, False),
    ],
)
def test_the_narrower_selector_wins(
    select: tuple[str, ...], ignore: tuple[str, ...], has_101: bool, has_102: bool
) -> None:
    codes = enabled(Layer(select=select, ignore=ignore))
    assert ("INI101" in codes, "INI102" in codes) == (has_101, has_102)


def test_a_later_layer_goes_over_an_earlier_one() -> None:
    file = Layer(select=("INI1",), ignore=("INI102",))
    assert enabled(file, Layer(ignore=("INI101",))) == {"INI900"}
    assert "INI102" in enabled(file, Layer(extend_select=("INI102",)))
    assert "INI101" not in enabled(file, Layer(select=("INI2",)))


def test_a_syntax_error_is_silenced_only_by_its_own_name() -> None:
    assert "INI900" in enabled(Layer(select=("INI101",), ignore=("INI9", "ALL")))
    assert "INI900" not in enabled(Layer(ignore=("INI900",)))
    assert "INI900" not in enabled(Layer(ignore=("syntax-error",)))


def test_a_selector_that_names_no_rule_is_a_mistake_wherever_it_stands() -> None:
    for layer in (Layer(select=("INI777",)), Layer(ignore=("no-such-rule",)), Layer(extend_select=("E501",))):
        with pytest.raises(InitlintError, match="no such rule"):
            enabled(layer)
    with pytest.raises(InitlintError) as caught:
        enabled(Layer(select=("default-init-before-rectifer",)))
    assert "default-init-before-rectifier" in str(caught.value)


def test_a_selector_covers_by_prefix_of_the_code_only() -> None:
    rule = RULES["INI101"]
    assert covers("INI", rule)
    assert covers("INI10", rule)
    assert not covers("I", rule)
    assert not covers("INI1010", rule)
    assert not covers("default-init", rule)


@pytest.mark.parametrize(
    ("glob", "file", "ignored"),
    [
        ("net.py", "/p/src/net.py", True),
        ("src/*", "/p/src/net.py", True),
        ("src/*", "/p/other/net.py", False),
        ("/p/src/*.py", "/p/src/net.py", True),
        ("!src/*", "/p/src/net.py", False),
        ("!src/*", "/p/tests/net.py", True),
    ],
)
def test_per_file_ignores(glob: str, file: str, ignored: bool) -> None:
    selection = Selection(per_file_ignores=((glob, ("INI1",)),), root=Path("/p"))
    assert ("INI101" in selection.ignored_in(file, RULES)) == ignored
    assert "INI204" not in selection.ignored_in(file, RULES)
