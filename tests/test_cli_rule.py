"""`initlint rule` tells what the pages tell."""

from __future__ import annotations

import json

import pytest
from command_line import Shell

from initlint.knowledge import load_rules


@pytest.mark.parametrize("name", ["INI101", "ini101", "default-init-before-rectifier"])
def test_one_rule_by_code_or_name(shell: Shell, name: str) -> None:
    result = shell("rule", name)
    page = load_rules()["INI101"]
    assert result.status == 0
    assert result.out.startswith("# default-init-before-rectifier (INI101)\n")
    assert page.text in result.out
    assert page.summary in result.out


def test_all_rules_one_a_line(shell: Shell) -> None:
    lines = shell("rule").out.splitlines()
    assert [line.split()[0] for line in lines] == list(load_rules())
    assert any(line.endswith("(off by default)") for line in lines) == any(
        not rule.default for rule in load_rules().values()
    )


def test_all_rules_as_json(shell: Shell) -> None:
    records = json.loads(shell("rule", "--all", "--output-format", "json").out)
    assert [record["code"] for record in records] == list(load_rules())
    assert set(records[0]) == {
        "code",
        "name",
        "title",
        "summary",
        "severity",
        "fix",
        "since",
        "default",
        "references",
        "url",
        "explanation",
    }


def test_all_pages(shell: Shell) -> None:
    text = shell("rule", "--all").out
    assert all(rule.text in text for rule in load_rules().values())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("INI777",), "no such rule"),
        (("default-init-before-rectifer",), "default-init-before-rectifier"),
        (("INI10",), "stands for several rules"),
        (("INI101", "--all"), "cannot be combined"),
    ],
)
def test_a_mistake_ends_in_two(shell: Shell, arguments: tuple[str, ...], words: str) -> None:
    result = shell("rule", *arguments)
    assert result.status == 2
    assert words in result.err
