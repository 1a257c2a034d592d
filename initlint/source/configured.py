"""What a framework initializes by the configuration that a module of its own keeps (`init_cfg`)."""

from __future__ import annotations

from initlint.source.machine import Machine
from initlint.source.symbols import ABSENT
from initlint.source.torch_modules import modules_below, own_parameters
from initlint.source.values import ClassV, DictV, External, Instance, ListV, Write

_ANY_CONVOLUTION = "_ConvNd"


def apply_configuration(machine: Machine, instance: Instance) -> None:
    """Whatever below a module its configuration speaks of and the program does not initialize has unknown weights."""
    configuration = instance.data.get("init_cfg")
    if configuration is None or base_kind(machine, instance) != "initializing-base":
        return
    kinds = kinds_named(configuration)
    for module in modules_below(instance):
        if kinds is not None and not _is_of(module, kinds):
            continue
        for _, param in own_parameters(module):
            if param.data and param.data[-1].source == "default":
                machine.write(param, Write("", (), instance.place, source="unknown"))


def kinds_named(configuration: object) -> frozenset[str] | None:
    """The classes of layers that every entry of a configuration is confined to, None where one may mean any layer."""
    entries = configuration.data if isinstance(configuration, ListV) else configuration
    kinds: set[str] = set()
    for entry in entries if isinstance(entries, (list, tuple)) else (entries,):
        if not isinstance(entry, DictV) or entry.open or "override" in entry.data:
            return None
        layer = entry.data.get("layer", ABSENT)
        named = layer.data if isinstance(layer, ListV) else layer if isinstance(layer, tuple) else (layer,)
        for each in named:
            if not isinstance(each, str):
                return None
            kinds.add(each)
    return frozenset(kinds)


def _is_of(module: Instance, kinds: frozenset[str]) -> bool:
    """Whether the framework finds one of the names at a module: that of its class or of a base of it."""
    cls = module.cls
    names = {each.name for each in cls.mro} if isinstance(cls, ClassV) else set()
    kind = (module.torch_class or "").rpartition(".")[2]
    return not kinds.isdisjoint({*names, kind}) or (_ANY_CONVOLUTION in kinds and kind.startswith("Conv"))


def base_kind(machine: Machine, instance: Instance) -> str | None:
    """What kind of library class a module of the project inherits from."""
    for base in instance.cls.external_bases if isinstance(instance.cls, ClassV) else ():
        fact = machine.knowledge.libraries.get(machine.resolve(base.name)) if isinstance(base, External) else None
        if fact is not None:
            return fact.kind
    return None
