"""Objects of the project's own classes that are dictionaries, such as registries and outputs, and the items they hold."""

from __future__ import annotations

import ast

from initlint.source.expressions import is_key, put
from initlint.source.machine import Frame, Machine
from initlint.source.patterns import Pattern, kept_under
from initlint.source.symbols import UNKNOWN
from initlint.source.values import (
    Arguments,
    Bound,
    Builtin,
    ClassV,
    DictV,
    External,
    FunctionV,
    Instance,
    Method,
    Partial,
    choice,
    present,
)

_ITEMS = "<items>"
_MOST_BUILDERS = 8
_OUTSIDE = frozenset({"collections.OrderedDict", "collections.UserDict"})
_METHODS = frozenset({"copy", "get", "items", "keys", "pop", "setdefault", "update", "values"})


def hold_items(cls: ClassV, instance: Instance) -> None:
    """Let a new object of a class that derives from a dictionary hold items."""
    if not instance.torch_class and any(map(_is_mapping, _bases(cls))):
        instance.data[_ITEMS] = DictV({})


def _bases(cls: ClassV) -> list[object]:
    return [base for each in cls.mro for base in each.bases if isinstance(base, (Builtin, External))]


def _is_mapping(base: object) -> bool:
    return base.name == "dict" if isinstance(base, Builtin) else isinstance(base, External) and base.name in _OUTSIDE


def items_of(value: object) -> DictV | None:
    """The items that an object holds, None where it is no dictionary."""
    held = value.data.get(_ITEMS) if isinstance(value, Instance) else None
    return held if isinstance(held, DictV) else None


def inherited_method(value: Instance, name: str) -> Method | None:
    """A method that an object has from the dictionary it is."""
    items = items_of(value) if name in _METHODS else None
    return None if items is None else Method(items, name)


def call_inherited(
    machine: Machine, items: DictV, name: str, arguments: Arguments, node: ast.AST, frame: Frame
) -> object:
    """``super().name(...)`` in a class that derives from a dictionary."""
    if name == "__init__":
        made = machine.call(Builtin("dict"), arguments, node, frame)
        machine.touch(items)
        if isinstance(made, DictV):
            items.data.update(made.data)
            items.open |= made.open
        else:
            items.open = True
        return None
    key = arguments.get(0, "key", UNKNOWN)
    if name == "__getitem__":
        return item(items, key)
    if name == "__setitem__":
        machine.touch(items)
        put(items, key, arguments.get(1, "value", UNKNOWN))
        return None
    if name == "__contains__":
        return True if is_key(key) and key in items.data else UNKNOWN if items.open or not is_key(key) else False
    return machine.call(Method(items, name), arguments, node, frame)


def item(mapping: DictV, key: object) -> object:
    """``mapping[key]``; by an unknown key any of a table of words, of builders, or of records that say how to build something."""
    if is_key(key):
        return present(mapping.data.get(key, UNKNOWN), UNKNOWN)
    if kept := kept_under(key, mapping.data):
        return kept[0] if len(kept) == 1 else choice(kept)
    held = any_item(mapping)
    return UNKNOWN if held is None else held


def any_item(mapping: DictV) -> object:
    """What an unknown key finds in a table of words, of builders or of records that hold one; None where the table is no such."""
    held = list(mapping.data.values())
    words = all(isinstance(each, (str, Pattern)) for each in held)
    if not held or mapping.open or not (words or all(map(_builds, held))):
        return None
    return choice(held, _MOST_BUILDERS)


def _builds(value: object) -> bool:
    """Whether it is a function or class of the project, or a record that holds one: ``{"url": url, "build": lambda: Net(width=64)}``."""
    if isinstance(value, DictV):
        return any(map(_builds, value.data.values()))
    return isinstance(value, (FunctionV, ClassV, Bound)) or (isinstance(value, Partial) and _builds(value.function))
