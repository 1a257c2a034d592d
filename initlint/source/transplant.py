"""A part of the abstract memory, copied: objects that were made together, with all that hangs on them.

What was there before they were made is shared, unless something else is to stand for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from initlint.source.marks import marks_of
from initlint.source.repeats import UnrepeatableError
from initlint.source.symbols import Sym
from initlint.source.values import (
    Bound,
    Choice,
    DictV,
    Filling,
    FunctionV,
    Instance,
    ListV,
    Marks,
    Method,
    ParamV,
    Partial,
    Place,
    TensorV,
    View,
    Write,
)

if TYPE_CHECKING:
    import ast


class Site:
    """Where objects were made: the call, what it was called from, the numbers of the next object and op, and the clock of cells."""

    __slots__ = ("around", "calls", "clock", "node", "op", "place", "serial")

    def __init__(self, place: Place, calls: Sequence[Place], serial: int, op: int, clock: int) -> None:
        self.place = place
        self.node: ast.AST = place.node
        self.calls = tuple(calls)
        self.around = frozenset(map(id, calls))
        self.serial = serial
        self.op = op
        self.clock = clock


class Transplant:
    """Copies values made at one site as if they had been made at another; `stand_ins` are cells that stand for others."""

    def __init__(self, old: Site, new: Site, stand_ins: Mapping[int, object]) -> None:
        self._old = old
        self._new = new
        self._copies: dict[int, object] = dict(stand_ins)
        self._trails: dict[tuple[int, int], tuple[Place, ...]] = {}

    def value(self, value: object) -> object:
        """The copy of `value`; the same for the same. UnrepeatableError for what has no copy."""
        copy = self._COPIERS.get(type(value))
        if copy is None:
            return value
        known = self._copies.get(id(value))
        return copy(self, value) if known is None else known

    def op(self, op: int) -> int:
        """The number of the copy of an op."""
        return op - self._old.op + self._new.op if op >= self._old.op else op

    def place(self, place: Place | None) -> Place | None:
        """A place; that of the call itself is where the copy is made."""
        return self._new.place if place is not None and place.node is self._old.node else place

    def write(self, write: Write) -> Write:
        """A write with the calls that lead to it."""
        known = self._copies.get(id(write))
        if isinstance(known, Write):
            return known
        place, trail = self.place(write.place), self._trail(write.trail, 4)
        if place is write.place and trail is write.trail:
            made = write
        else:
            made = Write(
                write.function,
                write.arguments,
                place,
                write.source,
                write.conditional,
                write.partial,
                trail,
                write.sweep,
                write.reshaped,
            )
        self._copies[id(write)] = made
        return made

    def _trail(self, trail: tuple[Place, ...], most: int) -> tuple[Place, ...]:
        """The last calls that lead to something: those around the old site are replaced by those around the new one."""
        known = self._trails.get((id(trail), most))
        if known is None:
            known = self._trails[id(trail), most] = self._moved(trail, most)
        return known

    def _moved(self, trail: tuple[Place, ...], most: int) -> tuple[Place, ...]:
        inner = [each for each in trail if id(each) not in self._old.around]
        if len(inner) == len(trail) == most and all(each.node is not self._old.node for each in inner):
            return trail
        moved = [place for each in inner if (place := self.place(each)) is not None]
        return (*self._new.calls, *moved)[-most:]

    def _instance(self, value: Instance) -> Instance:
        if value.serial <= self._old.serial:
            return value
        twin = Instance(value.cls, self.place(value.place), value.serial - self._old.serial + self._new.serial)
        self._copies[id(value)] = twin
        twin.torch_class, twin.fact, twin.parametrization = value.torch_class, value.fact, value.parametrization
        twin.uncertain, twin.repeats, twin.frozen = value.uncertain, value.repeats, value.frozen
        twin.adrift, twin.discarded, twin.branch = value.adrift, value.discarded, value.branch
        twin.trail = self._trail(value.trail, 6)
        twin.arguments = {name: self.value(each) for name, each in value.arguments.items()}
        twin.data = {name: self.value(each) for name, each in value.data.items()}
        return twin

    def _parameter(self, value: ParamV) -> ParamV:
        if value.serial <= self._old.serial:
            return value
        twin = ParamV(value.name, value.shape, (), value.serial - self._old.serial + self._new.serial)
        self._copies[id(value)] = twin
        twin.buffer, twin.fans, twin.frozen, twin.tied = value.buffer, value.fans, value.frozen, value.tied
        twin.place = self.place(value.place)
        twin.data = tuple(map(self.write, value.data))
        for name, noted in marks_of(value):
            twin.marks = twin.marks or Marks(twin.serial)
            twin.marks.data[name] = self.value(noted)
        owner = None if value.owner is None else self.value(value.owner)
        assert owner is None or isinstance(owner, Instance)
        twin.owner = owner
        return twin

    def _list(self, value: ListV) -> ListV:
        if value.born < self._old.clock:
            return value
        twin = ListV([], value.kind, repeats=value.repeats, depth=value.depth)
        self._copies[id(value)] = twin
        twin.data = list(map(self.value, value.data))
        return twin

    def _dict(self, value: DictV) -> DictV:
        if value.born < self._old.clock:
            return value
        twin = DictV({}, value.kind, open_=value.open)
        self._copies[id(value)] = twin
        twin.data = {self.value(key): self.value(each) for key, each in value.data.items()}
        return twin

    def _filling(self, value: Filling) -> Filling:
        if value.born < self._old.clock:
            return value
        twin = Filling(self.write(value.data))
        self._copies[id(value)] = twin
        param = None if value.param is None else self.value(value.param)
        assert param is None or isinstance(param, ParamV)
        twin.param = param
        return twin

    def _tensor(self, value: TensorV) -> TensorV:
        filling = None if value.filling is None else self.value(value.filling)
        param = None if value.param is None else self.value(value.param)
        assert filling is None or isinstance(filling, Filling)
        assert param is None or isinstance(param, ParamV)
        twin = TensorV(self.op(value.op), filling, self._shape(value.shape), param, value.part)
        self._copies[id(value)] = twin
        return twin

    def _shape(self, shape: tuple[object, ...] | None) -> tuple[object, ...] | None:
        return None if shape is None else tuple(map(self.value, shape))

    def _tuple(self, value: tuple[object, ...]) -> tuple[object, ...]:
        return tuple(map(self.value, value))

    def _choice(self, value: Choice) -> Choice:
        return Choice(self._tuple(value.alternatives))

    def _bound(self, value: Bound) -> Bound:
        function = self.value(value.function)
        assert isinstance(function, FunctionV)
        return Bound(function, self.value(value.receiver))

    def _method(self, value: Method) -> Method:
        return Method(self.value(value.receiver), value.name)

    def _partial(self, value: Partial) -> Partial:
        keywords = {name: self.value(each) for name, each in value.keywords.items()}
        return Partial(self.value(value.function), self._tuple(value.positional), keywords)

    def _view(self, value: View) -> View:
        param = self.value(value.param)
        assert isinstance(param, ParamV)
        return View(param, value.whole, value.reshaped, value.detached, value.turned)

    def _function(self, value: FunctionV) -> FunctionV:
        """A function; one that closes over the names of a call may see what was made there."""
        scope = value.scope
        while scope.is_class and scope.parent is not None:
            scope = scope.parent
        if scope.parent is not None:
            raise UnrepeatableError
        return value

    def _symbol(self, value: Sym) -> Sym:
        """A number; one that is called after an op is of that op alone."""
        if any(name.startswith("%") for name, _ in value.powers):
            raise UnrepeatableError
        return value

    _COPIERS: ClassVar[Mapping[type, Callable[..., object]]] = {
        Instance: _instance,
        ParamV: _parameter,
        ListV: _list,
        DictV: _dict,
        Filling: _filling,
        TensorV: _tensor,
        View: _view,
        tuple: _tuple,
        Choice: _choice,
        Bound: _bound,
        Method: _method,
        Partial: _partial,
        FunctionV: _function,
        Sym: _symbol,
    }
