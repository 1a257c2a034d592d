"""What each kind of expression evaluates to."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable, Iterator

from initlint.source.attributes import get_attribute, get_item
from initlint.source.functions import make_function
from initlint.source.machine import Frame, Machine
from initlint.source.misuse import inspect_alternative_types
from initlint.source.operators import binary, compare, unary
from initlint.source.patterns import GAP, Pattern, name_of, patterned
from initlint.source.sequences import elements, repeats
from initlint.source.symbols import ABSENT, UNKNOWN, Sym
from initlint.source.values import Arguments, Builtin, Choice, ClassV, DictV, External, Instance, ListV, Scope, truth

_BUILTINS = {name: Builtin(name) for name in dir(builtins)}
_MOST_CHARACTERS = 4000


def lookup(machine: Machine, name: str, frame: Frame) -> object:
    """The value of a name: this scope, those around it, the module, the builtins."""
    scope: Scope | None = frame.scope
    while scope is not None:
        value = scope.data.get(name, ABSENT)
        if value is not ABSENT:
            return value
        scope = scope.parent
    if name == "__name__":
        return frame.file.name
    return _BUILTINS.get(name, UNKNOWN)


def _name(machine: Machine, node: ast.Name, frame: Frame) -> object:
    return lookup(machine, node.id, frame)


def _constant(machine: Machine, node: ast.Constant, frame: Frame) -> object:
    return node.value if not isinstance(node.value, complex) else UNKNOWN


def _attribute(machine: Machine, node: ast.Attribute, frame: Frame) -> object:
    value = machine.evaluate(node.value, frame)
    held = value.data.get(node.attr, ABSENT) if type(value) is Instance else ABSENT
    return get_attribute(machine, value, node.attr, node, frame) if held is ABSENT else held


def _subscript(machine: Machine, node: ast.Subscript, frame: Frame) -> object:
    value = machine.evaluate(node.value, frame)
    key = machine.evaluate(node.slice, frame)
    if isinstance(node.slice, ast.Slice) and not isinstance(key, slice) and isinstance(value, ListV):
        return ListV([*value.data], repeats=True) if value.repeats else UNKNOWN  # nobody can say how long a part
    return get_item(machine, value, key, node, frame)


def _slice(machine: Machine, node: ast.Slice, frame: Frame) -> object:
    parts = [
        machine.evaluate(part, frame) if part is not None else None for part in (node.lower, node.upper, node.step)
    ]
    if all(part is None or isinstance(part, int) for part in parts):
        return slice(*parts)
    return UNKNOWN


def _arguments(machine: Machine, node: ast.Call, frame: Frame) -> Arguments:
    evaluate = machine.evaluate
    positional: list[object] = []
    keywords: dict[str, object] = {}
    open_ = False
    for each in node.args:
        if type(each) is ast.Starred:
            value = evaluate(each.value, frame)
            items = elements(machine, value, node, frame)
            open_ |= items is None or (repeats(value) and not any(isinstance(item, Instance) for item in items))
            positional += [item for item in items or () if item is not ABSENT]
        else:
            positional.append(evaluate(each, frame))
    for keyword in node.keywords:
        value = evaluate(keyword.value, frame)
        if keyword.arg is not None:
            keywords[keyword.arg] = value
        elif isinstance(value, DictV):
            keywords.update({key: item for key, item in value.data.items() if isinstance(key, str)})
            open_ |= value.open
        else:
            open_ = True
    return Arguments(positional, keywords, open_)


def _call(machine: Machine, node: ast.Call, frame: Frame) -> object:
    machine.step()
    called = node.func
    if type(called) is ast.Name and called.id == "super" and not node.args:
        from initlint.source.functions import implicit_super

        return implicit_super(frame)
    function = machine.evaluate(called, frame)
    if function is UNKNOWN and type(called) in (ast.Call, ast.Subscript):
        from initlint.source.lookup import looked_up

        function = looked_up(machine, called, frame)
    return machine.call(function, _arguments(machine, node, frame), node, frame)


def _tuple(machine: Machine, node: ast.Tuple, frame: Frame) -> object:
    items = _display(machine, node.elts, frame)
    return UNKNOWN if items is None else tuple(items)


def _list(machine: Machine, node: ast.List, frame: Frame) -> object:
    items = _display(machine, node.elts, frame)
    return ListV([UNKNOWN], repeats=True) if items is None else ListV(items, depth=machine.repeating)


def _set(machine: Machine, node: ast.Set, frame: Frame) -> object:
    items = _display(machine, node.elts, frame)
    return UNKNOWN if items is None else ListV(items, "set")


def _display(machine: Machine, nodes: list[ast.expr], frame: Frame) -> list[object] | None:
    items: list[object] = []
    for each in nodes:
        if isinstance(each, ast.Starred):
            inner = elements(machine, machine.evaluate(each.value, frame), each, frame)
            if inner is None:
                return None
            items += inner
        else:
            items.append(machine.evaluate(each, frame))
    return items


def _dict(machine: Machine, node: ast.Dict, frame: Frame) -> object:
    made = DictV({})
    for key_node, value_node in zip(node.keys, node.values, strict=True):
        value = machine.evaluate(value_node, frame)
        if key_node is None:
            if isinstance(value, DictV):
                made.data.update(value.data)
                made.open |= value.open
            else:
                made.open = True
            continue
        key = machine.evaluate(key_node, frame)
        put(made, key, value)
    return made


def put(mapping: DictV, key: object, value: object) -> None:
    """Set an item; under a key that is not known it is kept under a name of its own, under one of several under each."""
    known = list(filter(is_key, key.alternatives)) if isinstance(key, Choice) else ()
    if known:
        mapping.data.update(dict.fromkeys(known, value))
        mapping.open = True
        return
    if not is_key(key):
        key = name_of(key, mapping.data)
        mapping.open = True
    mapping.data[key] = value


def is_key(value: object) -> bool:
    """Whether `value` can be looked up in a `DictV`: a constant or something with an identity."""
    if isinstance(value, tuple):
        return all(map(is_key, value))
    return value is not UNKNOWN and not isinstance(value, (Choice, Sym, Pattern, ListV, DictV, slice))


def _binary(machine: Machine, node: ast.BinOp, frame: Frame) -> object:
    left = machine.evaluate(node.left, frame)
    return binary(machine, type(node.op), left, machine.evaluate(node.right, frame), node, frame)


def _unary(machine: Machine, node: ast.UnaryOp, frame: Frame) -> object:
    value = machine.evaluate(node.operand, frame)
    if isinstance(node.op, ast.Not):
        known = truth(value)
        return UNKNOWN if known is None else not known
    return unary(machine, type(node.op), value, node, frame)


def _boolean(machine: Machine, node: ast.BoolOp, frame: Frame) -> object:
    """`and` and `or` return an operand; with an unknown one on the way, any of those that may be reached."""
    stops_at = isinstance(node.op, ast.Or)
    reached: list[object] = []
    for each in node.values:
        value = machine.evaluate(each, frame)
        known = truth(value)
        if known is stops_at:
            reached.append(value)
            break
        if known is None or each is node.values[-1]:
            reached.append(value)
    if not reached:
        return value
    if isinstance(value, (ClassV, External)) and value is reached[-1]:
        inspect_alternative_types(machine, node, frame)
    if (
        len(reached) > 1
        and all(truth(each) is not stops_at for each in reached[:-1])
        and truth(reached[-1]) is stops_at
    ):
        # `unknown or True` is certainly true, whatever the first operand is
        return reached[-1] if isinstance(reached[-1], bool) else machine.join(reached)
    return machine.join(reached)


def _compare(machine: Machine, node: ast.Compare, frame: Frame) -> object:
    left = machine.evaluate(node.left, frame)
    result: object = True
    for operation, right_node in zip(node.ops, node.comparators, strict=True):
        right = machine.evaluate(right_node, frame)
        each = compare(machine, type(operation), left, right, node, frame)
        if truth(each) is False:
            return each
        if truth(each) is None or result is True:
            result = each
        left = right
    return result


def _conditional(machine: Machine, node: ast.IfExp, frame: Frame) -> object:
    known = truth(machine.evaluate(node.test, frame))
    if known is not None:
        return machine.evaluate(node.body if known else node.orelse, frame)
    return machine.join([machine.evaluate(node.body, frame), machine.evaluate(node.orelse, frame)])


def _lambda(machine: Machine, node: ast.Lambda, frame: Frame) -> object:
    return make_function(machine, node, frame)


def _formatted(machine: Machine, node: ast.JoinedStr, frame: Frame) -> object:
    parts: list[str] = []
    known = True
    for each in node.values:
        if isinstance(each, ast.Constant):
            parts.append(str(each.value))
            continue
        if not isinstance(each, ast.FormattedValue):
            return UNKNOWN
        value = machine.evaluate(each.value, frame)
        if isinstance(value, Pattern):
            value = value.text
            known = False
        elif isinstance(value, bool) or not isinstance(value, (str, int, float)) or each.format_spec is not None:
            value = GAP
            known = False
        parts.append(repr(value) if each.conversion == ord("r") else str(value))
    text = "".join(parts)
    if len(text) > _MOST_CHARACTERS:
        return UNKNOWN
    return text if known else patterned(text)


def _comprehension(machine: Machine, node: ast.ListComp | ast.SetComp | ast.GeneratorExp, frame: Frame) -> object:
    made = ListV([], "set" if isinstance(node, ast.SetComp) else "list")
    inner = _comprehension_frame(frame)
    for certain, several in _generate(machine, node.generators, inner):
        value = machine.evaluate(node.elt, inner)
        made.data.append(value if certain else machine.join([value, ABSENT]))
        made.repeats |= several
    return made


def _dict_comprehension(machine: Machine, node: ast.DictComp, frame: Frame) -> object:
    made = DictV({})
    inner = _comprehension_frame(frame)
    for certain, several in _generate(machine, node.generators, inner):
        key = machine.evaluate(node.key, inner)
        put(made, key, machine.evaluate(node.value, inner))
        made.open |= several or not certain
    return made


def _comprehension_frame(frame: Frame) -> Frame:
    return Frame(Scope(frame.file, frame.scope), frame.function, frame.receiver)


def _generate(machine: Machine, generators: list[ast.comprehension], frame: Frame) -> Iterator[tuple[bool, bool]]:
    """Bind the targets of `generators` one combination after the other: (certainly in, stands for many)."""
    from initlint.source.statements import assign

    head, *rest = generators
    iterable = machine.evaluate(head.iter, frame)
    items = elements(machine, iterable, head, frame)
    unknown = items is None
    many = unknown or repeats(iterable)
    machine.repeating += many
    try:
        for item in [UNKNOWN] if items is None else list(items):
            if item is ABSENT:
                continue
            machine.step()
            certain = True
            assign(machine, head.target, item, frame)
            verdicts = [truth(machine.evaluate(test, frame)) for test in head.ifs]
            if False in verdicts:
                continue
            certain = None not in verdicts
            if rest:
                for inner_certain, inner_repeats in _generate(machine, rest, frame):
                    yield certain and inner_certain, many or inner_repeats
            else:
                yield certain, many
    finally:
        machine.repeating -= many


def _walrus(machine: Machine, node: ast.NamedExpr, frame: Frame) -> object:
    from initlint.source.statements import assign

    value = machine.evaluate(node.value, frame)
    assign(machine, node.target, value, frame)
    return value


def _inner(machine: Machine, node: ast.Await | ast.Starred, frame: Frame) -> object:
    return machine.evaluate(node.value, frame)


def _yield(machine: Machine, node: ast.Yield, frame: Frame) -> object:
    frame.yielded.append(None if node.value is None else machine.evaluate(node.value, frame))
    return UNKNOWN


def _yield_from(machine: Machine, node: ast.YieldFrom, frame: Frame) -> object:
    items = elements(machine, machine.evaluate(node.value, frame), node, frame)
    frame.yielded += [UNKNOWN] if items is None else items
    return UNKNOWN


EXPRESSIONS: dict[type[ast.expr], Callable[..., object]] = {
    ast.Name: _name,
    ast.Constant: _constant,
    ast.Attribute: _attribute,
    ast.Subscript: _subscript,
    ast.Slice: _slice,
    ast.Call: _call,
    ast.Tuple: _tuple,
    ast.List: _list,
    ast.Set: _set,
    ast.Dict: _dict,
    ast.BinOp: _binary,
    ast.UnaryOp: _unary,
    ast.BoolOp: _boolean,
    ast.Compare: _compare,
    ast.IfExp: _conditional,
    ast.Lambda: _lambda,
    ast.JoinedStr: _formatted,
    ast.ListComp: _comprehension,
    ast.SetComp: _comprehension,
    ast.GeneratorExp: _comprehension,
    ast.DictComp: _dict_comprehension,
    ast.NamedExpr: _walrus,
    ast.Await: _inner,
    ast.Starred: _inner,
    ast.Yield: _yield,
    ast.YieldFrom: _yield_from,
}
