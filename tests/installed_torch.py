"""Names of torch, looked up where it is installed, for the tests that hold the facts against it."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Mapping
from typing import Any

import torch

from initlint.knowledge import load_knowledge

KNOWLEDGE = load_knowledge()


def named(name: str) -> Any:
    """What a dotted name of torch or of the standard library stands for; AttributeError where it is nothing."""
    package, *rest = name.split(".")
    found: Any = torch.Tensor if package == "Tensor" else importlib.import_module(package)
    path = package
    for part in rest:
        path = f"{path}.{part}"
        if not hasattr(found, part):
            with contextlib.suppress(ModuleNotFoundError):
                importlib.import_module(path)
        found = getattr(found, part)
    return found


def of_torch(names: Mapping[str, object]) -> list[str]:
    return [name for name in names if name.split(".")[0] in ("torch", "Tensor", "operator")]


def private(name: str) -> str:
    """Where torch keeps a class that torch.nn does not export."""
    return {"torch.nn.NonDynamicallyQuantizableLinear": "torch.nn.modules.linear.NonDynamicallyQuantizableLinear"}.get(
        name, name
    )
