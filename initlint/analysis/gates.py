"""Which activations multiply another tensor instead of shaping their own, and which layers only serve one that does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from initlint.analysis.wiring import CARRYING, LARGEST_BRANCH, Wiring
from initlint.knowledge import Activation
from initlint.model import Op

_BOUNDED = frozenset({"saturating", "gate"})
_PROJECTED = CARRYING | {"concat", "activation", "norm"}
_MULTIPLYING = CARRYING | {"add", "concat", "gate", "matmul", "opaque", "softmax"}
_MADE_OF = frozenset({"gate", "add", "join"})
_DEEPEST_PRODUCT = 2


class Gates:
    """Which activations multiply another tensor.

    A bounded activation is a gate as soon as one consumer multiplies it, or may, being unknown, or adds it to another
    gate, or puts it beside what is left of it, ``cat([p, 1 - p])``; an unbounded one only where every consumer that is
    known multiplies it: what a squeeze-excitation rescales is a feature, not a gate. Feature maps of attention, whose
    products with one another are all that is used, gate as well, and so do the scores that a softmax makes weights of.
    """

    def __init__(self, wiring: Wiring, activations: Mapping[str, Activation]) -> None:
        self._wiring = wiring
        self._activations = activations
        count = len(wiring.ops)
        self._some = [False] * count
        self._all = [False] * count
        self._sure = [False] * count
        for position in range(count - 1, -1, -1):
            consumers = wiring.consumers[position]
            telling = [each for each in consumers if wiring.ops[each].kind in _MULTIPLYING]
            if telling:
                self._some[position] = any(map(self._may_multiply, telling))
                self._all[position] = len(telling) == len(consumers) and all(map(self._multiplies, telling))
                self._sure[position] = any(map(self._surely_multiplies, telling))

    def are_activations(self, name: str) -> bool:
        """Whether ops of that name are activations, whatever else is known of them."""
        return name in self._activations

    def _may_multiply(self, consumer: int) -> bool:
        op = self._wiring.ops[consumer]
        if op.kind in ("gate", "opaque"):
            return True
        if op.kind == "add" and not all(self.is_bounded(_behind(self._wiring, each)) for each in op.inputs):
            return False
        if op.kind == "concat":
            return self._sure[consumer] and len({_behind(self._wiring, each) for each in op.inputs}) == 1
        return (op.kind in CARRYING or op.kind == "add") and self._some[consumer]

    def _multiplies(self, consumer: int) -> bool:
        op = self._wiring.ops[consumer]
        if op.kind == "matmul":
            return self._is_attention(op)
        return op.kind in ("gate", "softmax", "opaque") or (op.kind in CARRYING and self._all[consumer])

    def _surely_multiplies(self, consumer: int) -> bool:
        op = self._wiring.ops[consumer]
        if op.kind in CARRYING:
            return self._sure[consumer]
        if op.kind == "opaque":
            return op.name == "mul"  # by what is not known: it may be a tensor
        return self._multiplies(consumer)

    def _is_attention(self, op: Op) -> bool:
        """Whether a product is one of queries, keys and values: each operand comes out of a layer."""
        return len(op.inputs) > 1 and all(self._from_layer(each) for each in op.inputs)

    def _from_layer(self, position: int) -> bool:
        ops = self._wiring.ops
        while ops[position].inputs and ops[position].kind in _PROJECTED:
            position = ops[position].inputs[0]
        return ops[position].kind in ("layer", "matmul")

    def is_bounded(self, position: int) -> bool:
        """Whether the op at `position` is an activation between two bounds."""
        op = self._wiring.ops[position]
        activation = self._activations.get(op.name)
        return op.kind == "activation" and activation is not None and activation.family in _BOUNDED

    def is_bounded_gate(self, position: int) -> bool:
        """Whether a bounded activation at `position` gates: the squeeze of a feature, not a feature squeezed."""
        return self.is_bounded(position) and self._some[position]

    def is_gate(self, position: int) -> bool:
        """Whether the activation at `position` gates."""
        return self._some[position] if self.is_bounded(position) else self._all[position] and self._sure[position]


def find_excitations(wiring: Wiring, gates: Gates) -> frozenset[int]:
    """The layers, by id, of branches that compute a gate for the very tensors that they began from (Hu et al. 2018).

    One layer may lie between such a tensor and the gate that meets it.
    """
    gated: dict[int, set[int]] = {}
    for op in wiring.ops:
        for operand in op.inputs if op.kind == "gate" else ():
            others = [other for other in op.inputs if other != operand]
            if not others or op.inputs.count(operand) > 1:
                continue
            for gate in _factors(wiring, operand):
                if wiring.ops[gate].kind == "activation" and gates.is_gate(gate):
                    origins = (step for other in others for step in _origins(wiring, other))
                    gated.setdefault(gate, set()).update(step for step in origins if step < gate)
    return frozenset(layer for gate, features in gated.items() for layer in _branch(wiring, gate, features))


def find_shifts(wiring: Wiring) -> frozenset[int]:
    """The layers, by id, that shift what another layer scales by the same condition (Perez et al. 2018, Park et al. 2019).

    How large ``scale(z) * x + shift(z)`` is, and how much of it the shift may be, is told by what it modulates.
    """
    found: set[int] = set()
    for op in wiring.ops:
        terms = [_behind(wiring, each) for each in op.inputs] if op.kind == "add" else []
        factors = [one for each in terms if wiring.ops[each].kind == "gate" for one in _factors(wiring, each)]
        conditions = {wiring.ops[each].inputs[:1] for each in factors if wiring.ops[each].layer is not None}
        for each in terms:
            term = wiring.ops[each]
            if term.layer is not None and term.inputs[:1] in conditions:
                found.add(term.layer)
    return frozenset(found)


def _origins(wiring: Wiring, position: int) -> Iterator[int]:
    """What `position` is a view of, whichever branch it came by, and what the layer was given that made it."""
    waiting, made = [position], False
    while waiting:
        each = waiting.pop()
        yield each
        op = wiring.ops[each]
        if op.kind in CARRYING:
            waiting += op.inputs
        elif op.kind == "layer" and not made:
            made = True
            waiting += op.inputs[:1]


def _behind(wiring: Wiring, position: int) -> int:
    """The op whose result arrives at `position` reshaped or scaled."""
    *_, first = _upstream(wiring, position)
    return first


def _factors(wiring: Wiring, position: int, depth: int = 0) -> Iterator[int]:
    """The op whose result arrives at `position` reshaped or scaled, and those that it is made of if that is a product or a sum."""
    behind = _behind(wiring, position)
    yield behind
    if wiring.ops[behind].kind in _MADE_OF and depth < _DEEPEST_PRODUCT:
        for each in wiring.ops[behind].inputs:
            yield from _factors(wiring, each, depth + 1)


def _upstream(wiring: Wiring, position: int) -> Iterator[int]:
    """`position`, and what it is a view of."""
    yield position
    while wiring.ops[position].kind in ("transparent", "scale") and wiring.ops[position].inputs:
        position = wiring.ops[position].inputs[0]
        yield position


def _branch(wiring: Wiring, gate: int, features: set[int]) -> set[int]:
    """The layers between `features` and `gate`, none where some way back leads elsewhere."""
    layers: set[int] = set()
    seen: set[int] = set()
    ahead = [gate]
    while ahead:
        position = ahead.pop()
        op = wiring.ops[position]
        if position in seen or position in features:
            continue
        seen.add(position)
        if not op.inputs or len(seen) > LARGEST_BRANCH:
            return set()
        if op.layer is not None:
            layers.add(op.layer)
        ahead.extend(_continued(wiring, op, features))
    return layers


def _continued(wiring: Wiring, op: Op, features: set[int]) -> tuple[int, ...]:
    """The inputs of an op in a branch; those factors of a product that lead back to its `features`, if any do.

    What else there is multiplies the squeeze: a mask, or the lengths that a sum is divided by.
    """
    if op.kind != "gate":
        return op.inputs
    return tuple(each for each in op.inputs if wiring.comes_from(each, features)) or op.inputs
