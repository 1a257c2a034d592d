"""What went wrong while a model was built, where the record of its construction and the values in it leave no doubt."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import nn

from initlint.analysis.wiring import Wiring
from initlint.graph.fans import misreading
from initlint.graph.layers import Found, holder_of, layer_fact
from initlint.graph.provenance import Recorder, Write
from initlint.graph.weights import constant_of, initializer_fact
from initlint.knowledge import Knowledge
from initlint.model import Event, Layer, Site, Value

_PASSING = frozenset({"activation", "norm", "transparent", "scale"})
"""Ops behind which equal units are still equal, and zeros still stop a gradient."""

_MIXING = frozenset({"add", "gate", "concat", "matmul", "join", "opaque"})
_RESCALING = frozenset({"norm", "scale", "softmax", "matmul", "gate", "opaque"})
_LEAST_WIDTH = 8
_EMPTY = frozenset({"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided"})
_UNIT_DRAWS = {
    "normal_": "normal",
    "randn": "normal",
    "randn_like": "normal",
    "uniform_": "uniform",
    "rand": "uniform",
    "rand_like": "uniform",
}


@dataclass(frozen=True, slots=True)
class Scene:
    """A built model, the record of its construction, its layers, how they are wired, and who was called without being registered."""

    model: nn.Module
    recorder: Recorder
    found: Found
    layers: tuple[Layer, ...]
    wiring: Wiring
    knowledge: Knowledge
    strangers: frozenset[int] = frozenset()

    def tensor(self, layer: Layer) -> torch.Tensor | None:
        """The weight of a layer, None where it has no values."""
        tensor = self.found.tensors[layer.id]
        return None if tensor.is_meta or nn.parameter.is_lazy(tensor) or not tensor.numel() else tensor.detach()

    def parameters(self) -> Iterator[tuple[str, str, nn.Parameter]]:
        """Every parameter once: the module that holds it, as a user calls it, its name there, and itself."""
        modules = dict(self.model.named_modules())
        seen: set[int] = set()
        for path, module in modules.items():
            for name, parameter in module.named_parameters(recurse=False):
                if id(parameter) not in seen and not nn.parameter.is_lazy(parameter):
                    seen.add(id(parameter))
                    yield called(modules, path), name, parameter


def called(modules: dict[str, nn.Module], path: str) -> str:
    """What a user calls the module at `path`: ``Net.conv1``."""
    owner, inner = holder_of(modules, path)
    if not inner or owner is modules.get(path):
        return type(modules[path]).__name__
    own = type(modules[path]).__module__.startswith("torch.nn.")
    return f"{type(owner).__name__}.{inner}" if own else type(modules[path]).__name__


def find_incidents(scene: Scene) -> tuple[Event, ...]:
    """Everything that is certain, in the order of the rules."""
    return tuple(event for find in _FINDERS for event in find(scene))


def _event(
    kind: str,
    site: Site | None,
    layer: str | None,
    *related: Site | None,
    identity: int | None = None,
    **details: Value,
) -> Iterator[Event]:
    """The event, where its place is known."""
    if site is not None:
        others = tuple(each for each in related if each is not None)
        yield Event(kind, site, identity, (("layer", layer), *details.items()), others)


# -- units that start equal ----------------------------------------------------------------------------------------------


def _constants(scene: Scene) -> Iterator[Event]:
    """Layers of one number; of two zero layers in a row the first."""
    values = {layer.id: value for layer in scene.layers if (value := _constant(scene, layer)) is not None}
    by_number = {layer.id: layer for layer in scene.layers}
    for number, value in values.items():
        layer = by_number[number]
        following = _next_layers(scene.wiring, number)
        name = f"{layer.owner}.{layer.path}"
        if value and following and _has_several_units(scene, layer):
            yield from _event("identical-units", layer.weight.site, name, identity=number, value=value, next=None)
        after = next((each for each in following if each != number and values.get(each) == 0.0), None)
        if not value and after is not None:
            yield from _event(
                "identical-units", layer.weight.site, name, by_number[after].weight.site, identity=number, value=0.0
            )


def _constant(scene: Scene, layer: Layer) -> float | None:
    """The number that all weights of a trained layer are."""
    fact = scene.knowledge.layers.get(scene.knowledge.resolve(f"torch.nn.{layer.kind}"))
    tensor = scene.tensor(layer)
    if fact is None or fact.role != "weight" or layer.transposed or layer.frozen or layer.parametrization is not None:
        return None
    if tensor is None or layer.weight.source != "explicit" or bool(tensor.min() != tensor.max()):
        return None
    return float(f"{float(tensor.flatten()[0]):.6g}")


def _has_several_units(scene: Scene, layer: Layer) -> bool:
    return scene.found.tensors[layer.id].shape[0] != 1 and layer.groups == 1


def _next_layers(wiring: Wiring, layer: int) -> list[int]:
    """The layers that read this one's output with nothing mixed in on the way."""
    found: list[int] = []
    pending = [each for position in wiring.uses.get(layer, ()) for each in wiring.consumers[position]]
    while pending:
        op = wiring.ops[position := pending.pop()]
        if op.kind == "layer" and op.layer is not None:
            found.append(op.layer)
        elif op.kind in _PASSING:
            pending += wiring.consumers[position]
        elif op.kind in _MIXING:
            return []
    return sorted(set(found))


def _clones(scene: Scene) -> Iterator[Event]:
    """Copies side by side in one container that hold the same random weights."""
    modules = dict(scene.model.named_modules())
    for path, module in modules.items():
        if not isinstance(module, nn.ModuleList | nn.Sequential | nn.ModuleDict):
            continue
        children = [child for child in module.children() if child is not None]
        for place, first in enumerate(children):
            twin = next(
                (other for other in children[place + 1 :] if other is not first and _are_equal(first, other)), None
            )
            site = None if twin is None else _copied_at(scene.recorder, twin)
            if site is not None:
                yield from _event("identical-clones", site, called(modules, path), copied=type(first).__name__)
                break


def _are_equal(one: nn.Module, other: nn.Module) -> bool:
    """Whether two modules have the same random matrices, in memory of their own."""
    if type(one) is not type(other):
        return False
    pairs = list(zip(_matrices(one), _matrices(other), strict=False))
    return bool(pairs) and all(a is not b and a.shape == b.shape and torch.equal(a, b) for a, b in pairs)


def _matrices(module: nn.Module) -> list[nn.Parameter]:
    return [
        parameter
        for parameter in module.parameters()
        if parameter.dim() > 1
        and parameter.requires_grad
        and not parameter.is_meta
        and not nn.parameter.is_lazy(parameter)
        and bool(parameter.detach().min() != parameter.detach().max())
    ]


def _copied_at(recorder: Recorder, module: nn.Module) -> Site | None:
    copies = (recorder.copy(parameter) for parameter in _matrices(module))
    return next((copy.site for copy in copies if copy is not None), None)


# -- scale ---------------------------------------------------------------------------------------------------------------


def _unscaled(scene: Scene) -> Iterator[Event]:
    """Matrices drawn with the spread 1, or from 0 to 1, whose product nothing scales down."""
    for layer in scene.layers:
        weight = layer.weight
        spread = _UNIT_DRAWS.get(weight.function or "") if weight.source == "explicit" else None
        if spread is None or layer.frozen or layer.parametrization is not None or layer.transposed:
            continue
        positions = scene.wiring.uses.get(layer.id, ())
        if (
            not positions
            or layer.fan_in is None
            or layer.fan_in < _LEAST_WIDTH
            or not _is_unit(weight.std, weight.mean, spread)
        ):
            continue
        if spread == "uniform" or not (
            _is_scaled(scene.wiring, positions[0]) or _is_rescaled(scene.wiring, positions[0])
        ):
            bare = layer.kind == "Parameter"
            name = layer.owner if bare else f"{layer.owner}.{layer.path}"
            parameter = layer.path if bare else "weight"
            yield from _event(
                "unscaled-random-weight",
                weight.site,
                name,
                identity=layer.id,
                parameter=parameter,
                spread=spread,
                width=layer.fan_in,
            )


def _is_unit(std: float | None, mean: float | None, spread: str) -> bool:
    """Whether a draw was not changed after: 1 and 0, or those of U[0, 1), a fiftieth more or less."""
    if std is None or mean is None:
        return False
    if spread == "normal":
        return abs(std - 1) < _NEAR and abs(mean) < _NEAR
    return abs(std * 12**0.5 - 1) < _NEAR and abs(mean - 0.5) < _NEAR


_NEAR = 0.02


def _is_scaled(wiring: Wiring, position: int) -> bool:
    """Whether what a layer takes was multiplied by a number right before: 1 / sqrt(width), as a rule."""
    return any(wiring.ops[source].kind == "scale" for source in wiring.ops[position].inputs)


def _is_rescaled(wiring: Wiring, position: int) -> bool:
    """Whether a product is normalized, multiplied or compared right away, or nobody knows what becomes of it."""
    pending = list(wiring.consumers[position])
    while pending:
        kind = wiring.ops[each := pending.pop()].kind
        if kind in _RESCALING:
            return True
        if kind == "transparent":
            pending += wiring.consumers[each]
    return False


def _tied(scene: Scene) -> Iterator[Event]:
    """Embeddings that keep torch's N(0, 1) and are multiplied with, as the weight of a head, too."""
    embeddings = {id(scene.found.tensors[layer.id]): layer for layer in scene.layers if layer.kind == "Embedding"}
    for layer in scene.layers:
        embedding = embeddings.get(id(scene.found.tensors[layer.id]))
        positions = scene.wiring.uses.get(layer.id, ())
        if embedding is None or embedding is layer or layer.kind != "Linear" or not positions:
            continue
        rescaled = _is_scaled(scene.wiring, positions[0]) or _is_rescaled(scene.wiring, positions[0])
        if rescaled or not _is_torchs(embedding):
            continue
        width = int(scene.found.tensors[layer.id].shape[1])
        name = f"{embedding.owner}.{embedding.path}"
        yield from _event("tied-embedding-scale", embedding.site, name, layer.site, identity=embedding.id, width=width)


def _is_torchs(embedding: Layer) -> bool:
    """Whether nobody but torch's own `Embedding` filled it."""
    return embedding.weight.source == "default" and embedding.weight.function == "normal_" and not embedding.history


# -- histories -----------------------------------------------------------------------------------------------------------


def _unfilled(scene: Scene) -> Iterator[Event]:
    """Memory that was made and never written."""
    for holder, name, parameter in scene.parameters():
        writes = scene.recorder.writes(parameter)
        if parameter.requires_grad and len(writes) == 1 and writes[0].created and writes[0].function in _EMPTY:
            yield from _event("uninitialized-parameter", writes[0].site, holder, parameter=name)


def _padding(scene: Scene) -> Iterator[Event]:
    """Embeddings whose padding row is no longer zero."""
    modules = dict(scene.model.named_modules())
    for path, module in modules.items():
        fact = layer_fact(module, scene.knowledge)
        row = getattr(module, "padding_idx", None)
        number = scene.found.keys.get(path)
        if fact is None or fact.role != "embedding" or not isinstance(row, int) or number is None:
            continue
        layer = next((each for each in scene.layers if each.id == number), None)
        tensor = None if layer is None else scene.tensor(layer)
        if layer is None or tensor is None or layer.frozen or layer.weight.source != "explicit":
            continue
        if layer.weight.function is not None and bool(tensor[row].abs().max() > 0):
            yield from _event(
                "padding-row-overwritten",
                layer.weight.site,
                f"{layer.owner}.{layer.path}",
                identity=number,
                function=layer.weight.function,
                parameter="weight",
                row=row,
            )


def _lost(scene: Scene) -> Iterator[Event]:
    """Initializers that wrote a weight which is made anew at every use."""
    modules = dict(scene.model.named_modules())
    paths = {id(module): path for path, module in modules.items()}
    for lost in scene.recorder.lost:
        path = None if lost.module is None else paths.get(id(lost.module))
        holder = None if path is None else called(modules, path)
        name = None if holder is None else "weight"
        yield from _event(
            "write-to-rebuilt-weight", lost.write.site, holder, function=_function(lost.write), parameter=name
        )


def _wiped(scene: Scene) -> Iterator[Event]:
    """Initializers that ran over loaded weights."""
    for holder, name, parameter in scene.parameters():
        wiped = scene.recorder.wiped(parameter)
        if wiped is not None:
            yield from _event(
                "init-after-load", wiped.site, holder, wiped.loaded, function=_function(wiped.write), parameter=name
            )


def _overwritten(scene: Scene) -> Iterator[Event]:
    """Calls of which a later walk over the modules leaves nothing, at any parameter of the model."""
    found: list[tuple[Write, Write, str, str]] = []
    kept: set[Site | None] = set()
    for holder, name, parameter in scene.parameters():
        calls = [
            write for write in scene.recorder.writes(parameter) if write.source == "explicit" and not write.created
        ]
        for place, write in enumerate(calls):
            later = next((each for each in calls[place + 1 :] if _covers(each, write, scene.knowledge)), None)
            if later is None:
                kept.add(write.site)
            else:
                found.append((write, later, holder, name))
    for write, later, holder, name in found:
        if write.site not in kept:
            yield from _event(
                "init-overwritten",
                write.site,
                holder,
                later.site,
                function=_function(write),
                later=_function(later),
                parameter=name,
            )


def _covers(later: Write, write: Write, knowledge: Knowledge) -> bool:
    """Whether a walk makes a call pointless that was for this parameter alone, and not by giving it the same values."""
    if not later.swept or write.swept or later.site == write.site or not write.site or not later.site:
        return False
    if not all(each.whole and not each.modified for each in (write, later)):
        return False
    before, after = (initializer_fact(each.function, knowledge) for each in (write, later))
    if before is None or after is None or not before.fills or not after.fills:
        return False
    constant = constant_of(write, before)
    same = (write.function, write.arguments) == (later.function, later.arguments)
    return not same and (constant is None or constant != constant_of(later, after))


def _misread(scene: Scene) -> Iterator[Event]:
    """Weights whose initializer went by a fan that torch reads off the wrong side."""
    for layer in scene.layers:
        tensor = scene.tensor(layer)
        read = None if tensor is None else misreading(layer, tensor, scene.wiring, scene.knowledge)
        if read is None:
            continue
        bare = layer.kind == "Parameter"
        yield from _event(
            "wrong-fan",
            layer.weight.site,
            layer.owner if bare else f"{layer.owner}.{layer.path}",
            identity=layer.id,
            function=layer.weight.function,
            parameter=layer.path if bare else "weight",
            reason=read.reason,
            ratio=read.ratio,
        )


def _unregistered(scene: Scene) -> Iterator[Event]:
    """Layers in a plain list or dict that were called; a list of one is how a module is kept out of sight on purpose."""
    registered = {id(module) for module in scene.model.modules()}
    for holder in scene.model.modules():
        for name, value in vars(holder).items():
            if name.startswith("_") or not isinstance(value, list | tuple | dict):
                continue
            items = list(value.values()) if isinstance(value, dict) else list(value)
            hidden = [each for each in items if isinstance(each, nn.Module) and id(each) not in registered]
            trained = [each for each in hidden if any(parameter.requires_grad for parameter in each.parameters())]
            if (
                not trained
                or id(trained[0]) not in scene.strangers
                or (len(hidden) == 1 and not isinstance(value, dict))
            ):
                continue
            yield from _event(
                "unregistered-layers",
                scene.recorder.site(trained[0]),
                None,
                attribute=name,
                holder=type(holder).__name__,
                container="ModuleDict" if isinstance(value, dict) else "ModuleList",
            )


def _function(write: Write) -> str:
    return write.function or "a write"


_FINDERS: tuple[Callable[[Scene], Iterator[Event]], ...] = (
    _constants,
    _unscaled,
    _unfilled,
    _tied,
    _clones,
    _padding,
    _lost,
    _wiped,
    _overwritten,
    _misread,
    _unregistered,
)
