"""A rule page is Markdown: a title, a fenced toml block with the facts of the rule, and why."""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import get_args

from initlint.errors import InitlintError
from initlint.knowledge.facts import Repair, Rule
from initlint.knowledge.loader import rules_dir
from initlint.knowledge.table import Table

_INDEX = "README.md"
_CODE = re.compile(r"INI\d{3}")
_FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)


@functools.cache
def load_rules() -> Mapping[str, Rule]:
    """All rule pages by code, in order of code; InitlintError names file and key of what is wrong there."""
    return read_rules(rules_dir())


def read_rules(folder: Path) -> Mapping[str, Rule]:
    """The rule pages (``*.md``) of `folder` by code, in order of code."""
    rules: dict[str, Rule] = {}
    for path in sorted(folder.glob("*.md")):
        if path.name == _INDEX:
            continue
        rule = read_page(path.read_text(encoding="utf-8"), path.stem)
        if rule.code in rules:
            raise InitlintError(f"{rule.code} is taken by {rules[rule.code].name}", where=f"rules/{path.name}: code")
        rules[rule.code] = rule
    return MappingProxyType(dict(sorted(rules.items())))


def read_page(page: str, name: str) -> Rule:
    """The rule that the Markdown `page` describes; `name` is the stem of its file."""
    shown = f"rules/{name}.md"
    title, _, below = page.lstrip("\ufeff").partition("\n")
    if not title.startswith("# "):
        raise InitlintError("does not start with a title", where=shown, hint="begin with a line '# ...'")
    header = _FENCE.search(below)
    if header is None or header[1] != "toml" or below[: header.start()].strip():
        raise InitlintError("has no toml block below its title", where=shown, hint="begin with ```toml and a code")
    try:
        table = Table(shown, tomllib.loads(header[2]))
    except tomllib.TOMLDecodeError as error:
        raise InitlintError(f"its toml block is not TOML: {error}", where=shown) from error
    rule = _rule(table, name, title[2:].strip(), below[header.end() :].strip())
    table.end()
    return rule


def _rule(table: Table, name: str, title: str, text: str) -> Rule:
    code = table.text("code")
    if _CODE.fullmatch(code) is None:
        raise table.error("code", f"{code!r} is not a code", "INI and three digits")
    return Rule(
        code=code,
        name=name,
        title=title,
        summary=table.text("summary"),
        severity=table.text("severity"),
        fix=table.choice("fix", get_args(Repair)),
        since=table.text("since"),
        default=table.flag("default", default=True),
        references=table.words("references"),
        text=text,
        examples=tuple(block[2] for block in _FENCE.finditer(text) if block[1] == "python"),
    )
