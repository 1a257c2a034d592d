"""Which rules speak: codes, code prefixes and names, the more specific having the last word."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path

from initlint.errors import InitlintError
from initlint.knowledge import Rule

SYNTAX_ERROR = "INI900"
UNUSED_SUPPRESSION = "INI901"
MEASURED = "INI5"
"""What the codes of rules about measured signals begin with."""
ALL = "ALL"


@dataclass(frozen=True, slots=True)
class Layer:
    """What one place (a configuration file, the command line) says about rules; `select` replaces what came before."""

    select: tuple[str, ...] | None = None
    extend_select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Selection:
    """The rules that were asked for, and the files in which some of them are not.

    `per_file_ignores` are (glob, selectors): a glob is matched against the file's name and its path below `root`,
    a leading ``!`` turns it round.
    """

    layers: tuple[Layer, ...] = ()
    per_file_ignores: tuple[tuple[str, tuple[str, ...]], ...] = ()
    root: Path = field(default_factory=Path.cwd)

    def extended(
        self, layers: tuple[Layer, ...], per_file_ignores: tuple[tuple[str, tuple[str, ...]], ...] = ()
    ) -> Selection:
        """The selection with what a further place says over it."""
        return replace(
            self, layers=(*self.layers, *layers), per_file_ignores=(*self.per_file_ignores, *per_file_ignores)
        )

    @property
    def selectors(self) -> tuple[str, ...]:
        """Every selector that was written anywhere."""
        written = [s for layer in self.layers for s in (*(layer.select or ()), *layer.extend_select, *layer.ignore)]
        return (*written, *(s for _, ignored in self.per_file_ignores for s in ignored))

    def enabled(self, rules: Mapping[str, Rule]) -> frozenset[str]:
        """The codes to report. A syntax error is reported unless it is ignored by its own code or name.

        Raises InitlintError for a selector that names no rule.
        """
        for selector in self.selectors:
            require_rule(selector, rules)
        codes = {code for code, rule in rules.items() if rule.default}
        for layer in self.layers:
            codes = _apply(layer, codes, rules)
        ignored = {s for layer in self.layers for s in layer.ignore}
        silenced = SYNTAX_ERROR in ignored or (SYNTAX_ERROR in rules and rules[SYNTAX_ERROR].name in ignored)
        return frozenset(codes - {SYNTAX_ERROR} if silenced else codes | {SYNTAX_ERROR})

    def ignored_in(self, file: str, rules: Mapping[str, Rule]) -> frozenset[str]:
        """The codes that per-file-ignores silence in `file`, an absolute path."""
        path = Path(file)
        below = path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else path.as_posix()
        ignored: set[str] = set()
        for glob, selectors in self.per_file_ignores:
            pattern = glob.removeprefix("!")
            hit = any(fnmatchcase(candidate, pattern) for candidate in (path.name, below, path.as_posix()))
            if hit != glob.startswith("!"):
                ignored |= expand(selectors, rules)
        return frozenset(ignored)


def expand(selectors: Iterable[str], rules: Mapping[str, Rule]) -> frozenset[str]:
    """The codes that any of `selectors` stands for."""
    return frozenset(code for selector in selectors for code in rules if covers(selector, rules[code]))


def covers(selector: str, rule: Rule) -> bool:
    """Whether `selector` (a code, a prefix of one, a name or ``ALL``) stands for `rule`."""
    if selector == rule.name or selector.upper() == ALL:
        return True
    return selector.upper().startswith("INI") and rule.code.startswith(selector.upper())


def require_rule(selector: str, rules: Mapping[str, Rule]) -> None:
    """Raise InitlintError, naming the nearest rule, if `selector` stands for no rule."""
    if any(covers(selector, rule) for rule in rules.values()):
        return
    from difflib import get_close_matches

    known = [*rules, *(rule.name for rule in rules.values())]
    wanted = selector.upper() if selector.upper().startswith("INI") else selector
    near = get_close_matches(wanted, known, n=1, cutoff=0.0)
    hint = f"the nearest is {near[0]}; `initlint rule --all` lists them" if near else "`initlint rule --all` lists them"
    raise InitlintError("no such rule", where=selector, hint=hint)


def _apply(layer: Layer, codes: set[str], rules: Mapping[str, Rule]) -> set[str]:
    """`codes` after `layer`: from the widest selector to the narrowest, at each width first adding, then removing."""
    result = set(codes) if layer.select is None else set()
    added = (*(layer.select or ()), *layer.extend_select)
    widths = sorted({_width(selector) for selector in (*added, *layer.ignore)})
    for width in widths:
        result |= expand((s for s in added if _width(s) == width), rules)
        result -= expand((s for s in layer.ignore if _width(s) == width), rules)
    return result


def _width(selector: str) -> int:
    """How specific a selector is: 0 for ALL, the length of a prefix, that of a whole code for a name."""
    if selector.upper() == ALL:
        return 0
    return len(selector) if selector.upper().startswith("INI") and "-" not in selector else len(SYNTAX_ERROR)
