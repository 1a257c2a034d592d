"""Arithmetic on numbers of which some are not known, None: what depends on one of these is not known either."""

from __future__ import annotations

import math
from collections.abc import Iterable


def product(first: float | None, second: float | None) -> float | None:
    """The product of two."""
    return None if first is None or second is None else first * second


def quotient(first: float | None, second: float | None) -> float | None:
    """The quotient, None also by zero."""
    return None if first is None or not second else first / second


def plus(first: float | None, second: float) -> float | None:
    """The sum with a number that is known."""
    return None if first is None else first + second


def sum_of(numbers: Iterable[float | None]) -> float | None:
    """The sum of several."""
    known = 0.0
    for number in numbers:
        if number is None:
            return None
        known += number
    return known


def root_of_sum(squares: Iterable[float | None]) -> float | None:
    """The root of the sum of several squares."""
    known = sum_of(squares)
    return None if known is None else math.sqrt(known)
