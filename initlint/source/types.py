"""Classes of values: `type`, `isinstance` and `issubclass` without running anything."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import TYPE_CHECKING

from initlint.source.enumerations import is_enumeration, plain
from initlint.source.symbols import ABSENT, UNKNOWN, Sym, Unknown
from initlint.source.torch_modules import is_torch_class
from initlint.source.values import (
    Bound,
    Builtin,
    Choice,
    ClassV,
    DictV,
    External,
    FunctionV,
    Instance,
    ListV,
    ParamV,
    Partial,
    TensorV,
    View,
    choice,
)

if TYPE_CHECKING:
    from initlint.source.machine import Frame, Machine

_PYTHON_TYPES: dict[type, str] = {bool: "bool", int: "int", float: "float", str: "str", bytes: "bytes", tuple: "tuple"}
_INHERITS = {"bool": ("bool", "int"), "OrderedDict": ("OrderedDict", "dict")}
_NUMBERS = frozenset({"int", "float", "complex"})
_ABSTRACT = {
    "Iterable": ("list", "tuple", "set", "dict", "str"),
    "Sequence": ("list", "tuple", "str"),
    "Mapping": ("dict",),
    "MutableMapping": ("dict",),
    "Number": ("int", "float", "bool"),
    "Integral": ("int", "bool"),
    "Real": ("int", "float", "bool"),
    "Collection": ("list", "tuple", "set", "dict", "str"),
    "Sized": ("list", "tuple", "set", "dict", "str"),
    "Hashable": ("int", "float", "str", "tuple", "bool"),
}
_OF_FUNCTIONS = frozenset({"types.FunctionType", "types.LambdaType"})
_OF_METHODS = frozenset({"types.MethodType"})
_OF_PARTIALS = frozenset({"functools.partial"})
_OF_CALLED = _OF_FUNCTIONS | _OF_METHODS | _OF_PARTIALS
"""Types of what can be called and is no class."""

_TENSOR_TYPES = frozenset(
    {"torch.Tensor", "torch.nn.Parameter", "torch.nn.parameter.Parameter", "torch.autograd.Variable"}
)


def type_of(value: object) -> object:
    """``type(value)``."""
    if isinstance(value, Instance):
        return value.cls
    name = python_type(value)
    if name is not None:
        return External("collections.OrderedDict") if name == "OrderedDict" else Builtin(name)
    if isinstance(value, (ParamV, View)):
        return External("torch.nn.Parameter")
    if isinstance(value, TensorV):
        return External("torch.Tensor")
    if isinstance(value, Choice):
        return choice([type_of(each) for each in value.alternatives])
    return UNKNOWN


def python_type(value: object) -> str | None:
    """The name of the built-in type of `value`, None for anything else."""
    if value is None:
        return "NoneType"
    if isinstance(value, ListV):
        return value.kind
    if isinstance(value, DictV):
        return value.kind
    return _PYTHON_TYPES.get(type(value))


def is_instance(machine: Machine, value: object, cls: object) -> bool | None:
    """``isinstance(value, cls)``, None if that is not known."""
    if isinstance(cls, External):
        cls = External(machine.resolve(cls.name))
    if isinstance(cls, Choice):
        found = {is_instance(machine, value, each) for each in cls.alternatives}
        return found.pop() if len(found) == 1 else None
    if isinstance(cls, tuple | ListV):
        members = cls if isinstance(cls, tuple) else cls.data
        verdicts = [is_instance(machine, value, each) for each in members]
        return True if True in verdicts else None if None in verdicts else False
    return _MEMBERSHIPS.get(type(value), _constant_of)(machine, value, cls)


def _not_known(machine: Machine, value: object, cls: object) -> bool | None:
    return None


def _choice_of(machine: Machine, value: Choice, cls: object) -> bool | None:
    found = {is_instance(machine, each, cls) for each in value.alternatives if each is not ABSENT}
    return found.pop() if len(found) == 1 else None


def narrowed(machine: Machine, test: ast.expr, frame: Frame) -> tuple[ast.expr, object, object] | None:
    """What ``isinstance(name, cls)`` tells of a name that is one of several values: the name, what it may be if so, and if not."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        found = narrowed(machine, test.operand, frame)
        return None if found is None else (found[0], found[2], found[1])
    if not (isinstance(test, ast.Call) and isinstance(test.func, ast.Name) and test.func.id == "isinstance"):
        return None
    if len(test.args) != 2 or not isinstance(test.args[0], (ast.Name, ast.Attribute)):
        return None
    value, cls = machine.evaluate(test.args[0], frame), machine.evaluate(test.args[1], frame)
    if not isinstance(value, Choice):
        return None
    verdicts = [(each, is_instance(machine, each, cls)) for each in value.alternatives]
    passing = [each for each, verdict in verdicts if verdict is not False]
    failing = [each for each, verdict in verdicts if verdict is not True]
    return (test.args[0], choice(passing), choice(failing)) if passing and failing else None


def _tensor_of(machine: Machine, value: TensorV | ParamV | View, cls: object) -> bool | None:
    if isinstance(cls, External):
        if cls.name in ("torch.nn.Parameter", "torch.nn.parameter.Parameter"):
            return isinstance(value, ParamV) and not value.buffer
        return cls.name in _TENSOR_TYPES or "Tensor" in cls.name
    return False if isinstance(cls, (ClassV, Builtin)) else None


def _function_of(machine: Machine, value: FunctionV | Bound | Partial, cls: object) -> bool | None:
    if isinstance(cls, External):
        if cls.name in _OF_CALLED:
            return cls.name in _CALLED_TYPES[type(value)]
        return cls.name.endswith("Callable") or None
    return False if isinstance(cls, Builtin) else None


_CALLED_TYPES = {FunctionV: _OF_FUNCTIONS, Bound: _OF_METHODS, Partial: _OF_PARTIALS}


def _constant_of(machine: Machine, value: object, cls: object) -> bool | None:
    name = python_type(value)
    if name is None:
        return False if isinstance(cls, (Builtin, External)) else None
    if isinstance(cls, Builtin):
        return cls.name in _INHERITS.get(name, (name,)) or cls.name == "object"
    if isinstance(cls, External):
        last = cls.name.rpartition(".")[2]
        return last == name or name in _ABSTRACT.get(last, ())
    return False if isinstance(cls, ClassV) else None


def _instance_of(machine: Machine, value: Instance, cls: object) -> bool | None:
    if isinstance(cls, ClassV):
        if isinstance(value.cls, ClassV) and cls in value.cls.mro:
            return True
        return None if _may_inherit_more(machine, value) else False
    if isinstance(cls, Builtin):
        return cls.name == "object" or (plain(value) is not value and _constant_of(machine, plain(value), cls))
    if not isinstance(cls, External):
        return None
    if is_enumeration(value.cls) and cls.name == "enum.Enum":
        return True
    if value.torch_class and cls.name in _TENSOR_TYPES:
        return False
    if value.torch_class:
        verdict = torch_subclass(machine, value.torch_class, cls.name)
        if verdict:
            return True
        if isinstance(value.cls, ClassV) and any(
            isinstance(base, External) and base.name == cls.name for base in value.cls.external_bases
        ):
            return True
        if cls.name == "torch.nn.Module":
            return False
        return None if _may_inherit_more(machine, value) else False
    if isinstance(value.cls, ClassV) and value.cls.external_bases:
        return True if cls in value.cls.external_bases else None
    return None if isinstance(value.cls, External) else False


def _may_inherit_more(machine: Machine, value: Instance) -> bool:
    """Whether the module may be of other classes too, by a base of which nothing is known."""
    from initlint.source.functions import harmless_base
    from initlint.source.torch_modules import torch_name

    if not value.uncertain or not isinstance(value.cls, ClassV):
        return value.uncertain
    return not all(
        harmless_base(base) or (isinstance(base, External) and torch_name(machine, base.name) is not None)
        for base in value.cls.external_bases
    )


def _external_of(machine: Machine, value: External, cls: object) -> bool | None:
    """A class of torch is no list and no string; of other names from outside nothing is known."""
    if not is_torch_class(machine, machine.resolve(value.name)):
        return None
    if isinstance(cls, Builtin):
        return cls.name in ("type", "object")
    if not isinstance(cls, External):
        return None
    last = cls.name.rpartition(".")[2]
    return True if last == "Callable" else False if last in _ABSTRACT or cls.name in _OF_CALLED else None


def _class_of(machine: Machine, value: ClassV, cls: object) -> bool | None:
    if isinstance(cls, Builtin):
        return cls.name in ("type", "object")
    if isinstance(cls, External) and cls.name in _OF_CALLED:
        return False
    last = cls.name.rpartition(".")[2] if isinstance(cls, External) else ""
    if last in ("EnumMeta", "EnumType"):
        return is_enumeration(value)
    if last in ("Callable", "Hashable"):
        return True
    if last in _ABSTRACT:  # `isinstance(block, Iterable)` of a class: only that of an enumeration may be one
        return None if value.remade or is_enumeration(value) else False
    return None


_MEMBERSHIPS: dict[type, Callable[..., bool | None]] = {
    ClassV: _class_of,
    Instance: _instance_of,
    TensorV: _tensor_of,
    ParamV: _tensor_of,
    View: _tensor_of,
    FunctionV: _function_of,
    Bound: _function_of,
    Partial: _function_of,
    External: _external_of,
    Unknown: _not_known,
    Sym: _not_known,
    Choice: _choice_of,
}


def torch_subclass(machine: Machine, name: str, ancestor: str) -> bool:
    """Whether the torch.nn class `name` is `ancestor` or inherits from it."""
    if ancestor in (name, "torch.nn.Module"):
        return True
    fact = machine.knowledge.layers.get(name)
    return fact is not None and any(
        base == ancestor or base.rpartition(".")[2] == ancestor.rpartition(".")[2] for base in fact.bases
    )


def is_subclass(machine: Machine, cls: object, ancestor: object) -> bool | None:
    """``issubclass(cls, ancestor)``, None if that is not known."""
    if isinstance(ancestor, tuple):
        verdicts = [is_subclass(machine, cls, each) for each in ancestor]
        return True if True in verdicts else None if None in verdicts else False
    if isinstance(cls, ClassV) and isinstance(ancestor, ClassV):
        return ancestor in cls.mro or (None if UNKNOWN in cls.external_bases else False)
    if isinstance(cls, External) and isinstance(ancestor, External):
        return True if torch_subclass(machine, cls.name, ancestor.name) and cls.name.startswith("torch.nn") else None
    if isinstance(cls, ClassV) and isinstance(ancestor, External):
        return ancestor in cls.external_bases or None
    return None
