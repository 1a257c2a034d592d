"""A model runs as it would at the start of training, and afterwards is as it was."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import nn
from torch.jit._fuser import optimized_execution  # torch.jit has it too, but does not say so

_SEED = 0


@contextmanager
def seeded() -> Iterator[None]:
    """Every generator of random numbers begins at a fixed seed; afterwards each goes on where it was."""
    numpy = sys.modules.get("numpy")
    python_state = random.getstate()
    numpy_state = numpy.random.get_state() if numpy is not None else None
    with torch.random.fork_rng():
        torch.manual_seed(_SEED)
        random.seed(_SEED)
        if numpy is not None:
            numpy.random.seed(_SEED)
        try:
            yield
        finally:
            random.setstate(python_state)
            if numpy is not None:
                numpy.random.set_state(numpy_state)


@contextmanager
def uncompiled() -> Iterator[None]:
    """What `torch.compile` was told to compile runs as it is written, and TorchScript fuses nothing."""
    is_compiling = "torch._dynamo" in sys.modules  # else nothing is compiled, and its import takes seconds
    eager = torch.compiler.set_stance("force_eager") if is_compiling else nullcontext()
    with optimized_execution(should_optimize=False), eager:
        yield


@contextmanager
def running(model: nn.Module) -> Iterator[None]:
    """`model` is in training mode without dropout, on seeded numbers; buffers, modes and gradients are restored.

    Training mode, because batch statistics normalize at the start of training and the stored ones do not yet.
    """
    modes = {module: module.training for module in model.modules()}
    buffers = {buffer: buffer.detach().clone() for buffer in model.buffers() if buffer is not None}
    gradients = {parameter: parameter.grad for parameter in model.parameters()}
    for parameter in gradients:
        parameter.grad = None
    model.train()
    for module in model.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.eval()
    try:
        with seeded(), uncompiled():
            yield
    finally:
        for module, training in modes.items():
            module.training = training
        with torch.no_grad():
            for buffer, value in buffers.items():
                buffer.copy_(value)
        for parameter, gradient in gradients.items():
            parameter.grad = gradient
