"""Layers that hang on a module in a plain list or dict: nothing that walks the module meets them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING

from initlint.source.torch_modules import all_parameters, children
from initlint.source.values import ClassV, DictV, Instance, ListV

if TYPE_CHECKING:
    from initlint.source.machine import Machine


def inspect_registration(machine: Machine, below: Mapping[Instance, list[Instance]]) -> None:
    """Note layers that no module registers, at the end of a context; `below` has those that hang on each outermost one."""
    registered = {module for modules in below.values() for module in modules}
    for holder in list(registered):
        if isinstance(holder.cls, ClassV):
            for name, value in holder.data.items():
                hidden = [module for module in _held(value) if _is_hidden(module, registered)]
                _note(machine, holder, name, value, hidden)


def _is_hidden(module: Instance, registered: Collection[Instance]) -> bool:
    """Whether nothing leads to a module; what only groups modules that are registered one by one hides none."""
    if module in registered:
        return False
    parts = [each for _, each in children(module)]
    grouped = not isinstance(module.cls, ClassV) and bool(parts)
    return not grouped or any(_is_hidden(each, registered) for each in parts)


def _held(value: object) -> Iterator[Instance]:
    """The modules directly in a list, tuple or dict."""
    if isinstance(value, DictV):
        items = list(value.data.values())
    elif isinstance(value, ListV):
        items = value.data
    elif isinstance(value, tuple):
        items = list(value)
    else:
        return
    yield from (each for each in items if isinstance(each, Instance) and each.torch_class)


def _note(machine: Machine, holder: Instance, name: str, value: object, hidden: list[Instance]) -> None:
    trained = [module for module in hidden if any(not param.frozen for param in all_parameters(module))]
    if not trained or (len(hidden) == 1 and _is_hiding_place(value, hidden[0])):
        return
    first = trained[0]
    if first.place is None or first not in machine.forwarded:
        return
    container = "ModuleDict" if isinstance(value, DictV) else "ModuleList"
    machine.occur(
        "unregistered-layers", first.place, first, attribute=name, holder=holder.class_name, container=container
    )


def _is_hiding_place(value: object, module: Instance) -> bool:
    """``[teacher]``: a list of one is how a module is kept out of sight on purpose."""
    return not isinstance(value, DictV) and not module.repeats and not (isinstance(value, ListV) and value.repeats)
