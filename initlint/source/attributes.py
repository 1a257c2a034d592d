"""Attributes and items: reading, writing and deleting them on abstract values."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from initlint.source.cuts import cut
from initlint.source.enumerations import is_enumeration, members, plain
from initlint.source.marks import mark, mark_of, unmark
from initlint.source.misuse import inspect_attribute_of_none, missing_attribute
from initlint.source.records import fields
from initlint.source.symbols import ABSENT, UNKNOWN, Sym
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
    ModuleRef,
    ParamV,
    Partial,
    Place,
    SuperV,
    TensorV,
    View,
    Write,
)

if TYPE_CHECKING:
    from initlint.source.machine import Frame, Machine

_EXTERNAL_CONSTANTS = {
    "math.pi": math.pi,
    "math.e": math.e,
    "math.inf": math.inf,
    "numpy.pi": math.pi,
    "torch.pi": math.pi,
}
_CLASSES = (ClassV, External)
_WHOLE_VIEWS = frozenset({"data", "T", "mT", "H"})
_TENSOR_VIEWS = frozenset({"data", "T", "mT", "H", "real"})
_TENSOR_PROPERTIES = frozenset(
    {
        "shape",
        "device",
        "dtype",
        "ndim",
        "layout",
        "grad",
        "grad_fn",
        "is_sparse",
        "is_quantized",
        "is_meta",
        "is_cuda",
        "is_cpu",
        "is_leaf",
        "is_nested",
        "names",
        "itemsize",
        "nbytes",
    }
)


def get_attribute(machine: Machine, value: object, name: str, node: ast.AST, frame: Frame) -> object:
    """``value.name``."""
    handler = _READERS.get(type(value))
    return UNKNOWN if handler is None else handler(machine, value, name, node, frame)


def _external_attribute(machine: Machine, value: External, name: str, node: ast.AST, frame: Frame) -> object:
    known = machine.members.get((value.name, name))
    if known is None:
        dotted = f"{value.name}.{name}"
        known = _EXTERNAL_CONSTANTS.get(dotted) or External(dotted)
        if name in ("__name__", "__qualname__"):
            known = value.name.rpartition(".")[2]
        machine.members[value.name, name] = known
    return known


def _module_attribute(machine: Machine, value: ModuleRef, name: str, node: ast.AST, frame: Frame) -> object:
    from initlint.source.imports import member

    return member(machine, value.file, name, frame.file)


def _choice_attribute(machine: Machine, value: Choice, name: str, node: ast.AST, frame: Frame) -> object:
    """What it is of those that have it: a program that asks ``None`` for it does not go on."""
    present = [each for each in value.alternatives if each is not ABSENT and (each is not None or hasattr(None, name))]
    return machine.join([get_attribute(machine, each, name, node, frame) for each in present]) if present else UNKNOWN


def _plain_attribute(machine: Machine, value: object, name: str, node: ast.AST, frame: Frame) -> object:
    itself = name in ("value", "real") and isinstance(value, (str, int, float))
    return value if itself else Method(value, name)


def _symbol_attribute(machine: Machine, value: Sym, name: str, node: ast.AST, frame: Frame) -> object:
    return Sym.named(f"{value.name}.{name}") if value.name else UNKNOWN


def _function_attribute(machine: Machine, value: object, name: str, node: ast.AST, frame: Frame) -> object:
    if isinstance(value, Bound) and name == "__self__":
        return value.receiver
    if isinstance(value, (FunctionV, Bound)) and name == "__name__":
        return value.name if isinstance(value, FunctionV) else value.function.name
    if isinstance(value, Partial) and name == "keywords":
        return DictV(dict(value.keywords))
    if isinstance(value, Partial) and name == "args":
        return value.positional
    if isinstance(value, Partial) and name == "func":
        return value.function
    return UNKNOWN


def _builtin_attribute(machine: Machine, value: Builtin, name: str, node: ast.AST, frame: Frame) -> object:
    return value.name if name == "__name__" else External(f"builtins.{value.name}.{name}")


def _attribute_of_none(machine: Machine, value: None, name: str, node: ast.AST, frame: Frame) -> object:
    inspect_attribute_of_none(machine, name, node, frame)
    return UNKNOWN


def _attribute_of_method(machine: Machine, value: Method, name: str, node: ast.AST, frame: Frame) -> object:
    missing_attribute(machine, value, node, frame)
    return UNKNOWN


def _instance_attribute(machine: Machine, value: Instance, name: str, node: ast.AST, frame: Frame) -> object:
    found = value.data.get(name, ABSENT)
    if found is not ABSENT:
        return found
    if name == "__class__":
        return value.cls
    if isinstance(value.cls, ClassV):
        held = value.cls.lookup(name)
        if isinstance(held, FunctionV):
            return _from_class(machine, held, value, value.cls, node, frame)
        if held is not ABSENT:
            return held
    if value.torch_class:
        return _layer_attribute(value, name)
    if isinstance(value.cls, External):
        return External(f"{value.cls.name}.{name}")
    if name == "__dict__":
        return vars_of(value)
    from initlint.source.mappings import inherited_method

    if plain(value) is not value:
        return Method(plain(value), name)
    inherited = inherited_method(value, name)
    if inherited is not None:
        return inherited
    fallback = value.cls.lookup("__getattr__")
    if isinstance(fallback, FunctionV):
        return machine.call(Bound(fallback, value), Arguments([name]), node, frame)
    return UNKNOWN


def _layer_attribute(value: Instance, name: str) -> object:
    from initlint.source.torch_modules import torch_attribute

    attribute = torch_attribute(value, name)
    if attribute is not ABSENT:
        return attribute
    return vars_of(value) if name == "__dict__" else Method(value, name)


def vars_of(value: Instance) -> DictV:
    """``vars(value)``; a module keeps its parts in dictionaries of their own."""
    from initlint.source.torch_modules import torch_attribute

    parts = ("_modules", "_parameters") if value.torch_class else ()
    return DictV({**value.data, **{name: torch_attribute(value, name) for name in parts}})


def _from_class(
    machine: Machine, held: FunctionV, receiver: object, cls: ClassV, node: ast.AST, frame: Frame
) -> object:
    """A function found in a class, as attribute access turns it into a method, a property's value or itself."""
    if held.role == "property":
        return machine.call(held, Arguments([receiver]), node, frame)
    if held.role == "static":
        return held
    if held.role == "class":
        return Bound(held, cls)
    return Bound(held, receiver) if receiver is not cls else held


def _class_attribute(machine: Machine, value: ClassV, name: str, node: ast.AST, frame: Frame) -> object:
    if name in ("__name__", "__qualname__"):
        return value.name
    held = value.lookup(name)
    if isinstance(held, FunctionV):
        return held if held.role in ("function", "static", "property") else Bound(held, value)
    if held is not ABSENT:
        return held
    bases = [base for base in value.external_bases if isinstance(base, External)]
    if name == "__members__" and is_enumeration(value):
        return DictV({each.data["name"]: each for each in members(value) if isinstance(each, Instance)})
    if not bases:
        return UNKNOWN
    return Method(value, name)


def _super_attribute(machine: Machine, value: SuperV, name: str, node: ast.AST, frame: Frame) -> object:
    receiver = value.receiver
    cls = receiver if isinstance(receiver, ClassV) else getattr(receiver, "cls", None)
    if not isinstance(cls, ClassV):
        return UNKNOWN
    held = cls.lookup(name, after=value.cls)
    if isinstance(held, FunctionV):
        return _from_class(machine, held, receiver, cls, node, frame)
    return Method(value, name) if held is ABSENT else held


def _tensor_attribute(machine: Machine, value: TensorV, name: str, node: ast.AST, frame: Frame) -> object:
    if name in _TENSOR_VIEWS:
        return value
    if name == "shape":
        machine.graph.measure(value.op)
        return shape_of(value)
    if name == "ndim":
        return Sym.named(f"%{value.op}.ndim")
    if name in _TENSOR_PROPERTIES:
        return UNKNOWN
    if name in ("is_cuda", "is_nested"):
        return False
    if name == "requires_grad":
        return UNKNOWN
    return Method(value, name)


def shape_of(value: TensorV) -> object:
    """The sizes of a tensor, as a symbol where they are not known: each of them is a number all the same."""
    return Sym.named(f"%{value.op}.shape") if value.shape is None else value.shape


def _parameter_attribute(machine: Machine, value: ParamV | View, name: str, node: ast.AST, frame: Frame) -> object:
    param = value.param if isinstance(value, View) else value
    if (noted := mark_of(value, name)) is not ABSENT:
        return noted
    if name in _WHOLE_VIEWS:
        return seen_as(value, reshaped=name != "data", detached=name == "data", turned=name != "data")
    if name == "shape":
        return UNKNOWN if param.shape is None or (isinstance(value, View) and not value.whole) else param.shape
    if name == "ndim":
        return UNKNOWN if param.shape is None else len(param.shape)
    if name == "requires_grad":
        return not param.frozen
    if name in _TENSOR_PROPERTIES:
        return UNKNOWN
    return Method(value, name)


def seen_as(
    value: ParamV | View, *, reshaped: bool = False, detached: bool = False, turned: bool | None = False
) -> View:
    """All elements of `value`, perhaps in another shape or turned, perhaps out of autograd's sight."""
    if isinstance(value, View):
        both = None if turned is None or value.turned is None else value.turned is not turned
        return View(value.param, value.whole, value.reshaped or reshaped, value.detached or detached, both)
    return View(value, whole=True, reshaped=reshaped, detached=detached, turned=turned)


_READERS: dict[type, Callable[..., object]] = {
    Instance: _instance_attribute,
    External: _external_attribute,
    ModuleRef: _module_attribute,
    TensorV: _tensor_attribute,
    ParamV: _parameter_attribute,
    View: _parameter_attribute,
    ClassV: _class_attribute,
    SuperV: _super_attribute,
    Choice: _choice_attribute,
    Sym: _symbol_attribute,
    FunctionV: _function_attribute,
    Bound: _function_attribute,
    Partial: _function_attribute,
    Builtin: _builtin_attribute,
    Method: _attribute_of_method,
    type(None): _attribute_of_none,
    **dict.fromkeys((ListV, DictV, str, tuple, float, int), _plain_attribute),
}


def set_attribute(machine: Machine, target: object, name: str, value: object, node: ast.AST, frame: Frame) -> None:
    """``target.name = value``."""
    if isinstance(target, Instance):
        machine.touch(target)
        if target.torch_class:
            from initlint.source.torch_modules import adopt

            value = adopt(machine, target, name, value, machine.place(node, frame))
            if machine.forwarding and type(value) is TensorV:
                machine.graph.kept.append(value.op)
        target.data[name] = value
    elif isinstance(target, ClassV):
        from initlint.source.message_passing import fact_of

        if fact_of(machine, target, name) is None:
            machine.touch(target)
            target.data[name] = value
    elif isinstance(target, (ParamV, View)):
        _set_parameter_attribute(machine, target, name, value, node, frame)
    elif isinstance(target, Choice):
        for each in target.alternatives:
            set_attribute(machine, each, name, value, node, frame)
    elif (target is UNKNOWN or isinstance(target, FunctionV)) and isinstance(value, Instance) and value.torch_class:
        machine.set_adrift([value])  # what a function keeps is not followed either


def _set_parameter_attribute(
    machine: Machine, target: ParamV | View, name: str, value: object, node: ast.AST, frame: Frame
) -> None:
    param = target.param if isinstance(target, View) else target
    if name == "requires_grad" and isinstance(value, bool):
        param.frozen = not value
    elif name == "data":
        from initlint.source.initialization import assigned_write

        if value is param or (isinstance(value, View) and value.param is param):
            return  # `w.data = w.data.half()` moves what is there

        machine.write(target, assigned_write(machine, value, machine.place(node, frame)))
    elif param is target:
        mark(machine, param, name, value)


def delete_attribute(machine: Machine, target: object, name: str) -> None:
    """``del target.name``."""
    if isinstance(target, Instance) and name in target.data:
        machine.touch(target)
        del target.data[name]
    elif isinstance(target, ParamV):
        unmark(machine, target, name)


def get_item(machine: Machine, value: object, key: object, node: ast.AST, frame: Frame) -> object:
    """``value[key]``."""
    from initlint.source.mappings import item

    if isinstance(value, (tuple, ListV, str)):
        return _sequence_item(machine, value, key)
    if isinstance(value, DictV):
        return item(value, key)
    if isinstance(value, Instance):
        return _instance_item(machine, value, key, node, frame)
    if isinstance(value, TensorV):
        from initlint.source.tensors import index_tensor

        return index_tensor(machine, value, node, frame)
    if isinstance(value, (ParamV, View)):
        whole = key == slice(None) or key is Ellipsis
        if isinstance(value, View):
            return View(value.param, whole, not whole, value.detached, value.turned)
        return View(value, whole, not whole)
    if isinstance(value, ClassV) and isinstance(key, str) and is_enumeration(value):
        return value.data.get(key, UNKNOWN)
    if isinstance(value, (External, ClassV, Builtin)):
        return value
    if isinstance(value, Choice):
        present = [each for each in value.alternatives if each is not ABSENT and each is not None]
        return machine.join([get_item(machine, each, key, node, frame) for each in present]) if present else UNKNOWN
    if isinstance(value, Sym) and value.name and isinstance(key, (int, str)):
        return Sym.named(f"{value.name}[{key}]")
    return UNKNOWN


def _sequence_item(machine: Machine, value: tuple[object, ...] | ListV | str, key: object) -> object:
    items = value.data if isinstance(value, ListV) else value
    repeats = isinstance(value, ListV) and value.repeats
    if isinstance(key, slice):
        try:
            if isinstance(value, ListV):
                return ListV(cut(value.data, key, repeats=repeats), repeats=repeats)
            return items[key]
        except (TypeError, ValueError):
            return UNKNOWN
    if isinstance(key, Choice):
        return machine.join([_sequence_item(machine, value, each) for each in key.alternatives])
    if isinstance(key, int) and not repeats:
        return items[key] if -len(items) <= key < len(items) else UNKNOWN
    present = [each for each in items if each is not ABSENT]
    if present and (repeats or all(isinstance(each, _CLASSES) for each in present)):
        return machine.join(present)  # ``(nn.Conv1d, nn.Conv2d, nn.Conv3d)[dim - 1]`` is one of them, whatever `dim`
    return UNKNOWN


def _instance_item(machine: Machine, value: Instance, key: object, node: ast.AST, frame: Frame) -> object:
    from initlint.source.mappings import item, items_of

    if isinstance(value.cls, ClassV):
        method = value.cls.lookup("__getitem__")
        if isinstance(method, FunctionV):
            return machine.call(Bound(method, value), Arguments([key]), node, frame)
    if value.torch_class:
        from initlint.source.torch_modules import container_item

        return container_item(machine, value, key)
    items = items_of(value)
    if items is not None:
        return item(items, key)
    held = fields(value)
    return UNKNOWN if held is None else _sequence_item(machine, tuple(held), key)


def set_item(machine: Machine, container: object, key: object, value: object, node: ast.AST, frame: Frame) -> None:
    """``container[key] = value``."""
    from initlint.source.expressions import put

    if isinstance(container, DictV):
        machine.touch(container)
        put(container, key, value)
    elif isinstance(container, ListV):
        machine.touch(container)
        if isinstance(key, int) and -len(container.data) <= key < len(container.data):
            container.data[key] = value
        else:
            container.data = [UNKNOWN]
            container.repeats = True
    elif isinstance(container, Instance):
        _set_instance_item(machine, container, key, value, node, frame)
    elif isinstance(container, TensorV):
        _set_elements(machine, container, value, machine.place(node, frame))
    elif isinstance(container, (ParamV, View)):
        place = machine.place(node, frame)
        constant = (("val", value),) if isinstance(value, (int, float)) else ()
        whole = key == slice(None) or key is Ellipsis
        machine.write(container, Write("constant_" if constant else "assignment", constant, place, partial=not whole))


def _set_elements(machine: Machine, container: TensorV, value: object, place: Place) -> None:
    """``x[index] = value``: a signal makes one of what was a constant."""
    from initlint.source.initialization import fill
    from initlint.source.tensors import as_signal

    if container.filling is not None:
        fill(machine, container.filling, Write("assignment", (), place), part=True)
    if as_signal(machine, value) is not None:
        machine.graph.fill(container.op)


def _set_instance_item(
    machine: Machine, container: Instance, key: object, value: object, node: ast.AST, frame: Frame
) -> None:
    from initlint.source.mappings import items_of

    if isinstance(container.cls, ClassV):
        method = container.cls.lookup("__setitem__")
        if isinstance(method, FunctionV):
            machine.call(Bound(method, container), Arguments([key, value]), node, frame)
            return
    items = items_of(container)
    if items is not None:
        set_item(machine, items, key, value, node, frame)
        return
    if not container.torch_class:
        return
    if not isinstance(key, (int, str)):
        machine.set_adrift([value])  # nobody can tell it from what else is read by such a key
        return
    machine.touch(container)
    names = [name for name, each in container.data.items() if isinstance(each, Instance)]
    if isinstance(key, int) and not isinstance(key, bool):
        if -len(names) <= key < len(names):
            container.data[names[key]] = value
    else:
        container.data[str(key)] = value
