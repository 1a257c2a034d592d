"""The layers of a live module: every torch layer with weights and every bare matrix, with where and how each began."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import count
from typing import cast

import torch
from torch import nn
from torch.nn.utils import parametrize

from initlint.graph.calls import class_name
from initlint.graph.provenance import Recorder
from initlint.graph.sites import ClassSites
from initlint.graph.weights import read_initializer, recognize_default, true_fan_in
from initlint.knowledge import Knowledge, LayerFact
from initlint.model import Initializer, Layer, Parametrization, Site

_WEIGHTS = ("weight", "weight_ih_l0", "weight_ih", "in_proj_weight", "q_proj_weight")
_BIASES = ("bias", "bias_ih_l0", "bias_ih", "in_proj_bias")
_LAYER_ROLES = frozenset({"weight", "embedding", "recurrent", "attention", "head"})


@dataclass(frozen=True, slots=True)
class Found:
    """The layers of a model; `keys` names each, by id, as calls do: module path or parameter name."""

    layers: tuple[Layer, ...]
    keys: dict[str, int]
    tensors: dict[int, torch.Tensor]


def find_layers(model: nn.Module, recorder: Recorder | None, knowledge: Knowledge) -> Found:
    """Every layer of `model` once, however often it is shared, in the order of `named_modules`."""
    finder = _Finder(model, recorder, knowledge)
    for path, module in model.named_modules():
        fact = layer_fact(module, knowledge)
        if fact is not None and fact.role in _LAYER_ROLES:
            finder.add_module(path, module, fact)
        elif fact is None:
            finder.add_parameters(path, module)
    return Found(tuple(_without_promises(finder.layers)), finder.keys, finder.tensors)


def _without_promises(layers: list[Layer]) -> Iterator[Layer]:
    """One call that gives layers of several widths the same std was not computed from a width: it promises no gain."""
    stds: dict[Site, set[float]] = {}
    fans: dict[Site, set[int]] = {}
    for layer in layers:
        weight = layer.weight
        if weight.site is not None and weight.std is not None and layer.fan_in is not None:
            stds.setdefault(weight.site, set()).add(weight.std)
            fans.setdefault(weight.site, set()).add(layer.fan_in)
    for layer in layers:
        site, function = layer.weight.site, layer.weight.function
        fixed = site in stds and len(stds[site]) == 1 and len(fans[site]) > 1
        if fixed and function in {"normal_", "uniform_", "trunc_normal_"}:
            yield replace(layer, weight=replace(layer.weight, gain=None))
        else:
            yield layer


def layer_fact(module: nn.Module, knowledge: Knowledge) -> LayerFact | None:
    """What is known of the torch layer that `module` is or descends from."""
    for kind in type(module).__mro__:
        fact = knowledge.layers.get(knowledge.resolve(class_name(kind)))
        if fact is not None:
            return fact
    return None


def holder_of(modules: Mapping[str, nn.Module], path: str) -> tuple[nn.Module, str]:
    """The nearest of `modules` above `path` that is no container of torch, and the path from there."""
    parts = path.split(".") if path else []
    for cut in range(len(parts) - 1, -1, -1):
        above = modules.get(".".join(parts[:cut]))
        if above is not None and not type(above).__module__.startswith("torch.nn."):
            return above, ".".join(parts[cut:])
    return modules[""], path


class _Finder:
    def __init__(self, model: nn.Module, recorder: Recorder | None, knowledge: Knowledge) -> None:
        self.layers: list[Layer] = []
        self.keys: dict[str, int] = {}
        self.tensors: dict[int, torch.Tensor] = {}
        self._modules = dict(model.named_modules())
        self._recorder = recorder
        self._knowledge = knowledge
        self._numbers = count()
        self._sites: dict[type, ClassSites] = {}

    def add_module(self, path: str, module: nn.Module, fact: LayerFact) -> None:
        """The layer that `module` is."""
        weight = next((found for name in _WEIGHTS if (found := _tensor(module, name)) is not None), None)
        if weight is None:
            return
        parametrization = find_parametrization(module)
        stored = weight if parametrization is None else _underlying(module, weight)
        lazy = nn.parameter.is_lazy(weight)
        fan_in = None if lazy else true_fan_in(module, weight, fact.fans)
        bias = next((found for name in _BIASES if (found := _tensor(module, name)) is not None), None)
        site = (self._recorder.site(module) if self._recorder else None) or self._fallback_site(path)
        current, history = self._initializer(stored, fan_in)
        kind = fact.name.rpartition(".")[2]
        self._append(
            path,
            weight,
            kind=kind,
            site=site,
            weight=current,
            bias=None if bias is None else self._initializer(bias, None)[0],
            history=history,
            fan_in=None if fan_in is None else round(fan_in),
            fan_out=None if lazy else _fan_out(module, weight, fact),
            groups=getattr(module, "groups", 1),
            transposed=fact.fans == "conv_transpose",
            lazy=lazy,
            frozen=not stored.requires_grad,
            parametrization=parametrization,
        )

    def add_parameters(self, path: str, module: nn.Module) -> None:
        """The bare matrices that a module of no known class holds."""
        if type(module).__module__.startswith("torch.nn.utils.parametri"):
            return
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.dim() < 2 or nn.parameter.is_lazy(parameter):
                continue
            full = f"{path}.{name}" if path else name
            site = self._recorder.parameter_site(parameter) if self._recorder else None
            current, history = self._initializer(parameter, None)
            self._append(
                full,
                parameter,
                kind="Parameter",
                site=site or self._fallback_site(path),
                weight=current,
                bias=None,
                history=history,
                fan_in=None,
                fan_out=None,
                groups=1,
                transposed=False,
                lazy=False,
                frozen=not parameter.requires_grad,
                parametrization=None,
            )

    def _initializer(self, tensor: torch.Tensor, fan_in: float | None) -> tuple[Initializer, tuple[Initializer, ...]]:
        if self._recorder is None:
            return recognize_default(tensor, fan_in), ()
        writes = self._recorder.writes(tensor)
        return read_initializer(writes, tensor, fan_in, self._knowledge)

    def _append(
        self,
        path: str,
        tensor: torch.Tensor,
        *,
        kind: str,
        site: Site,
        weight: Initializer,
        bias: Initializer | None,
        history: tuple[Initializer, ...],
        fan_in: int | None,
        fan_out: int | None,
        groups: int,
        transposed: bool,
        lazy: bool,
        frozen: bool,
        parametrization: Parametrization | None,
    ) -> None:
        number = next(self._numbers)
        owner, inner = holder_of(self._modules, path)
        self.keys[path] = number
        self.tensors[number] = tensor
        layer = Layer(
            id=number,
            kind=kind,
            owner=type(owner).__name__,
            path=inner,
            site=site,
            weight=weight,
            bias=bias,
            history=history,
            fan_in=fan_in,
            fan_out=fan_out,
            groups=groups,
            transposed=transposed,
            lazy=lazy,
            frozen=frozen,
            parametrization=parametrization,
            access=_access(inner) if owner is not self._modules.get(path) else None,
            owner_site=self._sites_of(type(owner)).header,
            context=type(self._modules[""]).__name__,
        )
        self.layers.append(layer)

    def _fallback_site(self, path: str) -> Site:
        """The statement that names the attribute in the class that holds the layer, or the header of that class."""
        owner, inner = holder_of(self._modules, path)
        sites = self._sites_of(type(owner))
        return sites.assignment(inner.partition(".")[0]) or sites.header or Site(f"<{sites.name}>", 1, 1, 1, 1)

    def _sites_of(self, kind: type) -> ClassSites:
        if kind not in self._sites:
            self._sites[kind] = ClassSites(kind)
        return self._sites[kind]


def find_parametrization(module: nn.Module) -> Parametrization | None:
    """What rebuilds the weight of `module` at every use, old and new API."""
    if parametrize.is_parametrized(module):
        chains = cast("nn.ModuleDict", module.parametrizations).values()
        names = {type(step).__name__ for chain in chains for step in chain.children()}
    else:
        hooks = module._forward_pre_hooks.values()
        names = {type(hook).__name__ for hook in hooks} & {"WeightNorm", "SpectralNorm"}
    kinds: dict[str, Parametrization] = {
        "WeightNorm": "weight_norm",
        "_WeightNorm": "weight_norm",
        "SpectralNorm": "spectral_norm",
        "_SpectralNorm": "spectral_norm",
        "_Orthogonal": "orthogonal",
    }
    return next((kinds.get(name, "other") for name in sorted(names)), None)


def _underlying(module: nn.Module, weight: torch.Tensor) -> torch.Tensor:
    """The parameter that a rebuilt weight comes from: its direction, for weight normalization."""
    held = [parameter for parameter in module.parameters() if parameter.dim() == weight.dim()]
    return max(held, key=lambda parameter: parameter.numel(), default=weight)


def _tensor(module: nn.Module, name: str) -> torch.Tensor | None:
    value = getattr(module, name, None)
    return value if isinstance(value, torch.Tensor) else None


def _fan_out(module: nn.Module, weight: torch.Tensor, fact: LayerFact) -> int | None:
    receptive = 1
    for size in weight.shape[2:]:
        receptive *= int(size)
    if fact.fans == "conv_transpose":
        return int(weight.shape[1]) * receptive
    if fact.fans in {"linear", "conv"}:
        return int(weight.shape[0]) * receptive // int(getattr(module, "groups", 1))
    return None


def _access(path: str) -> str:
    """The expression for a dotted path below self: ``self.features[0]``."""
    steps = (f"[{part}]" if part.isdigit() else f".{part}" for part in path.split("."))
    return "self" + "".join(steps)
