"""Message passing on graphs: what a library's base class sends along the edges, and which methods it sends it through."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from initlint.source.symbols import ABSENT, UNKNOWN
from initlint.source.values import Arguments, Bound, Choice, ClassV, External, FunctionV, Instance, ListV, TensorV

if TYPE_CHECKING:
    from collections.abc import Iterator

    from initlint.knowledge import LibraryFact
    from initlint.source.machine import Frame, Machine

_INDICES = frozenset(
    {"index", "ptr", "dim_size", "size_i", "size_j", "edge_index", "edge_index_i", "edge_index_j", "size"}
)
_ENDS = {"_j": 0, "_i": 1}
"""Which of a pair of node features is meant: those of the source or of the target of an edge."""
_SCALE_FREE = frozenset({"mean", "max", "min"})


def leave_to_facts(machine: Machine, cls: ClassV) -> None:
    """The methods of a library's own class that the facts describe are taken from there, not from its code."""
    name = machine.resolve(f"{cls.file.name}.{cls.name}")
    if name in machine.knowledge.libraries:
        for method in list(cls.data):
            if f"{name}.{method}" in machine.knowledge.libraries:
                del cls.data[method]


def pass_messages(
    machine: Machine, instance: Instance, name: str, arguments: Arguments, node: ast.AST, frame: Frame
) -> object:
    """``self.propagate(edge_index, x=x)``: the methods that it calls, one on the result of the other; else ABSENT."""
    fact = fact_of(machine, instance.cls, name) if isinstance(instance.cls, ClassV) else None
    if fact is None:
        return ABSENT
    result: object = ABSENT
    for hook in fact.hooks:
        method = instance.cls.lookup(hook) if isinstance(instance.cls, ClassV) else ABSENT
        if isinstance(method, FunctionV) and not (method.owner and _is_known(machine, method.owner)):
            given = _received(machine, method, result, arguments, node, frame)
            result = machine.call(Bound(method, instance), given, node, frame)
        elif result is ABSENT:
            result = _sent(machine, "x_j", arguments, node, frame)
        elif hook == "aggregate":
            result = _aggregated(machine, instance, result)
    return UNKNOWN if result is ABSENT else result


def fact_of(machine: Machine, cls: ClassV, name: str) -> LibraryFact | None:
    """What is known of the method `name` that the class has from a library."""
    for base in _names_of_bases(machine, cls):
        fact = machine.knowledge.libraries.get(f"{base}.{name}")
        if fact is not None and fact.kind == "message-passing":
            return fact
    return None


def _names_of_bases(machine: Machine, cls: ClassV) -> Iterator[str]:
    for base in cls.external_bases:
        if isinstance(base, External):
            yield machine.resolve(base.name)
    for each in cls.mro:
        yield machine.resolve(f"{each.file.name}.{each.name}")


def _is_known(machine: Machine, cls: ClassV) -> bool:
    return machine.resolve(f"{cls.file.name}.{cls.name}") in machine.knowledge.libraries


def _received(
    machine: Machine, method: FunctionV, result: object, arguments: Arguments, node: ast.AST, frame: Frame
) -> Arguments:
    """The arguments of a method by its parameters' names; what the method before returned comes first."""
    parameters = [each.arg for each in (*method.node.args.args, *method.node.args.kwonlyargs)][1:]
    keywords: dict[str, object] = {}
    if result is not ABSENT and parameters:
        keywords[parameters.pop(0)] = result
    for parameter in parameters:
        value = _sent(machine, parameter, arguments, node, frame)
        if value is not ABSENT:
            keywords[parameter] = value
    return Arguments([], keywords)


def _sent(machine: Machine, parameter: str, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    """``x_j`` is `x` at the sources of the edges, anything else what was given by that name; ABSENT if nothing was."""
    if parameter in arguments.keywords:
        return arguments.keywords[parameter]
    value = arguments.keywords.get(parameter[:-2], ABSENT) if parameter[-2:] in _ENDS else ABSENT
    if value is ABSENT:
        return UNKNOWN if parameter in _INDICES else ABSENT
    return _at_edges(machine, value, _ENDS[parameter[-2:]])


def _at_edges(machine: Machine, value: object, end: int) -> object:
    if isinstance(value, Choice):
        return machine.join([_at_edges(machine, each, end) for each in value.alternatives if each is not ABSENT])
    if isinstance(value, (tuple, ListV)):
        pair = value.data if isinstance(value, ListV) else value
        return _at_edges(machine, pair[end], end) if len(pair) == len(_ENDS) else UNKNOWN
    if isinstance(value, TensorV):
        return TensorV(machine.graph.add("transparent", "index_select", (value.op,)))
    return value


def _aggregated(machine: Machine, instance: Instance, messages: object) -> object:
    """What arrives at a node: how large a sum over its neighbours is depends on their number."""
    if not isinstance(messages, TensorV):
        return messages
    scheme = instance.data.get("aggr", instance.arguments.get("aggr"))
    kind = "transparent" if scheme in _SCALE_FREE else "scale"
    return TensorV(machine.graph.add(kind, "aggregate", (messages.op,)))
