"""From what a context left in memory to a `Model`: layers with names and initializers, and the ops between them."""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from initlint.model import Event, Initializer, Layer, Model, Op, Site
from initlint.source.patterns import shown
from initlint.source.scales import Scales, value_of
from initlint.source.sites import site_of
from initlint.source.torch_modules import CONTAINERS, MODULE_DICT, children
from initlint.source.values import Choice, ClassV, Instance, ListV, ParamV, Place, quotable

if TYPE_CHECKING:
    from initlint.source.dataflow import Node
    from initlint.source.machine import Machine
    from initlint.source.project import SourceFile

_LISTED = frozenset({"weight", "embedding", "recurrent", "attention", "head"})
_BY_FANS = ("xavier", "kaiming")
_MATRIX = 2
_SITED = frozenset({"activation", "layer", "norm"})
_LOWERED = {"fused": "transparent", "shift": "transparent", "constant": "input"}
_FANS = {"conv": "conv", "conv_transpose": "conv_transpose", "linear": "linear", "embedding": "embedding"}


class Name:
    """What a layer is called: its owner, the path from there, and the expression that reaches it.

    `holder` is the class of the outermost module, which stands for an owner where there is none.
    """

    __slots__ = ("access", "holder", "owner", "path")

    def __init__(self, owner: Instance | None, path: str, access: str | None, holder: str = "") -> None:
        self.owner = owner
        self.path = path
        self.access = access
        self.holder = holder

    def below(self, step: str, access: str | None) -> Name:
        """The name of what this one holds under another."""
        step = shown(step)
        return Name(self.owner, f"{self.path}.{step}" if self.path else step, access, self.holder)


def top_modules(machine: Machine) -> list[Instance]:
    """The modules that no other module contains, in the order they were built."""
    inside: set[object] = set()
    modules = [each for each in machine.instances if each.torch_class]
    for module in modules:
        for value in module.data.values():
            kind = type(value)
            if kind is Instance:
                if value is not module:
                    inside.add(value)
            elif kind is Choice:
                held = value.alternatives  # type: ignore[attr-defined]
                inside.update(each for each in held if type(each) is Instance and each is not module)
            elif kind is ListV or kind is tuple:
                held = value.data if isinstance(value, ListV) else value
                inside.update(each for each in held if type(each) is Instance)  # type: ignore[attr-defined]
    return [module for module in modules if module not in inside]


def names_of(machine: Machine, tops: list[Instance]) -> dict[Instance, Name]:
    """Names for every module below `tops`; the first way to reach a module names it."""
    names: dict[Instance, Name] = {}
    for top in tops:
        _name_below(top, Name(None, "", _variable(top.place), top.class_name), names)
    return names


def _variable(place: Place | None) -> str | None:
    """The variable that a statement assigns just what was built at a place, None where there is none."""
    node, body = (None, []) if place is None or place.file.tree is None else (place.node, place.file.tree.body)
    while body and node is not None and hasattr(node, "lineno"):
        around = next((one for one in body if one.lineno <= node.lineno <= (one.end_lineno or one.lineno)), None)
        match around:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=value)
                | ast.AnnAssign(target=ast.Name(id=name), value=value)
            ) if value is node:
                return name
            case ast.Try(handlers=handlers):
                body = [
                    *around.body,
                    *around.orelse,
                    *around.finalbody,
                    *(one for each in handlers for one in each.body),
                ]
            case _:
                body = [*getattr(around, "body", ()), *getattr(around, "orelse", ())]
    return None


def _name_below(module: Instance, name: Name, names: dict[Instance, Name]) -> None:
    if module in names:
        return
    names[module] = name
    if isinstance(module.cls, ClassV):
        name = Name(module, "", "self")
    for step, child in children(module):
        _name_below(child, name.below(step, _reach(module, name.access, step)), names)
    for step, value in module.data.items():
        if isinstance(value, (ListV, tuple)):
            for index, each in enumerate(value.data if isinstance(value, ListV) else value):
                if isinstance(each, Instance) and each.torch_class:
                    access = None if name.access is None else f"{name.access}.{step}[{index}]"
                    _name_below(each, name.below(f"{step}.{index}", access), names)


def _reach(module: Instance, access: str | None, name: str) -> str | None:
    if access is None or name.startswith("?"):
        return None
    if module.torch_class == MODULE_DICT:
        return f'{access}["{name}"]'
    if module.torch_class in CONTAINERS and name.isdigit():
        return f"{access}[{name}]"
    return f"{access}.{name}" if name.isidentifier() else None


class Lowering:
    """Builds one Model from one context."""

    def __init__(
        self,
        machine: Machine,
        scales: Scales,
        name: str,
        file: SourceFile,
        tops: list[Instance],
        doubted: set[ast.AST],
        *,
        doubtful: bool = False,
    ) -> None:
        self.machine = machine
        self.scales = scales
        self.doubted = doubted
        self.doubtful = doubtful
        self.name = name
        place = Path(file.path).name
        self.context = place if name == file.name else f"{name} in {place}"
        self.names = names_of(machine, tops)
        self.ids: dict[Instance | ParamV, int] = {}
        self.layers: list[Layer] = []

    def model(self) -> Model:
        """The model of this context."""
        for node in self.machine.graph.nodes:
            if node.kind == "layer" and node.layer is not None:
                self._layer(node.layer)
        for module in self.names:
            if module.fact is not None and module.fact.role in _LISTED:
                self._layer(module)
        ops = self._ops()
        events = tuple(
            Event(
                each.kind,
                site,
                None if each.instance is None else self.ids.get(each.instance),
                (("layer", self._called(each.instance)), *((name, quotable(value)) for name, value in each.details)),
                tuple(related for place in each.related if (related := site_of(place)) is not None),
            )
            for each in self.machine.occurrences
            if (site := site_of(each.place)) is not None
        )
        return Model(self.name, tuple(self.layers), ops, events)

    def built_at(self, nodes: Collection[ast.AST]) -> frozenset[int]:
        """The ids of the layers that one of these calls built."""
        return frozenset(
            identity for subject, identity in self.ids.items() if subject.place and subject.place.node in nodes
        )

    def _called(self, module: Instance | None) -> str | None:
        """What a user calls the module; None for one that is in no model."""
        name = None if module is None else self.names.get(module)
        if module is None or name is None:
            return None
        owner = "" if name.owner is None else name.owner.class_name
        return ".".join(part for part in (owner, name.path) if part) or module.class_name

    def _ops(self) -> tuple[Op, ...]:
        """The ops that layers take part in; masks, grids and boxes made beside them concern nobody."""
        graph = self.machine.graph
        graph.square_rectifiers()
        positions: dict[int, int] = {}
        ops: list[Op] = []
        for number in graph.concerning_layers():
            node = graph.node(number)
            inputs = tuple([positions[each] for each in node.inputs])
            positions[number] = len(ops)
            ops.append(self._op(len(ops), node, inputs))
        return tuple(ops)

    def _op(self, index: int, node: Node, inputs: tuple[int, ...]) -> Op:
        kind = _LOWERED.get(node.kind, node.kind)
        layer = self.ids.get(node.layer) if node.layer is not None and node.kind == "layer" else None
        if node.kind == "layer" and layer is None:
            kind = "opaque"
        built = node.layer.place if kind == "activation" and node.layer is not None else None
        site = site_of(built or node.place) if kind in _SITED else None
        return Op(index, kind, node.name, inputs, layer, node.params, site)  # type: ignore[arg-type]

    def _layer(self, subject: Instance | ParamV) -> None:
        if subject in self.ids:
            return
        made = self._bare(subject) if isinstance(subject, ParamV) else self._module(subject)
        if made is not None:
            self.ids[subject] = made.id
            self.layers.append(made)

    def _module(self, module: Instance) -> Layer | None:
        site = site_of(module.place)
        if site is None or module.fact is None:
            return None
        name = self.names.get(module) or Name(None, "", None)
        shape = getattr(module.data.get("weight"), "shape", None)
        fact = module.fact
        fans = self.scales.fans(
            shape,
            kind=_FANS.get(fact.fans, "linear"),
            groups=module.arguments.get("groups", 1),
            stride=module.arguments.get("stride", ()),
        )
        weight = self._param(module, "weight")
        bias = self._param(module, "bias")
        history = self.scales.history(weight, fans)
        groups = module.arguments.get("groups", 1)
        last = history[-1] if history else Initializer("unknown")
        if self._is_doubtful(module) or (name.owner is not None and self._is_doubtful(name.owner)):
            last = _doubted(last)
        return Layer(
            id=len(self.layers),
            kind=(module.torch_class or "").rpartition(".")[2],
            owner="" if name.owner is None else name.owner.class_name,
            path=name.path,
            site=site,
            weight=last,
            bias=next(reversed(self.scales.history(bias, self.scales.fans(None))), None),
            history=tuple(history[:-1]),
            fan_in=_whole(value_of(fans.true_in)),
            fan_out=_whole(value_of(fans.true_out)),
            groups=groups if isinstance(groups, int) else None,
            transposed=fact.fans == "conv_transpose",
            lazy=fact.lazy,
            frozen=weight is not None and weight.frozen,
            repeats=module.repeats,
            parametrization=module.parametrization,  # type: ignore[arg-type]
            access=name.access,
            owner_site=None if name.owner is None else _class_site(name.owner),
            holder=name.holder,
            context=self.context,
        )

    def _is_doubtful(self, module: Instance) -> bool:
        """Code that was not seen, or not followed to its end, may have initialized it."""
        return self.doubtful or module.uncertain or (isinstance(module.cls, ClassV) and module.cls.node in self.doubted)

    def _param(self, module: Instance, name: str) -> ParamV | None:
        value = module.data.get(name)
        if isinstance(value, Choice):
            value = next((each for each in value.alternatives if isinstance(each, ParamV)), None)
        return value if isinstance(value, ParamV) else None

    def _bare(self, param: ParamV) -> Layer | None:
        site = site_of(param.place)
        owner = param.owner
        if site is None or owner is None:
            return None
        name = self.names.get(owner)
        if name is None:
            return None
        named_owner, path, access = name.owner, name.path, name.access
        if isinstance(owner.cls, ClassV):
            named_owner, path, access = owner, "", "self"
        fans = self.scales.fans(param.shape, kind=param.fans)
        history = self.scales.history(param, fans)
        last = history[-1] if history else Initializer("unknown")
        stacked = param.fans == "in_out" and param.shape is not None and len(param.shape) > _MATRIX
        if stacked and (last.function or "").startswith(_BY_FANS):
            last = replace(
                last, gain=None, effective_gain=None
            )  # torch takes the fans of a convolution: that is said elsewhere
        return Layer(
            id=len(self.layers),
            kind="Parameter",
            owner="" if named_owner is None else named_owner.class_name,
            path=f"{path}.{param.name}" if path else param.name,
            site=site,
            weight=_doubted(last) if self._is_doubtful(owner) else last,
            history=tuple(history[:-1]),
            fan_in=_whole(value_of(fans.true_in)),
            fan_out=_whole(value_of(fans.true_out)),
            transposed=param.fans == "in_out",
            frozen=param.frozen,
            repeats=owner.repeats,
            access=None if access is None else f"{access}.{param.name}",
            owner_site=None if named_owner is None else _class_site(named_owner),
            context=self.context,
        )


def _doubted(initializer: Initializer) -> Initializer:
    """Code that cannot be seen may have initialized it; what is explicit is at least that."""
    return Initializer("unknown") if initializer.source == "default" else initializer


def _whole(value: float | None) -> int | None:
    return None if value is None or value != int(value) else int(value)


def _class_site(owner: Instance) -> Site | None:
    cls = owner.cls
    return site_of(Place(cls.file, cls.node)) if isinstance(cls, ClassV) and cls.node is not None else None


def unreached(machine: Machine, below: Mapping[Instance, list[Instance]]) -> list[Instance]:
    """Modules of the project among those `below` any other that never saw a forward pass; outermost first."""
    return [
        module
        for module in dict.fromkeys(chain.from_iterable(below.values()))
        if isinstance(module.cls, ClassV) and module not in machine.forwarded
    ]
