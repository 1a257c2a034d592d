"""Taking elements out of lists, mappings and containers of modules: ``del layers[-1]``, ``layers.pop()``."""

from __future__ import annotations

import ast

from initlint.source.attributes import delete_attribute
from initlint.source.cuts import without_last
from initlint.source.machine import Frame, Machine
from initlint.source.symbols import UNKNOWN
from initlint.source.torch_modules import children
from initlint.source.values import Arguments, Bound, ClassV, DictV, FunctionV, Instance, ListV

_PARTS = frozenset({"_parameters", "_modules", "_buffers"})
"""Where a module keeps what its attributes are."""


def delete_item(machine: Machine, node: ast.Subscript, frame: Frame) -> None:
    """``del container[key]``."""
    key = machine.evaluate(node.slice, frame)
    if isinstance(node.value, ast.Attribute) and node.value.attr in _PARTS:
        owner = machine.evaluate(node.value.value, frame)
        if isinstance(owner, Instance) and owner.torch_class and isinstance(key, str):
            delete_attribute(machine, owner, key)
            return
    container = machine.evaluate(node.value, frame)
    if isinstance(container, ListV):
        take_out(machine, container, key)
    elif isinstance(container, DictV):
        _forget(machine, container, key)
    elif isinstance(container, Instance):
        method = container.cls.lookup("__delitem__") if isinstance(container.cls, ClassV) else None
        if isinstance(method, FunctionV):
            machine.call(Bound(method, container), Arguments([key]), node, frame)
        elif container.torch_class:
            take_module(machine, container, key)


def take_out(machine: Machine, items: ListV, key: object) -> object:
    """Remove what `key` names from a list, and return it."""
    machine.touch(items)
    if isinstance(key, int) and -len(items.data) <= key < len(items.data):
        taken = items.data[key]
        if items.repeats and key in (-1, len(items.data) - 1):
            items.data = without_last(items.data)
        else:
            del items.data[key]
        return taken
    try:
        del items.data[key]  # type: ignore[arg-type]
    except (TypeError, ValueError, IndexError):
        items.data = [UNKNOWN]
        items.repeats = True
    return UNKNOWN


def take_module(machine: Machine, container: Instance, key: object) -> object:
    """Remove the child that `key` names, and return it; those behind it move up in a list or Sequential."""
    if isinstance(key, str):
        machine.touch(container)
        return container.data.pop(key, UNKNOWN)
    names = list(dict.fromkeys(name for name, _ in children(container)))
    left = ListV([container.data[name] for name in names])
    taken = take_out(machine, left, key)
    if left.repeats:
        return UNKNOWN
    machine.touch(container)
    for name in names:
        del container.data[name]
    container.data.update((str(index), value) for index, value in enumerate(left.data))
    return taken


def _forget(machine: Machine, mapping: DictV, key: object) -> None:
    from initlint.source.expressions import is_key

    machine.touch(mapping)
    if is_key(key):
        mapping.data.pop(key, None)
