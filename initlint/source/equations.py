"""What an einsum's equation says of an operand: whether anything is summed over it, and over which of its dimensions."""

from __future__ import annotations

_MATRIX = 2


def sums_over(equation: str, position: int, *, spaced: bool) -> bool:
    """Whether an operand of this equation has an index that the result lacks: else it only scales the other."""
    terms, arrow, result = equation.partition("->")
    if not arrow or "." in result:
        return True
    term = terms.split(",")[position]
    return not set(term.split() if spaced else term) <= set(result.split() if spaced else result) | {" "}


def multiplies(equation: str, *, spaced: bool) -> bool:
    """Whether one of two operands weighs elements of the other: ``b r c h w, b r c -> b c h w``.

    It has no index that the other lacks, and the result keeps all of its own, or more than that of the batch: of one
    that keeps no more, as of queries that are compared with keys, nobody can say.
    """
    terms, arrow, result = equation.partition("->")
    factors = terms.split(",")
    if len(factors) != 2 or not arrow:
        return False
    left, right, kept = (frozenset(each.split() if spaced else each.replace(" ", "")) for each in (*factors, result))
    smaller = min(left, right, key=len)
    return (left < right or right < left) and (smaller <= kept or len(smaller & kept) > 1)


def contraction(equation: str, position: int) -> str:
    """How an equation contracts an operand: a matrix over one side, a larger one over its first dimensions or in some other way.

    "unknown" stands for a stack of matrices, with an index of the other operand that the result keeps, and for all else.
    """
    terms, _, result = equation.replace(" ", "").partition("->")
    factors = terms.split(",")
    if len(factors) != 2 or not equation.isascii() or not f"{factors[0]}{factors[1]}{result}".isalpha():
        return "unknown"
    weight, signal = factors[position], factors[1 - position]
    if len(weight) < _MATRIX or len(set(weight)) != len(weight) or set(weight) & set(signal) & set(result):
        return "unknown"
    summed = [letter not in result for letter in weight]
    leading = sum(summed)
    if len(weight) == _MATRIX:
        return "unknown" if leading != 1 else "in_out" if summed[0] else "out_in"
    return f"leading_{leading}" if all(summed[:leading]) else "unstacked"
