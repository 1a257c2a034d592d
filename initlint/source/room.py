"""Room for a deep recursion: a caller whose frame is large begins a large piece of stack for all that it calls.

CPython (3.11 and later) keeps the frames of Python functions in pieces of 16 KiB, asks the system for the next when one is
full, and gives it back as soon as the first call in it returns. An interpreter of syntax trees, a few hundred frames deep,
crosses that border all the time: half of a scan's page faults came of it. A piece is as large as its first frame asks
for, rounded up to a power of two; what that frame leaves is for those that follow.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import TypeVar, cast

_Made = TypeVar("_Made")
_SLOTS = 70_000
"""A little more than half a mebibyte of eight-byte slots, so that nearly as much is left of the piece of one mebibyte."""


def with_room(run: Callable[[], _Made]) -> _Made:
    """What `run` returns, called where the stack has room for it."""
    roomy = FunctionType(_call.__code__.replace(co_stacksize=_SLOTS), {})
    return cast("_Made", roomy(run))


def _call(run: Callable[[], _Made]) -> _Made:
    return run()
