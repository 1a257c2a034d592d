"""What a container holds, as far as the code that fills it shows: exact elements, only layers of a kind, a last one."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from initlint.fix.listing import listed_elements, named_elements, values_as_list, written_elements
from initlint.fix.spelling import Source
from initlint.model import Layer, Site
from initlint.syntax import last_name, nodes_of

if TYPE_CHECKING:
    from initlint.fix.place import Place

_SEQUENCES = frozenset({"Sequential", "ModuleList"})
_CONTAINERS = _SEQUENCES | {"ModuleDict"}
_HOLDERS = _CONTAINERS | {"OrderedDict", "dict", "list", "tuple"}
_PLAIN = (ast.List, ast.ListComp, ast.Tuple, ast.Dict, ast.DictComp)
_MOVES = frozenset({"to", "cuda", "cpu", "double", "float", "half"})
_GROWING = frozenset({"append", "extend", "insert", "add_module", "register_module", "update", "__setitem__"})


def is_exact(value: ast.expr, trail: tuple[str | int, ...], source: Source) -> bool:
    """Whether a trail names the same module however the code that built `value` is parametrized."""
    element = find_element(value, trail, source)
    return element is not None and not isinstance(element, ast.IfExp | ast.BoolOp)


def find_element(value: ast.expr, trail: tuple[str | int, ...], source: Source) -> ast.expr | None:
    """The expression that builds what a trail leads to, None where the containers on the way are not written out."""
    value, rest = follow(value, trail, source)
    return None if rest else value


def follow(value: ast.expr, trail: tuple[str | int, ...], source: Source) -> tuple[ast.expr, tuple[str | int, ...]]:
    """The expression that builds what a trail leads to as far as that is written out, and the steps that are left."""
    for position, step in enumerate(trail):
        element = _element(value, step, source)
        if element is None:
            return value, trail[position:]
        value = element
    return value, ()


def unmoved(value: ast.expr) -> ast.expr:
    """What an expression builds before it is moved to a device: ``nn.Sequential(...)`` of ``nn.Sequential(...).to(device)``."""
    match value:
        case ast.Call(func=ast.Attribute(value=moved, attr=method)) if method in _MOVES:
            return unmoved(moved)
        case _:
            return value


def find_trail(value: ast.expr, site: Site, source: Source) -> tuple[str | int, ...] | None:
    """The steps from what an expression builds to the layer that is built at a site, None where they are not plain."""
    if not isinstance(value, ast.Call):
        return None
    if source.start(value) == (site.line, site.column) and source.end(value) == (site.end_line, site.end_column):
        return ()
    if not is_container(value):
        return None
    steps: list[tuple[str | int, ast.expr]] = [*named_elements(value)]
    for step, element in steps or enumerate(listed_elements(value)):
        if isinstance(element, ast.Starred):
            return None
        if source.contains(element, site):
            rest = find_trail(element, site, source)
            return None if rest is None else (step, *rest)
    return None


def is_container(value: ast.expr) -> bool:
    """Whether an expression builds one of torch's containers."""
    return isinstance(value, ast.Call) and last_name(value.func) in _CONTAINERS


def is_kept_plain(place: Place) -> bool:
    """Whether one of Python's own containers holds a layer of a class, and nothing made of it takes its name later."""
    root, function = place.access.root_text, place.function
    if place.definition is None or function is None or not isinstance(place.value, _PLAIN):
        return False
    assigned = [node for node in nodes_of(function) if isinstance(node, ast.Assign)]
    named = [node.value for node in assigned if any(ast.unparse(one) == root for one in node.targets)]
    return all(isinstance(value, _PLAIN) for value in named)


def is_keyed(value: ast.expr) -> bool:
    """Whether iterating over a container yields keys."""
    return isinstance(value, ast.Call) and last_name(value.func) == "ModuleDict"


def is_list(value: ast.expr) -> bool:
    """Whether an expression builds a list of modules, which a forward pass need not apply all."""
    return isinstance(value, ast.Call) and last_name(value.func) == "ModuleList"


def count_layers(value: ast.expr, kinds: tuple[str, ...], source: Source) -> int | None:
    """How many layers of some kinds a container that is written out holds; None if it is not."""
    if not isinstance(value, ast.Call) or last_name(value.func) not in _CONTAINERS:
        return None
    elements = [element for _, element in named_elements(value)] or listed_elements(value)
    calls = [element for element in elements if isinstance(element, ast.Call)]
    if len(calls) != len(elements) or any(_returned(call, source) is not None for call in calls):
        return None
    return sum(last_name(node.func) in kinds for call in calls for node in nodes_of(call) if isinstance(node, ast.Call))


def beginning_with(
    value: ast.expr, trails: Sequence[tuple[str | int, ...]], kinds: tuple[str, ...], source: Source
) -> int | None:
    """Where the beginning of a container ends whose layers of some kinds are those at the end of the trails.

    That is 0 if it is all of it, -2 if the last two elements are no part of it, and None if there is none, or if the
    container holds anything but layers of torch, one by one.
    """
    elements = (
        [] if not isinstance(value, ast.Call) or last_name(value.func) not in _SEQUENCES else listed_elements(value)
    )
    held = [set(_built(one, source)) or {""} for one in elements]
    if not held or any(name in {"", *_CONTAINERS} for names in held for name in names):
        return None
    found = [index for index, names in enumerate(held) if not names.isdisjoint(kinds)]
    wanted = sorted(index for index, *rest in trails if isinstance(index, int) and not rest)
    if len(wanted) < len(trails) or found[: len(wanted)] != wanted:
        return None
    return found[len(wanted)] - len(elements) if len(found) > len(wanted) else 0


def _built(element: ast.expr, source: Source) -> Iterator[str]:
    """The kinds of torch layers that an element may be, of an attribute all that it is given; empty for anything else."""
    function = source.function_around(element)
    values = [element]
    if isinstance(element, ast.Attribute) and function is not None:
        name = ast.unparse(element)
        assigned = (node for node in nodes_of(function) if isinstance(node, ast.Assign))
        values = [one.value for one in assigned if any(ast.unparse(target) == name for target in one.targets)]
    for value in values:
        for one in choices_of(value, function):
            name = source.dotted(one.func) if isinstance(one, ast.Call) else ""
            yield name.rpartition(".")[2] if name.startswith("torch.nn.") else ""


def holds_only(place: Place, kinds: tuple[str, ...]) -> bool:
    """Whether every element of a list of modules is written as a call of one of some kinds."""
    value = _content(place.value)
    scope = place.definition or place.function or place.source.tree
    listed = value.id if isinstance(value, ast.Name) and place.function is not None else None
    if listed is not None and place.function is not None:
        created = values_of(listed, place.function, growing=True)
        value = _content(created[0]) if len(created) == 1 else value
    elements = written_elements(value)
    if elements is None:
        return False
    if listed is not None and place.function is not None:
        for _, added in _growths(listed, nodes_of(place.function)):
            more = None if added is None else written_elements(added)
            elements += [added or value] if more is None else more
    for _, added in _growths(place.access.root_text, nodes_of(scope)):
        if added is not None:
            more = written_elements(added)
            elements += [added] if more is None else more
    choices = [one for element in elements for one in choices_of(element, place.function)]
    return bool(choices) and all(isinstance(one, ast.Call) and last_name(one.func) in kinds for one in choices)


def _content(value: ast.expr) -> ast.expr:
    """What a ModuleList or ModuleDict is made of as a list, anything else as it is."""
    match value:
        case ast.Call(func=function) if last_name(function) == "ModuleDict":
            return values_as_list(value)
        case ast.Call(func=function, args=arguments) if last_name(function) == "ModuleList":
            return arguments[0] if arguments else ast.List(elts=[])
        case _:
            return value


def is_uniform(place: Place, steps: tuple[str | int, ...]) -> bool:
    """Whether some steps lead to one layer in every element of a list of modules, as all are written alike."""
    value = place.value
    if not isinstance(value, ast.Call) or not is_list(value):
        return False
    elements = written_elements(value.args[0]) if value.args else []
    if elements is None:
        return False
    scope = place.definition or place.function or place.source.tree
    elements += [one for _, one in _growths(place.access.root_text, nodes_of(scope)) if one is not None]
    return len(elements) == 1 and is_exact(elements[0], steps, place.source)


def is_last(place: Place, layer: Layer) -> bool:
    """Whether a layer is written as the last element of a container, or as the only thing that a loop appends to it."""
    scope = place.source.tree if place.function is None else place.function
    name = place.access.root_text
    if isinstance(place.value, ast.Call) and last_name(place.value.func) == "ModuleList" and not _listed(place.value):
        growths = list(_growths(name, nodes_of(scope)))
        if len(growths) == 1 and _is_at_end(growths[0][0]):
            added = growths[0][1]
            return isinstance(added, ast.Call) and place.source.contains(added, layer.site)
    block = _block_around(place.value, scope)
    last = _last_growth(name, block, _last(place.value, block))
    return isinstance(last, ast.Call) and place.source.contains(last, layer.site)


def _block_around(value: ast.expr, scope: ast.AST) -> list[ast.stmt]:
    """The innermost block with a statement that holds an expression."""
    found: list[ast.stmt] = []
    for node in nodes_of(scope):
        for name in ("body", "orelse", "finalbody"):
            block = getattr(node, name, None)
            if isinstance(block, list) and any(value is one for statement in block for one in nodes_of(statement)):
                found = block
    return found


def _created(name: str, function: ast.AST) -> ast.List | None:
    """The list that a local name is created with and holds ever after, None where it may be another."""
    values = values_of(name, function, growing=True)
    return values[0] if len(values) == 1 and isinstance(values[0], ast.List) else None


def values_of(name: str, function: ast.AST, *, growing: bool = False) -> list[ast.expr]:
    """All that a function assigns to a local name; nothing where it is bound in other ways, too.

    `growing`: what ``+=`` adds to does not count as one.
    """
    values: list[ast.expr] = []
    bindings = 0
    for node in nodes_of(function):
        match node:
            case ast.Assign(targets=targets, value=value) if any(_is_name(one, name) for one in targets):
                values.append(value)
            case ast.AugAssign(target=target) if growing and _is_name(target, name):
                bindings -= 1
            case ast.Name(ctx=ast.Store()) | ast.arg() if _is_name(node, name):
                bindings += 1
            case _:
                pass
    return values if bindings == len(values) else []


def _is_name(node: ast.AST, name: str) -> bool:
    match node:
        case ast.Name(id=found) | ast.arg(arg=found):
            return found == name
        case _:
            return False


def grows_in_loop(place: Place) -> bool:
    """Whether a container unpacks a local list to which a loop adds."""
    return any(True for _ in grown_in_loops(place))


def grown_in_loops(place: Place) -> Iterator[ast.expr | None]:
    """What loops add to the local lists that a container unpacks."""
    names = {
        one.value.id
        for one in nodes_of(place.value)
        if isinstance(one, ast.Starred) and isinstance(one.value, ast.Name)
    }
    loops = (
        [node for node in nodes_of(place.function) if isinstance(node, ast.For | ast.While)] if place.function else []
    )
    return (added for name in names for loop in loops for _, added in _growths(name, nodes_of(loop)))


def _listed(call: ast.Call) -> bool:
    """Whether a container is created with anything in it."""
    return bool(call.args) and not (isinstance(call.args[0], ast.List) and not call.args[0].elts)


def _element(value: ast.expr, step: str | int, source: Source) -> ast.expr | None:
    """The expression behind one step into a container that is written out, None where it is not."""
    if not isinstance(value, ast.Call):
        return None
    if last_name(value.func) not in _CONTAINERS | {"__init__"}:
        returned = _returned(value, source)
        return None if returned is None else _element(returned, step, source)
    named = dict(named_elements(value)) or _added(value, source)
    if named:
        return named.get(step) if isinstance(step, str) else dict(enumerate(named.values())).get(step)
    position = int(step) if isinstance(step, str) and step.isdecimal() else step
    if isinstance(position, str) or position < 0:
        return None
    return _nth(listed_elements(value), position, value, source)


def _added(container: ast.Call, source: Source) -> dict[str, ast.expr]:
    """The names and modules that the statements below an empty container add to it, one after the other and nothing else."""
    function = source.function_around(container)
    if container.args or container.keywords or function is None:
        return {}
    holder = next(
        (
            ast.unparse(node.targets[0])
            for node in nodes_of(function)
            if isinstance(node, ast.Assign) and node.value is container
        ),
        None,
    )
    if holder is None:
        return {}
    found: dict[str, ast.expr] = {}
    for statement in function.body:
        for node, _ in _growths(holder, nodes_of(statement)):
            match node, statement:
                case (
                    ast.Call(func=ast.Attribute(attr="add_module"), args=[ast.Constant(value=str(name)), value]),
                    ast.Expr(value=whole),
                ) if whole is node and name not in found:
                    found[name] = value
                case _:
                    return {}
    return found


def _nth(elements: list[ast.expr], position: int, value: ast.expr, source: Source) -> ast.expr | None:
    """The element at a position; where a local list is unpacked before it, one that the list begins with."""
    for index, element in enumerate(elements[: position + 1]):
        if not isinstance(element, ast.Starred):
            continue
        beginning = _beginning(element.value, value, source)
        if not index <= position < index + len(beginning):
            return None
        return _nth(beginning, position - index, value, source)
    return elements[position] if position < len(elements) else None


def _beginning(listed: ast.expr, used: ast.expr, source: Source) -> list[ast.expr]:
    """The elements that a local list surely begins with: it is created with some, and only ever appended to."""
    function = source.function_around(used)
    if function is None or not isinstance(listed, ast.Name):
        return []
    name = listed.id
    nodes = list(nodes_of(function))
    created = _created(name, function)
    uses = sum(isinstance(node, ast.Name) and node.id == name for node in nodes)
    growths = [node for node, _ in _growths(name, nodes)]
    unpacked = sum(isinstance(node, ast.Starred) and ast.unparse(node.value) == name for node in nodes)
    if created is None or not all(map(_is_at_end, growths)) or uses != 1 + len(growths) + unpacked:
        return []
    return [*created.elts, *_appended_next(name, created, function)]


def _appended_next(name: str, created: ast.List, function: ast.AST) -> Iterator[ast.expr]:
    """What the statements below a list's creation add to it one after the other, up to a loop or branch that adds to it."""
    block = _block_around(created, function)
    first = next((index for index, one in enumerate(block) if created in nodes_of(one)), len(block))
    for statement in block[first + 1 :]:
        match statement:
            case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id=holder), attr="append"), args=[added])):
                more = [added]
            case ast.Expr(
                value=ast.Call(func=ast.Attribute(value=ast.Name(id=holder), attr="extend"), args=[ast.List(elts=more)])
            ):
                pass
            case ast.AugAssign(target=ast.Name(id=holder), value=ast.List(elts=more)):
                pass
            case _ if any(True for _ in _growths(name, nodes_of(statement))):
                return
            case _:
                continue
        if holder == name:
            yield from more


def _returned(call: ast.Call, source: Source) -> ast.expr | None:
    """What a function of this file returns, if its only return writes a container out."""
    name = last_name(call.func)
    found = [node for node in source.every(ast.FunctionDef) if node.name == name]
    if len(found) != 1:
        return None
    returns = [node for node in nodes_of(found[0]) if isinstance(node, ast.Return)]
    value = returns[0].value if len(returns) == 1 else None
    return value if isinstance(value, ast.Call) and last_name(value.func) in _CONTAINERS else None


def choices_of(element: ast.expr, function: ast.AST | None) -> Iterator[ast.expr]:
    """The modules that an expression may stand for, moved to no device; of a local name all that it may hold."""
    match unmoved(element):
        case ast.IfExp(body=body, orelse=orelse):
            yield from choices_of(body, function)
            yield from choices_of(orelse, function)
        case ast.BoolOp(values=values):
            for value in values:
                yield from choices_of(value, function)
        case ast.Name(id=name) if function is not None:
            for value in values_of(name, function) or [element]:
                yield from choices_of(value, None)
        case _:
            yield element


def _growths(name: str, nodes: Iterable[ast.AST]) -> Iterator[tuple[ast.AST, ast.expr | None]]:
    """The calls and assignments that add to a list or container, with what they add last."""
    for node in nodes:
        match node:
            case ast.Call(func=ast.Attribute(value=holder, attr=method), args=[*_, added]) if (
                method in _GROWING and ast.unparse(holder) == name
            ):
                yield node, None if method == "insert" else added
            case ast.AugAssign(target=target, value=added) if ast.unparse(target) == name:
                yield node, added
            case ast.Assign(targets=[ast.Subscript(value=holder)], value=added) if ast.unparse(holder) == name:
                yield node, added
            case ast.Assign(targets=[target], value=ast.BinOp(left=left, op=ast.Add(), right=added)) if (
                ast.unparse(target) == name == ast.unparse(left)
            ):
                yield node, added
            case _:
                pass


def _is_at_end(growth: ast.AST) -> bool:
    """Whether a growth adds behind everything else, as neither ``insert`` nor ``layers[i] = ...`` does."""
    match growth:
        case ast.Call(func=ast.Attribute(attr="insert")) | ast.Assign(targets=[ast.Subscript()]):
            return False
        case _:
            return True


def _last_growth(name: str, body: Iterable[ast.stmt], last: ast.expr | None) -> ast.expr | None:
    """The last element after all growth in a block; None where growth in a loop or branch leaves it open."""
    for statement in body:
        for node, added in _growths(name, nodes_of(statement)):
            direct = node is statement or (isinstance(statement, ast.Expr) and node is statement.value)
            inserted = isinstance(node, ast.Call) and added is None
            if not inserted:
                last = _last(added, ()) if direct and added is not None and _is_at_end(node) else None
    return last


def _last(value: ast.expr, body: Iterable[ast.stmt]) -> ast.expr | None:
    """The last element expression of a container or list, followed through a local list that grows in `body`."""
    match value:
        case ast.Starred(value=inner):
            return _last(inner, body)
        case ast.Call(args=[*_, final]) if last_name(value.func) in _SEQUENCES | {"__init__"}:
            return _last(final, body)
        case ast.Call(args=[ast.List(elts=[*_, ast.Tuple(elts=[_, final])])]) if last_name(value.func) == "OrderedDict":
            return _last(final, body)
        case ast.List(elts=[*_, final]) | ast.Tuple(elts=[*_, final]):
            return _last(final, body)
        case ast.ListComp(elt=ast.Call() as element) | ast.GeneratorExp(elt=ast.Call() as element):
            return element
        case ast.BinOp(op=ast.Add(), right=right):
            return _last(right, body)
        case ast.Name(id=name):
            return _last_growth(name, body, None)
        case ast.Call() if last_name(value.func) not in _HOLDERS:
            return value
        case _:
            return None
