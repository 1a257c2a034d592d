"""Abstract values: what an expression of the program under study may be, without having run it.

A constant is itself: `int`, `float`, `str`, `bool`, `None`, `bytes`, and `tuple` of values. Everything that a program
can change in place is a `Cell`, so that two branches can be tried on the same memory and joined afterwards. No other
value ever changes; those made by the million are not frozen, since that would double what making them costs.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from initlint.source.patterns import Pattern
from initlint.source.symbols import ABSENT, UNKNOWN, Sym, Unknown

if TYPE_CHECKING:
    import ast

    from initlint.knowledge import LayerFact
    from initlint.model import Value
    from initlint.source.project import SourceFile


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several values; which one is not known."""

    alternatives: tuple[object, ...]


_MOST_ALTERNATIVES = 6


def present(value: object, default: object) -> object:
    """`value` where it is there, and `default` where it may be missing; ABSENT stands for no default."""
    if not isinstance(value, Choice) or ABSENT not in value.alternatives:
        return value
    given: list[object] = [each for each in value.alternatives if each is not ABSENT]
    return choice(given if default is ABSENT else [*given, default])


def choice(values: list[object], most: int = _MOST_ALTERNATIVES) -> object:
    """The join of `values`: the value itself if all agree, a `Choice`, or UNKNOWN when there are too many."""
    kept: list[object] = []
    for value in values:
        for each in value.alternatives if isinstance(value, Choice) else (value,):
            if any(same(each, other) for other in kept):
                continue
            if len(kept) == most:
                return UNKNOWN
            kept.append(each)
    return kept[0] if len(kept) == 1 else Choice(tuple(kept))


def same(left: object, right: object) -> bool:
    """Whether two values are certainly the same value."""
    if left is right:
        return True
    if type(left) is not type(right):
        return False
    if isinstance(left, tuple) and isinstance(right, tuple):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, (int, float, str, bytes, Sym, Pattern, External, Builtin)):
        return left == right
    if isinstance(left, TensorV) and isinstance(right, TensorV):
        return left.op == right.op
    if isinstance(left, Bound) and isinstance(right, Bound):
        return left.function is right.function and left.receiver is right.receiver
    return False


class Cell:
    """Memory that the program can change; `data` is replaced or mutated only through the interpreter's journal."""

    __slots__ = ("data",)
    data: Any


CLOCK = itertools.count()
"""Ticks whenever a cell without a serial number is made: which of two is older can be told."""


class ListV(Cell):
    """A list, set or other sequence; `repeats` says that its (last) elements stand for an unknown number of them.

    `depth` counts the loops of an unknown number of rounds that it was made in: those add to a new list each time.
    """

    __slots__ = ("born", "depth", "kind", "repeats")
    data: list[object]

    def __init__(self, items: list[object], kind: str = "list", *, repeats: bool = False, depth: int = 0) -> None:
        self.born = next(CLOCK)
        self.data = items
        self.kind = kind
        self.repeats = repeats
        self.depth = depth


class DictV(Cell):
    """A mapping with known keys; `open` says that there may be others."""

    __slots__ = ("born", "kind", "open")
    data: dict[object, object]

    def __init__(self, items: dict[Any, object], kind: str = "dict", *, open_: bool = False) -> None:
        self.born = next(CLOCK)
        self.data = items
        self.kind = kind
        self.open = open_


class Scope(Cell):
    """The names of one function call, class body or module; `parent` is where else to look."""

    __slots__ = ("file", "is_class", "parent")
    data: dict[str, object]

    def __init__(self, file: SourceFile, parent: Scope | None = None, *, is_class: bool = False) -> None:
        self.data = {}
        self.parent = parent
        self.file = file
        self.is_class = is_class

    @property
    def enclosing(self) -> Scope:
        """The scope that a function defined here closes over: class bodies are not seen from their methods."""
        scope = self
        while scope.is_class and scope.parent is not None:
            scope = scope.parent
        return scope


class FunctionV:
    """A function of the project: its syntax, the scope it closes over and its evaluated defaults."""

    __slots__ = ("defaults", "keyword_defaults", "name", "node", "owner", "quiet", "role", "scope")

    def __init__(
        self,
        node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda,
        scope: Scope,
        defaults: tuple[object, ...],
        keyword_defaults: tuple[object, ...],
        *,
        owner: ClassV | None = None,
        role: str = "function",
    ) -> None:
        self.node = node
        self.scope = scope
        self.defaults = defaults
        self.keyword_defaults = keyword_defaults
        self.owner = owner
        self.role = role
        self.quiet = False
        self.name: str = getattr(node, "name", "<lambda>")

    def __repr__(self) -> str:
        return f"<function {self.name}>"


@dataclass(slots=True, eq=False)
class Bound:
    """A function with its first argument already given."""

    function: FunctionV
    receiver: object


@dataclass(slots=True, eq=False)
class Method:
    """A method of a built-in or torch object, by name: ``list.append``, ``Tensor.view``, ``Module.apply``."""

    receiver: object
    name: str


@dataclass(slots=True, eq=False)
class Partial:
    """`functools.partial`."""

    function: object
    positional: tuple[object, ...]
    keywords: dict[str, object]


@dataclass(frozen=True, slots=True)
class Builtin:
    """A name of Python's builtins."""

    name: str


@dataclass(frozen=True, slots=True)
class External:
    """Something outside the project, by its dotted name: ``torch.nn.Linear``, ``timm.layers.DropPath``."""

    name: str


@dataclass(slots=True, eq=False)
class ModuleRef:
    """A module of the project, as ``import`` binds it."""

    file: SourceFile


class ClassV(Cell):
    """A class of the project; `data` are its own attributes, `remade` that its metaclass may do more to its objects."""

    __slots__ = ("bases", "external_bases", "file", "mro", "name", "node", "remade", "scope")
    data: dict[str, object]

    def __init__(self, name: str, node: ast.ClassDef | None, scope: Scope, bases: tuple[object, ...]) -> None:
        self.name = name
        self.node = node
        self.scope = scope
        self.file = scope.file
        self.data = {}
        self.remade = False
        self.inherit(bases)

    def inherit(self, bases: tuple[object, ...]) -> None:
        """Let these be its bases."""
        self.bases = bases
        self.external_bases: tuple[External | Unknown, ...] = ()
        external: list[External | Unknown] = []
        for base in bases:
            if isinstance(base, ClassV):
                external += base.external_bases
            elif isinstance(base, External):
                external.append(base)
            elif not isinstance(base, Builtin):
                external.append(UNKNOWN)
        self.mro = _linearized(self, [base for base in bases if isinstance(base, ClassV)])
        self.external_bases = tuple(external)

    def lookup(self, name: str, after: ClassV | None = None) -> object:
        """The attribute `name` along the method resolution order (past `after`), or ABSENT."""
        classes = (
            self.mro if after is None else self.mro[self.mro.index(after) + 1 :] if after in self.mro else self.mro
        )
        for each in classes:
            if name in each.data:
                return each.data[name]
        return ABSENT

    def __repr__(self) -> str:
        return f"<class {self.name}>"


def _linearized(cls: ClassV, bases: list[ClassV]) -> list[ClassV]:
    """The C3 method resolution order, or the order of appearance where none exists (Python would refuse the class)."""
    pending = [list(base.mro) for base in bases] + [list(bases)]
    order = [cls]
    while pending := [each for each in pending if each]:
        head = next(
            (each[0] for each in pending if not any(each[0] in other[1:] for other in pending)),
            pending[0][0],
        )
        order.append(head)
        for each in pending:
            if head in each:
                each.remove(head)
    return order


@dataclass(slots=True, eq=False)
class Place:
    """Where something stands, cheaply: a file and a syntax node; turned into a `Site` only when it is reported."""

    file: SourceFile
    node: Any


class Instance(Cell):
    """An object of a project class, or of a torch class; `data` are its attributes, in order of assignment.

    `torch_class` is the dotted name of the torch.nn class it is or inherits from (``torch.nn.Module`` included), None
    for any other object. `adrift` says that it was put into something unknown, `discarded` that the program keeps no hold
    of it, `branch` on which branch it was made.
    `arguments` are those the torch class was constructed with, `fact` its layer fact.
    """

    __slots__ = (
        "adrift",
        "arguments",
        "branch",
        "cls",
        "discarded",
        "fact",
        "frozen",
        "parametrization",
        "place",
        "repeats",
        "serial",
        "torch_class",
        "trail",
        "uncertain",
    )
    data: dict[str, object]

    def __init__(self, cls: ClassV | External, place: Place | None, serial: int) -> None:
        self.cls = cls
        self.data = {}
        self.place = place
        self.serial = serial
        self.torch_class: str | None = None
        self.fact: LayerFact | None = None
        self.arguments: dict[str, object] = {}
        self.parametrization: str | None = None
        self.uncertain = False
        self.repeats = False
        self.frozen = False
        self.adrift = False
        self.discarded = False
        self.branch: object = None
        self.trail: tuple[Place, ...] = ()

    @property
    def class_name(self) -> str:
        """The name of its class, as ``type(x).__name__`` gives it."""
        return self.cls.name.rpartition(".")[2]

    def __repr__(self) -> str:
        return f"<{self.class_name} #{self.serial}>"


@dataclass(slots=True, eq=False)
class Write:
    """One write to a parameter: which initializer, with which arguments, where, and whether it certainly happens.

    `sweep`: it came from a walk over all modules or parameters below one; `reshaped`: the initializer saw another shape.
    """

    function: str
    arguments: tuple[tuple[str, object], ...]
    place: Place | None
    source: str = "explicit"
    conditional: bool = False
    partial: bool = False
    trail: tuple[Place, ...] = ()
    sweep: bool = False
    reshaped: bool = False


class ParamV(Cell):
    """A parameter (or buffer); `data` is the tuple of writes it has seen, oldest first."""

    __slots__ = ("buffer", "fans", "frozen", "marks", "name", "owner", "place", "serial", "shape", "tied")
    data: tuple[Write, ...]

    def __init__(self, name: str, shape: tuple[object, ...] | None, writes: tuple[Write, ...], serial: int) -> None:
        self.name = name
        self.shape = shape
        self.data = writes
        self.owner: Instance | None = None
        self.place: Place | None = None
        self.buffer = False
        self.frozen = False
        self.tied = False
        self.serial = serial
        self.fans: str = "plain"
        self.marks: Marks | None = None

    def __repr__(self) -> str:
        return f"<parameter {self.name}>"


class Marks(Cell):
    """What a program notes on the parameter of that serial number, by name."""

    __slots__ = ("serial",)
    data: dict[str, object]

    def __init__(self, serial: int) -> None:
        self.serial = serial
        self.data = {}


@dataclass(slots=True, eq=False)
class View:
    """Part of a parameter, or the parameter reshaped: writing to it writes to the parameter.

    `reshaped`: its shape is not the parameter's; `detached`: autograd does not watch it; `turned`: its rows are the parameter's
    columns, None where that is not known.
    """

    param: ParamV
    whole: bool
    reshaped: bool = False
    detached: bool = False
    turned: bool | None = False


class Filling(Cell):
    """Fresh memory, which all views of a tensor share; `data` is the write that filled it, `param` the parameter made of it."""

    __slots__ = ("born", "param")
    data: Write

    def __init__(self, write: Write) -> None:
        self.born = next(CLOCK)
        self.data = write
        self.param: ParamV | None = None


def is_older(cell: Cell, serial: int, clock: int) -> bool:
    """Whether a cell was there when the last object had this serial number and the clock showed this."""
    if isinstance(cell, (Instance, ParamV, Marks)):
        return cell.serial <= serial
    return not isinstance(cell, (ListV, DictV, Filling)) or cell.born < clock


@dataclass(slots=True, eq=False)
class TensorV:
    """The result of an op; `filling` is the memory of a fresh tensor, of which it may be a part, `param` the parameter it was computed from."""

    op: int
    filling: Filling | None = None
    shape: tuple[object, ...] | None = None
    param: ParamV | None = None
    part: bool = False

    @property
    def drawn(self) -> Write | None:
        """How a fresh tensor was filled."""
        return None if self.filling is None or self.part else self.filling.data


@dataclass(slots=True, eq=False)
class SuperV:
    """``super()``: attributes are looked up past `cls`."""

    cls: ClassV
    receiver: object


@dataclass(slots=True)
class Arguments:
    """The arguments of one call; `open` says that a star of unknown length was among them."""

    positional: list[object]
    keywords: dict[str, object] = field(default_factory=dict)
    open: bool = False

    def get(self, position: int, name: str, default: object = ABSENT) -> object:
        """The argument at `position` or called `name`."""
        if position < len(self.positional):
            return self.positional[position]
        return self.keywords.get(name, UNKNOWN if self.open and default is ABSENT else default)


def truth(value: object) -> bool | None:
    """Whether `value` is true, None if that is not known."""
    if value is None or isinstance(value, (bool, int, float, str, bytes, tuple)):
        return bool(value)
    if isinstance(value, ListV):
        if any(_is_there(each) for each in value.data):
            return True
        return None if value.repeats or any(each is not ABSENT for each in value.data) else False
    if isinstance(value, DictV):
        return True if value.data else None if value.open else False
    if isinstance(value, Choice):
        known = {truth(each) for each in value.alternatives}
        return known.pop() if len(known) == 1 else None
    if isinstance(value, Instance):
        return True if value.torch_class or not isinstance(value.cls, ClassV) or _is_plainly_true(value.cls) else None
    certain = (FunctionV, Bound, Method, Partial, ClassV, ModuleRef, External, Builtin, Pattern)
    return True if isinstance(value, certain) else None


def _is_there(value: object) -> bool:
    """Whether an element is certainly in its list."""
    return value is not ABSENT and not (type(value) is Choice and ABSENT in value.alternatives)


def _is_plainly_true(cls: ClassV) -> bool:
    """Whether no class that is known or unknown may say that an object of it is false."""
    certain = all(isinstance(base, External) and base.name == "abc.ABC" for base in cls.external_bases)
    return certain and cls.lookup("__bool__") is ABSENT and cls.lookup("__len__") is ABSENT


def alternatives(value: object) -> Iterator[object]:
    """The values that `value` may be."""
    if isinstance(value, Choice):
        yield from value.alternatives
    else:
        yield value


def quotable(value: object) -> Value:
    """`value` as something a report may quote."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Sym):
        return str(value)
    return None
