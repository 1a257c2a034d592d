"""Forward passes: what calling a module on tensors lays down in the op graph."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from initlint.source.arithmetic import as_tensor, first_tensor
from initlint.source.ends import tensors_in
from initlint.source.replay import replayed
from initlint.source.symbols import UNKNOWN
from initlint.source.tensors import activation_op, operation_result
from initlint.source.torch_modules import SEQUENTIAL, container_items
from initlint.source.values import Arguments, Bound, ClassV, DictV, FunctionV, Instance, ListV, TensorV

if TYPE_CHECKING:
    from initlint.source.machine import Frame, Machine
    from initlint.source.values import Place

_BOUNDED = frozenset({"saturating", "gate"})


def run_forward(machine: Machine, instance: Instance, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    """``module(...)``."""
    machine.forwarded.add(instance)
    if not machine.forwarding:
        positional = [_fed(machine, value) for value in arguments.positional]
        keywords = {name: _fed(machine, value) for name, value in arguments.keywords.items()}
        arguments = Arguments(positional, keywords, arguments.open)
    machine.forwarding += 1
    try:
        if isinstance(instance.cls, ClassV):
            own = instance.cls.lookup("forward")
            if isinstance(own, FunctionV):
                bound, given = Bound(own, instance), arguments
                result = replayed(machine, instance, given, lambda: machine.call(bound, given, node, frame))
                return _handed_over(machine, result)
        return leaf_forward(machine, instance, arguments, node, frame)
    finally:
        machine.forwarding -= 1


def _handed_over(machine: Machine, result: object) -> object:
    """What a model gives the program is an output, even where the program gives it to another model: an image, to a critic."""
    if machine.forwarding == 1:
        for op in tensors_in([result]):
            node = machine.graph.node(op)
            if node.kind == "activation" and machine.knowledge.activations[node.name].family in _BOUNDED:
                machine.graph.add("output", "output", (op,))
    return result


def _fed(machine: Machine, value: object) -> object:
    """What a program feeds to a model: a tensor of its own making (``torch.randn(2, 3)``) stands for any input there."""
    if isinstance(value, TensorV):
        return TensorV(machine.graph.add("input", "input")) if machine.graph.is_constant(value.op) else value
    if isinstance(value, tuple):
        return tuple(_fed(machine, each) for each in value)
    if isinstance(value, ListV):
        return ListV([_fed(machine, each) for each in value.data], value.kind, repeats=value.repeats)
    if isinstance(value, DictV):
        return DictV({key: _fed(machine, each) for key, each in value.data.items()}, value.kind, open_=value.open)
    return value


def leaf_forward(machine: Machine, instance: Instance, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    """The forward pass of the torch class itself."""
    machine.forwarded.add(instance)
    name = instance.torch_class or ""
    if name == SEQUENTIAL:
        return _sequential(machine, instance, arguments, node, frame)
    knowledge = machine.knowledge
    place = machine.place(node, frame)
    if name in knowledge.activation_of:
        source = first_tensor(machine, arguments)
        start = machine.graph.end
        made = activation_op(machine, knowledge.activation_of[name], instance.arguments, source, place)
        if not isinstance(getattr(node, "func", None), ast.Attribute):  # `layer(x)` in a loop over all layers
            _built_by(machine, instance, start)
        return made
    fact = instance.fact
    if fact is not None:
        return _layer(machine, instance, fact.role, arguments, node, frame)
    operation = knowledge.operations.get(name)
    if operation is not None:
        return operation_result(machine, operation, instance.arguments, arguments, node, frame)
    return _opaque(machine, instance, arguments, node, frame)


def _built_by(machine: Machine, module: Instance, start: int) -> None:
    """Let the activations that were laid down since `start` be shown where `module` was built: the call does not name them."""
    graph = machine.graph
    for op in range(start, graph.end):
        node = graph.node(op)
        if node.kind == "activation" and node.layer is None:
            graph.nodes[op - graph.first] = replace(node, layer=module)


def _opaque(machine: Machine, instance: Instance, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    source = first_tensor(machine, arguments)
    return TensorV(machine.graph.add("opaque", instance.class_name, (source.op,), place=machine.place(node, frame)))


def _sequential(machine: Machine, instance: Instance, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    value: object = (
        arguments.positional[0] if arguments.positional else next(iter(arguments.keywords.values()), UNKNOWN)
    )
    given = arguments
    for child in container_items(instance) or ():
        start = machine.graph.end
        value = machine.call(child, given, node, frame)
        if isinstance(child, Instance) and not isinstance(child.cls, ClassV):
            _built_by(machine, child, start)
        given = Arguments([value])
    return value


def _layer(
    machine: Machine, instance: Instance, role: str, arguments: Arguments, node: ast.AST, frame: Frame
) -> object:
    place = machine.place(node, frame)
    source = first_tensor(machine, arguments)
    if role == "norm":
        return TensorV(machine.graph.add("norm", instance.class_name, (source.op,), layer=instance, place=place))
    if role == "activation":
        return activation_op(machine, "prelu", instance.arguments, source, place)
    handler = _RESULTS.get(role)
    if handler is not None:
        return handler(machine, instance, arguments, source, place)
    return layer_op(machine, instance, source, place)


def layer_op(machine: Machine, layer: Instance, source: TensorV, place: Place) -> TensorV:
    """The output of a weight layer."""
    name = (layer.torch_class or layer.class_name).rpartition(".")[2]
    return TensorV(machine.graph.add("layer", name, (source.op,), layer=layer, place=place))


def _recurrent(machine: Machine, instance: Instance, arguments: Arguments, source: TensorV, place: Place) -> object:
    out = layer_op(machine, instance, source, place)
    name = (instance.torch_class or "").rpartition(".")[2]
    if name.endswith("Cell"):
        return (out, out) if name.startswith("LSTM") else out
    return (out, (out, out)) if name.startswith("LSTM") else (out, out)


def _attention(machine: Machine, instance: Instance, arguments: Arguments, source: TensorV, place: Place) -> object:
    tensors = [as_tensor(machine, each).op for each in arguments.positional[:3] if isinstance(each, TensorV)] or [
        source.op
    ]
    name = instance.class_name
    scores = machine.graph.add("matmul", name, tuple(dict.fromkeys(tensors)), place=place)
    return layer_op(machine, instance, TensorV(scores), place), UNKNOWN


def _composite(machine: Machine, instance: Instance, arguments: Arguments, source: TensorV, place: Place) -> object:
    return TensorV(machine.graph.add("opaque", instance.class_name, (source.op,), place=place))


_RESULTS: dict[str, Callable[..., object]] = {
    "recurrent": _recurrent,
    "attention": _attention,
    "composite": _composite,
}
