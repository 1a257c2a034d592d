"""The statements that initialize some layers at one place: single calls, or one loop over those that share a call."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from initlint.fix.place import Access, Place, read_access
from initlint.fix.recommend import Call, Refusal, kind_of
from initlint.fix.spelling import Source, Spelling
from initlint.model import Layer

_CONTAINERS = frozenset({"Sequential", "ModuleList", "ModuleDict"})
_VARIABLES = ("layer", "module", "m")


@dataclass(frozen=True, slots=True)
class Wanted:
    """One layer, the call it is to get, and where that goes."""

    layer: Layer
    call: Call
    place: Place
    zero_bias: bool = False

    @property
    def same(self) -> tuple[Call, bool]:
        """What layers share that one loop can initialize."""
        return self.call, self.zero_bias


@dataclass(frozen=True, slots=True)
class _Loop:
    """A loop over what `iterable` yields, kept to `kinds` where it yields other modules too."""

    iterable: str
    kinds: tuple[str, ...]


def write_statements(
    wanted: Sequence[Wanted], census: Sequence[Layer], spelling: Spelling, taken: frozenset[str], margin: int
) -> tuple[str, ...] | Refusal:
    """Statements, each without indentation, that initialize layers at one place; a refusal if one cannot be addressed.

    `census` are all layers known to the run: a loop may only be written where it reaches no layer that is to
    stay as it is. `margin` is how far the place is indented, `taken` the names that it binds already.
    """
    variable = next((name for name in _VARIABLES if name not in taken), "module_to_initialize")
    pen = _Pen(spelling, variable, margin)
    parts: list[tuple[int, str]] = []
    together: dict[tuple[Call, bool], list[tuple[int, Wanted]]] = {}
    for root, members in _by_root(wanted).items():
        order = min(wanted.index(member) for member in members)
        loops = _container_loops(root, members, census)
        if isinstance(loops, Refusal):
            return loops
        for loop, one in loops:
            parts.append((order, pen.loop(loop, one)))
        if not loops:
            for member in members:
                together.setdefault(member.same, []).append((order, member))
    parts += [(ordered[0][0], pen.direct([member for _, member in ordered])) for ordered in together.values()]
    return tuple(text for _, text in sorted(parts, key=lambda part: part[0]))


def _by_root(wanted: Sequence[Wanted]) -> dict[str, list[Wanted]]:
    roots: dict[str, list[Wanted]] = {}
    for one in wanted:
        roots.setdefault(one.place.access.root_text, []).append(one)
    return roots


def _container_loops(
    root: str, members: Sequence[Wanted], census: Sequence[Layer]
) -> list[tuple[_Loop, Wanted]] | Refusal:
    """The loops that reach the members of one container; none where naming each is exact and as short."""
    exact = all(is_exact(member.place.value, member.place.access.trail, member.place.source) for member in members)
    if exact and (len(members) == 1 or not all(member.place.access.trail for member in members)):
        return []
    loops: list[tuple[_Loop, Wanted]] = []
    by_call: dict[tuple[Call, bool], list[Wanted]] = {}
    for member in members:
        by_call.setdefault(member.same, []).append(member)
    for group in by_call.values():
        loop = _loop(root, group, census)
        if loop is None:
            if exact:
                return []
            return Refusal("no expression reaches it without reaching other layers")
        loops.append((loop, group[0]))
    return loops


def _loop(root: str, group: Sequence[Wanted], census: Sequence[Layer]) -> _Loop | None:
    """One loop over a container that reaches exactly a group of its layers."""
    kinds = tuple(sorted({kind_of(one.layer) for one in group}))
    siblings = _siblings(root, group[0], census)
    own = {(one.layer.path, one.layer.site) for one in group}
    others = [
        (access, layer) for access, layer in siblings if kind_of(layer) in kinds and (layer.path, layer.site) not in own
    ]
    direct = all(len(access.trail) == 1 for access, _ in siblings) and all(
        len(one.place.access.trail) == 1 for one in group
    )
    value, source = group[0].place.value, group[0].place.source
    if _counted(value, kinds, source) != len(group) and not siblings:
        return None
    keyed = isinstance(value, ast.Call) and _callee(value) == "ModuleDict"
    wanted_kinds = () if _holds_only(group[0].place, kinds) else kinds
    if not others and direct:
        return _Loop(f"{root}.values()" if keyed else root, wanted_kinds)
    if not others and not any(layer.owner != group[0].layer.owner for layer in census):
        return _Loop(f"{root}.modules()", kinds)
    if direct and not keyed and len(others) == 1 and _is_last(value, others[0][1], source):
        return _Loop(f"{root}[:-1]", wanted_kinds)
    return None


def _siblings(root: str, member: Wanted, census: Sequence[Layer]) -> list[tuple[Access, Layer]]:
    """All known layers of the same container, with how they are accessed."""
    found = []
    for layer in census:
        if (layer.owner, layer.owner_site) != (member.layer.owner, member.layer.owner_site) or layer.access is None:
            continue
        if layer.owner_site is None and layer.site.file != member.layer.site.file:
            continue
        access = read_access(layer.access)
        if access is not None and access.root_text == root:
            found.append((access, layer))
    return found


def is_exact(value: ast.expr, trail: tuple[str | int, ...], source: Source) -> bool:
    """Whether a trail names the same module however the code that built `value` is parametrized."""
    for step in trail:
        element = _element(value, step, source)
        if element is None:
            return False
        value = element
    return not isinstance(value, ast.IfExp | ast.BoolOp)


def _element(value: ast.expr, step: str | int, source: Source) -> ast.expr | None:
    """The expression behind one step into a container that is written out, None where it is not."""
    if not isinstance(value, ast.Call):
        return None
    if _callee(value) not in _CONTAINERS | {"__init__"}:
        returned = _returned(value, source)
        return None if returned is None else _element(returned, step, source)
    named = dict(_named(value))
    if named:
        return named.get(step) if isinstance(step, str) else dict(enumerate(named.values())).get(step)
    position = int(step) if isinstance(step, str) and step.isdecimal() else step
    elements = _positional(value)
    if isinstance(position, str) or position < 0 or position >= len(elements):
        return None
    if any(isinstance(one, ast.Starred) for one in elements[: position + 1]):
        return None
    return elements[position]


def _positional(call: ast.Call) -> list[ast.expr]:
    match call.args:
        case [ast.List(elts=elements) | ast.Tuple(elts=elements)]:
            return elements
        case _:
            return call.args


def _named(call: ast.Call) -> Iterator[tuple[str, ast.expr]]:
    """The names and modules of a ModuleDict or of a Sequential built from an OrderedDict."""
    match call.args:
        case [ast.Dict(keys=keys, values=values)]:
            for key, value in zip(keys, values, strict=True):
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    yield key.value, value
        case [ast.Call(args=[ast.List(elts=pairs)]) as inner] if _callee(inner) == "OrderedDict":
            for pair in pairs:
                match pair:
                    case ast.Tuple(elts=[ast.Constant(value=str(name)), value]):
                        yield name, value
                    case _:
                        return
        case _:
            return


def _returned(call: ast.Call, source: Source) -> ast.expr | None:
    """What a function of this file returns, if its only return writes a container out."""
    name = _callee(call)
    found = [node for node in ast.walk(source.tree) if isinstance(node, ast.FunctionDef) and node.name == name]
    if len(found) != 1:
        return None
    returns = [node for node in ast.walk(found[0]) if isinstance(node, ast.Return)]
    value = returns[0].value if len(returns) == 1 else None
    return value if isinstance(value, ast.Call) and _callee(value) in _CONTAINERS else None


def _callee(call: ast.Call) -> str:
    match call.func:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
        case _:
            return ""


def _counted(value: ast.expr, kinds: tuple[str, ...], source: Source) -> int | None:
    """How many layers of some kinds a container that is written out holds; None if it is not."""
    if not isinstance(value, ast.Call) or _callee(value) not in _CONTAINERS:
        return None
    elements = _positional(value) if not dict(_named(value)) else [one for _, one in _named(value)]
    calls = [one for one in elements if isinstance(one, ast.Call)]
    if len(calls) != len(elements) or any(_returned(one, source) is not None for one in calls):
        return None
    return sum(_callee(node) in kinds for one in calls for node in ast.walk(one) if isinstance(node, ast.Call))


def _holds_only(place: Place, kinds: tuple[str, ...]) -> bool:
    """Whether every element of a ModuleList is written as a call of one of some kinds."""
    if not isinstance(place.value, ast.Call) or _callee(place.value) != "ModuleList" or place.function is None:
        return False
    match place.value.args:
        case [ast.ListComp(elt=element) | ast.GeneratorExp(elt=element)]:
            elements = [element]
        case [ast.List(elts=written)]:
            elements = list(written)
        case []:
            elements = []
        case _:
            return False
    elements += list(_appended(place))
    return bool(elements) and all(isinstance(one, ast.Call) and _callee(one) in kinds for one in elements)


def _appended(place: Place) -> Iterator[ast.expr]:
    for node in ast.walk(place.definition or place.source.tree):
        match node:
            case ast.Call(func=ast.Attribute(value=holder, attr="append" | "extend" | "insert"), args=[*_, element]):
                if ast.unparse(holder) == place.access.root_text:
                    yield element
            case _:
                pass


def _is_last(value: ast.expr, layer: Layer, source: Source) -> bool:
    """Whether a layer is written as the last element of a container."""
    if not isinstance(value, ast.Call) or _callee(value) not in _CONTAINERS:
        return False
    elements = _positional(value)
    match elements[-1:]:
        case [ast.Call() as last]:
            return source.contains(last, layer.site)
        case [ast.BinOp(op=ast.Add(), right=ast.List(elts=[*_, ast.Call() as last]))]:
            return source.contains(last, layer.site)
        case _:
            return False


@dataclass(frozen=True, slots=True)
class _Pen:
    """Writes statements, wrapped as Black would where a line grows too long."""

    spelling: Spelling
    variable: str
    margin: int

    def direct(self, members: Sequence[Wanted]) -> str:
        """One call, or a loop over the expressions that name each layer."""
        accesses = [member.place.access.text for member in members]
        first = members[0]
        if len(accesses) == 1:
            return self._calls(accesses[0], first, 0)
        head = self._wrap(f"for {self.variable} in (", accesses, "):", 0)
        return f"{head}\n{self._calls(self.variable, first, 1)}"

    def loop(self, loop: _Loop, member: Wanted) -> str:
        """A loop over a container."""
        lines = [f"for {self.variable} in {loop.iterable}:"]
        depth = 1
        if loop.kinds:
            classes = [self.spelling.module_class(kind) for kind in loop.kinds]
            test = classes[0] if len(classes) == 1 else f"({', '.join(classes)})"
            lines.append(f"{self._step}if isinstance({self.variable}, {test}):")
            depth = 2
        lines.append(self._calls(self.variable, member, depth))
        return "\n".join(lines)

    @property
    def _step(self) -> str:
        return self.spelling.source.indent

    def _calls(self, target: str, member: Wanted, depth: int) -> str:
        call = member.call
        arguments = [f"{target}.weight", *self.spelling.arguments(call)]
        text = self._wrap(f"{self.spelling.function(call.function)}(", arguments, ")", depth)
        if member.zero_bias:
            text += f"\n{self._step * depth}{self.spelling.function('zeros_')}({target}.bias)"
        return text

    def _wrap(self, head: str, items: Sequence[str], tail: str, depth: int) -> str:
        outer = self._step * depth
        room = self.spelling.source.width - self.margin
        line = f"{outer}{head}{', '.join(items)}{tail}"
        if len(line) <= room:
            return line
        inner = outer + self._step
        line = f"{inner}{', '.join(items)}"
        if len(line) <= room and not head.startswith("for "):
            return f"{outer}{head}\n{line}\n{outer}{tail}"
        rows = "".join(f"{inner}{item},\n" for item in items)
        return f"{outer}{head}\n{rows}{outer}{tail}"


def by_place(wanted: Sequence[Wanted]) -> Mapping[tuple[str, int, int, bool], list[Wanted]]:
    """Layers grouped by where their calls go, in the order in which the model holds them."""
    groups: dict[tuple[str, int, int, bool], list[Wanted]] = {}
    for one in sorted(wanted, key=lambda one: one.layer.id):
        groups.setdefault(one.place.key, []).append(one)
    return groups
