"""Who consumes what in one forward pass, and what a tensor can still reach."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from initlint.model import Model, Op


@dataclass(frozen=True, slots=True)
class Wiring:
    """The op graph of a model seen from its producers; tensors go by the position of the op that makes them.

    `uses` are the positions at which a layer, by id, is applied. `reaches_layer`: some layer (or something that was not
    understood and may be one) lies ahead. `reaches_output`: the tensor leaves the model without passing a layer.
    """

    ops: tuple[Op, ...]
    consumers: tuple[tuple[int, ...], ...]
    uses: Mapping[int, tuple[int, ...]]
    reaches_layer: tuple[bool, ...]
    reaches_output: tuple[bool, ...]


def wire(model: Model) -> Wiring:
    """The wiring of `model`, in time linear in its edges."""
    consumers: list[list[int]] = [[] for _ in model.ops]
    uses: dict[int, list[int]] = {}
    for position, op in enumerate(model.ops):
        for source in dict.fromkeys(op.inputs):
            consumers[source].append(position)
        if op.kind == "layer" and op.layer is not None:
            uses.setdefault(op.layer, []).append(position)
    reaches_layer = [False] * len(model.ops)
    reaches_output = [False] * len(model.ops)
    for position in range(len(model.ops) - 1, -1, -1):
        for consumer in consumers[position]:
            kind = model.ops[consumer].kind
            if kind in ("layer", "opaque"):
                reaches_layer[position] = True
            elif kind == "output":
                reaches_output[position] = True
            else:
                reaches_layer[position] |= reaches_layer[consumer]
                reaches_output[position] |= reaches_output[consumer]
    return Wiring(
        ops=model.ops,
        consumers=tuple(map(tuple, consumers)),
        uses=MappingProxyType({layer: tuple(positions) for layer, positions in uses.items()}),
        reaches_layer=tuple(reaches_layer),
        reaches_output=tuple(reaches_output),
    )
