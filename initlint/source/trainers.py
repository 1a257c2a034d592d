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
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_LOADS = frozenset({"load_state_dict", "load_from_checkpoint"})


def building_methods(
    machine: Machine, holder: Instance, names: frozenset[str], initializers: frozenset[str]
) -> Iterator[FunctionV]:
    """The methods of the class of `holder` that nobody was seen to call, and that build what one of some `names` stands for.

    What others call, such as a class that mixes this one in, was built where it belongs. Before them come those that load or initialize
    what such a method returns to them.
    """
    methods = [
        each
        for each in (holder.cls.data.values() if isinstance(holder.cls, ClassV) and names else ())
        if isinstance(each, FunctionV) and each.role in ("function", "static")
    ]
    building = [each for each in methods if each.node not in machine.called and not names.isdisjoint(_spoken(each))]
    returning = {each.node.name for each in building if isinstance(each.node, _FUNCTIONS) and _returns(each.node)}
    finishing = [
        each
        for each in methods
        if each not in building and not returning.isdisjoint(_own(each)) and _finishes(each, initializers)
    ]
    for method in (*finishing, *building):
        if method.node not in machine.ran:
            yield method


def _spoken(method: FunctionV) -> Iterator[str]:
    return (last_name(each) for each in nodes_of(method.node) if isinstance(each, ast.Name | ast.Attribute))


def _own(method: FunctionV) -> Iterator[str]:
    """The names that a method asks its own object for."""
    for node in nodes_of(method.node):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in _ITSELF:
            yield node.attr


def _returns(node: ast.AST) -> bool:
    return any(isinstance(each, ast.Return) and each.value is not None for each in nodes_of(node))


def _finishes(method: FunctionV, initializers: frozenset[str]) -> bool:
    """Whether a method initializes or loads something."""
    loads = (isinstance(node, ast.Attribute) and node.attr in _LOADS for node in nodes_of(method.node))
    return any(loads) or _initializes(method, initializers)


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
