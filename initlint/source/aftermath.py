"""What only the end of a context shows, when everything is built, initialized and has run forward once."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import TYPE_CHECKING

from initlint.source.coverage import inspect_sweeps
from initlint.source.fan_errors import inspect_fans
from initlint.source.histories import inspect_histories
from initlint.source.packed import inspect_packed
from initlint.source.registration import inspect_registration
from initlint.source.symmetry import inspect_symmetry
from initlint.source.unscaled import inspect_scales

if TYPE_CHECKING:
    from initlint.source.machine import Machine
    from initlint.source.values import Instance


def inspect_aftermath(
    machine: Machine,
    below: Mapping[Instance, list[Instance]],
    doubted: set[ast.AST],
    unseen: set[ast.AST],
    *,
    doubtful: bool,
) -> None:
    """Note what this context leaves behind; of how weights start nothing, where all of it is `doubtful`.

    `below` has the modules below each that no other contains, `doubted` classes that code not followed may have initialized,
    `unseen` those that other code speaks of but that no context was seen to build.
    """
    inspect_sweeps(machine)
    inspect_registration(machine, below)
    if not doubtful:
        inspect_histories(machine, below, doubted, unseen)
        inspect_symmetry(machine)
        inspect_scales(machine)
    inspect_fans(machine)
    inspect_packed(machine)
