"""torch.nn modules as abstract objects: what constructing one makes, what it contains, how its children are found."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from initlint.source.marks import mark, marks_of
from initlint.source.patterns import kept_under
from initlint.source.positions import Position
from initlint.source.symbols import ABSENT, UNKNOWN, monomial, multiply
from initlint.source.values import (
    Arguments,
    Choice,
    ClassV,
    DictV,
    External,
    Filling,
    FunctionV,
    Instance,
    ListV,
    ParamV,
    Place,
    TensorV,
    View,
    Write,
    present,
)

if TYPE_CHECKING:
    from initlint.knowledge import LayerFact
    from initlint.source.machine import Frame, Machine

MODULE = "torch.nn.Module"
SEQUENTIAL = "torch.nn.Sequential"
MODULE_LIST = "torch.nn.ModuleList"
MODULE_DICT = "torch.nn.ModuleDict"
PARAMETER_LISTS = frozenset({"torch.nn.ParameterList", "torch.nn.ParameterDict"})
CONTAINERS = frozenset({SEQUENTIAL, MODULE_LIST, MODULE_DICT, *PARAMETER_LISTS})
_WITH_MODULES = ("torch.", "einops.layers.torch.")
_SPATIAL = frozenset({"kernel_size", "stride", "padding", "dilation", "output_padding"})


def is_torch_class(machine: Machine, name: str) -> bool:
    """Whether the dotted name is a module class, of torch or without weights of its own, that initlint knows."""
    if not name.startswith(_WITH_MODULES) or not name.rpartition(".")[2][:1].isupper():
        return False
    knowledge = machine.knowledge
    return (
        name == MODULE
        or name in CONTAINERS
        or name in knowledge.layers
        or name in knowledge.activation_of
        or (name.startswith(("torch.nn.", "einops.layers.")) and name in knowledge.operations)
    )


def adopt_torch_base(machine: Machine, instance: Instance) -> None:
    """Find out which torch class an instance of a project class is, if any."""
    from initlint.source.functions import harmless_base

    cls = instance.cls
    if not isinstance(cls, ClassV):
        return
    found: list[str] = []
    for base in cls.external_bases:
        if harmless_base(base):
            continue
        name = torch_name(machine, base.name) if isinstance(base, External) else None
        if name is not None:
            found.append(name)
        elif not (isinstance(base, External) and base.name.startswith("torch.")):
            instance.uncertain = True
    specific = [name for name in found if name != MODULE]
    if specific:
        instance.torch_class = specific[0]
    elif found or (instance.uncertain and cls.lookup("forward") is not ABSENT):
        instance.torch_class = MODULE
    if instance.torch_class:
        instance.fact = machine.knowledge.layers.get(instance.torch_class)


def torch_name(machine: Machine, name: str) -> str | None:
    """The torch class that an outside base class stands for, None if it is none that is known."""
    name = machine.resolve(name)
    if is_torch_class(machine, name):
        return name
    fact = machine.knowledge.libraries.get(name)
    if fact is None:
        return None
    if fact.kind in ("module-base", "initializing-base"):
        return MODULE
    return fact.target if fact.kind == "alias" else None


def construct_external(machine: Machine, name: str, arguments: Arguments, node: ast.AST, frame: Frame) -> Instance:
    """``nn.Linear(...)``: an instance of a torch class."""
    instance = machine.new_instance(External(name), machine.place(node, frame))
    instance.torch_class = name
    instance.fact = machine.knowledge.layers.get(name)
    construct_torch_part(machine, instance, arguments, node, frame)
    return instance


def construct_torch_part(
    machine: Machine, instance: Instance, arguments: Arguments, node: ast.AST, frame: Frame
) -> None:
    """What the constructor of the torch class does to `instance`."""
    name = instance.torch_class
    if name in CONTAINERS:
        _fill_container(machine, instance, arguments, node, frame)
        return
    signature = _signature(machine, name or "")
    instance.arguments = bind(signature, arguments)
    fact = instance.fact
    if fact is None:
        return
    for key in _SPATIAL & instance.arguments.keys():
        instance.arguments[key] = _spatial(instance.arguments[key], fact.dimensions)
    _create_parameters(machine, instance, fact)
    if isinstance(instance.cls, ClassV):
        reset = instance.cls.lookup("reset_parameters")
        if isinstance(reset, FunctionV) and fact.role in ("weight", "embedding", "norm"):
            machine.call(reset, Arguments([instance]), node, frame)


def _signature(machine: Machine, name: str) -> tuple[tuple[str, object], ...]:
    knowledge = machine.knowledge
    if name in knowledge.layers:
        return knowledge.layers[name].signature
    if name in knowledge.activation_of:
        return knowledge.activations[knowledge.activation_of[name]].parameters
    if name in knowledge.operations:
        return knowledge.operations[name].signature
    return ()


def bind(signature: tuple[tuple[str, object], ...], arguments: Arguments) -> dict[str, object]:
    """Arguments by parameter name; what was not given has its default, what is required and missing is UNKNOWN."""
    bound: dict[str, object] = {
        name: UNKNOWN if default is ... or arguments.open else default for name, default in signature
    }
    given = dict(arguments.keywords)
    for (name, _), value in zip(signature, arguments.positional, strict=False):
        given[name] = value
    for name, value in given.items():
        bound[name] = present(value, bound[name]) if type(value) is Choice and name in bound else value
    return bound


def _spatial(value: object, dimensions: int) -> object:
    if isinstance(value, (tuple, str)) or value is None:
        return value
    if isinstance(value, ListV):
        return tuple(value.data)
    return (value,) * max(dimensions, 1)


def _create_parameters(machine: Machine, instance: Instance, fact: LayerFact) -> None:
    for name, terms in fact.shape.items():
        condition = fact.optional.get(name)
        exists = True if condition is None else _condition(instance, condition)
        if exists is False:
            instance.data[name] = None
            continue
        shape = None if fact.lazy else shape_of(instance, terms)
        default = fact.default.get(name, {})
        function = default.get("function")
        write = Write(
            str(function) if function else "",
            tuple((key, value) for key, value in default.items() if key != "function"),
            instance.place,
            source="default",
        )
        param = machine.new_param(name, shape, (write,), instance.place)
        param.owner = instance
        instance.data[name] = param


def _condition(instance: Instance, condition: str) -> bool | None:
    from initlint.source.values import truth

    verdicts = []
    for name, negated in _parts_of(condition):
        known = truth(instance.arguments.get(name, UNKNOWN))
        verdicts.append(None if known is None else known is not negated)
    return False if False in verdicts else None if None in verdicts else True


@cache
def _parts_of(condition: str) -> tuple[tuple[str, bool], ...]:
    """The names in ``bias and not batch_first``, each with whether it is negated."""
    parts = condition.split(" and ")
    return tuple((part.removeprefix("not ").strip(), part.startswith("not ")) for part in parts)


def shape_of(instance: Instance, terms: tuple[str, ...]) -> tuple[object, ...] | None:
    """A parameter's shape from the terms of its fact: numbers and symbols, UNKNOWN where nothing is known."""
    shape: list[object] = []
    for term in terms:
        if term.startswith("*"):
            spliced = instance.arguments.get(term[1:], UNKNOWN)
            if not isinstance(spliced, (tuple, int)):
                return None
            shape += spliced if isinstance(spliced, tuple) else (spliced,)
        else:
            shape.append(_term(instance, term))
    return tuple(shape)


def _term(instance: Instance, term: str) -> object:
    if "/" in term:
        left, _, right = term.partition("/")
        one, other = monomial(_term(instance, left.strip())), monomial(_term(instance, right.strip()))
        if one is None or other is None:
            return UNKNOWN
        quotient = multiply(one, other, -1)
        return int(quotient) if isinstance(quotient, float) and quotient.is_integer() else quotient
    if "*" in term:
        left, _, right = term.partition("*")
        one, other = monomial(_term(instance, left.strip())), monomial(_term(instance, right.strip()))
        return UNKNOWN if one is None or other is None else multiply(one, other)
    if term.isdigit():
        return int(term)
    return instance.arguments.get(term, UNKNOWN)


def _fill_container(machine: Machine, instance: Instance, arguments: Arguments, node: ast.AST, frame: Frame) -> None:
    from initlint.source.sequences import elements

    machine.touch(instance)
    if arguments.keywords.get("init_cfg") is not None:
        instance.uncertain = True
    first = arguments.positional[0] if arguments.positional else arguments.keywords.get("modules", ABSENT)
    if first is ABSENT:
        return
    if isinstance(first, DictV) and (instance.torch_class == MODULE_DICT or len(arguments.positional) == 1):
        instance.data.update({str(key): linked(machine, value, instance.place) for key, value in first.data.items()})
        return
    if instance.torch_class == SEQUENTIAL:
        append_all(machine, instance, list(arguments.positional), repeats=arguments.open)
        return
    if instance.torch_class == MODULE_DICT:
        for pair in elements(machine, first, node, frame) or ():
            if isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[0], str):
                instance.data[pair[0]] = pair[1]
        return
    append_all(machine, instance, elements(machine, first, node, frame) or [])


def append_all(machine: Machine, instance: Instance, modules: list[object], *, repeats: bool = False) -> None:
    """Append children to a container under the next numbers."""
    machine.touch(instance)
    count = sum(name.isdigit() for name in instance.data)
    for module in modules:
        if module is ABSENT:
            continue
        instance.data[str(count)] = adopt(machine, instance, str(count), module, instance.place)
        count += 1


def linked(machine: Machine, module: object, place: Place | None) -> object:
    """What a container holds under a name: a link of its chain also where nothing is known of it."""
    return machine.new_instance(External("unknown"), place) if module is UNKNOWN else module


def container_items(instance: Instance) -> list[object] | None:
    """What iterating over a module container yields, None for anything that is no container."""
    if instance.torch_class in (SEQUENTIAL, MODULE_LIST, *PARAMETER_LISTS):
        return list(_members(instance).values())
    if instance.torch_class == MODULE_DICT:
        return list(_members(instance))
    return None


def _members(instance: Instance) -> dict[str, object]:
    """The children by name, in order; a list keeps the place of those that are None."""
    listed = instance.torch_class == MODULE_LIST
    return {
        name: value
        for name, value in instance.data.items()
        if _is_member(name, value) or (listed and value is None and name.isdigit())
    }


def _is_member(name: str, value: object) -> bool:
    if isinstance(value, Choice):
        return any(_is_member(name, each) for each in value.alternatives)
    return isinstance(value, (Instance, ParamV)) or (name.isdigit() and value is not None and value is not ABSENT)


def container_item(machine: Machine, instance: Instance, key: object) -> object:
    """``container[key]``."""
    if isinstance(key, str):
        return instance.data.get(key, UNKNOWN)
    if held := kept_under(key, instance.data):
        return machine.join(held)
    if isinstance(key, slice):
        return _container_slice(machine, instance, key)
    members = list(_members(instance).values())
    if isinstance(key, int) and not isinstance(key, bool):
        if -len(members) <= key < len(members):
            return members[key]
        repeated = [each for each in members if isinstance(each, Instance) and each.repeats]
        return repeated[-1] if repeated else UNKNOWN
    if isinstance(key, Position) and (found := key.of(members)) is not ABSENT:
        return found
    if instance.torch_class == MODULE_DICT or not members:
        return UNKNOWN
    return machine.join(members)


def _container_slice(machine: Machine, instance: Instance, key: slice) -> object:
    names = list(_members(instance))
    part = machine.new_instance(External(instance.torch_class or SEQUENTIAL), instance.place)
    part.torch_class = instance.torch_class
    try:
        chosen = names[key]
    except (TypeError, ValueError):
        return UNKNOWN
    for index, name in enumerate(chosen):
        part.data[str(index) if name.isdigit() else name] = instance.data[name]
    return part


def torch_attribute(instance: Instance, name: str) -> object:
    """An attribute that the torch class gives its instances, ABSENT if there is none."""
    if name in instance.arguments and instance.torch_class not in (MODULE, None):
        return instance.arguments[name]
    if name == "training":
        return UNKNOWN
    if name == "_modules":
        return DictV(dict(children(instance)))
    if name == "_parameters":
        return DictV({key: value for key, value in instance.data.items() if isinstance(value, ParamV)})
    return ABSENT


def adopt(machine: Machine, instance: Instance, name: str, value: object, place: Place | None) -> object:
    """What assigning `value` to an attribute of a module makes of it: a parameter gets its owner and name."""
    if isinstance(value, View) and value.whole:
        value = value.param
    if isinstance(value, ParamV) and not value.buffer:
        old = instance.data.get(name)
        if value.owner is None or value.name == "":
            value.owner = instance
            value.name = name
            if isinstance(old, ParamV) and value.shape is None:
                value.shape = old.shape
        elif value.owner is not instance:
            value.tied = True
    if isinstance(value, TensorV) and isinstance(instance.data.get(name), ParamV) and instance.fact is not None:
        from initlint.source.initialization import assigned_write

        held = instance.data[name]
        if isinstance(held, ParamV):
            machine.write(held, assigned_write(machine, value, place))
            return held
    return value


def children(instance: Instance) -> Iterator[tuple[str, Instance]]:
    """The direct children by name, in order of registration; alternatives of one attribute one after the other."""
    for name, value in instance.data.items():
        kind = type(value)
        if kind is Instance:
            if value.torch_class:  # type: ignore[attr-defined]
                yield name, value  # type: ignore[misc]
        elif kind is Choice:
            for each in value.alternatives:  # type: ignore[attr-defined]
                if isinstance(each, Instance) and each.torch_class:
                    yield name, each


def has_children(instance: Instance) -> bool:
    """Whether there is any module below this one."""
    return next(children(instance), None) is not None


def walk(instance: Instance, prefix: str = "", seen: set[Instance] | None = None) -> Iterator[tuple[str, Instance]]:
    """The module and all below it, each once, parents first, with dotted paths: `named_modules`."""
    seen = set() if seen is None else seen
    pending = [(prefix, instance)]
    while pending:
        path, module = pending.pop()
        if module in seen:
            continue
        seen.add(module)
        yield path, module
        below = [(f"{path}.{name}" if path else name, child) for name, child in children(module)]
        below.reverse()
        pending += below


def modules_below(instance: Instance, seen: set[Instance] | None = None) -> list[Instance]:
    """The same modules in the same order, without their paths."""
    seen = set() if seen is None else seen
    found: list[Instance] = []
    pending = [instance]
    while pending:
        module = pending.pop()
        if module not in seen:
            seen.add(module)
            found.append(module)
            held = [
                each
                for value in module.data.values()
                if (kind := type(value)) is Instance or kind is Choice
                for each in ((value,) if kind is Instance else value.alternatives)  # type: ignore[attr-defined]
                if type(each) is Instance and each.torch_class
            ]
            held.reverse()
            pending += held
    return found


def own_parameters(instance: Instance) -> Iterator[tuple[str, ParamV]]:
    """The parameters that hang on this module itself."""
    for name, value in instance.data.items():
        for each in value.alternatives if isinstance(value, Choice) else (value,):
            if isinstance(each, ParamV) and not each.buffer:
                yield name, each


def named_parameters(instance: Instance) -> Iterator[tuple[str, ParamV]]:
    """All parameters below the module by qualified name, each once."""
    seen: set[ParamV] = set()
    for path, module in walk(instance):
        for name, param in own_parameters(module):
            if param not in seen:
                seen.add(param)
                yield f"{path}.{name}" if path else name, param


def all_parameters(instance: Instance) -> list[ParamV]:
    """All parameters below the module."""
    return [param for _, param in named_parameters(instance)]


def plain_contents(instance: Instance) -> list[object]:
    """The attributes of an object that is no module."""
    return list(instance.data.values())


def clone(machine: Machine, value: object, memo: dict[int, object] | None = None) -> object:
    """``copy.deepcopy``: new modules and parameters with the same initialization."""
    memo = {} if memo is None else memo
    if id(value) in memo:
        return memo[id(value)]
    if isinstance(value, Instance):
        twin = machine.new_instance(value.cls, value.place)
        memo[id(value)] = twin
        for slot in ("arguments", "fact", "frozen", "parametrization", "torch_class", "trail", "uncertain"):
            setattr(twin, slot, getattr(value, slot))
        twin.repeats = twin.repeats or value.repeats
        twin.data = {name: clone(machine, each, memo) for name, each in value.data.items()}
        return twin
    if isinstance(value, ParamV):
        copied = machine.new_param(value.name, value.shape, value.data, value.place)
        memo[id(value)] = copied
        owner = memo.get(id(value.owner))
        copied.owner = owner if isinstance(owner, Instance) else value.owner
        copied.frozen, copied.buffer = value.frozen, value.buffer
        for name, noted in marks_of(value):
            mark(machine, copied, name, noted)
        return copied
    if isinstance(value, TensorV):
        return value if value.filling is None else replace(value, filling=Filling(value.filling.data))
    if isinstance(value, ListV):
        return ListV([clone(machine, each, memo) for each in value.data], value.kind, repeats=value.repeats)
    if isinstance(value, DictV):
        return DictV(
            {key: clone(machine, each, memo) for key, each in value.data.items()}, value.kind, open_=value.open
        )
    if isinstance(value, tuple):
        return tuple(clone(machine, each, memo) for each in value)
    if isinstance(value, Choice):
        return Choice(tuple(clone(machine, each, memo) for each in value.alternatives))
    return value


def number(value: object) -> float | None:
    """A known number, or None."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    return None
