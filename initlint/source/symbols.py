"""Numbers that have names but no values, and the two values that are none."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass


class Unknown:
    """Anything at all; `UNKNOWN` is its one instance, and it is silent."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "UNKNOWN"


class Absent:
    """Nothing: the alternative in which a list element or an attribute does not exist."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "ABSENT"


UNKNOWN = Unknown()
ABSENT = Absent()


_NUMBER = (int, float)
_LONGEST_NAME = 120


@dataclass(frozen=True, slots=True)
class Sym:
    """A number (or anything else) that has a name but no value: the monomial coefficient * product of name ** power.

    Two equal symbols stand for the same value, so that ``sqrt(2 / (k * k * n))`` is recognised whatever `n` is.
    """

    coefficient: float
    powers: tuple[tuple[str, float], ...]

    @staticmethod
    def named(name: str) -> Sym | Unknown:
        """The symbol called `name`, or UNKNOWN when the name has grown out of all proportion."""
        return Sym(1, ((name, 1),)) if len(name) <= _LONGEST_NAME else UNKNOWN

    @property
    def name(self) -> str | None:
        """The name, if this is one symbol and nothing else."""
        if self.coefficient == 1 and len(self.powers) == 1 and self.powers[0][1] == 1:
            return self.powers[0][0]
        return None

    def __str__(self) -> str:
        if self.name:
            return self.name
        factors = [name if power == 1 else f"{name}**{power:g}" for name, power in self.powers]
        return "*".join([*([f"{self.coefficient:g}"] if self.coefficient != 1 else []), *factors])


def monomial(value: object) -> Sym | None:
    """`value` as a monomial, or None when it is not a number or a symbol."""
    if isinstance(value, Sym):
        return value
    if isinstance(value, _NUMBER) and not isinstance(value, bool):
        return Sym(value, ())
    return None


def simplified(coefficient: float, powers: dict[str, float]) -> object:
    """A number when no symbol is left, else the monomial."""
    kept = tuple(sorted((name, power) for name, power in powers.items() if power))
    return Sym(coefficient, kept) if kept else coefficient


def multiply(left: Sym, right: Sym, sign: int = 1) -> object:
    """Left * right (`sign` 1) or left / right (`sign` -1); UNKNOWN for a division by zero."""
    if sign < 0 and right.coefficient == 0:
        return UNKNOWN
    coefficient = left.coefficient * right.coefficient if sign > 0 else left.coefficient / right.coefficient
    if not left.powers and not right.powers:
        return coefficient
    powers = dict(left.powers)
    for name, power in right.powers:
        powers[name] = powers.get(name, 0) + sign * power
    return simplified(coefficient, powers)


def power(base: Sym, exponent: float) -> object:
    """Base ** exponent, UNKNOWN where that is not a real number."""
    try:
        coefficient = base.coefficient**exponent
    except (ZeroDivisionError, OverflowError, ValueError):
        return UNKNOWN
    if isinstance(coefficient, complex) or math.isinf(coefficient):
        return UNKNOWN
    return simplified(coefficient, {name: each * exponent for name, each in base.powers})


def names_of(value: object) -> Iterator[str]:
    """The names in a symbol, or in the symbols of a tuple."""
    for each in value if isinstance(value, tuple) else (value,):
        if isinstance(each, Sym):
            yield from (name for name, _ in each.powers)
