"""`initlint rule`: what a rule looks for and why."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from initlint.cli.options import output_options
from initlint.cli.output import wants_color, write
from initlint.errors import InitlintError
from initlint.knowledge import Rule, load_rules
from initlint.selection import covers, require_rule


@click.command("rule")
@click.argument("name", required=False, metavar="[CODE|NAME]")
@click.option("--all", "every", is_flag=True, help="All rules.")
@output_options(("full", "json"))
def command(name: str | None, *, every: bool, output_format: str | None, output_file: Path | None, color: str) -> int:
    """Explain a rule by its code or name; without one, list them all."""
    from initlint.report.pages import array, index, page

    rules = load_rules()
    if name and every:
        raise InitlintError("cannot be combined with a rule", where="--all", hint="give one of the two")
    chosen = [_rule(name, rules)] if name else list(rules.values())
    painted = wants_color(color, output_file)
    if output_format == "json":
        text = array(chosen)
    elif name:
        text = page(chosen[0], color=painted)
    elif every:
        text = "\n".join(page(rule, color=painted) for rule in chosen)
    else:
        text = index(chosen, color=painted)
    write(text, output_file)
    return 0


def _rule(name: str, rules: Mapping[str, Rule]) -> Rule:
    """The rule of exactly this code or name."""
    for rule in rules.values():
        if name.upper() == rule.code or name == rule.name:
            return rule
    require_rule(name, rules)
    meant = ", ".join(rule.code for rule in rules.values() if covers(name, rule))
    raise InitlintError("stands for several rules", where=name, hint=f"name one of {meant}")
