"""What happens to modules and parameters handed to code nobody can see: from there on, how they start is unknown."""

from __future__ import annotations

import ast
import re

from initlint.model import OpKind
from initlint.source.machine import Frame, Machine
from initlint.source.symbols import UNKNOWN
from initlint.source.values import Arguments, Choice, DictV, External, Instance, ListV, ParamV, TensorV, View, Write

_TOUCHES_WEIGHTS = (
    "init",
    "load",
    "weight",
    "reset",
    "fill",
    "pretrain",
    "checkpoint",
    "restore",
    "resume",
    "quant",
    "wrap",
    "convert",
)
_NEVER_TOUCHES = frozenset(
    {
        "print",
        "len",
        "isinstance",
        "repr",
        "str",
        "id",
        "logging",
        "warnings",
        "time",
        "os",
        "sys",
        "json",
        "wandb",
        "tqdm",
        "torchinfo",
    }
)
_KEPT_FOR_BACKWARD = frozenset({"save_for_backward", "save_for_forward", "mark_dirty", "mark_non_differentiable"})
_NORMALIZATION = re.compile(
    r"\w*(Layer|Batch|Group|Instance|RMS|Rms)Norm\w*|((layer|batch|group|instance|rms)_?)?norm_?\d*"
)
"""How normalizations are called; ``Norm`` may be a length, ``weight_norm`` is of weights."""

_MOST_NESTING = 3


def escape(machine: Machine, function: object, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    """The result of a call that cannot be followed; tensors go into it and an opaque tensor comes out.

    What is called a softmax (``edge_softmax``, ``scatter_softmax``) is taken for one: it makes weights of scores. So is a
    normalization (``ESMLayerNorm(dim)(x)``, ``self.norm1(x)``): it may erase the scale of what comes before.
    """
    values = [*arguments.positional, *arguments.keywords.values()]
    if function is UNKNOWN and _method_of(node) in _KEPT_FOR_BACKWARD:
        return None
    if function is UNKNOWN and _writes(machine, node):
        write_unseen(machine, node, frame)
    if may_initialize(function):
        write = Write("", (), machine.place(node, frame), source="unknown", trail=tuple(machine.calls[-3:]))
        for param in reachable_params(values):
            machine.write(param, write)
    tensors = _tensors(values)
    for filling in dict.fromkeys(each.filling for each in tensors):
        if filling is not None and filling.data.source == "uninitialized":
            machine.touch(filling)
            filling.data = Write("", (), machine.place(node, frame), source="unknown")
            machine.graph.fill(next(each.op for each in tensors if each.filling is filling))
    ops = [each.op for each in tensors]
    if ops:
        called = _called(function, node)
        return TensorV(machine.graph.add(_told_by_name(called), called, tuple(ops), place=machine.place(node, frame)))
    return UNKNOWN


def write_unseen(machine: Machine, node: ast.AST, frame: Frame) -> None:
    """Something unknown is written to: that may be a module that was put into what is unknown (``model.fc = head``)."""
    write = Write("", (), machine.place(node, frame), source="unknown", trail=tuple(machine.calls[-3:]))
    for param in reachable_params([each for each in machine.instances if each.adrift]):
        if not param.data or param.data[-1].source != "unknown":
            machine.write(param, write)


def _writes(machine: Machine, node: ast.AST) -> bool:
    """Whether a call is that of a method which writes to what it is called on: ``weight.copy_(...)``, ``model.apply(...)``."""
    name = _method_of(node)
    if f"Tensor.{name}" in machine.knowledge.initializers or name == "apply":
        return True
    return any(word in name.lower() for word in _TOUCHES_WEIGHTS)


def _method_of(node: ast.AST) -> str:
    """The name of the method that a call is one of."""
    return node.func.attr if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else ""


def may_initialize(function: object) -> bool:
    """Whether this callee, by all that can be seen of it, may write to the weights it is given."""
    if not isinstance(function, External):
        return True
    if function.name.partition(".")[0] in _NEVER_TOUCHES:
        return False
    if function.name.startswith("torch."):
        return "load" in function.name or ("distributed" in function.name and "fsdp" in function.name)
    lowered = function.name.lower()
    return any(word in lowered for word in _TOUCHES_WEIGHTS)


def _called(function: object, node: ast.AST) -> str:
    return function.name.rpartition(".")[2] if isinstance(function, External) else _method_of(node) or "call"


def _told_by_name(called: str) -> OpKind:
    """What a callee does to tensors, as far as its name tells."""
    if "softmax" in called.lower():
        return "softmax"
    return "norm" if _NORMALIZATION.fullmatch(called) else "opaque"


def reachable_params(values: list[object], depth: int = 0) -> list[ParamV]:
    """The parameters of all modules among `values`, and those handed over themselves."""
    found: list[ParamV] = []
    for value in values:
        if isinstance(value, (ParamV, View)):
            found.append(value.param if isinstance(value, View) else value)
        elif isinstance(value, Instance):
            from initlint.source.torch_modules import all_parameters, plain_contents

            if value.torch_class:
                found += all_parameters(value)
            elif depth < _MOST_NESTING:
                found += reachable_params(plain_contents(value), depth + 1)
        elif isinstance(value, (ListV, tuple, DictV, Choice)) and depth < _MOST_NESTING:
            found += reachable_params(_contents(value), depth + 1)
    return list(dict.fromkeys(found))


def _contents(value: ListV | DictV | Choice | tuple[object, ...]) -> list[object]:
    if isinstance(value, ListV):
        return value.data
    if isinstance(value, DictV):
        return list(value.data.values())
    if isinstance(value, Choice):
        return list(value.alternatives)
    return list(value)


def _tensors(values: list[object], depth: int = 0) -> list[TensorV]:
    found: list[TensorV] = []
    for value in values:
        if isinstance(value, TensorV):
            found.append(value)
        elif isinstance(value, (ListV, tuple, DictV, Choice)) and depth < _MOST_NESTING:
            found += _tensors(_contents(value), depth + 1)
    return found
