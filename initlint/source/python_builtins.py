"""Python's built-in functions on abstract values."""

from __future__ import annotations

import ast
from collections.abc import Callable

from initlint.source.attributes import get_attribute, set_attribute, vars_of
from initlint.source.escape import escape
from initlint.source.machine import Frame, Machine
from initlint.source.marks import ALWAYS, is_marked
from initlint.source.misuse import inspect_type_test
from initlint.source.patterns import kept_under, name_of
from initlint.source.positions import Count, Position, count_of
from initlint.source.sequences import elements, repeats
from initlint.source.symbols import ABSENT, UNKNOWN, Sym
from initlint.source.torch_modules import MODULE_LIST, SEQUENTIAL
from initlint.source.values import (
    Arguments,
    Bound,
    Builtin,
    Choice,
    ClassV,
    DictV,
    External,
    FunctionV,
    Instance,
    ListV,
    Method,
    ParamV,
    Partial,
    SuperV,
    TensorV,
    View,
    alternatives,
    truth,
)

_MOST_ITEMS = 2048
_PURE: dict[str, Callable[..., object]] = {
    "abs": abs,
    "round": round,
    "divmod": divmod,
    "pow": pow,
    "chr": chr,
    "ord": ord,
    "repr": repr,
    "bin": bin,
    "hex": hex,
}
_CONSTANT = (int, float, str, bool, type(None))


def call_builtin(machine: Machine, function: Builtin, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    """``print(...)``, ``len(...)``, ``range(...)``."""
    handler = _HANDLERS.get(function.name)
    if handler is not None:
        return handler(machine, arguments, node, frame)
    if function.name in _PURE and all(isinstance(each, (int, float, str)) for each in arguments.positional):
        try:
            return _PURE[function.name](*arguments.positional)
        except (TypeError, ValueError, ZeroDivisionError, OverflowError):
            return UNKNOWN
    if function.name == "object" or function.name.endswith(("Error", "Exception", "Warning")):
        return UNKNOWN
    if function.name in ("abs", "sum", "round", "pow"):
        return escape(machine, External(f"builtins.{function.name}"), arguments, node, frame)
    return UNKNOWN


def _range(machine: Machine, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    if len(arguments.positional) == 1 and isinstance(count := arguments.positional[0], Count):
        return count.positions()
    parts = [part for part in arguments.positional if isinstance(part, int)]
    if parts and len(parts) == len(arguments.positional):
        try:
            return tuple(range(*parts)[:_MOST_ITEMS])
        except (TypeError, ValueError):
            return UNKNOWN
    return UNKNOWN


def _enumerate(machine: Machine, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    source = arguments.get(0, "iterable")
    items = elements(machine, source, node, frame)
    start = arguments.get(1, "start", 0)
    if items is None:
        return UNKNOWN
    many = repeats(source)
    made: list[object] = []
    for index, item in enumerate(items):
        position: object = UNKNOWN if many or not isinstance(start, int) else start + index
        if isinstance(item, Position) and start == 0:
            position = item
        made.append(ABSENT if item is ABSENT else (position, _present(machine, item)))
        if isinstance(item, Choice) and ABSENT in item.alternatives:
            made[-1] = machine.join([made[-1], ABSENT])
    return ListV(made, repeats=many)


def _present(machine: Machine, item: object) -> object:
    if isinstance(item, Choice) and ABSENT in item.alternatives:
        return machine.join([each for each in item.alternatives if each is not ABSENT])
    return item


def _zip(machine: Machine, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    columns = [elements(machine, each, node, frame) for each in arguments.positional]
    many = [column is None or repeats(each) for each, column in zip(arguments.positional, columns, strict=True)]
    if all(column is None for column in columns):
        return UNKNOWN
    if all(many):
        return ListV([tuple(column[0] if column else UNKNOWN for column in columns)], repeats=True)
    length = min(
        len(column) for column, several in zip(columns, many, strict=True) if column is not None and not several
    )

    def cell(index: int, column: list[object] | None) -> object:
        return UNKNOWN if not column else column[min(index, len(column) - 1)]

    return ListV([tuple(cell(index, column) for column in columns) for index in range(length)])


def _as_list(kind: str) -> Callable[..., object]:
    def make(machine: Machine, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
        if not arguments.positional:
            return () if kind == "tuple" else ListV([], kind)
        source = arguments.positional[0]
        items = elements(machine, source, node, frame)
        if items is None:
            return UNKNOWN
        many = repeats(source)
        if kind == "tuple" and not many:
            return tuple(items)
        if kind == "reversed":
            return ListV(items[::-1], repeats=many)
        return ListV(items, "list" if kind == "tuple" else kind, repeats=many)

    return make


def _sorted(machine: Machine, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    items = elements(machine, arguments.get(0, "iterable"), node, frame)
    if items is None:
        return UNKNOWN
    if not arguments.keywords and all(isinstance(item, (int, float)) for item in items):
        return ListV(sorted(items))  # type: ignore[type-var]
    if not arguments.keywords and all(isinstance(item, str) for item in items):
        return ListV(sorted(items))  # type: ignore[type-var]
    return ListV(items)


def _dict(machine: Machine, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    from initlint.source.expressions import put
    from initlint.source.mappings import items_of

    made = DictV({}, open_=arguments.open)
    if arguments.positional:
        source = items_of(arguments.positional[0]) or arguments.positional[0]
        if isinstance(source, DictV):
            made.data.update(source.data)
            made.open |= source.open
        else:
            pairs = elements(machine, source, node, frame)
            for pair in pairs or ():
                if isinstance(pair, tuple) and len(pair) == 2:
                    put(made, pair[0], pair[1])
                else:
                    made.open = True
            made.open |= pairs is None
    made.data.update(arguments.keywords)
    return made


def _len(machine: Machine, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    value = arguments.get(0, "obj")
    if isinstance(value, (str, tuple)):
        return len(value)
    if isinstance(value, ListV):
        uncertain = any(isinstance(each, Choice) and ABSENT in each.alternatives for each in value.data)
        return UNKNOWN if value.repeats or uncertain else sum(each is not ABSENT for each in value.data)
    if isinstance(value, DictV):
        return UNKNOWN if value.open else len(value.data)
    if isinstance(value, Instance):
        method = value.cls.lookup("__len__") if isinstance(value.cls, ClassV) else ABSENT
        if isinstance(method, FunctionV):
            return machine.call(Bound(method, value), Arguments([]), node, frame)
        items = elements(machine, value, node, frame)
        if items is not None and not any(isinstance(each, Instance) and each.repeats for each in items):
            return len(items)
        if items is not None and value.torch_class in (SEQUENTIAL, MODULE_LIST):
            return count_of(items) or UNKNOWN
    if isinstance(value, (ParamV, TensorV)) and value.shape:
        return value.shape[0]
    if isinstance(value, Sym) and value.name:
        return Sym.named(f"len({value.name})")
    return UNKNOWN


def _isinstance(machine: Machine, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    from initlint.source.types import is_instance

    if len(arguments.positional) < 2:
        return UNKNOWN
    inspect_type_test(machine, node, frame)
    verdicts = {is_instance(machine, each, arguments.positional[1]) for each in alternatives(arguments.positional[0])}
    return verdicts.pop() if len(verdicts) == 1 and None not in verdicts else UNKNOWN


def _issubclass(machine: Machine, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    from initlint.source.types import is_subclass

    if len(arguments.positional) < 2:
        return UNKNOWN
    verdict = is_subclass(machine, arguments.positional[0], arguments.positional[1])
    return UNKNOWN if verdict is None else verdict


def _type(machine: Machine, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    from initlint.source.types import type_of

    return type_of(arguments.positional[0]) if len(arguments.positional) == 1 else UNKNOWN


def _getattr(machine: Machine, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    if len(arguments.positional) < 2:
        return UNKNOWN
    target, name = arguments.positional[:2]
    if isinstance(name, Choice):
        return machine.join(
            [
                _getattr(machine, Arguments([target, each, *arguments.positional[2:]]), node, frame)
                for each in name.alternatives
            ]
        )
    if not isinstance(name, str):
        return _attribute_of_unknown_name(machine, target, name)
    if len(arguments.positional) > 2 and has_attribute(target, name) is False:
        return arguments.positional[2]
    value = get_attribute(machine, target, name, node, frame)
    if len(arguments.positional) > 2 and has_attribute(target, name) is None:
        return UNKNOWN
    return value


def _attribute_of_unknown_name(machine: Machine, target: object, name: object) -> object:
    if isinstance(target, Instance):
        held = kept_under(name, target.data) or [value for key, value in target.data.items() if key.startswith("?")]
        if held:
            return machine.join(held)
    return UNKNOWN


def has_attribute(target: object, name: str) -> bool | None:
    """Whether ``target.name`` exists, None if that is not known."""
    if isinstance(target, Instance):
        if name in target.data:
            held = target.data[name]
            return None if isinstance(held, Choice) and ABSENT in held.alternatives else True
        if isinstance(target.cls, ClassV) and target.cls.lookup(name) is not ABSENT:
            return True
        if target.torch_class:
            from initlint.source.torch_modules import torch_attribute

            if torch_attribute(target, name) is not ABSENT:
                return True
            return None if target.uncertain or any(key.startswith("?") for key in target.data) else False
        return None if isinstance(target.cls, ClassV) and target.cls.external_bases else False
    if isinstance(target, ClassV):
        return True if target.lookup(name) is not ABSENT else None if target.external_bases else False
    if isinstance(target, (int, float, str, tuple, ListV, DictV, type(None))):
        kind = {ListV: list, DictV: dict}.get(type(target), type(target))
        return hasattr(kind, name)
    if isinstance(target, (ParamV, View)):
        return is_marked(target, name)
    if isinstance(target, TensorV):
        return True if name in ALWAYS else None
    return None


def _hasattr(machine: Machine, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    if len(arguments.positional) < 2 or not isinstance(arguments.positional[1], str):
        return UNKNOWN
    name = arguments.positional[1]
    verdicts = {has_attribute(each, name) for each in alternatives(arguments.positional[0])}
    return verdicts.pop() if len(verdicts) == 1 and None not in verdicts else UNKNOWN


def _setattr(machine: Machine, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    if len(arguments.positional) == 3:
        target, name, value = arguments.positional
        if not isinstance(name, str) and isinstance(target, Instance):
            name = name_of(name, target.data)
        if isinstance(name, str):
            set_attribute(machine, target, name, value, node, frame)
    return None


def _number(kind: Callable[[object], object]) -> Callable[..., object]:
    def make(machine: Machine, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
        value = arguments.get(0, "x", 0)
        if isinstance(value, (int, float, str)):
            try:
                return kind(value)
            except (ValueError, OverflowError):
                return UNKNOWN
        if isinstance(value, Sym):
            return value if kind is float or value.name else Sym.named(f"int({value})")
        return UNKNOWN

    return make


def _str(machine: Machine, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    value = arguments.get(0, "object", "")
    return str(value) if isinstance(value, (int, float, str)) else UNKNOWN


def _bool(machine: Machine, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    known = truth(arguments.get(0, "x", False))
    return UNKNOWN if known is None else known


def _extreme(choose: Callable[..., object]) -> Callable[..., object]:
    def make(machine: Machine, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
        values: list[object] | None = list(arguments.positional)
        if len(arguments.positional) == 1:
            values = elements(machine, arguments.positional[0], node, frame)
        if values and not arguments.keywords and all(isinstance(each, (int, float)) for each in values):
            return choose(values)
        if values and all(isinstance(each, (int, float, Sym)) for each in values):
            name = "min" if choose is min else "max"
            return Sym.named(f"{name}({','.join(map(str, values))})")
        return UNKNOWN

    return make


def _sum(machine: Machine, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    from initlint.source.operators import binary

    items = elements(machine, arguments.get(0, "iterable"), node, frame)
    if items is None or any(item is ABSENT for item in items):
        return escape(machine, External("builtins.sum"), arguments, node, frame)
    total: object = arguments.get(1, "start", 0)
    for item in items:
        fresh = isinstance(total, int) and total == 0
        total = item if fresh else binary(machine, ast.Add, total, item, node, frame)
    return total


def _every(*, stops_at: bool) -> Callable[..., object]:
    """`any` stops at True, `all` at False."""

    def make(machine: Machine, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
        items = elements(machine, arguments.get(0, "iterable"), node, frame)
        if items is None:
            return UNKNOWN
        verdicts = [truth(item) for item in items]
        if stops_at in verdicts:
            return stops_at
        return UNKNOWN if None in verdicts else not stops_at

    return make


def _map(machine: Machine, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    function, *sources = arguments.positional
    rows = _zip(machine, Arguments(list(sources)), node, frame)
    if not isinstance(rows, ListV):
        return UNKNOWN
    results = [machine.call(function, Arguments(list(row)), node, frame) for row in rows.data if isinstance(row, tuple)]
    return ListV(results, repeats=rows.repeats)


def _filter(machine: Machine, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    function, source = arguments.positional[:2]
    items = elements(machine, source, node, frame)
    if items is None:
        return UNKNOWN
    kept = []
    for item in items:
        known = truth(item if function is None else machine.call(function, Arguments([item]), node, frame))
        if known is not False:
            kept.append(item if known else machine.join([item, ABSENT]))
    return ListV(kept)


def _next(machine: Machine, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    items = elements(machine, arguments.get(0, "iterator"), node, frame)
    if items is None:
        return UNKNOWN
    return items[0] if items else arguments.get(1, "default", UNKNOWN)


def _first(machine: Machine, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    return arguments.get(0, "object", UNKNOWN)


def _super(machine: Machine, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    if len(arguments.positional) == 2 and isinstance(arguments.positional[0], ClassV):
        return SuperV(arguments.positional[0], arguments.positional[1])
    return UNKNOWN


def _callable(machine: Machine, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    value = arguments.get(0, "obj")
    if isinstance(value, (FunctionV, Bound, Partial, ClassV, Builtin, External, Method)):
        return True
    if isinstance(value, (*_CONSTANT, tuple, ListV, DictV)):
        return False
    if isinstance(value, Instance) and isinstance(value.cls, ClassV) and value.cls.lookup("__call__") is not ABSENT:
        return True
    return True if isinstance(value, Instance) and value.torch_class else UNKNOWN


def _print(machine: Machine, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    return None


def _globals(machine: Machine, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    """The names of the module as they are now; what is written into the result is not followed."""
    scope = frame.scope
    while scope.parent is not None:
        scope = scope.parent
    return DictV(dict(scope.data))


def _locals(machine: Machine, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    """The names of the running function, class body or module as they are now: ``set_attributes(self, locals())``."""
    return DictV({name: value for name, value in frame.scope.data.items() if value is not ABSENT})


def _vars(machine: Machine, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    if not arguments.positional:
        return _locals(machine, arguments, node, frame)
    value = arguments.get(0, "object", UNKNOWN)
    return vars_of(value) if isinstance(value, Instance) else UNKNOWN


def _eval(machine: Machine, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    from initlint.source.lookup import evaluated

    return evaluated(machine, arguments.get(0, "source", UNKNOWN), node, frame)


_HANDLERS: dict[str, Callable[..., object]] = {
    "eval": _eval,
    "globals": _globals,
    "locals": _locals,
    "vars": _vars,
    "range": _range,
    "enumerate": _enumerate,
    "zip": _zip,
    "list": _as_list("list"),
    "tuple": _as_list("tuple"),
    "set": _as_list("set"),
    "frozenset": _as_list("set"),
    "reversed": _as_list("reversed"),
    "sorted": _sorted,
    "dict": _dict,
    "len": _len,
    "isinstance": _isinstance,
    "issubclass": _issubclass,
    "type": _type,
    "getattr": _getattr,
    "hasattr": _hasattr,
    "setattr": _setattr,
    "int": _number(int),  # type: ignore[arg-type]
    "float": _number(float),  # type: ignore[arg-type]
    "str": _str,
    "bool": _bool,
    "min": _extreme(min),
    "max": _extreme(max),
    "sum": _sum,
    "any": _every(stops_at=True),
    "all": _every(stops_at=False),
    "map": _map,
    "filter": _filter,
    "next": _next,
    "iter": _first,
    "super": _super,
    "callable": _callable,
    "print": _print,
}
