"""The statements that initialize some layers at one place: single calls, or one loop over those that share a call."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from initlint.fix.access import Access, read_access
from initlint.fix.containers import (
    beginning_with,
    count_layers,
    grows_in_loop,
    holds_only,
    is_exact,
    is_keyed,
    is_last,
    is_list,
    is_uniform,
)
from initlint.fix.identity import Identity, identity
from initlint.fix.place import Place
from initlint.fix.recommend import Call, Refusal, kind_of
from initlint.fix.spelling import Spelling
from initlint.fix.tails import place_from_end
from initlint.model import Layer
from initlint.syntax import nodes_of

_NAMED = 3
"""How many layers of one container are named one by one where they are its beginning."""

_VARIABLES = ("layer", "module", "m")
_BLOCK_VARIABLES = ("block", *_VARIABLES)


@dataclass(frozen=True, slots=True)
class Census:
    """All layers known to a run; those that are `idle` are applied nowhere."""

    layers: Sequence[Layer]
    idle: frozenset[Identity] = frozenset()


@dataclass(frozen=True, slots=True)
class Wanted:
    """One layer, the call it is to get, and where that goes: `builder` if `place` cannot name it."""

    layer: Layer
    call: Call
    place: Place
    zero_bias: bool = False
    builder: Place | None = None

    @property
    def same(self) -> tuple[Call, bool]:
        """What layers share that one loop can initialize."""
        return self.call, self.zero_bias


@dataclass(frozen=True, slots=True)
class _Loop:
    """What one loop does: which call it makes, on modules of which `kinds` where it meets others too.

    `steps` lead from what it meets to the layers, as in ``block[0]``; without any, what it meets are the layers.
    """

    same: tuple[Call, bool]
    kinds: tuple[str, ...] = ()
    steps: tuple[str, ...] = ("",)


@dataclass(frozen=True, slots=True)
class _Reached:
    """Layers that a loop comes to: one by its name or, `many`, those that an iterable yields."""

    text: str
    member: Wanted
    order: int
    many: bool = False


def write_statements(
    wanted: Sequence[Wanted], census: Census, spelling: Spelling, taken: frozenset[str], margin: int
) -> tuple[str, ...] | Refusal:
    """Statements, each without indentation, that initialize layers at one place; a refusal if one cannot be addressed.

    A loop may only be written where it reaches no layer of the `census` that is to stay as it is. `margin` is how far the
    place is indented, `taken` the names that it binds already.
    """
    together: dict[_Loop, list[_Reached]] = {}
    if len({(one.place.access.text, one.same) for one in wanted}) > len({one.place.access.text for one in wanted}):
        return Refusal("it is used before different activations")
    for root, members in _by_root(wanted).items():
        order = min(wanted.index(member) for member in members)
        loops = _container_loops(root, members, census, order)
        if isinstance(loops, Refusal):
            return loops
        for loop, reached in loops or [
            (_Loop(one.same), _Reached(one.place.access.text, one, order)) for one in members
        ]:
            together.setdefault(loop, []).append(reached)
    pen = _Pen(spelling, taken, margin)
    statements = [(reached[0].order, pen.write(loops, reached)) for loops, reached in _branched(_joined(together))]
    return tuple(text for _, text in sorted(statements, key=lambda statement: statement[0]))


def _branched(loops: Mapping[_Loop, list[_Reached]]) -> Iterator[tuple[list[_Loop], list[_Reached]]]:
    """The same loops, those over one container that test for different kinds made branches of one."""
    branches: dict[str, list[_Loop]] = {}
    for loop, reached in loops.items():
        if loop.kinds and loop.steps == ("",) and len(reached) == 1:
            branches.setdefault(reached[0].text, []).append(loop)
    for loop, reached in loops.items():
        others = branches.get(reached[0].text, [loop])
        if loop not in others or len({kind for one in others for kind in one.kinds}) < sum(
            len(one.kinds) for one in others
        ):
            yield [loop], reached
        elif loop is others[0]:
            yield others, reached


def _joined(loops: Mapping[_Loop, list[_Reached]]) -> Mapping[_Loop, list[_Reached]]:
    """The same loops, those over layers by name made part of one that makes their call and lets their kind pass."""
    joined = dict(loops)
    for loop, reached in loops.items():
        kinds = {kind_of(one.member.layer) for one in reached}
        wider = next((one for one in joined if one == replace(loop, kinds=one.kinds) and kinds <= {*one.kinds}), None)
        if not loop.kinds and wider is not None:
            joined[wider] = sorted([*joined[wider], *_sliced(joined.pop(loop), wider.kinds)], key=lambda one: one.order)
    return joined


def _sliced(reached: Sequence[_Reached], kinds: tuple[str, ...]) -> list[_Reached]:
    """Layers by name, those of a container that a loop over its beginning comes to with no other of some kinds as that."""
    groups: dict[str, list[_Reached]] = {}
    for one in reached:
        groups.setdefault(one.member.place.access.root_text, []).append(one)
    sliced: list[_Reached] = []
    for root, group in groups.items():
        place = group[0].member.place
        trails = [one.member.place.access.trail for one in group]
        end = None if any(one.many for one in group) else beginning_with(place.value, trails, kinds, place.source)
        beginning = root if end == 0 else f"{root}[:{end}]"
        sliced += group if end is None else [replace(group[0], text=beginning, many=True)]
    return sliced


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
    root: str, members: Sequence[Wanted], census: Census, order: int
) -> list[tuple[_Loop, _Reached]] | Refusal:
    """The loops that reach the members of one container; none where naming each is exact and as short."""
    if _is_whole_list(root, members, census):
        return [(_Loop(members[0].same), _Reached(root, members[0], order, many=True))]
    exact = all(_is_exact(member) for member in members)
    alone = len(members) == 1 and not grows_in_loop(members[0].place)
    if exact and (alone or not all(member.place.access.trail for member in members)):
        return []
    if len(members) == 1 and len(members[0].place.access.trail) == 1:
        index = place_from_end(members[0].place, members[0].layer.site)
        if index is not None:
            return [(_Loop(members[0].same), _Reached(f"{root}[{index}]", members[0], order))]
    loops: list[tuple[_Loop, _Reached]] = []
    by_call: dict[tuple[Call, bool], list[Wanted]] = {}
    for member in members:
        by_call.setdefault(member.same, []).append(member)
    for group in by_call.values():
        found = _loop(root, group, census.layers)
        if found is not None:
            loops.append((found[0], _Reached(found[1], group[0], order, many=True)))
        elif exact:
            loops += [(_Loop(one.same), _Reached(one.place.access.text, one, order)) for one in group]
        else:
            return Refusal("no expression reaches it without reaching other layers")
    return loops


def _is_exact(one: Wanted) -> bool:
    """Whether the trail of a layer names it whatever the arguments: in what is written out, or what a helper returns so."""
    place, builder = one.place, one.builder
    if is_exact(place.value, place.access.trail, place.source):
        return True
    is_returned = builder is not None and builder.naming is not None and isinstance(place.value, ast.Call)
    return is_returned and builder is not None and builder.access.trail == place.access.trail


def _is_whole_list(root: str, members: Sequence[Wanted], census: Census) -> bool:
    """Whether layers are those in use of a list of layers of one kind, of which another run may apply any other."""
    place, layer = members[0].place, members[0].layer
    if any(one.same != members[0].same or len(one.place.access.trail) != 1 for one in members) or not is_list(
        place.value
    ):
        return False
    own = {identity(one.layer) for one in members}
    others = [one for _, one in _siblings(root, members[0], census.layers) if identity(one) not in own]
    is_idle = all(identity(one) in census.idle and one.kind == layer.kind for one in others)
    return bool(others) and is_idle and holds_only(place, (kind_of(layer),))


def _loop(root: str, group: Sequence[Wanted], census: Sequence[Layer]) -> tuple[_Loop, str] | None:
    """One loop that reaches exactly a group of the layers of a container, and what it goes over."""
    same = group[0].same
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
    tested = _Loop(same, () if holds_only(place, kinds) else kinds)
    if not others and direct:
        return tested, f"{root}.values()" if keyed else root
    if not others and not any(layer.owner != group[0].layer.owner for layer in census):
        return _Loop(same, kinds), f"{root}.modules()"
    if direct and not keyed and len(others) == 1 and _is_behind(others[0], siblings) and is_last(place, others[0][1]):
        return tested, f"{root}[:-1]"
    trails = [one.place.access.trail for one in group]
    end = beginning_with(place.value, trails, kinds, place.source) if len(group) > _NAMED else None
    if end:
        return tested, f"{root}[:{end}]"
    steps = dict.fromkeys(one.place.access.trail[1:] for one in group)
    if any(len(inner) > 1 for inner in steps):
        return None  # nobody can tell what ``block[1][0].weight`` is: at best it is initialized where it is built
    if all(is_uniform(place, inner) and not any(access.trail[1:] == inner for access, _ in others) for inner in steps):
        return _Loop(same, steps=tuple(_path(inner) for inner in steps)), root
    return None


def _is_behind(last: tuple[Access, Layer], siblings: Sequence[tuple[Access, Layer]]) -> bool:
    """Whether no other layer that the same call builds comes after one."""
    ahead = [access.trail[0] for access, layer in siblings if layer.site == last[1].site and access != last[0]]
    place = last[0].trail[0]
    return all(isinstance(place, int) and isinstance(one, int) and one < place for one in ahead)


def _path(trail: Sequence[str | int]) -> str:
    return "".join(f"[{step!r}]" if isinstance(step, int) else f".{step}" for step in trail)


def _siblings(root: str, member: Wanted, census: Sequence[Layer]) -> list[tuple[Access, Layer]]:
    """All known layers of the same container, with how they are accessed."""
    found = []
    for layer in census:
        if layer.access is None or not (_is_of_owner(layer, member.layer) or _is_built_in(layer, member.place)):
            continue
        if layer.owner_site is None and (layer.site.file, layer.context) != (
            member.layer.site.file,
            member.layer.context,
        ):
            continue
        access = read_access(layer.access)
        if access is not None and access.root_text == root and not _is_built_instead(layer, member.place):
            found.append((access, layer))
    return found


def _is_of_owner(layer: Layer, other: Layer) -> bool:
    return (layer.owner, layer.owner_site) == (other.owner, other.owner_site)


def _is_built_in(layer: Layer, place: Place) -> bool:
    """Whether the class that code is inserted into builds a layer, be it for another class of its name."""
    definition, source = place.definition, place.source
    return definition is not None and layer.site.file == source.file and source.contains(definition, layer.site)


def _is_built_instead(layer: Layer, place: Place) -> bool:
    """Whether a layer is built on the other branch of an ``if`` that code is inserted into."""
    if not place.nested or place.function is None or layer.site.file != place.source.file:
        return False
    for node in nodes_of(place.function):
        if isinstance(node, ast.If):
            for here, other in ((node.body, node.orelse), (node.orelse, node.body)):
                inserted = any(one is place.anchor for statement in here for one in nodes_of(statement))
                if inserted and any(place.source.contains(statement, layer.site) for statement in other):
                    return True
    return False


@dataclass(frozen=True, slots=True)
class _Pen:
    """Writes statements, wrapped as Black would where a line grows too long; `taken` are names it may not bind."""

    spelling: Spelling
    taken: frozenset[str]
    margin: int

    def write(self, loops: Sequence[_Loop], reached: Sequence[_Reached]) -> str:
        """One call, or a loop over all that are reached, with a branch for each of several."""
        first, loop = reached[0], loops[0]
        if len(reached) == 1 and not first.many:
            return self._calls(first.text, loop, 0)
        names = _VARIABLES if loop.steps == ("",) else _BLOCK_VARIABLES
        variable = next((name for name in names if name not in self.taken), "module_to_initialize")
        lines = [f"for {variable} in {first.text}:"]
        if len(reached) > 1:
            items = [f"*{one.text}" if one.many else one.text for one in reached]
            lines = [self._wrap(f"for {variable} in (", items, "):", 0)]
        for branch in loops:
            depth = 1
            if branch.kinds:
                lines.append(f"{self._step}{'if' if branch is loop else 'elif'} {self._test(variable, branch.kinds)}:")
                depth = 2
            lines += [self._calls(f"{variable}{step}", branch, depth) for step in branch.steps]
        return "\n".join(lines)

    def _test(self, variable: str, kinds: Sequence[str]) -> str:
        classes = [self.spelling.module_class(kind) for kind in kinds]
        test = classes[0] if len(classes) == 1 else f"({', '.join(classes)})"
        return f"isinstance({variable}, {test})"

    @property
    def _step(self) -> str:
        return self.spelling.source.indent

    def _calls(self, target: str, loop: _Loop, depth: int) -> str:
        call, zero_bias = loop.same
        arguments = [f"{target}.weight", *self.spelling.arguments(call)]
        text = self._wrap(f"{self.spelling.function(call.function)}(", arguments, ")", depth)
        if call.note is not None:
            beside = f"{text}  # {call.note}"
            fits = "\n" not in text and len(beside) <= self.spelling.source.width - self.margin
            text = beside if fits else f"{self._step * depth}# {call.note}\n{text}"
        if zero_bias:
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
