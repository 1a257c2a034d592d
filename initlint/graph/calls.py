"""One forward pass as a list of calls: what both ways of tracing write down and lowering reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import nn

from initlint.knowledge import Knowledge
from initlint.model import Site


@dataclass(frozen=True, slots=True)
class Result:
    """Stands in arguments for a tensor that the call with this number made."""

    call: int


@dataclass(frozen=True, slots=True)
class Stored:
    """Stands in arguments for a parameter or buffer of the model."""

    name: str
    tensor: torch.Tensor = field(repr=False, compare=False)

    @property
    def trained(self) -> bool:
        """Whether it is a parameter."""
        return isinstance(self.tensor, nn.Parameter)


@dataclass(frozen=True, slots=True)
class Call:
    """One call that gave a tensor.

    `name` is the dotted name that rules/facts know it by, `module` and `path` the leaf module that was called. `args` and
    `kwargs` are as passed, with `Result` and `Stored` in place of tensors.
    """

    id: int
    kind: Literal["input", "function", "module", "output", "opaque"]
    name: str
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    module: nn.Module | None = None
    path: str = ""
    site: Site | None = None

    def results(self) -> tuple[int, ...]:
        """The calls whose tensors this one takes, in the order of its arguments."""
        return tuple(value.call for value in leaves((self.args, self.kwargs)) if isinstance(value, Result))


def leaves(value: Any) -> Iterator[Any]:
    """The values inside nested tuples, lists, dicts and output objects, in order."""
    if isinstance(value, tuple | list):
        for item in value:
            yield from leaves(item)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from leaves(item)
    elif isinstance(value, slice):
        yield from leaves((value.start, value.stop, value.step))
    else:
        yield value


def class_name(kind: type) -> str:
    """The public dotted name of a class: ``torch.nn.Linear``."""
    module = kind.__module__
    if module.startswith("torch.nn.modules."):
        module = "torch.nn"
    return f"{module}.{kind.__qualname__}"


def known_class(module: nn.Module, knowledge: Knowledge) -> str | None:
    """The nearest class of `module` that rules/facts know, by name, None where the module computes something else."""
    forward = _defining_class(type(module), "forward")
    for kind in type(module).__mro__:
        name = knowledge.resolve(class_name(kind))
        if name in knowledge.layers or name in knowledge.operations or name in knowledge.activation_of:
            return name if forward is None or issubclass(kind, forward) else None
    return None


def is_leaf(module: nn.Module, knowledge: Knowledge) -> bool:
    """Whether a module is one step: torch's own, without layers of its own, or a known name of another library."""
    name = known_class(module, knowledge)
    if name is not None and name in knowledge.layers:
        return knowledge.layers[name].role != "composite"
    if name is not None and (name in knowledge.operations or name in knowledge.activation_of):
        return not any(module.children()) or knowledge.operations.get(name) is None
    forward = _defining_class(type(module), "forward")
    return forward is not None and forward.__module__.startswith("torch.nn.") and not any(module.children())


def _defining_class(kind: type, attribute: str) -> type | None:
    return next((owner for owner in kind.__mro__ if attribute in vars(owner)), None)


def function_name(function: Any) -> str:
    """The dotted name that rules/facts know a function, method or operator by."""
    name = getattr(function, "__name__", None) or type(function).__name__
    if name == "__get__":  # an attribute: Tensor.shape
        return f"Tensor.{getattr(getattr(function, '__self__', None), '__name__', '')}"
    if name in _OPERATORS:
        return f"operator.{_OPERATORS[name]}"
    owner = getattr(function, "__objclass__", None)
    qualified = getattr(function, "__qualname__", name)
    if owner is not None or qualified.startswith(("Tensor.", "TensorBase.", "_TensorBase.")):
        return f"Tensor.{name}"
    module = getattr(function, "__module__", None) or "torch"
    return f"{_MODULES.get(module, module)}.{name}"


_MODULES = {
    "_operator": "operator",
    "builtins": "builtins",
    "torch._C._nn": "torch.nn.functional",
    "torch._C._VariableFunctions": "torch",
    "torch.functional": "torch",
    "torch._C": "torch",
}

_OPERATORS = {
    name: operator
    for operator in ("add", "sub", "mul", "truediv", "floordiv", "matmul", "pow", "mod")
    for name in (f"__{operator}__", f"__r{operator}__", f"__i{operator}__")
} | {"__div__": "truediv", "__rdiv__": "truediv", "__idiv__": "truediv", "__neg__": "neg", "__getitem__": "getitem"}
