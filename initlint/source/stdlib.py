"""The parts of the standard library that model code computes with."""

from __future__ import annotations

import ast
import itertools
import math
from collections.abc import Callable

from initlint.source.enumerations import AUTO
from initlint.source.imports import import_named
from initlint.source.machine import Frame, Machine
from initlint.source.misuse import inspect_calculated_gain
from initlint.source.records import as_dict, named_tuple, replaced
from initlint.source.sequences import elements
from initlint.source.symbols import ABSENT, UNKNOWN, Sym, monomial, power
from initlint.source.values import Arguments, Builtin, DictV, Instance, ListV, Partial

_TORCH_SLOPE = 0.01
_MOST_PRODUCTS = 512
_MATH = {
    name: getattr(math, name)
    for name in (
        "sqrt",
        "log",
        "log2",
        "log10",
        "exp",
        "ceil",
        "floor",
        "pow",
        "sin",
        "cos",
        "tan",
        "tanh",
        "prod",
        "gcd",
        "isqrt",
        "fabs",
        "erf",
    )
}


def call_math(machine: Machine, name: str, arguments: Arguments) -> object:
    """``math.sqrt`` and its kin, on numbers and symbols."""
    last = name.rpartition(".")[2]
    values = [
        tuple(each.data) if isinstance(each, ListV) and not each.repeats else each for each in arguments.positional
    ]
    if last == "sqrt" and len(values) == 1 and isinstance(values[0], Sym):
        return power(values[0], 0.5)
    if last == "prod" and len(values) == 1 and isinstance(values[0], tuple):
        return product(values[0])
    if last in ("float32", "float64", "int64", "array", "asarray") and values and isinstance(values[0], (int, float)):
        return values[0]
    if last in _MATH and values and all(isinstance(each, (int, float)) for each in values):
        try:
            return _MATH[last](*values)
        except (ValueError, OverflowError, TypeError):
            return UNKNOWN
    symbols = [monomial(each) for each in values]
    if len(values) == 1 and symbols[0] is not None:
        return Sym.named(f"{last}({symbols[0]})")
    return UNKNOWN


def product(values: tuple[object, ...]) -> object:
    """The product of numbers and symbols."""
    from initlint.source.symbols import multiply

    total: object = 1
    for value in values:
        left, right = monomial(total), monomial(value)
        if left is None or right is None:
            return UNKNOWN
        total = multiply(left, right)
    return int(total) if isinstance(total, float) and total.is_integer() else total


def _partial(machine: Machine, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    if not arguments.positional or arguments.open:
        return UNKNOWN
    return Partial(arguments.positional[0], tuple(arguments.positional[1:]), dict(arguments.keywords))


def _calculate_gain(machine: Machine, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    """``nn.init.calculate_gain(nonlinearity, param)``."""
    nonlinearity, slope = arguments.get(0, "nonlinearity", UNKNOWN), arguments.get(1, "param", None)
    inspect_calculated_gain(machine, nonlinearity, slope, node, frame)
    gain = machine.knowledge.gains.get(nonlinearity, UNKNOWN) if isinstance(nonlinearity, str) else UNKNOWN
    if gain is not None:
        return gain
    known = _TORCH_SLOPE if slope is None else slope
    return math.sqrt(2 / (1 + known**2)) if isinstance(known, (int, float)) and not isinstance(known, bool) else UNKNOWN


def _deepcopy(machine: Machine, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    from initlint.source.symmetry import Clone
    from initlint.source.torch_modules import clone, modules_below

    if not arguments.positional:
        return UNKNOWN
    source = arguments.positional[0]
    if isinstance(source, Instance):
        source.discarded = True
    twin = clone(machine, source)
    if isinstance(source, Instance) and isinstance(twin, Instance) and source.torch_class:
        if machine.clones:  # what was a copy inside the one is as much a copy inside the other
            copies = dict(zip(modules_below(source), modules_below(twin), strict=False))
            within = [each for each in machine.clones if each.twin in copies]
            machine.clones += [Clone(each.source, copies[each.twin], each.place) for each in within]
        machine.clones.append(Clone(source, twin, machine.place(node, frame)))
    return twin


def _shallow_copy(machine: Machine, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    value = arguments.get(0, "x", UNKNOWN)
    if isinstance(value, ListV):
        return ListV(list(value.data), value.kind, repeats=value.repeats)
    if isinstance(value, DictV):
        return DictV(dict(value.data), value.kind, open_=value.open)
    return _deepcopy(machine, arguments, node, frame)


def _ordered_dict(machine: Machine, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    made = machine.call(Builtin("dict"), arguments, node, frame)
    if isinstance(made, DictV):
        made.kind = "OrderedDict"
    return made


def _default_dict(machine: Machine, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    return DictV({}, open_=True)


def _deque(machine: Machine, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    return machine.call(Builtin("list"), Arguments(arguments.positional[:1]), node, frame)


def _chain(machine: Machine, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    made: list[object] = []
    repeats = arguments.open
    for each in arguments.positional:
        items = elements(machine, each, node, frame)
        made += [UNKNOWN] if items is None else items
        repeats |= items is None or (isinstance(each, ListV) and each.repeats)
    return ListV(made, repeats=repeats)


def _chain_iterables(machine: Machine, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    items = elements(machine, arguments.get(0, "iterable"), node, frame)
    return UNKNOWN if items is None else _chain(machine, Arguments(items), node, frame)


def _repeat(machine: Machine, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    value = arguments.get(0, "object", UNKNOWN)
    times = arguments.get(1, "times", ABSENT)
    if isinstance(times, int) and times <= _MOST_PRODUCTS:
        return ListV([value] * times)
    return ListV([value], repeats=True)


def _pairwise(machine: Machine, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    items = elements(machine, arguments.get(0, "iterable"), node, frame)
    return UNKNOWN if items is None else ListV(list(itertools.pairwise(items)))


def _product(machine: Machine, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    columns = [elements(machine, each, node, frame) for each in arguments.positional]
    if any(column is None for column in columns) or arguments.keywords:
        return UNKNOWN
    rows = itertools.islice(itertools.product(*(column or [] for column in columns)), _MOST_PRODUCTS)
    return ListV(list(rows))


def _islice(machine: Machine, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    items = elements(machine, arguments.get(0, "iterable"), node, frame)
    bounds = arguments.positional[1:]
    known = [each for each in bounds if each is None or isinstance(each, int)]
    if items is None or len(known) != len(bounds):
        return UNKNOWN
    return ListV(items[slice(*known)])


def _reduce(machine: Machine, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    if len(arguments.positional) < 2:
        return UNKNOWN
    function, source, *start = arguments.positional
    items = elements(machine, source, node, frame)
    if not items and not start:
        return UNKNOWN
    total, *rest = [*start, *(items or [])]
    for item in rest:
        total = machine.call(function, Arguments([total, item]), node, frame)
    return total


def _auto(machine: Machine, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    return AUTO


def _cast(machine: Machine, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    return arguments.get(1, "val", UNKNOWN)


def _first(machine: Machine, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    return arguments.get(0, "x", UNKNOWN)


def _arithmetic(kind: type[ast.operator]) -> Callable[..., object]:
    def make(machine: Machine, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
        from initlint.source.operators import binary

        if len(arguments.positional) != 2:
            return UNKNOWN
        return binary(machine, kind, arguments.positional[0], arguments.positional[1], node, frame)

    return make


def _size(machine: Machine, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    """``torch.Size([1])`` is a tuple."""
    return machine.call(Builtin("tuple"), Arguments(arguments.positional[:1]), node, frame)


STANDARD: dict[str, Callable[..., object]] = {
    "functools.partial": _partial,
    "functools.reduce": _reduce,
    "functools.lru_cache": _first,
    "functools.cache": _first,
    "functools.wraps": _first,
    "torch.nn.init.calculate_gain": _calculate_gain,
    "torch.Size": _size,
    "copy.deepcopy": _deepcopy,
    "copy.copy": _shallow_copy,
    "copy.replace": replaced,
    "dataclasses.replace": replaced,
    "dataclasses.asdict": as_dict,
    "attr.evolve": replaced,
    "attrs.evolve": replaced,
    "attr.asdict": as_dict,
    "attrs.asdict": as_dict,
    "collections.OrderedDict": _ordered_dict,
    "collections.defaultdict": _default_dict,
    "collections.deque": _deque,
    "collections.namedtuple": named_tuple,
    "enum.auto": _auto,
    "importlib.import_module": import_named,
    "typing.NamedTuple": named_tuple,
    "itertools.chain": _chain,
    "itertools.chain.from_iterable": _chain_iterables,
    "itertools.repeat": _repeat,
    "itertools.product": _product,
    "itertools.pairwise": _pairwise,
    "itertools.islice": _islice,
    "typing.cast": _cast,
    "operator.add": _arithmetic(ast.Add),
    "operator.mul": _arithmetic(ast.Mult),
    "operator.sub": _arithmetic(ast.Sub),
    "operator.truediv": _arithmetic(ast.Div),
}
