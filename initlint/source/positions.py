"""How many modules a container of unknown length holds is not known, but loops over that number meet them in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from initlint.source.symbols import ABSENT
from initlint.source.values import Instance, ListV


@dataclass(frozen=True, slots=True)
class Count:
    """The length of a container of which `known` elements are at hand, some of which stand for many."""

    known: int

    def positions(self) -> ListV:
        """What ``range(len(container))`` yields."""
        return ListV([Position(index, self.known) for index in range(self.known)], repeats=True)


@dataclass(frozen=True, slots=True)
class Position:
    """An unknown number that is the index of the one at `index` of the `known` elements, or of one like it."""

    index: int
    known: int

    def of(self, items: Sequence[object]) -> object:
        """The element at this position, ABSENT where the items are not those of such a container."""
        return items[self.index] if len(items) == self.known else ABSENT


def count_of(items: Sequence[object]) -> Count | None:
    """The length of a container whose modules stand for an unknown number, None where one module stands for all."""
    many = any(isinstance(each, Instance) and each.repeats for each in items)
    return Count(len(items)) if many and len(items) > 1 else None
