"""What branches leave in memory, joined: in a parameter, in fresh memory, in names and lists."""

from __future__ import annotations

import itertools
from dataclasses import replace
from operator import is_
from typing import TYPE_CHECKING

from initlint.source.symbols import ABSENT
from initlint.source.values import Cell, DictV, Filling, Marks, ParamV, Write

if TYPE_CHECKING:
    from initlint.source.machine import Machine


def joined_writes(states: list[tuple[Write, ...]]) -> tuple[Write, ...]:
    """The writes common to all branches, then those of some, marked conditional; the last is certain where all make it.

    Unknown ones in a row are one.
    """
    first = states[0]
    shortest = min(map(len, states))
    common = min(_common(first, state) for state in states)
    merged = list(first[:common])
    if common == shortest and all(len(state) == common for state in states):
        return first
    for write in (write for state in states for write in state[common:]):
        if write.source != "unknown" or not merged or merged[-1].source != "unknown":
            merged.append(replace(write, conditional=True))
    if common < shortest and _is_one_effect([state[-1] for state in states]):
        merged[-1] = states[-1][-1]
    return tuple(merged)


def _common(one: tuple[Write, ...], other: tuple[Write, ...]) -> int:
    """How many writes two branches have in common from the first on."""
    if one is other:
        return len(one)
    return next((index for index, alike in enumerate(map(is_, one, other)) if not alike), min(len(one), len(other)))


def _is_one_effect(writes: list[Write]) -> bool:
    """Whether it does not matter which of these writes came last: all load, or one call made them all."""
    if any(write.conditional or write.partial for write in writes):
        return False
    if all(write.source == "loaded" for write in writes):
        return True
    first = writes[0]
    return first.place is not None and all(
        write.place is not None
        and write.place.node is first.place.node
        and (write.function, write.arguments) == (first.function, first.arguments)
        for write in writes
    )


def joined_fillings(states: list[Write]) -> Write:
    """What the branches agree on, else one that fills the memory, marked conditional."""
    if all(state is states[0] for state in states):
        return states[0]
    filled = [state for state in states if state.source != "uninitialized"]
    return replace(filled[-1] if filled else states[0], conditional=True)


def joined_data(machine: Machine, cell: Cell, states: list[object]) -> object:
    """What a cell holds where several branches meet; `states` are what each left in it."""
    first = states[0]
    if len(states) == 1:
        return first
    if isinstance(cell, ParamV):
        return joined_writes([state for state in states if isinstance(state, tuple)])
    if isinstance(cell, Filling):
        return joined_fillings([state for state in states if isinstance(state, Write)])
    if isinstance(first, dict):
        held = [state for state in states if isinstance(state, dict)]
        return _joined_names(machine, held, optional=isinstance(cell, (DictV, Marks)))
    if isinstance(first, list):
        columns = itertools.zip_longest(*(state for state in states if isinstance(state, list)), fillvalue=ABSENT)
        return [machine.join(list(column)) for column in columns]
    return first


def _joined_names(machine: Machine, states: list[dict[object, object]], *, optional: bool) -> dict[object, object]:
    """The names of all branches; a key that only some of them put into a mapping may be missing."""
    if optional:
        keys = dict.fromkeys(key for state in states for key in state)
        return {key: machine.join([state.get(key, ABSENT) for state in states]) for key in keys}
    merged = dict(states[0])
    for state in states[1:]:
        for key, value in state.items():
            held = merged.get(key, value)
            merged[key] = value if held is value else machine.join([held, value])
    return merged
