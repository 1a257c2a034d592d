"""The statements that initialize some layers at one place: single calls, or one loop over those that share a call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from initlint.fix.containers import count_layers, holds_only, is_exact, is_keyed, is_last
from initlint.fix.place import Access, Place, read_access
from initlint.fix.recommend import Call, Refusal, kind_of
from initlint.fix.spelling import Spelling
from initlint.model import Layer

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
    named: set[str] = set()
    for one in wanted:
        if one.place.access.text in named:
            continue
        named.add(one.place.access.text)
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
    place = group[0].place
    if not siblings and count_layers(place.value, kinds, place.source) != len(group):
        return None
    keyed = is_keyed(place.value)
    wanted_kinds = () if holds_only(place, kinds) else kinds
    if not others and direct:
        return _Loop(f"{root}.values()" if keyed else root, wanted_kinds)
    if not others and not any(layer.owner != group[0].layer.owner for layer in census):
        return _Loop(f"{root}.modules()", kinds)
    if direct and len(others) == 1 and is_last(place, others[0][1]):
        return _Loop(f"{root}[:-1]", wanted_kinds)
    return None


def _siblings(root: str, member: Wanted, census: Sequence[Layer]) -> list[tuple[Access, Layer]]:
    """All known layers of the same container, with how they are accessed."""
    found = []
    for layer in census:
        if (layer.owner, layer.owner_site) != (member.layer.owner, member.layer.owner_site) or layer.access is None:
            continue
        if layer.owner_site is None and (layer.site.file, layer.context) != (
            member.layer.site.file,
            member.layer.context,
        ):
            continue
        access = read_access(layer.access)
        if access is not None and access.root_text == root:
            found.append((access, layer))
    return found


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
