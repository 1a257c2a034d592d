"""A weight under weight_norm is no parameter: its direction and its length are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from initlint.source.values import ParamV, View

_PARTS = ("_g", "_v")


def is_rebuilt(param: ParamV) -> bool:
    """Whether a forward pass computes this weight anew, whatever was written to it."""
    owner = param.owner
    return owner is not None and owner.parametrization == "weight_norm" and owner.data.get("weight") is param


def as_listed(named: Iterable[tuple[str, ParamV]]) -> Iterator[tuple[str, ParamV | View]]:
    """``(name, parameter)`` as `named_parameters` gives them: for a rebuilt weight, what it is made of."""
    for name, param in named:
        if is_rebuilt(param):
            yield from ((name + part, View(param, whole=False, reshaped=True)) for part in _PARTS)
        else:
            yield name, param
