"""Iterating and unpacking: what a value yields, when that is known."""

from __future__ import annotations

import ast

from initlint.source.enumerations import is_enumeration, members
from initlint.source.machine import Frame, Machine
from initlint.source.records import fields
from initlint.source.symbols import ABSENT, UNKNOWN, Sym
from initlint.source.values import (
    Arguments,
    Bound,
    Choice,
    ClassV,
    DictV,
    FunctionV,
    Instance,
    ListV,
    ParamV,
    TensorV,
    View,
)

_MOST_CHARACTERS = 200


def elements(machine: Machine, value: object, node: ast.AST, frame: Frame) -> list[object] | None:
    """What iterating over `value` yields, None when that is not known."""
    if isinstance(value, ListV):
        return list(value.data)
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, DictV):
        return None if value.open and not value.data else list(value.data)
    if isinstance(value, str):
        return list(value[:_MOST_CHARACTERS])
    if isinstance(value, Instance):
        return _instance_elements(machine, value, node, frame)
    if isinstance(value, Choice):
        return _choice_elements(machine, value, node, frame)
    if isinstance(value, ClassV):
        return members(value) if is_enumeration(value) else None
    if isinstance(value, TensorV):
        op = machine.graph.add("transparent", "getitem", (value.op,))
        return [TensorV(op, value.filling, param=value.param, part=True)]
    if isinstance(value, (ParamV, View)):
        return [_part(value)]
    return None


def _part(value: ParamV | View) -> View:
    """One of the parts that a parameter consists of."""
    if isinstance(value, View):
        return View(value.param, whole=False, reshaped=True, detached=value.detached)
    return View(value, whole=False, reshaped=True)


def repeats(value: object) -> bool:
    """Whether the elements that are known stand for an unknown number of them."""
    return isinstance(value, (TensorV, ParamV, View)) or (isinstance(value, ListV) and value.repeats)


def _instance_elements(machine: Machine, value: Instance, node: ast.AST, frame: Frame) -> list[object] | None:
    from initlint.source.mappings import items_of
    from initlint.source.torch_modules import container_items

    if isinstance(value.cls, ClassV):
        method = value.cls.lookup("__iter__")
        if isinstance(method, FunctionV):
            return elements(machine, machine.call(Bound(method, value), Arguments([]), node, frame), node, frame)
        if (held := fields(value)) is not None:
            return held
        if (items := items_of(value)) is not None:
            return elements(machine, items, node, frame)
    return container_items(value)


def _choice_elements(machine: Machine, value: Choice, node: ast.AST, frame: Frame) -> list[object] | None:
    iterated = [each for each in value.alternatives if each is not ABSENT and each is not None]
    found = [elements(machine, each, node, frame) for each in iterated]
    if not found or any(each is None for each in found):
        return None
    lists = [each for each in found if each is not None]
    if len({len(each) for each in lists}) != 1:
        longest = max(len(each) for each in lists)
        return [
            machine.join([each[index] if index < len(each) else ABSENT for each in lists]) for index in range(longest)
        ]
    return [machine.join(list(column)) for column in zip(*lists, strict=True)]


def unpacked(machine: Machine, value: object, count: int, starred: int | None) -> list[object]:
    """`count` values for `count` targets, one of which may take the rest."""
    items: list[object] | None = None
    if isinstance(value, ListV):
        items = None if value.repeats else list(value.data)
    elif isinstance(value, tuple):
        items = list(value)
    elif isinstance(value, DictV):
        items = list(value.data)
    elif isinstance(value, Instance):
        from initlint.source.torch_modules import container_items

        items = fields(value) or container_items(value)
    elif isinstance(value, Choice):
        parts = [unpacked(machine, each, count, starred) for each in value.alternatives if each is not ABSENT]
        return [machine.join(list(column)) for column in zip(*parts, strict=True)]
    elif isinstance(value, TensorV):
        ops = [machine.graph.add("transparent", "getitem", (value.op,)) for _ in range(count)]
        return [TensorV(op, value.filling, param=value.param, part=True) for op in ops]
    elif isinstance(value, (ParamV, View)):
        return [_part(value)] * count
    elif isinstance(value, Sym) and value.name and starred is None:
        return [Sym.named(f"{value.name}[{index}]") for index in range(count)]
    if items is not None and starred is not None and len(items) >= count - 1:
        extra = len(items) - (count - 1)
        return [*items[:starred], ListV(items[starred : starred + extra]), *items[starred + extra :]]
    if items is None or len(items) != count:
        return [UNKNOWN] * count
    return items
