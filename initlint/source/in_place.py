"""A tensor that a signal is put into in place, and one that a loop carries on, is no longer what its name was bound to."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from initlint.source.tensors import SCATTERING, as_signal
from initlint.source.values import Instance, TensorV
from initlint.syntax import nodes_of

if TYPE_CHECKING:
    from initlint.source.machine import Frame, Machine
    from initlint.source.values import Place


_ADDING = frozenset({"add_", "sub_", "index_add_", "scatter_add_"})


def combined(machine: Machine, container: TensorV, signal: TensorV, method: str, place: Place) -> TensorV | None:
    """A tensor once a method has put the elements of another into it, or has added them; None where it does something else."""
    graph = machine.graph
    adds, is_constant = method in _ADDING, graph.is_constant(container.op)
    if not adds and not SCATTERING.match(method):
        op = None
    elif is_constant:
        op = graph.add("scale", "put", (signal.op,), place=place)  # how many meet in an element is not known
    elif adds:
        op = graph.sum(container.op, signal.op, place)
    else:
        op = graph.add("concat", "put", (container.op, signal.op), place=place)
    graph.fill(container.op)  # there may be other names for it
    return None if op is None else TensorV(op, container.filling, container.shape, container.param, container.part)


def put_in(machine: Machine, target: ast.expr, container: object, value: object, frame: Frame) -> None:
    """``x[index] = value``, where `target` is ``x``: from there on the name means a tensor that `value` is a part of."""
    signal = as_signal(machine, value)
    if isinstance(container, TensorV) and signal is not None and isinstance(target, ast.Name):
        made = combined(machine, container, signal, "put_", machine.place(target, frame))
        if made is not None:
            _rebind(machine, target.id, container, made, frame)


def changed(machine: Machine, call: ast.expr, result: object, frame: Frame) -> None:
    """``x.add_(y)``: from there on the name means the result, where more is known of that than that something was done."""
    match call:
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=method)) if method.endswith("_"):
            before = frame.scope.data.get(name)
        case _:
            return
    if isinstance(before, TensorV) and isinstance(result, TensorV) and result.op != before.op:
        node = machine.graph.node(result.op)
        if node.kind != "opaque" or len(node.inputs) > 1:
            _rebind(machine, name, before, result, frame)


def _rebind(machine: Machine, name: str, old: TensorV, new: TensorV, frame: Frame) -> None:
    if frame.scope.data.get(name) is old:
        machine.touch(frame.scope)
        frame.scope.data[name] = new


def stands_for_many(container: object, items: Sequence[object]) -> bool:
    """Whether a container of modules was filled in a loop over nobody knows how many."""
    if not isinstance(container, Instance) or container.repeats:
        return False
    return any(isinstance(each, Instance) and each.repeats for each in items)


def carry_on(machine: Machine, body: Sequence[ast.stmt], frame: Frame) -> None:
    """What begins as zeros and is bound anew in each of many rounds is zeros in the first of them only."""
    scope = frame.scope
    for name in dict.fromkeys(_stored(body)):
        value = scope.data.get(name)
        if isinstance(value, TensorV) and value.param is None and machine.graph.is_state(value.op):
            machine.touch(scope)
            scope.data[name] = TensorV(machine.graph.add("opaque", "state"), shape=value.shape)


def _stored(body: Sequence[ast.stmt]) -> Iterator[str]:
    for statement in body:
        for node in nodes_of(statement):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                yield node.id
