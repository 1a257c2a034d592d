"""What a layer runs into: every activation its output meets before the next layer, and what lies between."""

from __future__ import annotations

from collections.abc import Callable, Container, Hashable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

from initlint.analysis.gates import Gates
from initlint.analysis.wiring import CARRYING, Wiring
from initlint.model import Follower, Op, OpKind

_NOTHING: Mapping[tuple[int, int], float | None] = MappingProxyType({})

_BARE = frozenset({"transparent", "concat", "scale", "add", "join"})
OF_CHANNELS = frozenset({"channels"})
"""Ops that take a range of the axis on which the units of a layer lie."""
MOST_ADDS = 1
"""Sums that may lie between a layer and an activation that still judges it: beyond, the other summands decide."""


def find_followers(
    wiring: Wiring, gates: Gates, parts: Container[str], raised: Mapping[tuple[int, int], float | None] = _NOTHING
) -> Mapping[int, tuple[Follower, ...]]:
    """The followers of every layer by id, in forward order; a layer with several uses has those of all of them.

    One backward pass: what a tensor runs into is the union of what its consumers make of it. Followers that differ
    only in their place are one. `parts` are the names of ops that take some of the elements of a tensor,
    `raised` by what sums are larger than their terms (`Propagation.raised`).
    """
    taken = _parts(wiring, parts)
    ranges = frozenset(position for position in taken if wiring.ops[position].name in OF_CHANNELS)
    entering: list[tuple[Follower, ...]] = [()] * len(wiring.ops)
    leaving: list[tuple[Follower, ...]] = [()] * len(wiring.ops)
    for position in range(len(wiring.ops) - 1, -1, -1):
        consumers = wiring.consumers[position]
        if len(consumers) == 1 and wiring.ops[consumers[0]].kind != "add" and consumers[0] not in ranges:
            leaving[position] = entering[consumers[0]]
        elif consumers:
            met = _met(wiring, position, entering, raised)
            leaving[position] = _distinct(_leaving(consumers, met, taken, ranges))
        entering[position] = _entering(wiring, position, leaving[position], gates)
    return {
        layer: _distinct(found for position in positions for found in leaving[_joined(wiring, position)])
        for layer, positions in wiring.uses.items()
    }


def _joined(wiring: Wiring, position: int) -> int:
    """Where a tensor that goes nowhere but into joins comes out of them: whenever it is taken, it runs into what follows."""
    while len(consumers := wiring.consumers[position]) == 1 and wiring.ops[consumers[0]].kind == "join":
        position = consumers[0]
    return position


def _parts(wiring: Wiring, names: Container[str]) -> frozenset[int]:
    """The positions of ops that take a part of a tensor, at once or after its shape has changed, for something."""
    found: set[int] = set()
    for position in range(len(wiring.ops) - 1, -1, -1):
        op, consumers = wiring.ops[position], wiring.consumers[position]
        is_taken = op.name in names or op.name in OF_CHANNELS
        if op.kind == "transparent" and consumers and (is_taken or found.issuperset(consumers)):
            found.add(position)
    return frozenset(found)


def _met(
    wiring: Wiring,
    position: int,
    entering: Sequence[tuple[Follower, ...]],
    raised: Mapping[tuple[int, int], float | None],
) -> Mapping[int, tuple[Follower, ...]]:
    """What a tensor runs into by way of each of its consumers; a sum is larger than each of its terms by another factor."""
    met = {consumer: entering[consumer] for consumer in wiring.consumers[position]}
    for consumer, found in met.items():
        if wiring.ops[consumer].kind == "add" and found:
            factor = raised.get((consumer, position))
            met[consumer] = tuple(each._replace(summed=factor) for each in found)
        elif wiring.ops[consumer].kind == "join" and found and _may_be_changed(wiring, position, consumer):
            met[consumer] = tuple(each._replace(normalized=True) for each in found)
    return met


def _may_be_changed(wiring: Wiring, position: int, join: int) -> bool:
    """Whether what was not understood stands where a tensor may as well pass: it may be a normalization."""
    return any(
        wiring.ops[other].kind == "opaque" and position in wiring.ops[other].inputs for other in wiring.ops[join].inputs
    )


def _leaving(
    consumers: tuple[int, ...],
    entering: Mapping[int, tuple[Follower, ...]],
    parts: Container[int],
    ranges: Container[int],
) -> Iterator[Follower]:
    """What a tensor runs into: what all of its parts run into is met by all of it.

    A part counts as one beside others; a range of channels also alone, whatever becomes of the rest.
    """
    taken = [entering[consumer] for consumer in consumers if consumer in parts]
    shared = frozenset[Hashable]()
    if len(taken) > 1:
        shared = frozenset.intersection(*(frozenset(map(unplaced, found)) for found in taken))
    for consumer in consumers:
        is_part = (len(taken) > 1 and consumer in parts) or consumer in ranges
        for found in entering[consumer]:
            yield found._replace(part=True) if is_part and unplaced(found) not in shared else found


def unplaced(one: Follower) -> Follower:
    """All that a follower means, wherever it stands."""
    return one._replace(site=None)


def _distinct(followers: Iterable[Follower]) -> tuple[Follower, ...]:
    met = tuple(followers)
    if len(met) < 2:
        return met
    kept: dict[Hashable, Follower] = {}
    for follower in met:
        kept.setdefault(unplaced(follower), follower)
    return tuple(kept.values())


def _entering(wiring: Wiring, position: int, leaving: tuple[Follower, ...], gates: Gates) -> tuple[Follower, ...]:
    """What a tensor that enters the op at `position` runs into, given what the op's result runs into."""
    op = wiring.ops[position]
    if op.kind == "activation":
        return (_follower(wiring, position, gates),)
    if op.kind == "opaque" and gates.are_activations(op.name):  # with parameters that are not known
        return (_follower(wiring, position, gates)._replace(scaled=None),)
    if not leaving or op.kind in _UNALTERED:
        return leaving
    passed = _PASSAGES.get(op.kind)
    return () if passed is None else _distinct(met for found in leaving if (met := passed(found, op)) is not None)


def _added(found: Follower, _: Op) -> Follower | None:
    return found._replace(residual=True, adds=found.adds + 1) if found.adds < MOST_ADDS else None


def _rescaled(found: Follower, op: Op) -> Follower:
    factor = op.param("factor")
    return found._replace(scaled=None if found.scaled is None or factor is None else found.scaled * factor)


_UNALTERED = frozenset({"transparent", "concat"})
_ENDS: frozenset[OpKind] = frozenset({"output", "opaque"})
_PASSAGES: Mapping[OpKind, Callable[[Follower, Op], Follower | None]] = MappingProxyType(
    {
        "norm": lambda found, _: found._replace(normalized=True),
        "scale": _rescaled,
        "gate": lambda found, _: found._replace(gated=True),
        "join": lambda found, _: found._replace(alternative=True),
        "add": _added,
    }
)
"""What lies on the way to a follower and alters what it means, by kind of op; whatever else there is ends the way."""


def _follower(wiring: Wiring, position: int, gates: Gates) -> Follower:
    op = wiring.ops[position]
    return Follower(
        activation=op.name,
        params=op.params,
        site=op.site,
        gated=gates.is_gate(position),
        output=_leaves(wiring, position, bounded=gates.is_bounded(position)),
        alternative=any(wiring.ops[consumer].kind == "join" for consumer in wiring.consumers[position]),
    )


def _leaves(wiring: Wiring, position: int, *, bounded: bool) -> bool | None:
    """Whether a tensor leaves the model without passing another layer, None where that was not seen.

    So it is with one that does both, if its bounds are those of what leaves: the reconstruction of an autoencoder that
    is encoded again.
    """
    if wiring.reaches_layer[position]:
        return None if bounded and wiring.reaches_output[position] else False
    return None if wiring.reaches_unknown[position] else wiring.reaches_output[position]


def find_optional(wiring: Wiring) -> frozenset[int]:
    """The layers, by id, whose activation is on a branch that may not be taken: without it none follows."""
    if all(op.kind != "join" for op in wiring.ops):
        return frozenset()
    ahead = [False] * len(wiring.ops)  # whether an activation lies ahead of what an op makes
    bare = [False] * len(wiring.ops)  # whether what an op makes may arrive at the next layer as it is
    for position in range(len(wiring.ops) - 1, -1, -1):
        for consumer in wiring.consumers[position]:
            kind = wiring.ops[consumer].kind
            passed = kind in _PASSAGES or kind in _UNALTERED
            ahead[position] |= kind == "activation" or (passed and ahead[consumer])
            bare[position] |= passed and (bare[consumer] or (kind == "join" and not ahead[consumer]))
    return frozenset(layer for layer, positions in wiring.uses.items() if any(bare[position] for position in positions))


def find_leaving(wiring: Wiring) -> frozenset[int]:
    """The layers, by id, whose output leaves the model as it is, or goes into a loss: logits beside their probabilities."""
    leaves = [False] * len(wiring.ops)
    for position in range(len(wiring.ops) - 1, -1, -1):
        for consumer in wiring.consumers[position]:
            kind = wiring.ops[consumer].kind
            leaves[position] |= kind in _ENDS or (kind in CARRYING and leaves[consumer])
    return frozenset(layer for layer, positions in wiring.uses.items() if any(leaves[each] for each in positions))


def find_bypassed(wiring: Wiring) -> frozenset[int]:
    """The layers, by id, that arrive at the next as they are: past a branch that their activation begins, or in another use."""
    forks = {layer: [_fork(wiring, each) for each in positions] for layer, positions in wiring.uses.items()}
    split = {layer: [each for each in found if each is not None] for layer, found in forks.items() if None not in found}
    shared = {layer: positions for layer, positions in wiring.uses.items() if len(positions) > 1}
    if not split and not shared:
        return frozenset()
    bare = [False] * len(wiring.ops)  # whether what an op makes arrives at a layer with no activation on the way
    active = [False] * len(wiring.ops)  # whether it meets an activation before
    for position in range(len(wiring.ops) - 1, -1, -1):
        for each in wiring.consumers[position]:
            kind = wiring.ops[each].kind
            passed = kind in _BARE
            bare[position] |= kind == "layer" or (passed and bare[each])
            active[position] |= kind == "activation" or (passed and active[each])
    passed_by = {layer for layer, found in split.items() if all(_is_bypassed(wiring, each, bare) for each in found)}
    handed_on = {layer for layer, found in shared.items() if any(bare[each] and not active[each] for each in found)}
    return frozenset(passed_by | handed_on)


def _fork(wiring: Wiring, position: int) -> int | None:
    """Where a tensor, as it is, goes on to a sum as well as to an activation; None where it does not."""
    while len(consumers := wiring.consumers[position]) == 1 and wiring.ops[consumers[0]].kind == "transparent":
        position = consumers[0]
    kinds = {wiring.ops[each].kind for each in consumers} if len(consumers) > 1 else ()
    return position if "add" in kinds and "activation" in kinds else None


def _is_bypassed(wiring: Wiring, position: int, bare: Sequence[bool]) -> bool:
    """Whether a tensor is added, on its way to a layer, to what its activation leads to."""
    consumers = wiring.consumers[position]
    activations = {each for each in consumers if wiring.ops[each].kind == "activation"}
    return any(
        other != position and wiring.comes_from(other, activations)
        for each in consumers
        if wiring.ops[each].kind == "add" and bare[each]
        for other in wiring.ops[each].inputs
    )
