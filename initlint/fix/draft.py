"""Repairs become changes: wrong calls are rewritten where they stand, the rest is written once for each place."""

from __future__ import annotations

import ast
from collections.abc import Collection, Container, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from initlint.fix.changes import Change, Insertion, Replacement
from initlint.fix.containers import grown_in_loops
from initlint.fix.identity import Identity, identity
from initlint.fix.importing import called_initializers, named_imports
from initlint.fix.intentions import is_documented, is_explained
from initlint.fix.leftovers import remove_leftovers, unread_functions
from initlint.fix.options import FixOptions
from initlint.fix.place import Place
from initlint.fix.recommend import BARE, Refusal, kind_of
from initlint.fix.spelling import Source, bound_names, spell, used_names
from initlint.fix.statements import Census, Wanted, by_place, write_statements
from initlint.fix.workshop import Repair, Workshop
from initlint.fix.worth import is_meddling
from initlint.model import Edit, Layer, Site
from initlint.syntax import last_name, nodes_of

_INLINE_STATEMENTS = 3
_METHOD_NAMES = ("init_weights", "initialize_weights", "reset_weights")


Changes = Mapping[str, Sequence[Change]]
"""What is to be written, by file."""


@dataclass(frozen=True, slots=True)
class Draft:
    """The changes that make some repairs together, and the calls among them that are written anew."""

    changes: Changes
    rewritten: Collection[Site]


def draft(repairs: Sequence[Repair], workshop: Workshop) -> Draft | Refusal:
    """What makes all repairs together, one insertion for each place."""
    changes: dict[str, list[Change]] = {}
    rewritten = _rewritten(repairs, workshop)
    for site, repair in rewritten.items():
        source = workshop.source(site.file)
        change = None if source is None else _replacement(source, site, repair)
        if change is None:
            return Refusal("its initializer is spelled in a way that cannot be rewritten")
        if source is not None and (call := source.call_at(site)) and is_explained(call, source, repair.call.function):
            return Refusal("its author says in words how it is initialized")
        changes.setdefault(site.file, []).append(change)
    written = [repair for repair in repairs if repair.rewritable not in rewritten]
    if written and all(is_meddling(repair) for repair in written):
        return Refusal("its author initialized it otherwise, which costs little")
    inserted = [repair.inserted() for repair in written]
    wanted = [one for one in inserted if one is not None]
    if len(wanted) < len(inserted):
        return Refusal("its initializer also writes layers that are right")
    if any(_is_documented_otherwise(one) for one in wanted):
        return Refusal("its author says in words how it is initialized")
    insertions = _inserted(wanted, workshop)
    if isinstance(insertions, Refusal):
        return insertions
    for file, insertion in insertions:
        changes.setdefault(file, []).append(insertion)
    return Draft(changes, rewritten.keys())


def _is_documented_otherwise(one: Wanted) -> bool:
    """Whether a call goes to an init method of the author's whose docstring it would make false."""
    place = one.place
    return place.extends and place.function is not None and is_documented(place.function, one.call.function)


def write(drafted: Draft, workshop: Workshop) -> tuple[Edit, ...] | Refusal:
    """The edits that make a draft's changes."""
    edits = _edits(drafted.changes, workshop)
    return edits if isinstance(edits, Refusal) else (*edits, *_follow_up(drafted.changes, drafted.rewritten, workshop))


def _follow_up(changes: Changes, rewritten: Iterable[Site], workshop: Workshop) -> list[Edit]:
    """What the rewritten calls leave behind taken out, and the initializers that are called by name imported."""
    edits: list[Edit] = []
    for file, made in changes.items():
        source = workshop.source(file)
        if source is None:
            continue
        calls = [call for site in rewritten if site.file == file and (call := source.call_at(site)) is not None]
        spelling = spell(source)
        called = called_initializers(_code(made))
        names = [name for name in called if spelling.is_imported_by(name)]
        edits += remove_leftovers(source, calls)
        edits += named_imports(source, names, unread_functions(source, calls) - called) if names else ()
    return edits


def _code(changes: Iterable[Change]) -> str:
    """All that is written, roughly."""
    parts = (one.code if isinstance(one, Insertion) else f"{one.function}({one.arguments})" for one in changes)
    return "\n".join(parts)


def _inserted(wanted: Sequence[Wanted], workshop: Workshop) -> list[tuple[str, Insertion]] | Refusal:
    """All insertions with their files; layers that cannot be named where they are held move to where they are built."""
    made: list[tuple[str, Insertion]] = []
    wanted = _met(wanted)
    if any(_is_left_elsewhere(one, workshop.census) for one in wanted):
        return Refusal("another branch or loop builds such a layer, too")
    places = by_place(wanted)
    # What some branches of a constructor build is initialized there: the rest of its class, in the same manner.
    branching = [members[0].place.definition for members in places.values() if members[0].place.nested]
    for members in places.values():
        is_inline = members[0].place.definition in branching
        options = replace(workshop.options, style="inline") if is_inline else workshop.options
        added = _insertions(members, Census(workshop.census, workshop.idle), options)
        if isinstance(added, Refusal):
            moved = _moved(wanted, {one.layer.site for one in members})
            return added if moved is None else _inserted(moved, workshop)
        made += [(members[0].place.source.file, insertion) for insertion in added]
    return made


def _met(wanted: Sequence[Wanted]) -> list[Wanted]:
    """The same layers, those that get the same calls on every branch of a condition written once behind it."""
    written: dict[Hashable, list[ast.expr]] = {}
    for one in wanted:
        written.setdefault((_root(one), one.place.access.text, one.same), []).append(one.place.value)
    apart = {
        _root(one)
        for one in wanted
        if (meeting := one.place.meeting) is None
        or any(value not in written[_root(one), one.place.access.text, one.same] for value in meeting.values)
    }
    return [
        one if one.place.meeting is None or _root(one) in apart else replace(one, place=one.place.meeting.place)
        for one in wanted
    ]


def _is_left_elsewhere(one: Wanted, census: Iterable[Layer]) -> bool:
    """Whether a branch or a loop that was never looked at builds a layer of the kind in its place, or beside it."""
    place, kind = one.place, kind_of(one.layer)
    elsewhere = [] if place.meeting is None or not place.nested else [*place.meeting.values]
    beside = [node for added in grown_in_loops(place) if added is not None for node in nodes_of(added)]
    rivals = [each for each in (*elsewhere, *beside) if isinstance(each, ast.Call) and last_name(each.func) == kind]
    known = [layer.site for layer in census if layer.site.file == place.source.file] if rivals else []
    return any(not any(place.source.contains(rival, site) for site in known) for rival in rivals)


def _root(one: Wanted) -> Hashable:
    """What the layers share that are built into one attribute of a class."""
    return one.place.source.file, one.place.definition, one.place.access.root_text


def _moved(wanted: Sequence[Wanted], sites: Container[Site]) -> list[Wanted] | None:
    """The same layers, those built at some sites written in the function that builds them; None where none does."""
    moved: list[Wanted] = []
    for one in wanted:
        if one.layer.site not in sites:
            moved.append(one)
        elif one.builder is None:
            return None
        else:
            moved.append(replace(one, place=one.builder, builder=None))
    return moved


def _edits(changes: Changes, workshop: Workshop) -> tuple[Edit, ...] | Refusal:
    from initlint.fix.rewrite import rewrite  # libcst is heavy, and a run that writes no fixes never needs it

    edits: list[Edit] = []
    for file, wanted in changes.items():
        source = workshop.source(file)
        if source is None:
            raise AssertionError("changes are made only to files that were read")
        written = rewrite(source, [*_imports(source, wanted), *wanted])
        if written is None:
            return Refusal("libcst cannot rewrite a statement of its file")
        edits += written
    return tuple(edits)


def _rewritten(repairs: Iterable[Repair], workshop: Workshop) -> dict[Site, Repair]:
    """The calls to rewrite: those whose every layer is to get the same other call."""
    calls: dict[Site, dict[Identity, Repair]] = {}
    for repair in repairs:
        if repair.rewritable is not None:
            calls.setdefault(repair.rewritable, {})[identity(repair.layer)] = repair
    chosen: dict[Site, Repair] = {}
    for site, members in calls.items():
        first = next(iter(members.values()))
        if any(repair.call != first.call for repair in members.values()):
            continue
        others = [
            layer
            for layer in workshop.written_by(site)
            if identity(layer) not in members and not workshop.agrees(layer, first.call)
        ]
        alone = len(members) == 1 and _names_only(site, first.layer, workshop)
        if not others and (alone or workshop.written_by(site)):
            chosen[site] = first
    return chosen


def _names_only(site: Site, layer: Layer, workshop: Workshop) -> bool:
    """Whether a call's target is one layer by name, so that it writes no other."""
    source = workshop.source(site.file)
    call = None if source is None else source.call_at(site)
    if source is None or call is None or layer.access is None:
        return False
    target = _method_target(source, call) or (source.snippet(call.args[0]) if call.args else "")
    return target == (layer.access if layer.kind == BARE else f"{layer.access}.weight")


def _replacement(source: Source, site: Site, repair: Repair) -> Replacement | None:
    """The call at a site rewritten: its author's prefix and target stay."""
    call = source.call_at(site)
    if call is None:
        return None
    spelling = spell(source)
    function = spelling.function(repair.call.function)
    target = _method_target(source, call)
    if target is None:
        if not source.dotted(call.func).startswith("torch.nn.init.") or not (call.args or call.keywords):
            return None
        if isinstance(call.func, ast.Attribute):
            function = f"{source.snippet(call.func.value)}.{repair.call.function}"
    arguments = tuple(spelling.arguments(repair.call))
    return Replacement(source.start(call), source.end(call), function, arguments, target, repair.call.note)


def _method_target(source: Source, call: ast.Call) -> str | None:
    """The tensor that a method such as ``m.weight.data.normal_`` is called on, None for a function."""
    if not isinstance(call.func, ast.Attribute) or source.dotted(call.func).startswith("torch."):
        return None
    tensor = call.func.value
    while True:
        match tensor:
            case (
                ast.Attribute(value=inner, attr="data")
                | ast.Call(func=ast.Attribute(value=inner, attr="detach"), args=[])
            ):
                tensor = inner
            case _:
                return source.snippet(tensor)


def _insertions(members: Sequence[Wanted], census: Census, options: FixOptions) -> list[Insertion] | Refusal:
    """What is written at one place: the calls themselves, or a method with them and its call."""
    place = members[0].place
    bound = frozenset[str]() if place.function is None else bound_names(place.function)
    taken = used_names(place.function or place.source.tree)
    margin = _margin(place)
    spelling = spell(place.source, bound, place.anchor)
    statements = write_statements(members, census, spelling, taken, margin)
    if isinstance(statements, Refusal):
        return statements
    anchor = place.source.start(place.anchor)
    name = _method_name(place, len(statements), options)
    if name is None or place.function is None:
        hushed = ";" if not place.before and _shows(place, statements[-1]) else ""
        code = "\n".join(statements)
        needs = spelling.required_import(code)
        return [Insertion(anchor, code + hushed, before=place.before, naming=place.naming, needs=needs)]
    spelling = spell(place.source, around=place.function)
    body = write_statements(members, census, spelling, frozenset(), margin)
    if isinstance(body, Refusal):
        return body
    method = _method(place, name, body)
    return [
        Insertion(anchor, f"self.{name}()", before=place.before),
        Insertion(place.source.start(place.function), method, spaced=True, needs=spelling.required_import(method)),
    ]


def _shows(place: Place, statement: str) -> bool:
    """Whether a notebook would show the tensor that a statement written at a place returns."""
    return place.source.ends_cell(place.anchor) and isinstance(ast.parse(statement).body[-1], ast.Expr)


def _margin(place: Place) -> int:
    """How far the statements of the anchor's block are indented."""
    line = place.source.lines.line(place.anchor.lineno)
    indented = len(line) - len(line.lstrip())
    on_one_line = place.function is not None and place.function.lineno == place.anchor.lineno
    return indented + len(place.source.indent) * on_one_line


def _method_name(place: Place, statements: int, options: FixOptions) -> str | None:
    """The name of the method to write the calls into, None to write them where they are."""
    if place.extends or place.nested or place.definition is None or options.style == "inline":
        return None
    if options.style == "auto" and statements <= _INLINE_STATEMENTS:
        return None
    bases = [place.source.dotted(base) for base in place.definition.bases]
    if any(base != "torch.nn.Module" for base in bases):
        return None
    attributes = {node.attr for node in nodes_of(place.definition) if isinstance(node, ast.Attribute)}
    # A subclass may define a method of that name for layers that its parent's __init__ has not built yet.
    methods = {node.name for node in place.source.every(ast.FunctionDef)}
    return next((name for name in _METHOD_NAMES if name not in attributes | methods), None)


def _method(place: Place, name: str, statements: Sequence[str]) -> str:
    """An init method in the manner of its class: annotated and documented if `__init__` is."""
    step = place.source.indent
    function = place.function
    annotated = function is not None and function.returns is not None
    lines = [f"def {name}(self){' -> None' if annotated else ''}:"]
    if function is not None and ast.get_docstring(function) is not None:
        lines.append(f'{step}"""Scale every weight for the activation that follows it."""')
    lines += [f"{step}{line}" for statement in statements for line in statement.split("\n")]
    return "\n".join(lines)


def _imports(source: Source, changes: Sequence[Change]) -> list[Insertion]:
    """The import that the new code needs and the file lacks, where isort would put it."""
    rewritten = _code(one for one in changes if isinstance(one, Replacement))
    inserted = (one.needs for one in changes if isinstance(one, Insertion) and one.needs is not None)
    needed = next(inserted, spell(source).required_import(rewritten))
    if needed is None:
        return []
    body = source.tree.body
    deeper = next(
        (one for one in body if isinstance(one, ast.ImportFrom) and (one.module or "").startswith("torch.")), None
    )
    if deeper is not None:
        return [Insertion(source.start(deeper), needed, before=True)]
    first = next((index for index, one in enumerate(body) if _is_import(one)), None)
    if first is None:
        documented = ast.get_docstring(source.tree, clean=False) is not None
        return [Insertion(source.start(body[0]), needed, before=not documented)]
    if _is_relative(body[first]):
        return [Insertion(source.start(body[first]), needed, before=True)]
    last = first
    while last + 1 < len(body) and _is_import(body[last + 1]) and not _is_relative(body[last + 1]):
        last += 1
    return [Insertion(source.start(body[last]), needed)]


def _is_import(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Import | ast.ImportFrom)


def _is_relative(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.ImportFrom) and statement.level > 0
