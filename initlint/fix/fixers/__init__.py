"""The rules that speak of events and have a fix: for each a function from what is found to edits, or to why there are none."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

from initlint.fix.fixers import (
    apply_of_call_result,
    bias_may_be_none,
    deprecated_initializer,
    fan_of_vector,
    in_place_on_leaf,
    init_after_weight_norm,
    init_before_layers,
    init_misses_nested_layers,
    init_never_called,
    invalid_initializer_argument,
    module_instead_of_tensor,
    padding_row_overwritten,
    positional_mean,
    type_test_always_wrong,
)
from initlint.fix.fixers.scene import Fixer, Scene
from initlint.fix.importing import called_initializers, named_imports
from initlint.fix.recommend import Refusal
from initlint.fix.spelling import Source, spell
from initlint.fix.spot import find_spot
from initlint.knowledge import Knowledge
from initlint.model import Edit, Finding, Fix, Site

__all__ = ["FIXERS", "fix_finding"]

FIXERS: Mapping[str, Fixer] = MappingProxyType(
    {
        "INI204": positional_mean.name_spread,
        "INI207": padding_row_overwritten.zero_again,
        "INI301": init_never_called.call_it,
        "INI302": init_before_layers.move_down,
        "INI304": fan_of_vector.guard,
        "INI305": bias_may_be_none.guard,
        "INI306": deprecated_initializer.rename,
        "INI307": module_instead_of_tensor.take_weight,
        "INI308": apply_of_call_result.pass_function,
        "INI309": in_place_on_leaf.unwatch,
        "INI311": type_test_always_wrong.gather,
        "INI312": invalid_initializer_argument.correct,
        "INI313": init_after_weight_norm.wrap_later,
        "INI316": init_misses_nested_layers.walk_deeper,
    }
)


def fix_finding(
    finding: Finding,
    findings: Iterable[Finding],
    read: Callable[[str], Source | None],
    knowledge: Knowledge,
    owned: Collection[Site],
) -> Fix | Refusal:
    """The fix of one finding among all `findings`, or why there is none; `read` gives the files that may be rewritten."""
    source = read(finding.site.file)
    spot = None if source is None else find_spot(source, finding.site)
    if spot is None:
        return Refusal("its place is in no file that can be rewritten")
    sites = frozenset(one.site for one in findings if one.code == finding.code and one.site.file == finding.site.file)
    made = FIXERS[finding.code](Scene(finding, spot, sites, knowledge, read, owned))
    return made if isinstance(made, Refusal) else replace(made, edits=(*_imports(spot.source, made.edits), *made.edits))


def _imports(source: Source, edits: Iterable[Edit]) -> tuple[Edit, ...]:
    """The initializers that new code calls by name imported, in a file that imports them so."""
    called = called_initializers("\n".join(edit.content for edit in edits))
    spelling = spell(source)
    return named_imports(source, [name for name in called if spelling.is_imported_by(name)], frozenset())
