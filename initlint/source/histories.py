"""What the writes to a parameter tell, read from first to last: never filled, overwritten, wiped, a padding row filled."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import TYPE_CHECKING

from initlint.source.coverage import copying_names, initializer_names, is_initializer
from initlint.source.scales import fact_of
from initlint.source.symbols import Sym, names_of
from initlint.source.torch_modules import modules_below, number, own_parameters
from initlint.source.uncalled import may_initialize_by_name
from initlint.source.values import ClassV, FunctionV, Instance, ParamV, Place, Write
from initlint.source.written_names import is_filled_in

if TYPE_CHECKING:
    from initlint.source.machine import Machine

_LOADS = frozenset({"load_state_dict", "from_pretrained", "load_checkpoint", "load_file", "load_weights"})


def inspect_histories(
    machine: Machine, below: Mapping[Instance, list[Instance]], doubted: set[ast.AST], unseen: set[ast.AST]
) -> None:
    """Note what the history of each parameter of this context shows, at its end.

    `below` has the modules below each that no other contains. What builds a class of `unseen` may fill what the class
    itself leaves empty.
    """
    owned = [(param, owner) for param in machine.params if (owner := param.owner) is not None and not param.buffer]
    tops = [top for top in below if not top.discarded]
    kept = {module for top in tops for module in below[top]}
    open_ = [top for top in tops if getattr(top.cls, "node", None) in unseen]
    open_ += [module for module in kept if module.uncertain]
    elsewhere = {module for each in open_ for module in modules_below(each)}
    for param, owner in owned:
        if owner in kept and not owner.uncertain and getattr(owner.cls, "node", None) not in doubted:
            if owner not in elsewhere:
                _inspect_filling(machine, param, owner)
            _inspect_loading(machine, param, owner)
            _inspect_padding(machine, param, owner)
    _inspect_overwriting(machine, owned)


def is_draw(machine: Machine, write: Write) -> bool:
    """Whether the write is a call of an initializer that fills the whole tensor."""
    if write.source != "explicit" or write.partial or write.place is None or not isinstance(write.place.node, ast.Call):
        return False
    fact = fact_of(machine.knowledge, write)
    return fact is not None and fact.fills


# -- filling -------------------------------------------------------------------------------------------------------------


def _inspect_filling(machine: Machine, param: ParamV, owner: Instance) -> None:
    """Memory that nothing ever fills."""
    if param.place is None or not param.data or param.data[0].source != "uninitialized":
        return
    machine.reached.add(param.place.node)
    if all(held is not param for _, held in own_parameters(owner)):
        return
    if _may_hold_values(machine, param.data[0]) or 0 in (param.shape or ()):
        return
    if (
        len(param.data) > 1
        or param.frozen
        or param.place.file.words & _LOADS
        or _is_filled_later(machine, param, owner)
    ):
        return
    machine.occur("uninitialized-parameter", param.place, owner, parameter=param.name)


def _is_filled_later(machine: Machine, param: ParamV, owner: Instance) -> bool:
    """Whether a method fills it that ran and passed that by, or that did not run and no constructor is expected to call.

    ``forward(x, init=True)`` fills the scales of a weight norm by hand, ``fit`` its cluster centers.
    """
    fillers = initializer_names(machine) | copying_names(machine)
    bases = owner.cls.mro if isinstance(owner.cls, ClassV) else ()
    return any(
        isinstance(method, FunctionV)
        and isinstance(method.node, ast.FunctionDef)
        and not name.startswith("__")
        and (method.node in machine.ran or not may_initialize_by_name(name))
        and is_filled_in(method.node, f"self.{param.name}", lambda one: is_initializer(one, fillers))
        for base in bases
        for name, method in base.data.items()
    )


def _may_hold_values(machine: Machine, write: Write) -> bool:
    """Whether the size given to ``torch.Tensor(size)`` may be values: a name that nothing else takes for a number."""
    size = dict(write.arguments).get("size")
    if not isinstance(size, Sym) or not size.name:
        return False
    sizes = [param.shape for param in machine.params if param.shape and len(param.shape) > 1]
    layers = [tuple(each.arguments.values()) for each in machine.instances if each.fact is not None]
    return size.name not in {name for each in (*sizes, *layers) for name in names_of(each)}


# -- loading -------------------------------------------------------------------------------------------------------------


def _inspect_loading(machine: Machine, param: ParamV, owner: Instance) -> None:
    """An initializer that runs after weights were loaded; where it also ran before, the model starts anew on purpose."""
    loaded = next((index for index, write in enumerate(param.data) if write.source == "loaded"), None)
    if loaded is None:
        return
    before = {write.place.node for write in param.data[:loaded] if write.place is not None}
    for write in param.data[loaded + 1 :]:
        if not is_draw(machine, write) or write.conditional or write.place is None or write.place.node in before:
            continue
        source = param.data[loaded]
        related = () if source.place is None else (source.place,)
        function = _function_of(machine, write)
        place = _beside(source, write) or write.place
        machine.occur("init-after-load", place, owner, related=related, function=function, parameter=param.name)


def _beside(first: Write, second: Write) -> Place | None:
    """The call in the body of `first` that led to `second`; None where `second` itself stands there."""
    nodes, outer = _nodes(second.trail), _nodes(first.trail)
    if not outer:
        return second.trail[0] if nodes else None
    if outer[-1] not in nodes:
        return None
    position = nodes.index(outer[-1]) + 1
    return second.trail[position] if position < len(nodes) else None


def _function_of(machine: Machine, write: Write) -> str:
    fact = fact_of(machine.knowledge, write)
    return write.function if fact is None else fact.canonical


# -- padding -------------------------------------------------------------------------------------------------------------


def _inspect_padding(machine: Machine, param: ParamV, owner: Instance) -> None:
    """An embedding with a padding row that is drawn again and not zeroed after."""
    if param.name != "weight" or owner.fact is None or owner.fact.role != "embedding":
        return
    row = owner.arguments.get("padding_idx")
    if not isinstance(row, int):
        return
    last = param.data[-1] if param.data else None
    if last is None or last.conditional or not is_draw(machine, last) or last.place is None:
        return
    if constant_of(machine, last) == 0:
        return
    machine.occur(
        "padding-row-overwritten",
        last.place,
        owner,
        function=_function_of(machine, last),
        parameter=param.name,
        row=row,
    )


def constant_of(machine: Machine, write: Write) -> float | None:
    """The number that the write puts everywhere, None for any other write."""
    fact = fact_of(machine.knowledge, write)
    if fact is None or fact.formula != "constant":
        return None
    given = {**dict(write.arguments), **fact.fixed}
    return number(given.get("val", given.get("value")))


# -- overwriting ---------------------------------------------------------------------------------------------------------


def _inspect_overwriting(machine: Machine, owned: list[tuple[ParamV, Instance]]) -> None:
    """Calls whose every write in this context is covered by a less specific, or equally specific, later one."""
    found: list[tuple[Write, Write, ParamV, Instance]] = []
    for param, owner in owned:
        calls = _calls(param)
        for index, write in enumerate(calls[:-1]):
            later = next((each for each in calls[index + 1 :] if _covers(machine, each, write)), None)
            if later is not None:
                found.append((write, later, param, owner))
    covered = {write for write, _, _, _ in found}
    suspects = {write.place.node for write in covered if write.place is not None}
    for param, _ in owned if suspects else ():
        suspects -= {call.place.node for call in _calls(param) if call not in covered and call.place is not None}
    for write, later, param, owner in found:
        if write.place is not None and write.place.node in suspects and later.place is not None:
            machine.occur(
                "init-overwritten",
                write.place,
                owner,
                related=(later.place,),
                function=_function_of(machine, write),
                later=_function_of(machine, later),
                parameter=param.name,
            )


def _calls(param: ParamV) -> list[Write]:
    """The writes by calls, without what the parameter was made from."""
    return [write for write in param.data[1:] if write.source == "explicit" and write.place is not None]


def _covers(machine: Machine, later: Write, write: Write) -> bool:
    """Whether `later` makes `write` pointless, and not because it is the exception to a rule."""
    if later.conditional or write.sweep or write.place is None or later.place is None:
        return False
    if later.place.node is write.place.node or _same_effect(machine, later, write):
        return False
    return (later.sweep or _is_same_body(later, write)) and is_draw(machine, write) and is_draw(machine, later)


def _same_effect(machine: Machine, later: Write, write: Write) -> bool:
    """Whether the parameter would be the same without one of the two."""
    if later.function == write.function and later.arguments == write.arguments:
        return True
    value = constant_of(machine, write)
    return value is not None and value == constant_of(machine, later)


def _is_same_body(later: Write, write: Write) -> bool:
    """Whether both stand in one run of one function."""
    if later.place is None or write.place is None or later.place.file is not write.place.file:
        return False
    return _nodes(later.trail) == _nodes(write.trail)


def _nodes(trail: tuple[Place, ...]) -> list[int]:
    return [id(place.node) for place in trail]
