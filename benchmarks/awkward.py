"""Small models that each do one thing which a way of tracing may not see through."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

Function = Callable[[Any], Any]
WIDTH = 16


class Net(nn.Module):
    """Three layers, with a function behind the first and a module behind that."""

    def __init__(self, between: Function, wrap: Function = lambda module: module) -> None:
        super().__init__()
        self.first = nn.Linear(WIDTH, WIDTH)
        self.inner = wrap(nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH)))
        self.last = nn.Linear(WIDTH, 4)
        self.between = between

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The output for a batch of rows."""
        return self.last(torch.relu(self.inner(self.between(self.first(x)))))


class Loud(torch.Tensor):
    """A subclass of Tensor that handles every function itself."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Do as any tensor does."""
        return super().__torch_function__(func, types, args, kwargs or {})


class Clipped(torch.autograd.Function):
    """A rectifier with a gradient of its own."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        """The positive part."""
        ctx.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        """The gradient where the input was positive."""
        return gradient * (ctx.saved_tensors[0] > 0)


def _rectified(x: torch.Tensor) -> torch.Tensor:
    return torch.relu(x)


def _gelu(x: torch.Tensor) -> torch.Tensor:
    return x * 0.5 * (1.0 + torch.tanh(0.79788456 * x * (1 + 0.044715 * x * x)))


def _depends_on_data(x: torch.Tensor) -> torch.Tensor:
    return torch.relu(x) if x.mean() < 1e9 else x


def _row_by_row(x: torch.Tensor) -> torch.Tensor:
    return torch.stack([torch.relu(row) for row in x])


def _checkpointed(x: torch.Tensor) -> torch.Tensor:
    from torch.utils.checkpoint import checkpoint

    return checkpoint(torch.relu, x, use_reentrant=False)


def _by_numpy(x: torch.Tensor) -> torch.Tensor:
    return torch.relu(torch.from_numpy(x.detach().numpy()))


def _scripted_whole() -> nn.Module:
    return torch.jit.script(nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 4)))


def _traced(module: nn.Module) -> nn.Module:
    return torch.jit.trace(module, torch.randn(2, WIDTH))


MODELS: dict[str, Callable[[], nn.Module]] = {
    "data-dependent control flow": lambda: Net(_depends_on_data),
    "a loop over the batch": lambda: Net(_row_by_row),
    "custom autograd function": lambda: Net(Clipped.apply),
    "checkpointing": lambda: Net(_checkpointed),
    "vmap": lambda: Net(torch.vmap(torch.relu)),
    "subclass of Tensor": lambda: Net(lambda x: torch.relu(x.as_subclass(Loud))),
    "subclass and back": lambda: Net(lambda x: torch.relu(x.as_subclass(Loud)).as_subclass(torch.Tensor)),
    "scripted function": lambda: Net(torch.jit.script(_rectified)),
    "scripted formula": lambda: Net(torch.jit.script(_gelu)),
    "scripted child": lambda: Net(torch.relu, torch.jit.script),
    "traced child": lambda: Net(torch.relu, _traced),
    "scripted whole": _scripted_whole,
    "compiled function": lambda: Net(torch.compile(torch.relu)),
    "compiled child": lambda: Net(torch.relu, torch.compile),
    "compiled whole": lambda: torch.compile(Net(torch.relu)),  # type: ignore[return-value]
    "numpy on the way": lambda: Net(_by_numpy),
}


def names() -> Iterator[str]:
    """What each model does."""
    return iter(MODELS)


def build(name: str) -> nn.Module:
    """The model that does it."""
    return MODELS[name]()
