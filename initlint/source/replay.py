"""Forward passes of equal modules lay down equal ops: the first is run, those of its twins are copied from it.

A deep model calls the same block dozens of times. A pass is worth keeping when all it did was to add ops: it built
nothing, wrote nothing, noted nothing, changed nothing that was there before, and looked at no tensor of its context but
those it was given. The same holds of functions that are called on tensors and constants.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from initlint.source.dataflow import Node
from initlint.source.repeats import CONSTANT, Watch
from initlint.source.symbols import Unknown
from initlint.source.values import (
    Arguments,
    Bound,
    Cell,
    ClassV,
    DictV,
    External,
    FunctionV,
    Instance,
    ListV,
    ParamV,
    Partial,
    TensorV,
    same,
)

if TYPE_CHECKING:
    from initlint.source.dataflow import Graph
    from initlint.source.machine import Machine

_MOST_RECORDINGS = 4
_SIZED = frozenset({"weight", "norm"})
_RATE = re.compile(r"drop|prob|rate|^p$")
_CONSTANT = (*CONSTANT, type(None), Unknown)
_GIVEN = (TensorV, *_CONSTANT)


class Recording:
    """One forward pass: on what, with which inputs, the ops it added to which graph, what it returned, and the code it ran."""

    __slots__ = ("arguments", "code", "first", "forwarded", "graph", "module", "nodes", "quiet", "result")

    def __init__(
        self,
        machine: Machine,
        module: Instance | FunctionV,
        arguments: Arguments,
        result: object,
        watch: Watch,
    ) -> None:
        self.module = module
        self.arguments = arguments
        self.result = result
        self.first = watch.before.ops
        self.graph = machine.graph
        self.nodes = machine.graph.nodes[self.first - machine.graph.first :]
        self.quiet = machine.no_grad > 0
        self.forwarded = machine.forwarded
        self.code = watch.code


def replayed(machine: Machine, module: Instance | FunctionV, arguments: Arguments, run: Callable[[], object]) -> object:
    """What `module`, or a function, returns for `arguments`: copied from the pass of its equal, else by running it."""
    kind = module.cls if isinstance(module, Instance) else module
    if not isinstance(kind, (ClassV, FunctionV)) or arguments.open or not _is_plain(arguments):
        return run()
    recordings = machine.repeats.recordings.setdefault(kind, [])
    quiet = machine.no_grad > 0
    for index, recording in enumerate(recordings):
        if recording.quiet is quiet and (recording.module is not module or kind is module):
            standing_for = _matched(machine, recording, module, arguments)
            if standing_for is not None:
                recordings.insert(0, recordings.pop(index))  # the next one is likely to be like this one, too
                return _copied(machine, recording, *standing_for)
    watch = Watch(machine)
    with watch:
        result = run()
    done = watch.done
    if not (
        done.serial or done.writes or done.occurrences or done.sweeps or watch.fused or watch.changed
    ) and _is_plain_result(result):
        del recordings[_MOST_RECORDINGS - 1 :]
        recordings.insert(0, Recording(machine, module, arguments, result, watch))
    return result


def _is_plain(arguments: Arguments) -> bool:
    """Whether there are tensors and constants only."""
    given = (*arguments.positional, *arguments.keywords.values())
    return any(type(each) is TensorV for each in given) and all(map(_is_tensor_or_constant, given))


def _is_tensor_or_constant(value: object) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_tensor_or_constant, value))
    return isinstance(value, _GIVEN)


def _is_plain_result(value: object) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_plain_result, value))
    if isinstance(value, TensorV):
        return value.drawn is None and value.param is None
    return isinstance(value, _CONSTANT)


def _matched(
    machine: Machine, recording: Recording, module: Instance | FunctionV, given: Arguments
) -> tuple[dict[int, int], dict[Cell, Cell]] | None:
    """Which op and which part stands for which when `module` runs on `given`; None where a pass could tell."""
    recorded = recording.arguments
    if len(recorded.positional) != len(given.positional) or recorded.keywords.keys() != given.keywords.keys():
        return None
    graph, old_graph = machine.graph, recording.graph
    ops: dict[int, int] = {}
    pairs = [(recorded.keywords[name], value) for name, value in given.keywords.items()]
    for old, new in (*zip(recorded.positional, given.positional, strict=True), *pairs):
        if not _is_like(old_graph, graph, old, new, ops):
            return None
    if len(set(ops.values())) < len(ops):
        return None
    twins = _twins(recording.module, module, ops)
    if twins is None or any(old_graph.node(old).kind != graph.node(new).kind for old, new in ops.items()):
        return None
    for node in recording.nodes:
        if node.kind != "activation" and node.layer is not None and node.layer not in twins and old_graph is not graph:
            return None
        for op in node.inputs:
            if op < recording.first and op not in ops and not old_graph.is_constant(op):
                return None
    return ops, twins


def _is_like(old_graph: Graph, graph: Graph, old: object, new: object, ops: dict[int, int]) -> bool:
    """Whether a pass cannot tell one argument from the other; tensors are remembered as a pair."""
    if isinstance(old, tuple) and isinstance(new, tuple):
        return len(old) == len(new) and all(
            _is_like(old_graph, graph, *pair, ops) for pair in zip(old, new, strict=True)
        )
    if not isinstance(old, TensorV) or not isinstance(new, TensorV):
        return same(old, new)
    if old_graph.node(old.op).name != graph.node(new.op).name or not same(old.shape, new.shape):
        return False
    if old.drawn or new.drawn or old.param or new.param:
        return False
    return ops.setdefault(old.op, new.op) == new.op


def _twins(module: Instance | FunctionV, other: Instance | FunctionV, ops: dict[int, int]) -> dict[Cell, Cell] | None:
    """Which part of `other` stands for which part of `module` when both are built alike; None when they are not.

    Tensors that they hold are added to `ops`.
    """
    pairs: dict[Cell, Cell] = {}
    pending: list[tuple[object, object]] = [(module, other)]
    while pending:
        left, right = pending.pop()
        if left is right:
            continue
        if isinstance(left, TensorV) and isinstance(right, TensorV):
            if (
                left.param
                or right.param
                or not same(left.shape, right.shape)
                or ops.setdefault(left.op, right.op) != right.op
            ):
                return None
            continue
        if type(left) is not type(right):
            return None
        if isinstance(left, Cell) and isinstance(right, Cell):
            if left in pairs:
                if pairs[left] is not right:
                    return None
                continue
            pairs[left] = right
        parts = _parts(left, right)
        if parts is None:
            return None
        pending += parts
    return pairs


def _parts(left: object, right: object) -> list[tuple[object, object]] | None:
    """What must be alike for two values of one type to be alike; None when they differ themselves."""
    if isinstance(left, Instance) and isinstance(right, Instance):
        return _parts_of_modules(left, right)
    if isinstance(left, ParamV) and isinstance(right, ParamV):
        alike = left.name == right.name and left.buffer == right.buffer and left.fans == right.fans
        sized = left.owner is not None and _is_sized(left.owner)
        return [] if alike and (sized or same(left.shape, right.shape)) else None
    if isinstance(left, ListV) and isinstance(right, ListV):
        alike = len(left.data) == len(right.data) and left.kind == right.kind and left.repeats == right.repeats
        return list(zip(left.data, right.data, strict=True)) if alike else None
    if isinstance(left, DictV) and isinstance(right, DictV):
        alike = left.data.keys() == right.data.keys() and left.open == right.open
        return [(value, right.data[key]) for key, value in left.data.items()] if alike else None
    if isinstance(left, tuple) and isinstance(right, tuple):
        return list(zip(left, right, strict=True)) if len(left) == len(right) else None
    if isinstance(left, Bound) and isinstance(right, Bound):
        return [(left.function, right.function), (left.receiver, right.receiver)]
    if isinstance(left, Partial) and isinstance(right, Partial):
        alike = left.keywords.keys() == right.keywords.keys()
        values = [(value, right.keywords[name]) for name, value in left.keywords.items()] if alike else []
        return [(left.function, right.function), (left.positional, right.positional), *values] if alike else None
    return [] if same(left, right) else None


def _parts_of_modules(left: Instance, right: Instance) -> list[tuple[object, object]] | None:
    if left.cls is not right.cls and not same(left.cls, right.cls):
        return None
    if left.torch_class != right.torch_class or left.parametrization != right.parametrization:
        return None
    if left.frozen != right.frozen or left.data.keys() != right.data.keys():
        return None
    sized = _is_sized(left)
    if not sized and left.arguments.keys() != right.arguments.keys():
        return None
    parts = [(name, value, other) for name, value in left.data.items() if (other := right.data[name]) is not value]
    if isinstance(left.cls, ClassV):
        return [(value, other) for name, value, other in parts if not (_RATE.search(name) and _are_rates(value, other))]
    pairs = [(value, other) for _, value, other in parts]
    return pairs if sized else [*pairs, *((value, right.arguments[name]) for name, value in left.arguments.items())]


def _is_sized(module: Instance) -> bool:
    """Whether it is a layer of torch's own whose op is the same whatever its width, kernel and stride."""
    return isinstance(module.cls, External) and module.fact is not None and module.fact.role in _SIZED


def _are_rates(left: object, right: object) -> bool:
    """Whether both are probabilities that are neither 0 nor 1: code asks no more of one than that."""
    return isinstance(left, float) and isinstance(right, float) and 0 < left < 1 and 0 < right < 1


def _copied(machine: Machine, recording: Recording, ops: dict[int, int], twins: dict[Cell, Cell]) -> object:
    """The ops of `recording` once more, for its twin."""
    graph = machine.graph
    offset = graph.end - recording.first

    def moved(op: int) -> int:
        return op + offset if op >= recording.first else ops.get(op, op)

    def returned(value: object) -> object:
        if isinstance(value, tuple):
            return tuple(map(returned, value))
        return TensorV(moved(value.op), shape=value.shape) if isinstance(value, TensorV) else value

    for node in recording.nodes:
        layer = None if node.layer is None else twins.get(node.layer, node.layer)
        assert layer is None or isinstance(layer, (Instance, ParamV))
        inputs = tuple(each for op in node.inputs if (each := moved(op)) >= graph.first)
        graph.nodes.append(Node(node.kind, node.name, inputs, layer, node.params, node.place))
    machine.forwarded.update(
        twin for part, twin in twins.items() if isinstance(twin, Instance) and part in recording.forwarded
    )
    recording.code.add_to(machine)
    return returned(recording.result)
