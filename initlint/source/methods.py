"""Methods of built-in containers, strings, tensors and modules."""

from __future__ import annotations

import ast
from collections.abc import Callable

from initlint.source.arithmetic import as_tensor
from initlint.source.attributes import seen_as
from initlint.source.escape import escape
from initlint.source.in_place import combined
from initlint.source.initialization import call_initializer, copied_tensor
from initlint.source.machine import Frame, Machine
from initlint.source.module_methods import call_class_method, call_module_method
from initlint.source.patterns import filled
from initlint.source.removals import take_out
from initlint.source.sequences import elements
from initlint.source.symbols import ABSENT, UNKNOWN
from initlint.source.tensors import call_activation, call_operation, signal_put_in
from initlint.source.values import (
    Arguments,
    ClassV,
    DictV,
    External,
    Instance,
    ListV,
    Method,
    ParamV,
    SuperV,
    TensorV,
    View,
    choice,
    present,
)

_PURE_STRING = frozenset(
    [
        "lower",
        "upper",
        "strip",
        "lstrip",
        "rstrip",
        "startswith",
        "endswith",
        "split",
        "rsplit",
        "replace",
        "join",
        "find",
        "index",
        "count",
        "title",
        "capitalize",
        "format",
        "isdigit",
        "partition",
        "rpartition",
        "removeprefix",
        "removesuffix",
        "isalpha",
        "isalnum",
        "zfill",
        "splitlines",
        "casefold",
        "rfind",
    ]
)
_WHOLE_VIEWS = frozenset(
    [
        "detach",
        "requires_grad_",
        "view",
        "reshape",
        "flatten",
        "t",
        "transpose",
        "permute",
        "contiguous",
        "unsqueeze",
        "squeeze",
        "to",
        "cuda",
        "cpu",
        "float",
        "double",
        "half",
        "data",
    ]
)
_RESHAPES = frozenset(["view", "reshape", "flatten", "t", "transpose", "permute", "unsqueeze", "squeeze"])
_SAME_VALUES = frozenset(["detach", "requires_grad_", "contiguous", "to", "cuda", "cpu", "float", "double", "half"])
_PART_VIEWS = frozenset(["narrow", "select", "chunk", "split", "unbind", "diagonal", "index_select", "unfold"])


def call_method(machine: Machine, method: Method, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    """``receiver.name(...)`` for a receiver that is no object of the project."""
    receiver = method.receiver
    if isinstance(receiver, Instance) and receiver.torch_class:
        return call_module_method(machine, receiver, method.name, arguments, node, frame)
    if isinstance(receiver, SuperV):
        return _call_super(machine, receiver, method.name, arguments, node, frame)
    if isinstance(receiver, TensorV):
        return _call_tensor(machine, receiver, method.name, arguments, node, frame)
    if isinstance(receiver, (ParamV, View)):
        return _call_parameter(machine, receiver, method.name, arguments, node, frame)
    if isinstance(receiver, ListV):
        return _call_list(machine, receiver, method.name, arguments, node, frame)
    if isinstance(receiver, DictV):
        return _call_dict(machine, receiver, method.name, arguments, node, frame)
    if isinstance(receiver, str):
        return _call_string(receiver, method.name, arguments)
    if isinstance(receiver, ClassV):
        return call_class_method(machine, receiver, method.name, arguments, node, frame)
    if isinstance(receiver, tuple):
        return _call_list(machine, ListV(list(receiver)), method.name, arguments, node, frame)
    return UNKNOWN


def _call_super(
    machine: Machine, receiver: SuperV, name: str, arguments: Arguments, node: ast.AST, frame: Frame
) -> object:
    from initlint.source.mappings import call_inherited, items_of

    target = receiver.receiver
    if isinstance(target, Instance) and target.torch_class:
        return call_module_method(machine, target, name, arguments, node, frame)
    items = items_of(target)
    if items is not None:
        return call_inherited(machine, items, name, arguments, node, frame)
    if name in ("__init__", "__init_subclass__", "__setattr__", "__post_init__"):
        if name == "__init__" and isinstance(target, Instance):
            machine.touch(target)
            target.data.update({key: value for key, value in arguments.keywords.items() if key not in target.data})
        return None
    return UNKNOWN


def _call_tensor(
    machine: Machine, receiver: TensorV, name: str, arguments: Arguments, node: ast.AST, frame: Frame
) -> object:
    full = f"Tensor.{name}"
    knowledge = machine.knowledge
    given = Arguments([receiver, *arguments.positional], arguments.keywords, arguments.open)
    if receiver.drawn is not None and name in _SAME_VALUES:
        return receiver
    put_in = signal_put_in(machine, given) if name.endswith("_") else None
    made = None if put_in is None else combined(machine, receiver, put_in, name, machine.place(node, frame))
    if full in knowledge.initializers and (receiver.filling is not None or receiver.param is not None):
        written = call_initializer(machine, knowledge.initializers[full], given, node, frame)
        return written if made is None else made
    if full in knowledge.activation_of:
        return call_activation(machine, knowledge.activation_of[full], given, node, frame)
    operation = knowledge.operations.get(full)
    if operation is not None:
        return call_operation(machine, full, operation, given, node, frame)
    if full in knowledge.initializers:
        return receiver
    return escape(machine, External(f"torch.{name}"), given, node, frame)


def _call_parameter(
    machine: Machine, receiver: ParamV | View, name: str, arguments: Arguments, node: ast.AST, frame: Frame
) -> object:
    knowledge = machine.knowledge
    param = receiver.param if isinstance(receiver, View) else receiver
    full = f"Tensor.{name}"
    if full in knowledge.initializers:
        given = Arguments([receiver, *arguments.positional], arguments.keywords, arguments.open)
        return call_initializer(machine, knowledge.initializers[full], given, node, frame)
    if name == "requires_grad_":
        param.frozen = arguments.get(0, "requires_grad", True) is False
        return receiver
    if name in _WHOLE_VIEWS:
        return seen_as(receiver, reshaped=name in _RESHAPES, detached=name == "detach", turned=_turns(name))
    if name in _PART_VIEWS:
        detached = isinstance(receiver, View) and receiver.detached
        part = View(param, whole=False, reshaped=True, detached=detached)
        count = arguments.get(0, "chunks")
        if name == "chunk" and isinstance(count, int) and 0 < count <= 16:
            return (part,) * count
        return part
    if name in ("size", "dim", "ndimension", "numel", "nelement"):
        return _parameter_size(param, receiver, name, arguments)
    if name in ("clone", "copy", "__deepcopy__"):
        return copied_tensor(machine, param)
    if name in ("register_hook", "retain_grad"):
        return None
    tensor = as_tensor(machine, receiver)
    return _call_tensor(machine, tensor, name, arguments, node, frame)


def _turns(name: str) -> bool | None:
    """Whether the method swaps rows and columns, None where its arguments say what it does."""
    if name in ("t", "transpose"):
        return True
    return None if name in ("view", "reshape", "flatten", "permute") else False


def _parameter_size(param: ParamV, receiver: ParamV | View, name: str, arguments: Arguments) -> object:
    shape = param.shape if not isinstance(receiver, View) or receiver.whole else None
    if shape is None:
        return UNKNOWN
    if name == "size":
        index = arguments.get(0, "dim", ABSENT)
        if index is ABSENT:
            return shape
        return shape[index] if isinstance(index, int) and -len(shape) <= index < len(shape) else UNKNOWN
    if name in ("dim", "ndimension"):
        return len(shape)
    from initlint.source.stdlib import product

    return product(shape)


def _call_list(
    machine: Machine, receiver: ListV, name: str, arguments: Arguments, node: ast.AST, frame: Frame
) -> object:
    handler = _LIST.get(name)
    return UNKNOWN if handler is None else handler(machine, receiver, arguments, node, frame)


def _append(machine: Machine, receiver: ListV, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    machine.touch(receiver)
    receiver.data.append(arguments.get(0, "object", UNKNOWN))
    receiver.repeats |= machine.repeating > receiver.depth
    return None


def _extend(machine: Machine, receiver: ListV, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    source = arguments.get(0, "iterable", UNKNOWN)
    items = elements(machine, source, node, frame)
    machine.touch(receiver)
    receiver.data.extend([UNKNOWN] if items is None else items)
    receiver.repeats |= (
        items is None or machine.repeating > receiver.depth or (isinstance(source, ListV) and source.repeats)
    )
    return None


def _insert(machine: Machine, receiver: ListV, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    machine.touch(receiver)
    index = arguments.get(0, "index", 0)
    receiver.data.insert(index if isinstance(index, int) else len(receiver.data), arguments.get(1, "object", UNKNOWN))
    return None


def _pop(machine: Machine, receiver: ListV, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    return take_out(machine, receiver, arguments.get(0, "index", -1))


def _pop_left(machine: Machine, receiver: ListV, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    return take_out(machine, receiver, 0)


def _reverse(machine: Machine, receiver: ListV, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    machine.touch(receiver)
    receiver.data.reverse()
    return None


def _copy_list(machine: Machine, receiver: ListV, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    return ListV(list(receiver.data), receiver.kind, repeats=receiver.repeats)


def _index(machine: Machine, receiver: ListV, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    wanted = arguments.get(0, "value", UNKNOWN)
    try:
        return receiver.data.index(wanted) if isinstance(wanted, (int, str)) else UNKNOWN
    except ValueError:
        return UNKNOWN


def _union(machine: Machine, receiver: ListV, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    made = ListV(list(receiver.data), "set", repeats=receiver.repeats)
    _extend(machine, made, arguments, node, frame)
    return made


_LIST: dict[str, Callable[..., object]] = {
    "append": _append,
    "add": _append,
    "appendleft": _append,
    "extend": _extend,
    "update": _extend,
    "insert": _insert,
    "pop": _pop,
    "popleft": _pop_left,
    "reverse": _reverse,
    "copy": _copy_list,
    "index": _index,
    "union": _union,
}


def _call_dict(
    machine: Machine, receiver: DictV, name: str, arguments: Arguments, node: ast.AST, frame: Frame
) -> object:
    if name == "items":
        return ListV(
            [(key, value) for key, value in receiver.data.items()], repeats=receiver.open and not receiver.data
        )
    if name == "keys":
        return ListV(list(receiver.data), repeats=receiver.open and not receiver.data)
    if name == "values":
        return ListV(list(receiver.data.values()), repeats=receiver.open and not receiver.data)
    if name == "copy":
        return DictV(dict(receiver.data), receiver.kind, open_=receiver.open)
    if name in ("get", "pop", "setdefault"):
        return _dict_lookup(machine, receiver, name, arguments)
    if name == "update":
        machine.touch(receiver)
        for source in arguments.positional:
            if isinstance(source, DictV):
                receiver.data.update(source.data)
                receiver.open |= source.open
            else:
                receiver.open = True
        receiver.data.update(arguments.keywords)
        return None
    return UNKNOWN


def _dict_lookup(machine: Machine, receiver: DictV, name: str, arguments: Arguments) -> object:
    from initlint.source.expressions import is_key
    from initlint.source.mappings import any_item

    key = arguments.get(0, "key", UNKNOWN)
    default = arguments.get(1, "default", None)
    if not is_key(key):
        found = any_item(receiver) if name == "get" else None
        return UNKNOWN if found in (None, UNKNOWN) else choice([found, default])
    if key in receiver.data:
        if name == "pop":
            machine.touch(receiver)
            return present(receiver.data.pop(key), default)
        return present(receiver.data[key], default)
    if name == "setdefault":
        machine.touch(receiver)
        receiver.data[key] = default
    return UNKNOWN if receiver.open else default


def _call_string(receiver: str, name: str, arguments: Arguments) -> object:
    if name not in _PURE_STRING:
        return UNKNOWN
    values: list[object] = []
    for each in arguments.positional:
        if isinstance(each, ListV) and not each.repeats and all(isinstance(item, str) for item in each.data):
            values.append(list(each.data))
        elif isinstance(each, (str, int)) or (isinstance(each, tuple) and all(isinstance(item, str) for item in each)):
            values.append(each)
        else:
            return filled(receiver, arguments.positional, arguments.keywords) if name == "format" else UNKNOWN
    keywords = {key: value for key, value in arguments.keywords.items() if isinstance(value, (str, int))}
    if len(keywords) != len(arguments.keywords):
        return filled(receiver, arguments.positional, arguments.keywords) if name == "format" else UNKNOWN
    try:
        result = getattr(receiver, name)(*values, **keywords)
    except (TypeError, ValueError, IndexError, KeyError):
        return UNKNOWN
    return ListV(result) if isinstance(result, list) else result
