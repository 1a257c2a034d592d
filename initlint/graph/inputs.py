"""What a forward pass is called with: as the user says, or made up from the layers that an input runs into."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn
from torch.autograd.graph import saved_tensors_hooks
from torch.multiprocessing.reductions import StorageWeakRef

from initlint.errors import InitlintError
from initlint.graph.calls import Call
from initlint.graph.memory import spare_memory
from initlint.graph.modes import running, seeded
from initlint.graph.target import load, users_errors


@dataclass(frozen=True, slots=True)
class Inputs:
    """The arguments of a forward pass.

    `synthetic` says that nobody gave them, `heavy` that a backward pass on them would not fit into memory.
    """

    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    synthetic: bool = False
    heavy: bool = False


@dataclass(frozen=True, slots=True)
class InputShape:
    """One tensor to make: ``2x3x224x224``, ``int64:2x16`` or ``mask=bool:2x16``."""

    shape: tuple[int, ...]
    dtype: torch.dtype | None = None
    name: str | None = None


_DTYPES = frozenset(
    {
        *("bool", "uint8", "int8", "int16", "int32", "int64", "short", "int", "long"),
        *("float16", "bfloat16", "float32", "float64", "half", "float", "double", "complex64", "complex128"),
    }
)
"""The dtypes that numbers can be drawn for."""

_SPELLING = re.compile(r"(?:(?P<name>[A-Za-z_]\w*)=)?(?:(?P<dtype>[a-z]+\d*):)?(?P<shape>\d+(?:[x,]\d+)*)")


def parse_input(text: str) -> InputShape:
    """The tensor that an ``--input`` option describes."""
    match = _SPELLING.fullmatch(text.strip())
    if match is None:
        raise InitlintError(
            f"{text!r} is not an input", where="--input", hint="write 2x3x224x224, int64:2x16 or name=2x16"
        )
    dtype = getattr(torch, match["dtype"]) if match["dtype"] in _DTYPES else None
    if match["dtype"] and dtype is None:
        raise InitlintError(
            f"no input can be made of dtype {match['dtype']}", where="--input", hint="write for example int64:2x16"
        )
    shape = tuple(int(size) for size in re.split("[x,]", match["shape"]))
    return InputShape(shape, dtype, match["name"])


def make_inputs(shapes: Sequence[InputShape], model: nn.Module) -> Inputs:
    """Seeded tensors of these shapes: standard-normal, or indices into the first embedding of `model`, or True."""
    with seeded():
        args = tuple(_tensor(shape, model) for shape in shapes if shape.name is None)
        kwargs = {shape.name: _tensor(shape, model) for shape in shapes if shape.name is not None}
    return Inputs(args, kwargs)


def call_inputs(function: str, model: nn.Module) -> Inputs:
    """What ``pkg.mod:function`` returns: a tensor, a tuple of arguments or a dict of keyword arguments."""
    with seeded(), users_errors(f"making inputs with {function}"):
        made = load(function)
        given = made(model) if _wants_model(made) else made()
    return as_inputs(given)


def as_inputs(given: Any) -> Inputs:
    """Arguments as a user hands them over: one tensor, a tuple or list of arguments, or a dict of keyword arguments."""
    if isinstance(given, Mapping):
        return Inputs((), dict(given))
    if isinstance(given, tuple | list):
        return Inputs(tuple(given))
    return Inputs((given,))


def synthesize(model: nn.Module, calls: tuple[Call, ...]) -> Inputs | None:
    """Inputs that `model` runs on, from the first layer that each input meets in `calls`; None if none was found."""
    required = _required(model)
    if not required:
        return None
    for shapes in _candidates(model, calls, required):
        inputs = make_inputs(shapes, model)
        try:
            weight = _weigh(model, inputs)
        except Exception:  # noqa: BLE001, S112 (a guess that does not fit; the user's code may raise anything)
            continue
        return _lightened(model, shapes, inputs, weight)
    return None


def _lightened(model: nn.Module, shapes: list[InputShape], inputs: Inputs, weight: int) -> Inputs:
    """The inputs, with a smaller batch where a pass on them weighs more than memory bears, and on a smaller one does not."""
    spare = spare_memory()
    batches = {shape.shape[0] for shape in shapes}
    if weight > spare and len(batches) == 1:
        batch = batches.pop()
        for fewer in sorted({math.floor(batch * spare / weight), _FEWEST}, reverse=True):
            if not _FEWEST <= fewer < batch:
                continue
            smaller = make_inputs([replace(shape, shape=(fewer, *shape.shape[1:])) for shape in shapes], model)
            try:
                if _weigh(model, smaller) <= spare:
                    return replace(smaller, synthetic=True)
            except Exception:  # noqa: BLE001 (as in synthesize: what varies may be no batch)
                break
    return replace(inputs, synthetic=True, heavy=weight > spare)


_FEWEST = 2
"""The batch that tells what depends on the input from what does not."""


def _weigh(model: nn.Module, inputs: Inputs) -> int:
    """How many bytes a backward pass needs that a forward pass leaves it, and its gradients; what the user's code raises comes through.

    Nothing is kept for it here: autograd is handed an empty tensor in place of each that it wants to save.
    """
    kept: dict[int, tuple[StorageWeakRef, int]] = {}
    nothing = torch.empty(0)

    def weigh(tensor: torch.Tensor) -> torch.Tensor:
        if not tensor.is_meta and not nn.parameter.is_lazy(tensor) and tensor.layout == torch.strided:
            storage = tensor.untyped_storage()
            held = StorageWeakRef(storage)  # what is referred to, even weakly, gives its number to nobody else
            kept.setdefault(held.cdata, (held, storage.nbytes()))
        return nothing

    for parameter in model.parameters():
        weigh(parameter)
    with running(model), torch.enable_grad(), saved_tensors_hooks(weigh, lambda saved: saved):
        model(*inputs.args, **inputs.kwargs)
    return sum(size for _, size in kept.values())


def _wants_model(function: Any) -> bool:
    return bool(inspect.signature(function).parameters)


def _required(model: nn.Module) -> list[str]:
    """The names of the arguments that the forward pass cannot do without."""
    named = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    parameters = [p for p in inspect.signature(model.forward).parameters.values() if p.kind in named]
    required = [p.name for p in parameters if p.default is inspect.Parameter.empty]
    return required or [p.name for p in parameters[:1]]


def _candidates(model: nn.Module, calls: tuple[Call, ...], required: list[str]) -> Iterator[list[InputShape]]:
    """Shapes to try, likeliest first; several inputs vary together."""
    entered = _entered(model, calls, required)
    for variant in range(_VARIANTS):
        shapes = [_shape(layer, model, variant) for layer in entered]
        if all(shape is not None for shape in shapes):
            yield [shape for shape in shapes if shape is not None]
    if len(required) == 1 and any(isinstance(module, nn.Conv2d) for module in model.modules()):
        yield from ([InputShape((_BATCH // 2, 3, side, side))] for side in (_image_size(model) or 64, 224))


_VARIANTS = 5
_BATCH = 8


def _entered(model: nn.Module, calls: tuple[Call, ...], required: list[str]) -> list[nn.Module | None]:
    """The first layer that each required input meets; the first of the model where that was not seen."""
    first = next((module for module in model.modules() if _shape(module, model, 0) is not None), None)
    entered: dict[str, nn.Module] = {}
    origin: dict[int, str] = {}
    for call in calls:
        if call.kind == "input":
            origin[call.id] = call.name
        sources = [origin[source] for source in call.results() if source in origin]
        if call.kind == "module" and call.module is not None and _shape(call.module, model, 0) is not None:
            for name in sources:
                entered.setdefault(name, call.module)
        elif sources:
            origin[call.id] = sources[0]
    return [entered.get(name, first) for name in required]


def _shape(layer: nn.Module | None, model: nn.Module, variant: int) -> InputShape | None:
    match layer:
        case nn.Embedding() | nn.EmbeddingBag():
            return InputShape((_BATCH, (16, 8, 32, 64, 4)[variant]), torch.int64)
        case nn.Conv1d():
            return InputShape((_BATCH, layer.in_channels, (256, 64, 1024, 4096, 16)[variant]))
        case nn.Conv2d():
            side = (_image_size(model) or 64, 224, 32, 256, 299)[variant]
            return InputShape((_BATCH if side < 100 else 4 if side < 300 else 2, layer.in_channels, side, side))
        case nn.Conv3d():
            frames, side = ((16, 64), (16, 224), (32, 32), (16, 112), (8, 8))[variant]
            return InputShape((2, layer.in_channels, frames, side, side))
        case nn.ConvTranspose2d():
            side = (1, 4, 8, 16, 32)[variant]
            return InputShape((_BATCH, layer.in_channels, side, side))
        case nn.Linear():
            return InputShape((_BATCH * 4, *((), (16,), (4, 4), (1,), (8,))[variant], layer.in_features))
        case nn.RNNBase():
            return InputShape((16, _BATCH, layer.input_size))
        case _:
            return None


def _image_size(model: nn.Module) -> int | None:
    """The side of the images that a model says it is built for."""
    for module in model.modules():
        for name in ("img_size", "image_size", "input_size"):
            size = getattr(module, name, None)
            side = size[-1] if isinstance(size, tuple | list) and size else size
            if isinstance(side, int) and side > 1 and not isinstance(module, nn.RNNBase):
                return side
    return None


def _tensor(shape: InputShape, model: nn.Module) -> torch.Tensor:
    parameter = next((p for p in model.parameters() if p.is_floating_point()), torch.empty(0))
    dtype = shape.dtype or parameter.dtype
    if dtype == torch.bool:
        return torch.ones(shape.shape, dtype=dtype, device=parameter.device)
    if dtype.is_floating_point or dtype.is_complex:
        return torch.randn(shape.shape, dtype=dtype, device=parameter.device)
    highest = min(_vocabulary(model), torch.iinfo(dtype).max)
    return torch.randint(0, highest, shape.shape, dtype=dtype, device=parameter.device)


def _vocabulary(model: nn.Module) -> int:
    """How many indices an integer input may take: the rows of the embedding that comes first."""
    sizes = (module.num_embeddings for module in model.modules() if isinstance(module, nn.Embedding | nn.EmbeddingBag))
    return next(sizes, 2)
