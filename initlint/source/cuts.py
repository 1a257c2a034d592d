"""Parts of a sequence, where its last elements may stand for an unknown number of rounds."""

from __future__ import annotations

from initlint.source.values import Instance

_BUT_LAST = slice(None, -1)


def cut(items: list[object], key: slice, *, repeats: bool) -> list[object]:
    """``items[key]``; TypeError or ValueError where the bounds are not known."""
    return without_last(items) if repeats and key == _BUT_LAST else items[key]


def without_last(items: list[object]) -> list[object]:
    """All but the last element of a sequence that repeats: in all rounds but one it is still there."""
    first = len(items)
    while first and isinstance(each := items[first - 1], Instance) and each.repeats:
        first -= 1
    return [*items, *items[first:-1]] if first < len(items) else items[:-1]
