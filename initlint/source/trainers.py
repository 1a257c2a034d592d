"""An object that is no module, such as a trainer, builds and initializes what it holds in methods that others call."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING

from initlint.source.coverage import is_initializer
from initlint.source.values import ClassV, FunctionV, Instance
from initlint.syntax import last_name, nodes_of

if TYPE_CHECKING:
    from initlint.source.machine import Machine

_ITSELF = frozenset({"self", "cls"})
_FILLS = frozenset({"fill_", "zero_", "normal_", "uniform_", "copy_"})
"""What is as often done to buffers, noise and gradients."""

_WEIGHTS = frozenset({"weight", "data"})


def building_methods(machine: Machine, holder: Instance, names: frozenset[str]) -> Iterator[FunctionV]:
    """The methods of the class of `holder` that did not run, and that build what one of some `names` stands for."""
    for method in holder.cls.data.values() if isinstance(holder.cls, ClassV) and names else ():
        if isinstance(method, FunctionV) and method.role in ("function", "static") and method.node not in machine.ran:
            spoken = (last_name(each) for each in nodes_of(method.node) if isinstance(each, ast.Name | ast.Attribute))
            if not names.isdisjoint(spoken):
                yield method


def initializing_methods(machine: Machine, holder: Instance, initializers: frozenset[str]) -> Iterator[FunctionV]:
    """The methods of `holder` that did not run, and that initialize, or call such a method on a module that it built."""
    if not isinstance(holder.cls, ClassV):
        return
    kinds = dict.fromkeys(each.cls for each in machine.instances if each.torch_class and isinstance(each.cls, ClassV))
    names = {
        name
        for cls in kinds
        for name, method in _methods(cls)
        if method.node not in machine.ran and _initializes(method, initializers)
    }
    for _, method in _methods(holder.cls):
        if method.node not in machine.ran and (_initializes(method, initializers) or _calls_on_another(method, names)):
            yield method


def _methods(cls: ClassV) -> Iterator[tuple[str, FunctionV]]:
    """The methods of a class and of its bases by name, each by the definition that holds."""
    for name in dict.fromkeys(name for each in cls.mro for name in each.data):
        method = cls.lookup(name)
        if isinstance(method, FunctionV) and method.role == "function" and not name.startswith("__"):
            yield name, method


def _initializes(method: FunctionV, initializers: frozenset[str]) -> bool:
    """Whether a method calls an initializer, or applies a function to all modules below one."""
    calls = [node for node in nodes_of(method.node) if isinstance(node, ast.Call)]
    return any(
        (is_initializer(call.func, initializers) and not _fills_a_tensor(call)) or _applies(call) for call in calls
    )


def _fills_a_tensor(call: ast.Call) -> bool:
    """Whether a method of a tensor is called that nothing calls a weight: ``self.noise.normal_()``."""
    match call.func:
        case ast.Attribute(value=receiver, attr=name) if name in _FILLS and last_name(receiver) != "init":
            return _WEIGHTS.isdisjoint(one.attr for one in nodes_of(receiver) if isinstance(one, ast.Attribute))
        case _:
            return False


def _applies(call: ast.Call) -> bool:
    is_method = isinstance(call.func, ast.Attribute) and call.func.attr == "apply"
    return is_method and len(call.args) == 1 and not call.keywords


def _calls_on_another(method: FunctionV, names: set[str]) -> bool:
    """Whether a method calls one of some `names` on anything but itself: ``self.policy.freeze()``."""
    return any(
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in names
        and not (isinstance(node.func.value, ast.Name) and node.func.value.id in _ITSELF)
        for node in (nodes_of(method.node) if names else ())
    )
