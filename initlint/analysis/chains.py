"""Maximal un-normalised paths: which weight layers a signal meets between two things that reset its scale."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Collection, Container, Mapping, Sequence
from dataclasses import dataclass

from initlint.analysis.signal import Propagation, Step
from initlint.analysis.wiring import Wiring
from initlint.model import Chain


@dataclass(frozen=True, slots=True)
class Path:
    """The steps of one chain, and whether the last of them is a head: no layer comes after it."""

    steps: tuple[Step, ...]
    headed: bool

    @property
    def hidden(self) -> tuple[Step, ...]:
        """The steps that J counts: all but the head."""
        return self.steps[:-1] if self.headed and len(self.steps) > 1 else self.steps


def find_chains(wiring: Wiring, now: Propagation, repaired: Propagation | None = None) -> Mapping[int, Chain]:
    """The chain of every weight layer by id; of a layer that is applied several times, its longest.

    Where a path forks the longest way on is followed, so that a trunk belongs to one chain and each further head to a
    chain of its own. `repaired` is the signal with mismatches mended: it gives `fixed_signal`.
    """
    branches = _residual_chains(now)
    paths = _paths(wiring, now, branches.keys())
    chains: dict[int, Chain] = {}
    for position, step in now.steps.items():
        chain = branches.get(position)
        if chain is None:
            path = paths[position]
            chain = Chain(
                length=len(path.steps),
                position=step.depth,
                signal=path_signal(path, now),
                fixed_signal=None if repaired is None else path_signal(path, repaired),
                fixed_growth=None if repaired is None else _path_growth(path, repaired),
                layers=tuple(member.layer for member in path.steps),
                pools=path.steps[-1].pools - path.steps[0].pools,
                renewed=position in now.renewed,
            )
        known = chains.get(step.layer)
        if known is None or chain.length > known.length:
            chains[step.layer] = chain
    return chains


def unmended(chain: Chain) -> Chain:
    """A chain in which nothing is to be repaired."""
    return chain if chain.residual else chain._replace(fixed_signal=chain.signal)


def path_signal(path: Path, propagation: Propagation) -> float | None:
    """J: the derivative of the last hidden pre-activation by the first, None if a gain on the way is not known."""
    hidden = path.hidden
    if len(hidden) == 1:
        return 1.0
    first = propagation.steps[hidden[0].position].carry
    last = propagation.steps[hidden[-1].position].carry
    return None if not first or last is None else last / first


def _path_growth(path: Path, propagation: Propagation) -> float | None:
    """The rms of the last hidden pre-activation over that of the first, None if either is not known."""
    first = propagation.steps[path.hidden[0].position].square
    last = propagation.steps[path.hidden[-1].position].square
    return None if not first or last is None else math.sqrt(last / first)


def _paths(wiring: Wiring, propagation: Propagation, branches: Container[int]) -> Mapping[int, Path]:
    """The path through the step at each position, residual `branches` left out; steps of one path share one object."""
    last: dict[int, Step] = {}
    for step in sorted(propagation.steps.values(), key=lambda step: -step.position):
        end = last.setdefault(step.position, step)
        if step.before is not None and step.position not in branches and not _leaves(step, propagation):
            rival = last.get(step.before.position)
            if rival is None or end.depth >= rival.depth:
                last[step.before.position] = end
    whole: dict[int, Path] = {}
    for end in last.values():
        if end.position not in whole:
            whole[end.position] = Path(_walk_back(end), headed=not wiring.reaches_layer[end.position])
    return {position: whole[end.position] for position, end in last.items()}


def _leaves(step: Step, propagation: Propagation) -> bool:
    """Whether the step is the first in a branch that a later sum takes in again: the trunk goes on beside it."""
    renewed = propagation.renewed
    return step.position in renewed and step.before is not None and step.before.position not in renewed


def _walk_back(end: Step) -> tuple[Step, ...]:
    steps: list[Step] = []
    step: Step | None = end
    while step is not None:
        steps.append(step)
        step = step.before
    return tuple(reversed(steps))


def _residual_chains(propagation: Propagation) -> Mapping[int, Chain]:
    """The chains of steps inside un-normalised residual branches: all along one trunk, and how far that grows."""
    runs: dict[int, list[int]] = {}
    for index, found in enumerate(propagation.sums):
        runs.setdefault(found.source, []).append(index)
    chains: dict[int, Chain] = {}
    for indices in runs.values():
        sums = [propagation.sums[index] for index in indices]
        steps = sorted(
            {step.position: step for found in sums for step in found.branches}.values(), key=lambda s: s.position
        )
        positions = [step.position for step in steps]
        taken = [each for each in positions if each not in propagation.instead] or positions
        before, after = sums[0].before, sums[-1].after
        for step in steps:
            chains[step.position] = Chain(
                length=len(taken),
                position=max(1, bisect_right(taken, step.position)),
                signal=None if not before or after is None else after / before,
                layers=tuple(member.layer for member in steps),
                residual=True,
            )
    return chains


def find_erased(wiring: Wiring, weights: Container[int]) -> frozenset[int]:
    """The layers, by id, whose scale a later normalization removes again on every way on, or on all of several ways that are understood.

    A sum stops this: beside another summand the scale still says how much of the total a layer contributes. So does
    a layer that is not in `weights`: a recurrent one saturates. A normalization that may be left out counts as one.
    """
    erased: list[bool | None] = [False] * len(wiring.ops)  # None where all that lies ahead was not understood
    for position in range(len(wiring.ops) - 1, -1, -1):
        consumers = wiring.consumers[position]
        if len(consumers) == 1:
            erased[position] = _erases(wiring, consumers[0], erased, weights)
        elif consumers:
            erased[position] = _erased_by_all(wiring, consumers, erased, weights)
    return frozenset(
        layer for layer, positions in wiring.uses.items() if all(erased[position] for position in positions)
    )


def _erased_by_all(
    wiring: Wiring, consumers: tuple[int, ...], erased: Sequence[bool | None], weights: Container[int]
) -> bool | None:
    found = {consumer: _erases(wiring, consumer, erased, weights) for consumer in consumers}
    spared = {_rejoined(wiring, consumer) for consumer, erases in found.items() if erases}
    ahead = {erases for consumer, erases in found.items() if consumer not in spared}
    return False if False in ahead else True if True in ahead else None


def find_enclosed(wiring: Wiring, members: Collection[int]) -> frozenset[int]:
    """The layers, by id, whose output goes nowhere but into layers of `members`, directly or by way of others such.

    A dense block joins what each of its layers makes, so that only its last layer stands on the path through the block.
    """
    if not members:
        return frozenset()
    inside = [False] * len(wiring.ops)
    for position in range(len(wiring.ops) - 1, -1, -1):
        consumers = wiring.consumers[position]
        inside[position] = bool(consumers) and all(
            inside[consumer] if wiring.ops[consumer].kind in _PASSING else _is_in(wiring, consumer, members, inside)
            for consumer in consumers
        )
    return frozenset(
        layer for layer, positions in wiring.uses.items() if all(inside[position] for position in positions)
    )


def _is_in(wiring: Wiring, position: int, members: Container[int], inside: list[bool]) -> bool:
    op = wiring.ops[position]
    return op.kind == "layer" and (op.layer in members or inside[position])


def _erases(wiring: Wiring, consumer: int, erased: Sequence[bool | None], weights: Container[int]) -> bool | None:
    op = wiring.ops[consumer]
    if op.kind == "layer":
        return op.layer in weights and erased[consumer]
    if op.kind == "opaque":
        return None if _rejoins(wiring, consumer) else False
    return op.kind == "norm" or (op.kind in _PASSING and erased[consumer])


def _rejoins(wiring: Wiring, position: int) -> bool:
    """Whether what comes out is one of several that may arrive: another way was taken, or will be, in its place."""
    return _rejoined(wiring, position) is not None


def _rejoined(wiring: Wiring, position: int) -> int | None:
    """Where what comes out is one of several that may arrive."""
    while len(consumers := wiring.consumers[position]) == 1:
        (position,) = consumers
        if wiring.ops[position].kind != "transparent":
            return position if wiring.ops[position].kind == "join" else None
    return None


_PASSING = frozenset({"activation", "transparent", "scale", "concat", "join", "gate"})
