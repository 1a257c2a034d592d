"""How many steps a context may take, and what is not charged to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from initlint.source.machine import Machine

BUDGET = 150_000
BARREN_BUDGET = 15_000
"""Nearly every model begins within 500 steps, and hardly one after 10,000."""
FORWARD_BUDGET = 150_000
OPEN_BUDGET = 50_000


@contextmanager
def loading(machine: Machine) -> Iterator[None]:
    """A module is loaded once for all contexts: its steps are counted by themselves, however many modules came before."""
    outer = machine.steps, machine.budget, machine.reserve
    machine.budget, machine.reserve = machine.steps + BARREN_BUDGET, BUDGET - BARREN_BUDGET
    try:
        yield
    finally:
        machine.steps, machine.budget, machine.reserve = outer
