"""The signal as it travels: mean squares and the derivative with respect to where an un-normalised path began.

For a pre-activation x ~ N(0, q) a layer gives q' = g^2 E[f(x)^2] + s^2 (s^2 the variance of its bias) and multiplies
the derivative by g sqrt(E[f'(x)^2]) (Poole et al. 2016; Schoenholz et al. 2017); pools and dropout scale both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from heapq import heappop, heappush
from types import MappingProxyType

from initlint.analysis.moments import moments
from initlint.analysis.unknowns import plus, product, quotient, root_of_sum, sum_of
from initlint.knowledge import Activation, Knowledge
from initlint.model import Initializer, Layer, Model, Op, OpKind


@dataclass(frozen=True, slots=True)
class Weights:
    """What a layer does to a signal: `gain` std(W) sqrt(fan_in), `bias` the variance of its bias; None is not known."""

    gain: float | None
    bias: float = 0.0


@dataclass(slots=True, eq=False)
class Step:
    """One application of a weight layer, at op `position`; `before` is the step before it on its un-normalised path.

    `source` is the op where the path began, `carry` the rms derivative of this pre-activation by that tensor, `square`
    the mean square of the pre-activation, `pools` the max-pools passed since the source. `beside` are the
    tensors from that source that were concatenated with the one on this path just before the step, or may take its place.
    """

    position: int
    layer: int
    before: Step | None
    depth: int
    source: int
    carry: float | None
    square: float | None
    pools: int
    beside: tuple[Tensor, ...] = ()


@dataclass(slots=True, eq=False)
class Tensor:
    """A tensor on its way: the path it lies on (`step` is None where that has only begun), and its scale.

    `activated` says that it comes out of an activation and is no Gaussian any more, `damped` that since the last layer
    it was scaled down, or by what is not known. `beside` are tensors concatenated with it since, or that may arrive in
    its place, `aside` those from other sources that were added to it just now.
    """

    source: int
    square: float | None
    carry: float | None
    step: Step | None = None
    pools: int = 0
    activated: bool = False
    damped: bool = False
    beside: tuple[Tensor, ...] = ()
    aside: tuple[Tensor, ...] = ()

    @property
    def depth(self) -> int:
        """The weight layers since the source."""
        return 0 if self.step is None else self.step.depth


_MOST_STRANDS = 4
_LONGEST_WAY = 256
"""Ops between a sum and where a branch of it began; a longer way is a model of its own."""

_PUT = "put"
_STATE = "state"
"""What a recurrence begins with: zeros in the first round, of any size later."""

_MIXING = frozenset({"matmul", "opaque"})
"""What begins a path though all that enters it goes on."""

Rank = Callable[[Tensor], tuple[float, float, int]]
"""How eligible a tensor is to go on with; larger is better."""


@dataclass(frozen=True, slots=True)
class Sum:
    """A sum that adds un-normalised branches to the earlier tensor that they began in.

    `branches` are the steps inside the branches, `before` and `after` the derivative of the trunk by its source.
    """

    source: int
    branches: tuple[Step, ...]
    before: float | None
    after: float | None


@dataclass(frozen=True, slots=True)
class Propagation:
    """One pass of the signal through a model; `route` is the input that each op with a choice went on with.

    `damped` are the positions of steps in branches that are scaled down before they are added to something, `renewed`
    those of steps in branches whose path begins later than what they are added to, or ends before the sum:
    ``x + ff(norm(x))``, ``x + ff(q(x) @ k(x))``, ``x + A @ ff(x)``; `joined` those where it begins in what they are added
    to, put beside something else: ``x + ff(cat([x, y]))``; `instead` those that may be taken in place of others.
    `raised` is the rms of a sum over that of one of its terms, by the positions of both: variances add, since
    independent weights make the terms independent. None where a term is not known.
    """

    steps: Mapping[int, Step]
    sums: tuple[Sum, ...]
    damped: frozenset[int]
    renewed: frozenset[int]
    joined: frozenset[int]
    instead: frozenset[int]
    route: Mapping[int, int]
    raised: Mapping[tuple[int, int], float | None]


def nominal_weights(layer: Layer) -> Weights:
    """What is known of a layer as it is initialized now.

    A constant weight carries no random signal, and a parametrization other than weight normalization rescales what was
    written: unknown.
    """
    weight = layer.weight
    gain = weight.gain if weight.effective_gain is None else weight.effective_gain
    if (
        weight.is_constant
        or weight.source in ("loaded", "unknown")
        or layer.parametrization not in (None, "weight_norm")
    ):
        gain = None
    return Weights(gain, _variance(layer.bias))


def _variance(bias: Initializer | None) -> float:
    return bias.std**2 if bias is not None and bias.std is not None else 0.0


def propagate(
    model: Model,
    weights: Mapping[int, Weights],
    knowledge: Knowledge,
    route: Mapping[int, int] | None = None,
) -> Propagation:
    """Send a unit Gaussian through `model`, with the layers in `weights` and every other layer beginning a new path.

    `route`, from an earlier pass, keeps that pass's choices among concatenated, summed and alternative tensors.
    """
    pass_ = _Pass(model, weights, knowledge, dict(route or {}))
    for position, op in enumerate(model.ops):
        pass_.tensors.append(pass_.tensor(position, op))
    return Propagation(
        pass_.steps,
        tuple(pass_.sums),
        frozenset(pass_.damped),
        frozenset(pass_.renewed),
        frozenset(pass_.joined),
        frozenset(pass_.instead),
        pass_.route,
        pass_.raised,
    )


class _Pass:
    """The state of one pass: a tensor per op so far."""

    def __init__(
        self, model: Model, weights: Mapping[int, Weights], knowledge: Knowledge, route: dict[int, int]
    ) -> None:
        self.model = model
        self.weights = weights
        self.activations = knowledge.activations
        self.route = route
        self.tensors: list[Tensor] = []
        self.steps: dict[int, Step] = {}
        self.sums: list[Sum] = []
        self.damped: set[int] = set()
        self.renewed: set[int] = set()
        self.joined: set[int] = set()
        self.instead: set[int] = set()
        self.raised: dict[tuple[int, int], float | None] = {}

    def tensor(self, position: int, op: Op) -> Tensor:
        """The tensor that the op at `position` makes."""
        effect = _EFFECTS.get(op.kind)
        if effect is None or not op.inputs:
            is_carried = op.kind == "opaque" and op.name == _STATE  # an input may be called so, too
            return Tensor(position, None, 1.0) if is_carried else _fresh(position)
        return effect(self, position, op, tuple([self.tensors[source] for source in op.inputs]))

    def apply_layer(self, position: int, op: Op, entering: Tensor) -> Tensor:
        """A weight layer is one more step; any other layer begins a path."""
        if op.layer is None or op.layer not in self.weights:
            return _fresh(position)
        weights = self.weights[op.layer]
        step = Step(
            position=position,
            layer=op.layer,
            before=entering.step,
            depth=entering.depth + 1,
            source=entering.source,
            carry=product(entering.carry, weights.gain),
            square=plus(product(entering.square, product(weights.gain, weights.gain)), weights.bias),
            pools=entering.pools,
            beside=entering.beside,
        )
        self.steps[position] = step
        return Tensor(step.source, step.square, step.carry, step, step.pools)

    def add(self, position: int, inputs: tuple[Tensor, ...]) -> Tensor:
        """A sum: what began at one source adds up, and the path goes on along the shortest of them, the identity."""
        strands = [strand for tensor in inputs for strand in (tensor, *tensor.aside)]
        rank = partial(_best_trunk, {strand.source for tensor in inputs for strand in tensor.aside})
        source = inputs[self._choose(position, inputs, rank)].source
        kin = [strand for strand in strands if strand.source == source]
        trunk = min(kin, key=lambda tensor: tensor.depth)
        carry = root_of_sum([product(tensor.carry, tensor.carry) for tensor in kin])
        branches = [step for tensor in kin if tensor.depth > trunk.depth for step in _since_fork(tensor, trunk)]
        if branches:
            self.sums.append(Sum(trunk.source, tuple(branches), trunk.carry, carry))
        for tensor in inputs:
            if tensor.damped and len(inputs) > 1:
                self.damped.update(step.position for step in _since_fork(tensor, trunk))
        summands = self.model.ops[position].inputs
        for summand, tensor in zip(summands, inputs, strict=True):
            mixed_in = list(self._mixed_into(tensor))
            if tensor.step is None and not mixed_in:
                continue
            others = frozenset(root for other in summands if other != summand for root in self._roots(other))
            if tensor.step is not None and self._is_made_of(tensor.source, others):
                inside = [step.position for step in _since_fork(tensor, _fresh(position))]
                self.renewed.update(inside)
                if self._joins(tensor.source, others):
                    self.joined.update(inside)
            for mixed in mixed_in:
                if mixed.source in others or self._is_made_of(mixed.source, others):
                    self.renewed.update(step.position for step in _since_fork(mixed, _fresh(position)))
        square = sum_of([tensor.square for tensor in inputs])
        known = None if any(map(self._is_unknown, inputs)) else square
        for summand, tensor in zip(summands, inputs, strict=True):
            share = quotient(known, tensor.square)
            self.raised[position, summand] = None if share is None else math.sqrt(share)
        activated = all(tensor.activated for tensor in inputs)
        aside = tuple(strand for strand in strands if strand.source != source and strand.step is not None)
        return Tensor(
            source,
            square,
            carry,
            trunk.step,
            trunk.pools,
            activated,
            beside=trunk.beside,
            aside=aside[:_MOST_STRANDS],
        )

    def gate(self, position: int, inputs: tuple[Tensor, ...]) -> Tensor:
        """A product of independent tensors: d(ab) = b da + a db."""
        chosen = inputs[self._choose(position, inputs, _best_carried)]
        terms: list[float | None] = []
        for index, tensor in enumerate(inputs):
            if tensor.source == chosen.source:
                others: float | None = 1.0
                for other in (*inputs[:index], *inputs[index + 1 :]):
                    others = product(others, other.square)
                terms.append(product(product(tensor.carry, tensor.carry), others))
        square: float | None = 1.0
        for tensor in inputs:
            square = product(square, tensor.square)
        carry = root_of_sum(terms)
        return Tensor(
            chosen.source, square, carry, chosen.step, chosen.pools, damped=chosen.damped, beside=chosen.beside
        )

    def concat(self, position: int, inputs: tuple[Tensor, ...]) -> Tensor:
        """Channels side by side: one fresh operand begins a new path, else the best carried one leads."""
        total = sum_of([tensor.square for tensor in inputs])
        mean = None if total is None else total / len(inputs)
        if len(inputs) > 1 and any(tensor.step is None for tensor in inputs):
            return Tensor(position, mean, 1.0)
        chosen = inputs[self._choose(position, inputs, _best_carried)]
        return replace(
            chosen,
            square=mean,
            activated=all(tensor.activated for tensor in inputs),
            beside=(*chosen.beside, *_others_alike(chosen, inputs)),
        )

    def join(self, position: int, inputs: tuple[Tensor, ...]) -> Tensor:
        """One of several arrives, unknown which: the mildest is assumed, and the others lie where it does."""
        chosen = inputs[self._choose(position, inputs, _mildest)]
        kin = _others_alike(chosen, inputs)
        for other in kin:
            self.instead.update(step.position for step in _since_fork(other, chosen))
        return replace(chosen, beside=(*chosen.beside, *kin)) if kin else chosen

    def _mixed_into(self, tensor: Tensor) -> Iterator[Tensor]:
        """The paths that end in the products and unknown calls which a tensor's own path begins with: ``A @ ff(x)``."""
        seen: set[int] = set()
        waiting = [tensor.source]
        while waiting and len(seen) < _LONGEST_WAY:
            found = waiting.pop()
            if found in seen or self.model.ops[found].kind not in _MIXING:
                continue
            seen.add(found)
            for each in self.model.ops[found].inputs:
                mixed = self.tensors[each]
                waiting.append(mixed.source)
                if mixed.step is not None:
                    yield mixed

    def _is_unknown(self, tensor: Tensor) -> bool:
        """Whether a tensor is one of which nothing is known, not even that its size is of the usual order."""
        return tensor.step is None and self.model.ops[tensor.source].kind == "opaque"

    def _roots(self, position: int) -> Iterator[int]:
        """The ops whose tensors arrive at `position` reshaped, scaled or summed, `position` itself among them."""
        seen: set[int] = set()
        waiting = [position]
        while waiting and len(seen) < _LONGEST_WAY:
            found = waiting.pop()
            if found in seen:
                continue
            seen.add(found)
            yield found
            if self.model.ops[found].kind in ("transparent", "scale", "add"):
                waiting += self.model.ops[found].inputs

    def _joins(self, source: int, others: frozenset[int]) -> bool:
        """Whether a path begins where one of `others`, as it is, is put beside something else."""
        op = self.model.ops[source]
        return op.kind == "concat" and any(not others.isdisjoint(self._roots(each)) for each in op.inputs)

    def _is_made_of(self, source: int, others: frozenset[int]) -> bool:
        """Whether a path that begins at `source` does so in something that is computed from one of `others`, not far before."""
        first = min(others, default=source)
        seen: set[int] = set()
        ahead = [-source]
        while ahead and len(seen) < _LONGEST_WAY:
            found = -heappop(ahead)
            if found in others:
                return found != source
            if found not in seen:
                seen.add(found)
                for each in self.model.ops[found].inputs:
                    if each >= first:
                        heappush(ahead, -each)
        return False

    def _choose(self, position: int, inputs: tuple[Tensor, ...], rank: Callable[[Tensor], tuple[float, ...]]) -> int:
        if position not in self.route:
            self.route[position] = max(range(len(inputs)), key=lambda index: rank(inputs[index]))
        return self.route[position]


def _best_carried(tensor: Tensor) -> tuple[float, float, int]:
    """How eligible a tensor is to carry the path on: a fresh one first, then the strongest, then the shortest."""
    return (float(tensor.step is None), _log(tensor.carry), -tensor.depth)


def _best_trunk(sources: set[int], tensor: Tensor) -> tuple[float, ...]:
    """How eligible a summand is where others have terms from `sources` in them: what those began with comes first."""
    return (float(tensor.source in sources), *_best_carried(tensor))


def _mildest(tensor: Tensor) -> tuple[float, float, int]:
    """How little a tensor accuses: a fresh one nothing, an unknown one less than any measure."""
    leniency = 2.0 if tensor.step is None else float(tensor.carry is None)
    return (leniency, -abs(_log(tensor.carry)), -tensor.depth)


def _log(carry: float | None) -> float:
    return math.log(carry) if carry else -math.inf


def _others_alike(chosen: Tensor, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The tensors beside the chosen one that layers made of what its path began with."""
    return tuple(
        tensor
        for tensor in inputs
        if tensor is not chosen and tensor.source == chosen.source and tensor.step is not chosen.step
    )


def _since_fork(branch: Tensor, trunk: Tensor) -> list[Step]:
    """The steps of `branch` after it left the path of `trunk`, with those of what was concatenated on the way or may be there instead.

    What the trunk was concatenated with before, or may be instead, lies on the way to the fork.
    """
    found: dict[int, Step] = {}
    waiting, seen = [branch], set(trunk.beside)
    while waiting:
        tensor = waiting.pop()
        if tensor in seen:
            continue
        seen.add(tensor)
        waiting += tensor.beside
        step, other = tensor.step, trunk.step
        while step is not None and step is not other and step.position not in found:
            if other is not None and other.depth >= step.depth:
                other = other.before
                continue
            found[step.position] = step
            waiting += step.beside
            step = step.before
    return list(found.values())


def _fresh(position: int) -> Tensor:
    return Tensor(position, 1.0, 1.0)


def _activated(entering: Tensor, op: Op, activation: Activation | None) -> Tensor:
    if entering.activated and activation is not None and activation.family == "rectifier":
        return entering  # what is positive already stays as it is
    known = None
    if activation is not None and entering.square is not None:
        known = moments(
            activation.name, tuple({**dict(activation.parameters), **dict(op.params)}.items()), entering.square
        )
    square = None if known is None else known.square
    carry = None if known is None else product(entering.carry, math.sqrt(known.slope))
    return Tensor(
        entering.source,
        square,
        carry,
        entering.step,
        entering.pools,
        activated=True,
        damped=entering.damped,
        beside=entering.beside,
    )


def _scaled(
    entering: Tensor, factor: float | None, *, slope: float | None = None, pools: int = 0, damping: bool = False
) -> Tensor:
    if factor == 1.0 and not pools:
        return entering
    magnitude = None if factor is None else abs(factor)
    return Tensor(
        entering.source,
        product(entering.square, product(magnitude, magnitude)),
        product(entering.carry, magnitude if slope is None else slope),
        entering.step,
        entering.pools + pools,
        entering.activated,
        entering.damped or damping,
        entering.beside,
    )


_EFFECTS: Mapping[OpKind, Callable[[_Pass, int, Op, tuple[Tensor, ...]], Tensor]] = MappingProxyType(
    {
        "layer": lambda going, position, op, inputs: going.apply_layer(position, op, inputs[0]),
        "activation": lambda going, _, op, inputs: _activated(inputs[0], op, going.activations.get(op.name)),
        "transparent": lambda _, __, op, inputs: _scaled(
            inputs[0],
            op.param("factor", 1.0),
            slope=op.param("slope"),
            pools=int("maxpool" in op.name.replace("_", "").lower()),
        ),
        "scale": lambda _, __, op, inputs: _scaled(inputs[0], op.param("factor"), damping=_damps(op)),
        "add": lambda going, position, _, inputs: going.add(position, inputs),
        "gate": lambda going, position, _, inputs: going.gate(position, inputs),
        "concat": lambda going, position, _, inputs: going.concat(position, inputs),
        "join": lambda going, position, _, inputs: going.join(position, inputs),
        "output": lambda _, __, ___, inputs: inputs[0],
    }
)
"""What each kind of op does to its tensors; whatever is not here (norm, matmul, softmax, opaque) begins a path."""


def _damps(op: Op) -> bool:
    """Whether a scale is, or may be, there to keep something small; what is gathered from elsewhere is only of unknown size."""
    return op.name != _PUT and abs(op.param("factor") or 0.0) < 1.0
