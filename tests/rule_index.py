"""The table of rules in rules/README.md, made from the pages. `python -m tests.rule_index` writes it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from initlint.knowledge import Rule, load_rules, rules_dir

_BEGIN = "<!-- rules: begin -->\n"
_END = "<!-- rules: end -->\n"
_REPAIRS = {"safe": "always, safe", "unsafe": "unsafe", "sometimes": "sometimes", "none": ""}


def table(rules: Iterable[Rule]) -> str:
    """A row a rule, in order of code."""
    rows = [
        f"| {rule.code} | [{rule.name}]({rule.name}.md) | {rule.summary} | {_REPAIRS[rule.fix]}{_opt_in(rule)} |\n"
        for rule in rules
    ]
    return "".join(["| code | name | what it finds | fix |\n", "| --- | --- | --- | --- |\n", *rows])


def _opt_in(rule: Rule) -> str:
    return "" if rule.default else " (off by default)"


def refreshed(page: str, rules: Iterable[Rule]) -> str:
    """`page` with the table between its marks made anew."""
    before, _, rest = page.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}\n{table(rules)}\n{_END}{after}"


def index_page() -> Path:
    """Where the index stands."""
    return rules_dir() / "README.md"


if __name__ == "__main__":
    written = refreshed(index_page().read_text(encoding="utf-8"), load_rules().values())
    index_page().write_text(written, encoding="utf-8")
