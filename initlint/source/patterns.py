"""Texts of which only a part is known: ``f"conv{i}"`` in a loop over an unknown count is ``conv*``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from initlint.source.symbols import UNKNOWN

GAP = "*"
_WORD = re.compile(r"[A-Za-z]")
_DIRECTIVE = re.compile(r"%[-+ #0]*\d*[a-zA-Z]")


@dataclass(frozen=True, slots=True)
class Pattern:
    """A text with gaps; what is set under one is what is read under the same one."""

    text: str

    @property
    def key(self) -> str:
        """The name that something gets under it: one of those that begin with a question mark, which no code can spell."""
        return f"?{self.text}"

    def may_be(self, text: str) -> bool:
        """Whether a text may be this one."""
        return re.fullmatch(".*".join(map(re.escape, self.text.split(GAP))), text, re.DOTALL) is not None


def patterned(text: str) -> object:
    """A text with gaps as a value; UNKNOWN where no word of it is known."""
    return Pattern(text) if _WORD.search(text) else UNKNOWN


def known_part(value: object) -> str:
    """What is known of a text, with gaps."""
    return value if isinstance(value, str) else value.text if isinstance(value, Pattern) else GAP


def added(left: object, right: object) -> object:
    """``"conv" + str(i)``, of which one part may not be known."""
    return patterned(known_part(left) + known_part(right))


def interpolated(template: str, parts: Sequence[object]) -> object:
    """``"conv%d" % i`` where some of the parts are not known."""
    known = [part if isinstance(part, (str, int)) and not isinstance(part, bool) else GAP for part in parts]
    try:
        return patterned(_DIRECTIVE.sub("%s", template) % tuple(known))
    except (TypeError, ValueError):
        return UNKNOWN


def filled(template: str, positional: Sequence[object], keywords: Mapping[str, object]) -> object:
    """``"conv{}".format(i)`` where some of the parts are not known."""
    try:
        given = {name: _part(value) for name, value in keywords.items()}
        return patterned(template.format(*map(_part, positional), **given))
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        return UNKNOWN


def _part(value: object) -> object:
    return value if isinstance(value, (str, int)) and not isinstance(value, bool) else GAP


def name_of(name: object, held: Mapping[Any, object]) -> str:
    """The name under which something is kept whose `name` is not known, or in part only: one that is free."""
    if not isinstance(name, Pattern):
        return f"?{len(held)}"
    key = name.key
    while key in held:
        key += "'"
    return key


def kept_under(name: object, held: Mapping[Any, object]) -> list[object]:
    """What is kept under a `name` that is known in part, once for each time that it was set."""
    if not isinstance(name, Pattern):
        return []
    values, key = [], name.key
    while key in held:
        values.append(held[key])
        key += "'"
    return values


def shown(name: str) -> str:
    """How a name that something is kept under is shown: ``conv*``."""
    return name[1:].rstrip("'") if name.startswith("?") and GAP in name else name
