"""Objects constructed from equal arguments are equal: from the third on, they are copied from the second.

Torch's zoos build the same block dozens of times, and the same backbone in a dozen models. A construction is worth keeping
when it changed nothing that was there before, noted nothing, and when all that hangs on what it made can be copied. The
second is kept, not the first, since most are never repeated, and keeping one means to copy it before anyone changes it.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, TypeVar

from initlint.source.dataflow import Node
from initlint.source.repeats import CONSTANT_TYPES, UnrepeatableError, Watch
from initlint.source.sweeps import Sweep
from initlint.source.symbols import ABSENT, UNKNOWN, Absent
from initlint.source.transplant import Site, Transplant
from initlint.source.values import (
    CLOCK,
    Arguments,
    Bound,
    Cell,
    ClassV,
    DictV,
    Instance,
    ListV,
    ParamV,
    Partial,
)

if TYPE_CHECKING:
    from initlint.source.machine import Frame, Machine

_Made = TypeVar("_Made", Instance, ParamV)
_DEEPEST = 3
_MOST_DEPTH = 24
_FEWEST_STEPS = 2


class Construction:
    """What one construction made, untouched since: objects, parameters, ops and sweeps, and which code it ran."""

    __slots__ = (
        "code",
        "given",
        "instances",
        "nodes",
        "params",
        "result",
        "serials",
        "site",
        "sweeps",
        "writes",
    )

    def __init__(self, site: Site, given: tuple[Cell, ...], watch: Watch) -> None:
        self.site = site
        self.given = given
        self.code = watch.code
        self.serials = watch.done.serial
        self.writes = watch.done.writes
        self.result: object = UNKNOWN
        self.instances: list[Instance] = []
        self.params: list[ParamV] = []
        self.nodes: list[Node] = []
        self.sweeps: list[Sweep] = []


def constructed(
    machine: Machine, cls: ClassV, arguments: Arguments, node: ast.AST, frame: Frame, run: Callable[[], object]
) -> object:
    """What ``cls(...)`` makes: copied from an equal construction, else by running it."""
    if machine.branching or machine.forwarding or machine.sweep is not None or arguments.open:
        return run()
    if machine.depth > _MOST_DEPTH or any(each.scope.enclosing.parent is not None for each in cls.mro):
        return run()  # a class that is defined in a function sees names that change between two constructions
    given: list[Cell] = []
    try:
        key = (cls, machine.repeating > 0, machine.no_grad > 0, machine.guarded > 0, *_given(arguments, given))
    except UnrepeatableError:
        return run()
    known = machine.repeats.constructions
    kept = known.get(key, ABSENT)
    if isinstance(kept, Absent):
        known[key] = None
        return run()
    if kept is not None:
        return _repeated(machine, kept, given, node, frame)
    site, watch = _site(machine, node, frame), Watch(machine)
    with watch:
        result = run()
    if _is_alone(watch):
        known[key] = _kept(machine, result, site, tuple(given), watch)
    return result


def _is_alone(watch: Watch) -> bool:
    """Whether nothing that was there before was changed or noted, and the effort is worth a copy."""
    done = watch.done
    outward = done.occurrences or done.clones or done.modules or done.forwarded or done.age
    return not (outward or watch.fused or watch.changed) and done.steps >= _FEWEST_STEPS


def _kept(machine: Machine, result: object, site: Site, given: tuple[Cell, ...], watch: Watch) -> Construction | None:
    """A copy of all that was made, None where there can be none."""
    made, before = Construction(site, given, watch), watch.before
    transplant = Transplant(site, site, {id(cell): cell for cell in given})
    try:
        made.instances = _copies(transplant, machine.instances[before.instances :], Instance)
        made.params = _copies(transplant, machine.params[before.params :], ParamV)
        made.nodes = [_node(transplant, each) for each in machine.graph.nodes[before.ops - machine.graph.first :]]
        made.sweeps = _sweeps(transplant, machine.sweeps[before.sweeps :])
        made.result = transplant.value(result)
    except UnrepeatableError:
        return None
    first = [each for each in made.instances if each.place is not None and each.place.node is site.node]
    return made if first == [made.result] else None


def _site(machine: Machine, node: ast.AST, frame: Frame) -> Site:
    return Site(machine.place(node, frame), machine.calls, machine.serial, machine.graph.end, next(CLOCK))


def _repeated(machine: Machine, kept: Construction, given: list[Cell], node: ast.AST, frame: Frame) -> object:
    """The objects of a construction once more."""
    stand_ins: Mapping[int, object] = dict(zip(map(id, kept.given), given, strict=True))
    transplant = Transplant(kept.site, _site(machine, node, frame), stand_ins)
    instances = _copies(transplant, kept.instances, Instance)
    params = _copies(transplant, kept.params, ParamV)
    machine.instances += instances
    machine.params += params
    if params:
        machine.spend_reserve()
    machine.graph.nodes += [_node(transplant, each) for each in kept.nodes]
    machine.sweeps += _sweeps(transplant, kept.sweeps)
    machine.serial += kept.serials
    machine.writes += kept.writes
    kept.code.add_to(machine)
    return transplant.value(kept.result)


def _copies(transplant: Transplant, values: list[_Made], kind: type[_Made]) -> list[_Made]:
    copies = [transplant.value(each) for each in values]
    return [each for each in copies if isinstance(each, kind)]


def _node(transplant: Transplant, node: Node) -> Node:
    layer = None if node.layer is None else transplant.value(node.layer)
    assert layer is None or isinstance(layer, (Instance, ParamV))
    return Node(node.kind, node.name, tuple(map(transplant.op, node.inputs)), layer, node.params, node.place)


def _sweeps(transplant: Transplant, sweeps: list[Sweep]) -> list[Sweep]:
    """The sweeps once more; trying one on a late module goes by the code and the names of the first."""
    copies: dict[Sweep, Sweep] = {}
    for sweep in sweeps:
        root, place = transplant.value(sweep.root), transplant.place(sweep.place)
        if root is sweep.root or not isinstance(root, Instance) or place is None:
            raise UnrepeatableError
        twin = copies[sweep] = Sweep(sweep.kind, root, place, sweep.repeat, certain=sweep.certain)
        twin.seen = {each for one in sweep.seen if isinstance(each := transplant.value(one), Instance)}
        twin.tests, twin.files = dict(sweep.tests), dict(sweep.files)
        twin.writes = sweep.writes
        twin.outer = None if sweep.outer is None else copies[sweep.outer]
    return list(copies.values())


def _given(arguments: Arguments, cells: list[Cell]) -> Iterator[Hashable]:
    """Arguments as something to compare; the cells among them in the order they are met."""
    yield tuple(_keys(arguments.positional, cells, 0))
    if arguments.keywords:
        yield tuple(arguments.keywords)
        yield from _keys(arguments.keywords.values(), cells, 0)


def _keys(values: Iterable[object], cells: list[Cell], depth: int) -> list[object]:
    """Values as something to compare: a constant by its type and itself, anything else by a tuple."""
    keys: list[object] = []
    for value in values:
        kind = type(value)
        if kind in CONSTANT_TYPES:
            keys += (kind, value)
        else:
            keys.append(_key(value, cells, depth))
    return keys


def _key(value: object, cells: list[Cell], depth: int) -> Hashable:
    if isinstance(value, tuple):
        return ("tuple", *_keys(value, cells, depth))
    if isinstance(value, (ListV, DictV, Instance)):
        if depth > _DEEPEST:
            raise UnrepeatableError
        for index, cell in enumerate(cells):
            if cell is value:
                return "again", index
        cells.append(value)
        return _key_of_cell(value, cells, depth + 1)
    if isinstance(value, Partial):
        given = (value.function, value.positional, *value.keywords.values())
        return "partial", *value.keywords, *_keys(given, cells, depth)
    if isinstance(value, Bound) and isinstance(value.receiver, ClassV):
        return "bound", value.function, value.receiver
    raise UnrepeatableError


def _key_of_cell(value: ListV | DictV | Instance, cells: list[Cell], depth: int) -> Hashable:
    if isinstance(value, ListV):
        return "list", value.kind, value.repeats, value.depth, *_keys(value.data, cells, depth)
    if isinstance(value, Instance):
        if value.torch_class or value.uncertain:
            raise UnrepeatableError
        return value.cls, *value.data, *_keys(value.data.values(), cells, depth)
    items = (each for item in value.data.items() for each in item)
    return "dict", value.kind, value.open, *_keys(items, cells, depth)
