"""Tensors of which a mask takes every element out of one of two others: ``torch.where(mask, x, y)``."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from initlint.source.arithmetic import as_tensor, is_tensor, may_be_signal, op_on
from initlint.source.symbols import UNKNOWN
from initlint.source.values import TensorV

if TYPE_CHECKING:
    from initlint.source.machine import Frame, Machine


def masked(machine: Machine, bound: dict[str, object], node: ast.AST, frame: Frame) -> TensorV:
    """What comes out of ``torch.where``: the one signal of the two, unknown elements of both, or a function by hand.

    A mask that compares a tensor with something picks from functions of that very tensor: ``torch.where(x > 0, x, a * x)``
    bends it. Any other drops elements, as `masked_fill` does, or puts those of another signal in their place.
    """
    place = machine.place(node, frame)
    operands = [bound.get(name, UNKNOWN) for name in ("input", "other")]
    if operands == [None, None]:  # the places where a mask holds
        return TensorV(machine.graph.add("constant", "where", place=place))
    signals = {each.op: each for each in (as_tensor(machine, one) for one in operands if _is_signal(machine, one))}
    if not signals:
        return TensorV(machine.graph.add("constant", "where", place=place))
    if any(machine.graph.is_made_of(op, compared) for compared in _compared(machine, node, frame) for op in signals):
        return TensorV(machine.graph.add("opaque", "where", tuple(signals), place=place))
    if len(signals) == 1:
        (signal,) = signals.values()
        return op_on(machine, "transparent", "where", signal, place)
    return TensorV(machine.graph.add("join", "where", tuple(signals), place=place))


def _is_signal(machine: Machine, value: object) -> bool:
    """Whether a value may be, or be made of, what a model is given or has learned."""
    if isinstance(value, TensorV):
        return value.param is not None or not machine.graph.is_constant(value.op)
    return is_tensor(value) or may_be_signal(value)


def _compared(machine: Machine, node: ast.AST, frame: Frame) -> list[int]:
    """The tensors that the mask of a call is written in terms of."""
    from initlint.source.expressions import lookup

    if not isinstance(node, ast.Call):
        return []
    masks = [*(each.value for each in node.keywords if each.arg == "condition"), *node.args][:1]
    names = (each.id for mask in masks for each in ast.walk(mask) if isinstance(each, ast.Name))
    values = [lookup(machine, name, frame) for name in names]
    return [value.op for value in values if isinstance(value, TensorV) and not machine.graph.is_constant(value.op)]
