"""Modules that are built to be copied and for nothing else: ``layer = Layer(); ModuleList(deepcopy(layer) for ...)``."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from initlint.source.lowering import top_modules
from initlint.source.torch_modules import all_parameters, modules_below

if TYPE_CHECKING:
    from initlint.source.machine import Machine
    from initlint.source.values import Instance


def models_of(machine: Machine) -> list[Instance]:
    """The modules that no other contains; templates, and what only they hold, are taken out of the context.

    Of a template nothing is left out that its copies do not show.
    """
    tops = top_modules(machine)
    kept = [top for top in tops if not top.discarded or top in machine.forwarded]
    if len(kept) == len(tops):
        return kept
    dropped = [top for top in tops if top.discarded and top not in machine.forwarded]
    spent = chain.from_iterable(modules_below(top) for top in dropped if _is_spent(machine, top))
    held = set(chain.from_iterable(map(modules_below, kept)))
    gone = {*dropped, *(module for module in spent if module not in held)}
    machine.instances = [each for each in machine.instances if each not in gone]
    return kept


def _is_spent(machine: Machine, top: Instance) -> bool:
    """Whether nothing was written to a template since it was copied: a copy begins with all that the template has."""
    copy = next((each.twin for each in machine.clones if each.source is top), None)
    return copy is not None and all(
        twin.data[: len(param.data)] == param.data
        for param, twin in zip(all_parameters(top), all_parameters(copy), strict=False)
    )
