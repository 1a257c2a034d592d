"""Arithmetic, comparison and membership on abstract values."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Sequence

from initlint.source.enumerations import is_enumeration, members, plain
from initlint.source.machine import Frame, Machine
from initlint.source.paths import under
from initlint.source.patterns import Pattern, added, interpolated
from initlint.source.symbols import ABSENT, UNKNOWN, Sym, monomial, multiply, power
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
    TensorV,
    View,
    same,
    truth,
)

_MOST_COMBINATIONS = 9
_MOST_LENGTH = 4000
_MOST_BITS = 4096

_ARITHMETIC: dict[type[ast.operator], Callable[[object, object], object]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.LShift: operator.lshift,
    ast.RShift: operator.rshift,
    ast.BitOr: operator.or_,
    ast.BitAnd: operator.and_,
    ast.BitXor: operator.xor,
}
_SIGNS: dict[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.Pow: "**",
}
_SPECIAL: dict[type[ast.operator], str] = {
    ast.Add: "__add__",
    ast.Sub: "__sub__",
    ast.Mult: "__mul__",
    ast.Div: "__truediv__",
    ast.FloorDiv: "__floordiv__",
    ast.MatMult: "__matmul__",
    ast.BitOr: "__or__",
}
_ORDER: dict[type[ast.cmpop], Callable[..., bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


def binary(
    machine: Machine, kind: type[ast.operator], left: object, right: object, node: ast.AST, frame: Frame
) -> object:
    """``left OP right``: of its two operands, the one that comes first in `_LEFT` and `_RIGHT` has the say."""
    of_left = _LEFT.get(type(left), _NEITHER)
    of_right = _RIGHT.get(type(right), _NEITHER)
    _, handler = of_left if of_left[0] <= of_right[0] else of_right
    return handler(machine, kind, left, right, node, frame)


def _every_pair(
    machine: Machine, kind: type[ast.operator], left: object, right: object, node: ast.AST, frame: Frame
) -> object:
    pairs = [(one, other) for one in _options(left) for other in _options(right)]
    if len(pairs) > _MOST_COMBINATIONS:
        return UNKNOWN
    return machine.join([binary(machine, kind, one, other, node, frame) for one, other in pairs])


def _of_tensors(
    machine: Machine, kind: type[ast.operator], left: object, right: object, node: ast.AST, frame: Frame
) -> object:
    from initlint.source.arithmetic import tensor_arithmetic

    return tensor_arithmetic(machine, kind, left, right, node, frame)


def _of_tuple(
    machine: Machine, kind: type[ast.operator], left: object, right: object, node: ast.AST, frame: Frame
) -> object:
    handler = _of_constants if isinstance(right, (int, float)) else _sequence
    return handler(machine, kind, left, right, node, frame)


def _of_integer(
    machine: Machine, kind: type[ast.operator], left: object, right: object, node: ast.AST, frame: Frame
) -> object:
    if isinstance(right, (ListV, tuple)):
        return _sequence(machine, kind, right, left, node, frame)
    return _of_constants(machine, kind, left, right, node, frame)


def _of_text(
    machine: Machine, kind: type[ast.operator], left: str, right: object, node: ast.AST, frame: Frame
) -> object:
    if kind is ast.Mod:
        return _formatted(left, right)
    if kind is ast.Add and (right is UNKNOWN or isinstance(right, Sym)):
        return added(left, right)
    return _of_constants(machine, kind, left, right, node, frame)


def _of_pattern(
    machine: Machine, kind: type[ast.operator], left: object, right: object, node: ast.AST, frame: Frame
) -> object:
    if kind is ast.Div:
        return under(left, right)
    return added(left, right) if kind is ast.Add else UNKNOWN


def _of_constants(
    machine: Machine, kind: type[ast.operator], left: object, right: object, node: ast.AST, frame: Frame
) -> object:
    if kind in _ARITHMETIC and isinstance(right, (int, float, str, tuple, bytes)):
        return _computed(kind, left, right)
    return UNKNOWN


def _of_mapping(
    machine: Machine, kind: type[ast.operator], left: DictV, right: object, node: ast.AST, frame: Frame
) -> object:
    if isinstance(right, DictV) and kind is ast.BitOr:
        return DictV({**left.data, **right.data}, open_=left.open or right.open)
    return UNKNOWN


def _of_object(
    machine: Machine, kind: type[ast.operator], left: Instance, right: object, node: ast.AST, frame: Frame
) -> object:
    if isinstance(left.cls, ClassV) and kind in _SPECIAL:
        method = left.cls.lookup(_SPECIAL[kind])
        if isinstance(method, FunctionV):
            return machine.call(Bound(method, left), Arguments([right]), node, frame)
    return _of_anything(machine, kind, left, right, node, frame)


def _of_types(
    machine: Machine, kind: type[ast.operator], left: object, right: object, node: ast.AST, frame: Frame
) -> object:
    """``int | str``: what `isinstance` takes in place of a tuple."""
    if kind is ast.BitOr:
        return (left, *(right if isinstance(right, tuple) else (right,)))
    return _of_anything(machine, kind, left, right, node, frame)


def _of_anything(
    machine: Machine, kind: type[ast.operator], left: object, right: object, node: ast.AST, frame: Frame
) -> object:
    """What is divided by a text is a path."""
    return under(left, right) if kind is ast.Div and isinstance(right, str) else UNKNOWN


def _options(value: object) -> tuple[object, ...]:
    if isinstance(value, Choice):
        return tuple(each for each in value.alternatives if each is not ABSENT)
    return (value,)


def _computed(kind: type[ast.operator], left: object, right: object) -> object:
    if (
        kind is ast.Pow
        and isinstance(left, int)
        and isinstance(right, int)
        and abs(right) * left.bit_length() > _MOST_BITS
    ):
        return UNKNOWN
    if kind is ast.LShift and isinstance(right, int) and right > _MOST_BITS:
        return UNKNOWN
    if kind is ast.Mult and any(isinstance(each, (str, tuple)) for each in (left, right)):
        count = right if isinstance(right, int) else left
        length = len(left) if isinstance(left, (str, tuple)) else len(right)  # type: ignore[arg-type]
        if isinstance(count, int) and count * length > _MOST_LENGTH:
            return UNKNOWN
    try:
        result = _ARITHMETIC[kind](left, right)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return UNKNOWN
    return UNKNOWN if isinstance(result, complex) else result


def _formatted(template: str, values: object) -> object:
    parts = values if isinstance(values, tuple) else (values,)
    if any(isinstance(part, bool) or not isinstance(part, (str, int, float)) for part in parts):
        return interpolated(template, parts)
    try:
        return template % parts
    except (TypeError, ValueError):
        return UNKNOWN


def _symbolic(
    machine: Machine, kind: type[ast.operator], left: object, right: object, node: ast.AST, frame: Frame
) -> object:
    if isinstance(left, str):
        return _of_text(machine, kind, left, right, node, frame)
    if isinstance(right, str):
        return _of_anything(machine, kind, left, right, node, frame)
    one, other = monomial(left), monomial(right)
    if one is None or other is None:
        return UNKNOWN
    if kind is ast.Mult:
        return multiply(one, other)
    if kind is ast.Div:
        return multiply(one, other, -1)
    if kind is ast.Pow and isinstance(right, (int, float)):
        return power(one, right)
    if kind in (ast.Add, ast.Sub) and one.powers == other.powers:
        total = one.coefficient + other.coefficient if kind is ast.Add else one.coefficient - other.coefficient
        return Sym(total, one.powers) if total else 0
    if kind in (ast.Add, ast.Sub) and 0 in (one.coefficient, other.coefficient) and other.coefficient == 0:
        return left
    if kind in _SIGNS:
        return Sym.named(f"({left}{_SIGNS[kind]}{right})")
    return UNKNOWN


def _sequence(
    machine: Machine, kind: type[ast.operator], left: object, right: object, node: ast.AST, frame: Frame
) -> object:
    from initlint.source.sequences import elements, repeats

    items = list(left.data) if isinstance(left, ListV) else list(left) if isinstance(left, tuple) else []
    many = repeats(left)
    if kind is ast.Mult:
        if isinstance(right, int) and not isinstance(right, bool):
            items = items * min(right, _MOST_LENGTH // max(len(items), 1))
        else:
            many = True
    elif kind is ast.Add:
        others = elements(machine, right, node, frame)
        if others is None:
            many, items = True, [*items, UNKNOWN]
        else:
            items += others
            many |= repeats(right)
    else:
        return UNKNOWN
    if isinstance(left, tuple) and not many:
        return tuple(items)
    return ListV(items, repeats=many)


# Which operand decides, the lowest rank first; of equals the left one.
_RIGHT: dict[type, tuple[int, Callable[..., object]]] = {
    Choice: (0, _every_pair),
    TensorV: (1, _of_tensors),
    ParamV: (1, _of_tensors),
    View: (1, _of_tensors),
    Sym: (3, _symbolic),
    Pattern: (3, _of_pattern),
}
_LEFT: dict[type, tuple[int, Callable[..., object]]] = {
    **_RIGHT,
    ListV: (2, _sequence),
    tuple: (2, _of_tuple),
    int: (4, _of_integer),
    bool: (4, _of_integer),
    float: (4, _of_constants),
    bytes: (4, _of_constants),
    str: (4, _of_text),
    DictV: (4, _of_mapping),
    Instance: (4, _of_object),
    ClassV: (4, _of_types),
    External: (4, _of_types),
    Builtin: (4, _of_types),
}
_NEITHER: tuple[int, Callable[..., object]] = (5, _of_anything)


def unary(machine: Machine, kind: type[ast.unaryop], value: object, node: ast.AST, frame: Frame) -> object:
    """``-value``, ``+value``, ``~value``."""
    if isinstance(value, Choice):
        return machine.join([unary(machine, kind, each, node, frame) for each in _options(value)])
    if kind is ast.USub:
        if isinstance(value, (int, float)):
            return -value
        if isinstance(value, Sym):
            return Sym(-value.coefficient, value.powers)
        if isinstance(value, (TensorV, ParamV, View)):
            return binary(machine, ast.Mult, value, -1, node, frame)
    if kind is ast.UAdd:
        return value
    return UNKNOWN


def compare(
    machine: Machine, kind: type[ast.cmpop], left: object, right: object, node: ast.AST, frame: Frame
) -> object:
    """``left OP right``: a bool, or UNKNOWN."""
    if isinstance(left, Choice) or isinstance(right, Choice):
        pairs = [(one, other) for one in _options(left) for other in _options(right)]
        verdicts = {truth(compare(machine, kind, one, other, node, frame)) for one, other in pairs}
        return verdicts.pop() if len(verdicts) == 1 and None not in verdicts else UNKNOWN
    if kind in (ast.In, ast.NotIn):
        inside = contains(right, left)
        return UNKNOWN if inside is None else inside is (kind is ast.In)
    if kind in (ast.Is, ast.Eq, ast.IsNot, ast.NotEq):
        equal = equals(left, right, identity=kind in (ast.Is, ast.IsNot))
        return UNKNOWN if equal is None else equal is (kind in (ast.Is, ast.Eq))
    if kind in _ORDER and all(isinstance(each, (int, float, str, tuple)) for each in (left, right)):
        try:
            return _ORDER[kind](left, right)
        except TypeError:
            return UNKNOWN
    if kind in _ORDER and isinstance(left, Sym) and left == right:
        return kind in (ast.LtE, ast.GtE)
    return UNKNOWN


_CONSTANTS = (int, float, str, bytes)
_CERTAIN = (
    int,
    float,
    str,
    bytes,
    Builtin,
    External,
    ClassV,
    FunctionV,
    Instance,
    Bound,
    Method,
    Partial,
    ListV,
    DictV,
)


def equals(left: object, right: object, *, identity: bool = False) -> bool | None:
    """Whether two values are equal (or identical), None if that is not known."""
    if left is UNKNOWN or right is UNKNOWN:
        return None
    if isinstance(left, Pattern) or isinstance(right, Pattern):
        return _may_be_equal(left, right)
    if isinstance(left, tuple) and isinstance(right, tuple):
        return _equal_items(left, right)
    return same(left, right) or _alike(left, right, identity=identity)


def _may_be_equal(left: object, right: object) -> bool | None:
    """Whether a text that is known in part is another value: None only where it may be."""
    text, other = (left, right) if isinstance(left, Pattern) else (right, left)
    if isinstance(text, Pattern) and isinstance(other, str):
        return None if text.may_be(other) else False
    return False if other is None else None


def _alike(left: object, right: object, *, identity: bool) -> bool | None:
    """Whether two values that are not certainly the same are equal (or identical)."""
    if not identity:
        left, right = plain(left), plain(right)
        if type(left) is type(right) and isinstance(left, _CONSTANTS):
            return left == right
    if left is None or right is None:
        other = right if left is None else left
        return None if other is UNKNOWN or isinstance(other, Sym) else False
    if isinstance(left, ListV) and isinstance(right, ListV) and not identity:
        return None if left.repeats or right.repeats else _equal_items(left.data, right.data)
    if isinstance(left, (int, float)) and isinstance(right, (int, float)):
        return left == right
    if isinstance(left, Instance) or isinstance(right, Instance):
        if all(isinstance(each, (Instance, str, int, float)) for each in (left, right)) and any(
            is_enumeration(getattr(each, "cls", None)) for each in (left, right)
        ):
            return False
        if not isinstance(left, Instance) or not isinstance(right, Instance):
            return None
        return False if identity or left.torch_class else None
    if any(isinstance(one, External) and _may_equal(one, other) for one, other in ((left, right), (right, left))):
        return None
    if isinstance(left, _CERTAIN) and isinstance(right, _CERTAIN):
        return None if isinstance(left, DictV) and isinstance(right, DictV) and not identity else False
    sequences = (tuple, ListV)
    if any(isinstance(one, tuple) and isinstance(other, _CERTAIN) for one, other in ((left, right), (right, left))):
        return None if isinstance(left, sequences) and isinstance(right, sequences) else False
    return None


def _may_equal(outside: External, other: object) -> bool:
    """Whether something outside the project may be that constant, or another name for the same thing."""
    if isinstance(other, External):
        return not (outside.name.startswith("torch.") and other.name.startswith("torch."))
    return isinstance(other, _CONSTANTS)


def _equal_items(left: Sequence[object], right: Sequence[object]) -> bool | None:
    if len(left) != len(right):
        return False
    verdicts = [equals(one, other) for one, other in zip(left, right, strict=True)]
    return False if False in verdicts else None if None in verdicts else True


def contains(container: object, item: object) -> bool | None:
    """Whether `item` is in `container`, None if that is not known."""
    if isinstance(container, str):
        return item in container if isinstance(item, str) else None
    if isinstance(container, DictV):
        from initlint.source.expressions import is_key

        if is_key(item) and item in container.data:
            return True
        return None if container.open or not is_key(item) else False
    items: list[object] | tuple[object, ...]
    if isinstance(container, ListV):
        items = container.data
    elif isinstance(container, tuple):
        items = container
    elif isinstance(container, ClassV) and is_enumeration(container):
        items = members(container)
    elif isinstance(container, Instance) and container.torch_class == "torch.nn.ModuleDict":
        return item in container.data if isinstance(item, str) else None
    else:
        return None
    verdicts = [None if isinstance(each, Choice) else equals(each, item) for each in items]
    if True in verdicts:
        return True
    open_ = isinstance(container, ListV) and container.repeats
    return None if open_ or None in verdicts else False
