"""Regular expressions on strings that are known: EfficientNets are written as ``"r2_k3_s2_e6"`` and split by one."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable

from initlint.source.machine import Frame, Machine
from initlint.source.symbols import UNKNOWN
from initlint.source.values import Arguments, External, ListV

_LONGEST = 200
_REPEATED_GROUP = re.compile(r"\)[*+{]")
"""What can make a search exponential; without it the length of the string bounds its time."""

_FOUND = External("re.Match")


def _strings(arguments: Arguments, count: int) -> list[str] | None:
    """The first arguments of a call, all of them short strings that are known; None for any other call."""
    given = arguments.positional
    if len(given) != count or arguments.keywords or arguments.open:
        return None
    strings = [each for each in given if isinstance(each, str) and len(each) <= _LONGEST]
    return strings if len(strings) == count and not _REPEATED_GROUP.search(strings[0]) else None


def _pure(function: Callable[..., object], count: int, made: Callable[..., object]) -> Callable[..., object]:
    """A function of `re` that takes `count` strings; `made` turns its result into a value."""

    def call(machine: Machine, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
        strings = _strings(arguments, count)
        if strings is None:
            return UNKNOWN
        try:
            return made(function(*strings))
        except re.error:
            return UNKNOWN

    return call


def _match(found: re.Match[str] | None) -> object:
    return None if found is None else _FOUND


REGULAR_EXPRESSIONS: dict[str, Callable[..., object]] = {
    "re.match": _pure(re.match, 2, _match),
    "re.fullmatch": _pure(re.fullmatch, 2, _match),
    "re.search": _pure(re.search, 2, _match),
    "re.split": _pure(re.split, 2, ListV),
    "re.findall": _pure(re.findall, 2, ListV),
    "re.sub": _pure(re.sub, 3, str),
    "re.escape": _pure(re.escape, 1, str),
}
