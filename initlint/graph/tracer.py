"""A live module becomes a `Model`: by running it where there is an input, with torch.fx where there is none."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import torch
from torch import nn

from initlint.analysis.wiring import wire
from initlint.graph.calls import Call
from initlint.graph.execution import Execution, Observer
from initlint.graph.incidents import Scene, find_incidents
from initlint.graph.inputs import Inputs
from initlint.graph.layers import Found, find_layers
from initlint.graph.lowering import Lowered, Lowering, Use
from initlint.graph.modes import running
from initlint.graph.provenance import Recorder
from initlint.graph.sites import ClassSites
from initlint.graph.symbolic import trace_symbolically
from initlint.graph.weights import read_initializer
from initlint.knowledge import Knowledge
from initlint.model import Layer, Model


@dataclass(frozen=True, slots=True)
class Trace:
    """A model as it was traced.

    `op_of` gives the op of a call by number, `opaque` why a module, by path, could not be read; `tensors` and `paths` give
    the weight of each layer by id, and where it is in the model.
    """

    model: Model
    calls: tuple[Call, ...]
    op_of: Mapping[int, int]
    opaque: Mapping[str, str]
    tensors: Mapping[int, torch.Tensor]
    paths: Mapping[int, str]


def trace(
    model: nn.Module,
    knowledge: Knowledge,
    *,
    recorder: Recorder | None = None,
    inputs: Inputs | None = None,
    observer: Observer | None = None,
) -> Trace:
    """The `Model` of a live module.

    With `inputs` the forward pass is run and what the user's code raises comes through. Without, torch.fx reads it and what
    resists is named in `opaque`. `recorder` is what construction ran under; without it nobody knows who wrote the weights.
    """
    if inputs is not None:
        execution = Execution(model, knowledge, observer)
        with torch.no_grad(), running(model):
            execution.run(model, inputs.args, inputs.kwargs)
        compiled = find_compiled(model)
        return lower(model, tuple(execution.calls), compiled, knowledge, recorder, strangers=execution.strangers)
    symbolic = trace_symbolically(model, knowledge)
    return lower(model, symbolic.calls, symbolic.opaque, knowledge, recorder)


def find_compiled(model: nn.Module) -> dict[str, str]:
    """The outermost modules, by path, that TorchScript runs: what they call is not seen, only what autograd keeps of it."""
    found: dict[str, str] = {}
    for path, module in model.named_modules():
        if isinstance(module, torch.jit.ScriptModule) and not any(
            path.startswith(f"{above}.") or not above for above in found
        ):
            found[path] = "TorchScript runs it; only what autograd keeps of that was read"
    return found


def lower(
    model: nn.Module,
    calls: tuple[Call, ...],
    opaque: Mapping[str, str],
    knowledge: Knowledge,
    recorder: Recorder | None,
    *,
    strangers: Collection[int] = (),
) -> Trace:
    """The trace that the calls of one forward pass amount to; `strangers` were called and are not registered."""
    found = find_layers(model, recorder, knowledge)
    lowered = Lowering(knowledge, found.keys, recorder.site if recorder else None).lower(calls)
    layers = _known_by_use(found, lowered, recorder, knowledge)
    name = type(getattr(model, "_orig_mod", model)).__name__  # what torch.compile wraps
    described = tuple(f"{path or name}: {reason}" for path, reason in opaque.items())
    traced = Model(name, layers, tuple(lowered.ops), (), described, ClassSites(type(model)).header, traced=True)
    if recorder is not None:
        scene = Scene(model, recorder, found, layers, wire(traced), knowledge, frozenset(strangers))
        traced = replace(traced, events=find_incidents(scene))
    paths = {layer: path for path, layer in found.keys.items()}
    return Trace(traced, calls, lowered.op_of, opaque, found.tensors, paths)


def _known_by_use(found: Found, lowered: Lowered, recorder: Recorder | None, knowledge: Knowledge) -> tuple[Layer, ...]:
    """The layers, completed by how the forward pass uses their parameters; a bare matrix that it multiplies nothing with is no layer."""
    uses = {found.keys.get(name, found.keys.get(name.rpartition(".")[0])): use for name, use in lowered.uses.items()}
    applied = {op.layer for op in lowered.ops if op.kind == "layer"}
    layers = (_with_use(layer, uses.get(layer.id), found, recorder, knowledge) for layer in found.layers)
    return tuple(layer for layer in layers if layer.kind != "Parameter" or layer.id in applied)


def _with_use(layer: Layer, use: Use | None, found: Found, recorder: Recorder | None, knowledge: Knowledge) -> Layer:
    if use is None:
        return layer
    if use.rebuilt:
        return replace(layer, parametrization=layer.parametrization or "other")
    if layer.kind != "Parameter" or use.fan_in is None:
        return layer
    tensor = found.tensors[layer.id]
    writes = recorder.writes(tensor) if recorder else ()
    weight, _ = read_initializer(writes, tensor, use.fan_in, knowledge)
    return replace(layer, weight=weight, fan_in=use.fan_in, fan_out=tensor.numel() // use.fan_in)
