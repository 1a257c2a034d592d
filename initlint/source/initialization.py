"""Initialization, executed: which call wrote which parameter, and what a fresh tensor holds."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from initlint.source.distant import names_to
from initlint.source.escape import write_unseen
from initlint.source.misuse import inspect_call, inspect_copy
from initlint.source.rebuilding import is_rebuilt
from initlint.source.sequences import elements
from initlint.source.symbols import UNKNOWN, Sym, Unknown
from initlint.source.torch_modules import all_parameters, bind, own_parameters, walk
from initlint.source.values import Arguments, Choice, Filling, Instance, ListV, ParamV, Place, TensorV, View, Write
from initlint.syntax import nodes_of

if TYPE_CHECKING:
    from initlint.knowledge import InitializerFact
    from initlint.source.machine import Frame, Machine

_TARGETS = ("tensor", "value")
_NOT_DRAWN = frozenset({"assignment", "copy", "empty"})
_LOADS = re.compile(r"(?:^|_)(?:load|restore|convert)(?:_|$)|from_pretrained|checkpoint")
_FRESH: dict[str, tuple[str, tuple[tuple[str, object], ...]]] = {
    "randn": ("normal_", (("mean", 0.0), ("std", 1.0))),
    "randn_like": ("normal_", (("mean", 0.0), ("std", 1.0))),
    "normal": ("normal_", ()),
    "rand": ("uniform_", (("a", 0.0), ("b", 1.0))),
    "rand_like": ("uniform_", (("a", 0.0), ("b", 1.0))),
    "zeros": ("constant_", (("val", 0.0),)),
    "zeros_like": ("constant_", (("val", 0.0),)),
    "new_zeros": ("constant_", (("val", 0.0),)),
    "ones": ("constant_", (("val", 1.0),)),
    "ones_like": ("constant_", (("val", 1.0),)),
    "new_ones": ("constant_", (("val", 1.0),)),
    "eye": ("eye_", ()),
    "full": ("constant_", ()),
    "full_like": ("constant_", ()),
    "tensor": ("assignment", ()),
    "as_tensor": ("assignment", ()),
    "from_numpy": ("assignment", ()),
    "arange": ("assignment", ()),
    "linspace": ("assignment", ()),
}
_CONSTRUCTORS = frozenset({"Tensor", "FloatTensor", "DoubleTensor", "HalfTensor", "BFloat16Tensor", "new"})
"""What takes either a size, and leaves the memory as it is, or the values."""

_EMPTY = frozenset({"empty", "empty_like", "new_empty", "empty_strided"}) | _CONSTRUCTORS


def fresh_tensor(machine: Machine, name: str, bound: dict[str, object], arguments: Arguments, place: Place) -> TensorV:
    """``torch.randn(...)`` and its kin: a tensor that knows how it was filled, and its shape."""
    op = machine.graph.add("constant", name, place=place)
    shape = _shape_argument(name, arguments)
    if name in _EMPTY:
        filled = name in _CONSTRUCTORS and not arguments.open and _is_given_data(arguments.positional[name == "new" :])
        function, source = ("assignment", "explicit") if filled else ("empty", "uninitialized")
        size = (("size", shape[0]),) if shape and len(shape) == 1 and name in _CONSTRUCTORS else ()
        return TensorV(op, Filling(Write(function, size, place, source=source)), shape)
    known = _FRESH.get(name)
    if known is None:
        return TensorV(op, None, shape)
    function, fixed = known
    if name in ("full", "full_like"):
        fixed = (("val", bound.get("fill_value", UNKNOWN)),)
    elif name == "normal":
        fixed = (("mean", bound.get("mean", UNKNOWN)), ("std", bound.get("std", UNKNOWN)))
    elif name == "tensor" and isinstance(bound.get("data"), (int, float)):
        function, fixed = "constant_", (("val", bound["data"]),)
    return TensorV(op, Filling(Write(function, fixed, place)), shape)


def _is_given_data(given: list[object]) -> bool:
    """Whether ``torch.Tensor(...)`` is given no size: one argument that may be the values, or none, and there is nothing to fill."""
    return not given or (len(given) == 1 and not isinstance(given[0], (int, Sym)))


def _shape_argument(name: str, arguments: Arguments) -> tuple[object, ...] | None:
    given: list[object] = list(arguments.positional)
    if name.endswith("_like") or name in ("tensor", "as_tensor", "from_numpy", "arange", "linspace"):
        source = given[0] if given else None
        return source.shape if isinstance(source, (ParamV, TensorV)) else None
    if name.startswith("new"):
        given = given[1:]
    if name == "normal":
        given = given[2:3]
    if name == "full":
        given = given[:1]
    if name == "eye":
        given = [*given[:1], *(given[1:2] or given[:1])]
    if "size" in arguments.keywords:
        given = [arguments.keywords["size"]]
    if arguments.open:
        return None
    if len(given) == 1 and isinstance(given[0], (tuple, ListV)):
        return (
            None
            if isinstance(given[0], ListV) and given[0].repeats
            else tuple(given[0].data if isinstance(given[0], ListV) else given[0])
        )
    if any(each is UNKNOWN or isinstance(each, (ListV, Choice)) for each in given) or not given:
        return None
    return tuple(given)


def make_parameter(machine: Machine, arguments: Arguments, node: ast.AST, frame: Frame, *, buffer: bool) -> ParamV:
    """``nn.Parameter(data)``."""
    data = arguments.get(0, "data", UNKNOWN)
    place = machine.place(node, frame)
    if isinstance(data, (ParamV, View)):
        source = data.param if isinstance(data, View) else data
        param = machine.new_param("", source.shape, source.data, place)
    elif isinstance(data, TensorV):
        write = data.drawn or Write("assignment", (), place)
        param = machine.new_param("", data.shape, (write,), place)
        if data.filling is not None:
            data.filling.param = param
    else:
        param = machine.new_param("", None, (Write("assignment", (), place),), place)
    param.buffer = buffer
    param.frozen = arguments.get(1, "requires_grad", True) is False
    return param


def copied_tensor(machine: Machine, param: ParamV) -> TensorV:
    """``param.clone()``: what is written to it does not reach the parameter."""
    return TensorV(machine.graph.add("input", "copy"), Filling(Write("copy", (), None)), param.shape, param)


def assigned_write(machine: Machine, value: object, place: Place | None) -> Write:
    """The write that assigning `value` to ``param.data`` (or copying it there) amounts to."""
    if isinstance(value, TensorV) and value.drawn is not None and value.drawn.function not in _NOT_DRAWN:
        return Write(value.drawn.function, value.drawn.arguments, place)
    if isinstance(value, (ParamV, View)):
        param = value.param if isinstance(value, View) else value
        if param.data:
            last = param.data[-1]
            return Write(last.function, last.arguments, place, "explicit" if last.source == "default" else last.source)
    if _is_loading(machine):
        return Write("", (), place, source="loaded")  # by a function that says so, and from what nobody can see
    return Write("assignment", (), place)


def _is_loading(machine: Machine) -> bool:
    """Whether a function is running that loads by its name, and has not gone on to construct what it will load into."""
    for node in reversed(machine.active):
        name = getattr(node, "name", "")
        if name == "__init__":
            return False
        if _LOADS.search(name):
            return True
    return False


def load_write(machine: Machine, node: ast.AST, frame: Frame) -> Write:
    """Weights come from a checkpoint."""
    return Write("", (), machine.place(node, frame), source="loaded", trail=tuple(machine.calls[-4:]))


def reset_write(machine: Machine, instance: Instance, name: str, node: ast.AST, frame: Frame) -> Write:
    """``layer.reset_parameters()``: torch's default again."""
    default = instance.fact.default.get(name, {}) if instance.fact is not None else {}
    arguments = tuple((key, value) for key, value in default.items() if key != "function")
    return Write(str(default.get("function") or ""), arguments, instance.place, source="default")


def call_initializer(
    machine: Machine, fact: InitializerFact, arguments: Arguments, node: ast.AST, frame: Frame
) -> object:
    """``nn.init.kaiming_normal_(w, ...)``, ``w.normal_(...)``, ``c2_msra_fill(conv)``: the target, written."""
    signature = fact.signature
    if fact.name.startswith("Tensor."):
        signature = (("tensor", ...), *signature)
    bound = bind(signature, arguments)
    target = bound.pop(_takes_target(signature), UNKNOWN)
    bound.pop("generator", None)
    place = machine.place(node, frame)
    given = tuple((name, value) for name, value in bound.items() if name != "self")
    inspect_call(machine, fact, arguments, bound, target, node, frame)
    if fact.formula == "scale" and fact.name.startswith("Tensor."):
        by = bound.get("other", bound.get("value", UNKNOWN))
        return rescale(machine, target, by, place, divides=fact.canonical.startswith("div"))
    write = _write_of(machine, fact, given, bound, place)
    return _write_target(machine, _Call(fact, bound, node, frame), target, write)


def _takes_target(signature: tuple[tuple[str, object], ...]) -> str:
    """The parameter that takes what is written: not always the first, as ``uniform(size, value)`` shows."""
    names = [name for name, _ in signature]
    return next((name for name in (*_TARGETS, *names) if name in names), _TARGETS[0])


def _write_of(
    machine: Machine,
    fact: InitializerFact,
    given: tuple[tuple[str, object], ...],
    bound: dict[str, object],
    place: Place,
) -> Write:
    trail, sweep = tuple(machine.calls[-4:]), machine.sweep is not None
    if fact.formula == "copy":
        copied = assigned_write(machine, bound.get("src", bound.get("other", bound.get("source", UNKNOWN))), place)
        return Write(copied.function, copied.arguments, place, copied.source, trail=trail, sweep=sweep)
    function = fact.name if fact.name in machine.knowledge.initializers else fact.canonical
    return Write(function, given, place, trail=trail, sweep=sweep)


def rescale(machine: Machine, target: object, by: object, place: Place, *, divides: bool) -> object:
    """``w.mul_(c)``, ``w.data /= c``: what was there, times a number; a rescaled default is an explicit choice."""
    param = target.param if isinstance(target, View) else target
    if isinstance(param, ParamV):
        machine.write(target, Write("scale", (("divisor" if divides else "factor", by),), place))
    return target


@dataclass(frozen=True, slots=True)
class _Call:
    """One call of an initializer, its arguments `bound` to their names."""

    fact: InitializerFact
    bound: dict[str, object]
    node: ast.AST
    frame: Frame


def _write_target(machine: Machine, call: _Call, target: object, write: Write) -> object:
    """What `target` is once `write` has gone there."""
    if target is UNKNOWN:
        write_unseen(machine, call.node, call.frame)
        _note_distant(machine, call)
    handler = _WRITERS.get(type(target))
    return target if handler is None else handler(machine, call, target, write)


def _note_distant(machine: Machine, call: _Call) -> None:
    node = call.node
    target = node.args[0] if isinstance(node, ast.Call) and node.args and call.fact.formula != "constant" else None
    if target is not None and (names := names_to(target)) is not None:
        machine.distant.add(names)


def _write_choice(machine: Machine, call: _Call, target: Choice, write: Write) -> Choice:
    conditional = replace(write, conditional=True)
    for each in target.alternatives:
        _write_target(machine, call, each, conditional)
    return target


def _write_parameter(machine: Machine, call: _Call, target: ParamV | View, write: Write) -> ParamV | View:
    whole = target if isinstance(target, ParamV) else target.param if target.whole else None
    if whole is not None and is_rebuilt(whole):
        machine.writes += 1  # it is done, and undone by the next forward pass
    else:
        machine.write(target, write)
    return target


def _write_tensor(machine: Machine, call: _Call, target: TensorV, write: Write) -> TensorV:
    param, filling = target.param, target.filling
    if filling is None:
        if param is None:
            return TensorV(target.op, Filling(write), target.shape)
        machine.write(View(param, whole=False), write)
        return target
    if param is not None and not target.part:
        inspect_copy(machine, param, call.node, call.frame)
    fill(machine, filling, write, part=target.part)
    return target


def fill(machine: Machine, filling: Filling, write: Write, *, part: bool) -> None:
    """Write to fresh memory, and so to the parameter that was made of it; of what is filled in parts, no formula is known."""
    machine.touch(filling)
    filling.data = Write("assignment", (), write.place) if part else write
    if filling.param is not None:
        machine.write(filling.param, replace(write, partial=write.partial or part))


def _write_elements(
    machine: Machine, call: _Call, target: ListV | tuple[object, ...], write: Write
) -> ListV | tuple[object, ...]:
    for each in elements(machine, target, call.node, call.frame) or ():
        if isinstance(each, (Instance, ParamV, View)):
            _write_target(machine, call, each, write)
    return target


def _write_modules(machine: Machine, call: _Call, target: Instance, write: Write) -> Instance:
    fact, bound = call.fact, call.bound
    if fact.target == "tensor":
        place = machine.place(call.node, call.frame)
        weighted = isinstance(target.data.get("weight"), ParamV)
        machine.occur("module-instead-of-tensor", place, target, function=fact.canonical, weighted=weighted)
        return target
    modules = [module for _, module in walk(target)] if fact.target == "modules" else [target]
    for module in modules:
        for name, param in own_parameters(module):
            if name == "weight":
                machine.write(param, write)
            elif name == "bias" and fact.bias:
                value = 0.0 if fact.bias == "zeros" else bound.get(fact.bias, UNKNOWN)
                machine.write(param, Write("constant_", (("val", value),), write.place, trail=write.trail))
    return target


def _is_made_of_receiver(call: _Call) -> bool:
    """Whether the target is written as something that is asked of the object whose method this is."""
    function = call.frame.function
    parameters = function.node.args.args if function is not None else []
    given = call.node.args[:1] if isinstance(call.node, ast.Call) else []
    return any(
        isinstance(each, ast.Call)
        and any(isinstance(one, ast.Name) and one.id == parameters[0].arg for one in each.args)
        for expression in given
        for each in nodes_of(expression)
        if parameters
    )


def _write_unseen(machine: Machine, call: _Call, target: Unknown, write: Write) -> Unknown:
    """What a call makes of the module, ``getattr(self, name)`` of an unknown name, may be any layer below it."""
    receiver = call.frame.receiver
    if call.fact.formula == "constant" or not isinstance(receiver, Instance) or not _is_made_of_receiver(call):
        return target
    if receiver.torch_class:
        for param in all_parameters(receiver):
            if param.data and param.data[-1].source == "default":
                machine.write(param, Write("", (), write.place, source="unknown", trail=write.trail))
    return target


_WRITERS: dict[type, Callable[..., object]] = {
    Unknown: _write_unseen,
    Choice: _write_choice,
    ParamV: _write_parameter,
    View: _write_parameter,
    TensorV: _write_tensor,
    Instance: _write_modules,
    ListV: _write_elements,
    tuple: _write_elements,
}
