"""The two ends of a model that nobody calls: the inputs it is given, and the tensors that come out."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from initlint.source.symbols import ABSENT, UNKNOWN
from initlint.source.torch_modules import children
from initlint.source.values import Arguments, Choice, ClassV, DictV, FunctionV, Instance, ListV, TensorV, choice

if TYPE_CHECKING:
    from initlint.source.machine import Machine

_MOST_DEPTH = 4
_SEQUENCES = ("'List'", "'list'", "'Sequence'")
_PLAIN = ("id='int'", "id='float'", "id='bool'", "id='str'")


def inputs_of(machine: Machine, module: Instance, *, optional: bool = False) -> Arguments:
    """What the forward pass of a module must be given: tensors of which nothing is known, by its signature.

    With what is `optional`, tensors that may be left out are given or not.
    """
    method = module.cls.lookup("forward") if isinstance(module.cls, ClassV) else ABSENT
    if not isinstance(method, FunctionV):
        return Arguments([_input(machine, "input")])
    signature = method.node.args
    names = [*signature.posonlyargs, *signature.args][1:]
    required = names[: max(len(names) - len(method.defaults), 0)]
    given = [_input_like(machine, each) for each in required]
    if not required and names:
        given = [_input_like(machine, names[0])]
    if signature.vararg and not given:
        given = [_input(machine, "input")]
    keywords = {
        each.arg: _input_like(machine, each)
        for each, default in zip(signature.kwonlyargs, method.keyword_defaults, strict=True)
        if default is ABSENT
    }
    if optional:
        left = zip(names[len(names) - len(method.defaults) :], method.defaults, strict=True)
        keywords |= {
            each.arg: choice([None, _input_like(machine, each)])
            for each, default in (*left, *zip(signature.kwonlyargs, method.keyword_defaults, strict=True))
            if default is None and each not in names[: len(given)]
        }
    return Arguments(given, keywords)


def left_aside(machine: Machine, modules: Iterable[Instance]) -> Iterator[Instance]:
    """The modules that hold a layer which no forward pass has met, and that may be given more than they were."""
    for module in modules:
        if isinstance(module.cls, ClassV) and _has_options(module.cls):
            held = list(_own_layers(module))
            if any(each not in machine.forwarded for each in held):
                yield module


def _has_options(cls: ClassV) -> bool:
    method = cls.lookup("forward")
    return isinstance(method, FunctionV) and None in (*method.defaults, *method.keyword_defaults)


def _own_layers(module: Instance) -> Iterator[Instance]:
    """The layers of torch's own that a module holds, itself or in a container."""
    for _, child in children(module):
        if child.fact is not None and child.fact.role == "weight":
            yield child
        elif not isinstance(child.cls, ClassV):
            yield from _own_layers(child)


def _input_like(machine: Machine, parameter: ast.arg) -> object:
    annotation = ast.dump(parameter.annotation) if parameter.annotation is not None else ""
    if any(word in annotation for word in _SEQUENCES):
        return ListV([_input(machine, parameter.arg)], repeats=True)
    if any(word in annotation for word in _PLAIN) and "Tensor" not in annotation:
        return UNKNOWN
    return _input(machine, parameter.arg)


def _input(machine: Machine, name: str) -> TensorV:
    return TensorV(machine.graph.add("input", name))


def tensors_in(values: list[object], depth: int = 0) -> list[int]:
    """The ops of all tensors that some values are or hold, each once."""
    found: list[int] = []
    for value in values:
        if isinstance(value, TensorV):
            found.append(value.op)
        elif depth < _MOST_DEPTH:
            found += tensors_in(_held(value), depth + 1)
    return list(dict.fromkeys(found))


def _held(value: object) -> list[object]:
    if isinstance(value, Instance):
        return [] if value.torch_class else list(value.data.values())
    if isinstance(value, DictV):
        return list(value.data.values())
    if isinstance(value, Choice):
        return list(value.alternatives)
    if isinstance(value, ListV):
        return list(value.data)
    return list(value) if isinstance(value, tuple) else []
