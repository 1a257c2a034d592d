"""Notes that a program leaves on a parameter: ``bias._no_reinit = True``, which an initializer asks for later."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from initlint.source.symbols import ABSENT
from initlint.source.values import Choice, Marks, ParamV, View

if TYPE_CHECKING:
    from initlint.source.machine import Machine

_OF_TORCH = frozenset({"_backward_hooks", "_base", "_grad", "_grad_fn", "_is_view", "_version"})
ALWAYS = frozenset({"data", "shape", "device", "dtype", "grad", "requires_grad"})


def mark(machine: Machine, param: ParamV, name: str, value: object) -> None:
    """``param.name = value``."""
    if param.marks is None:
        param.marks = Marks(param.serial)
    machine.touch(param.marks)
    param.marks.data[name] = value


def unmark(machine: Machine, param: ParamV, name: str) -> None:
    """``del param.name``."""
    if param.marks is not None and name in param.marks.data:
        machine.touch(param.marks)
        del param.marks.data[name]


def mark_of(value: ParamV | View, name: str) -> object:
    """What the program noted under a name, ABSENT where it did not; a view is a new tensor without notes."""
    if isinstance(value, View) or value.marks is None:
        return ABSENT
    return value.marks.data.get(name, ABSENT)


def marks_of(param: ParamV) -> Iterator[tuple[str, object]]:
    """All that the program noted on a parameter."""
    if param.marks is not None:
        yield from sorted(param.marks.data.items(), key=lambda item: item[0])


def is_marked(value: ParamV | View, name: str) -> bool | None:
    """Whether ``value.name`` exists, None if that is not known: a private name is there only if the program noted it."""
    noted = mark_of(value, name)
    if noted is not ABSENT:
        return None if isinstance(noted, Choice) and ABSENT in noted.alternatives else True
    if name in ALWAYS:
        return True
    is_private = name.startswith("_") and not name.startswith("__") and name not in _OF_TORCH
    owner = (value.param if isinstance(value, View) else value).owner
    return False if is_private and (owner is None or not owner.adrift) else None
