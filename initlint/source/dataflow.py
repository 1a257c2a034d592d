"""The op graph that forward passes lay down, and the hand-written activations recognised in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from initlint.model import OpKind
    from initlint.source.values import Instance, ParamV, Place


@dataclass(slots=True)
class Node:
    """One op; `kind` is that of `model.Op`, or ``fused`` when it became part of another op.

    `measured`: the program asked for the shape of what it makes.
    """

    kind: OpKind | str
    name: str
    inputs: tuple[int, ...]
    layer: Instance | ParamV | None = None
    params: tuple[tuple[str, float], ...] = ()
    place: Place | None = None
    measured: bool = False


_POINTWISE = frozenset({"activation", "scale", "shift", "add", "gate"})
_POINTWISE_FUNCTIONS = frozenset({"pow", "square", "exp", "erf", "product"})
_ARITHMETIC = frozenset({"mul", "div", "add", "sub", "pow", "square", "product"})
_WALK = 12
_ROOTS = frozenset({"sqrt", "rsqrt", "pow", "std", "std_mean", "norm", "vector_norm"})
_MOMENTS = frozenset({"mean", "sum", "var", "std", "var_mean", "std_mean", "norm", "vector_norm"})
_SIZES = frozenset({"mean", "sum", "max", "amax"})
_QUADRATIC = frozenset({"var", "var_mean", "square", "pow", "product"})
_STATISTICAL = _ROOTS | _MOMENTS | _SIZES | {"square", "clamp", "clamp_min", "reciprocal"}
_ZEROS = frozenset({"zeros", "zeros_like", "new_zeros"})
_KEEPING = frozenset({"to", "cuda", "cpu", "float", "half", "type_as", "expand", "repeat", "clone", "unsqueeze"})
_ELSEWHERE = Node("constant", "elsewhere", ())


class Graph:
    """The ops of one context, in the order they run, numbered from `first`.

    No two contexts share a number: a smaller one is of a tensor that a module of the program made when it was loaded
    for another context, which is a constant to this one.
    """

    def __init__(self, first: int = 0) -> None:
        self.first = first
        self.nodes: list[Node] = []
        self.lowest_fused = 0
        self.kept: list[int] = []

    @property
    def end(self) -> int:
        """The number of the next op."""
        return self.first + len(self.nodes)

    def node(self, op: int) -> Node:
        """The op of that number."""
        return self.nodes[op - self.first] if op >= self.first else _ELSEWHERE

    def add(
        self,
        kind: OpKind | str,
        name: str,
        inputs: tuple[int, ...] = (),
        *,
        layer: Instance | ParamV | None = None,
        params: tuple[tuple[str, float], ...] = (),
        place: Place | None = None,
    ) -> int:
        """Append an op and return its number; what is computed from constants alone is a constant."""
        nodes, first = self.nodes, self.first
        if inputs:
            if kind != "layer" and all(map(self.is_constant, inputs)):
                kind = "constant"
            if min(inputs) < first:
                inputs = tuple(each for each in inputs if each >= first)
        nodes.append(Node(kind, name, inputs, layer, params, place))
        return first + len(nodes) - 1

    def concerning_layers(self) -> Iterator[int]:
        """The ops that a layer's output arrives at, and those that something which does is computed from; in order."""
        nodes, first = self.nodes, self.first
        concerned = bytearray(len(nodes))
        for position, node in enumerate(nodes):
            if node.kind == "layer":
                concerned[position] = True
                continue
            for each in node.inputs:
                if concerned[each - first]:
                    concerned[position] = True
                    break
        probing = self._probing()
        for position in range(len(nodes) - 1, -1, -1):
            if position in probing:
                concerned[position] = False
            elif concerned[position]:
                for each in nodes[position].inputs:
                    concerned[each - first] = True
        return (first + position for position, wanted in enumerate(concerned) if wanted)

    def measure(self, op: int) -> None:
        """The shape of what an op makes is asked for."""
        if op >= self.first:
            self.nodes[op - self.first].measured = True

    def _probing(self) -> frozenset[int]:
        """The positions of ops that run to learn a shape and nothing else, on layers that others apply as well."""
        nodes, first = self.nodes, self.first
        if not any(node.measured for node in nodes):
            return frozenset()
        consumed, kept = bytearray(len(nodes)), bytearray(len(nodes))
        probing: set[int] = set()
        for position in range(len(nodes) - 1, -1, -1):
            node = nodes[position]
            is_probing = not kept[position] if consumed[position] else node.measured and node.kind != "output"
            if is_probing:
                probing.add(position)
            for each in node.inputs:
                consumed[each - first] = True
                kept[each - first] |= not is_probing
        applied = {
            node.layer for position, node in enumerate(nodes) if node.kind == "layer" and position not in probing
        }
        probed = {nodes[position].layer for position in probing if nodes[position].kind == "layer"}
        return frozenset(probing) if probed and probed <= applied else frozenset()

    def hand_over(self) -> None:
        """What a forward pass kept in an attribute and used for nothing is for the next pass, which may do anything."""
        used: set[int] = set()
        for op in range(self.end - 1, self.first - 1, -1) if self.kept else ():
            node = self.node(op)
            if node.kind != "join" or op in used:
                used.update(node.inputs)
        for op in dict.fromkeys(self.kept):
            if op >= self.first and op not in used:
                self.add("opaque", "kept", (op,))
        self.kept.clear()

    def multiply(self, left: int, right: int, place: Place | None) -> int:
        """The product of two tensors: a hand-written activation where both come from one tensor, else a gate."""
        if left == right:
            return self.squared(left, place)
        if self.is_state(left) or self.is_state(right):
            return self.add("gate", "mul", (left, right), place=place)
        if self.is_constant(left) or self.is_constant(right):
            return self.add("scale", "mul", (right if self.is_constant(left) else left,), place=place)
        for base, other in ((left, right), (right, left)):
            if (normalized := self._normalized(base, other, place)) is not None:
                return normalized
        for base, other in ((left, right), (right, left)):
            path = self._pointwise_path(other, base)
            if path is None:
                continue
            name = _product_name([self.node(op).name for op in path])
            self._fuse(path)
            return self.add("activation" if name else "opaque", name or "product", (base,), place=place)
        shared = self._shared_source(left, right)
        if shared is not None:
            source_op, names = shared
            name = _product_name(names)
            if name:
                return self.add("activation", name, (source_op,), place=place)
        return self.add("gate", "mul", (left, right), place=place)

    def divide(self, left: int, right: int, place: Place | None) -> int:
        """The quotient of two tensors: a tensor over its own root mean square, its sum or its largest element is normalized."""
        if self.is_constant(right):
            return self.add("scale", "div", (left,), place=place)
        normalized = self._normalized(left, right, place, divides=True)
        return self.add("gate", "div", (left, right), place=place) if normalized is None else normalized

    def _normalized(self, signal: int, scale: int, place: Place | None, *, divides: bool = False) -> int | None:
        """``(x - x.mean()) * torch.rsqrt(x.var() + eps)``: a signal by the root of its own moment; else None."""
        ways = self._statistic(scale, divides=divides)
        if not ways:
            return None
        centred = signal
        while (node := self.node(centred)).kind == "scale" and len(node.inputs) == 1:  # gamma * (x - mean) / std
            (centred,) = node.inputs
        shifted = (centred, *node.inputs) if node.kind in ("add", "shift") else (centred,)
        base = min((each for each in shifted if each in ways), default=None)
        if base is None:
            return None
        means = {way for each in shifted if each != base for way in self._moments_of(each)[0]}
        self._fuse([each for each in (*ways, *means, centred, signal) if each > base])
        return self.add("norm", "normalization", (base,), place=place)

    def _statistic(self, op: int, *, divides: bool) -> set[int]:
        """The ops that `op`, the root of a moment of some tensor or a divisor as large as it, was computed by, with that tensor."""
        ways, names = self._moments_of(op)
        if names & _ROOTS and names & _MOMENTS:
            return ways
        return ways if divides and names & _SIZES and not names & _QUADRATIC else set()

    def _moments_of(self, op: int) -> tuple[set[int], set[str]]:
        """The ops from `op` down through those that make moments of a tensor, and their names."""
        ways: set[int] = set()
        names: set[str] = set()
        pending = [op]
        while pending and len(ways) <= _WALK:
            each = pending.pop()
            if each in ways or each < self.first:
                continue
            ways.add(each)
            node = self.node(each)
            if node.kind in _POINTWISE or node.kind in ("transparent", "join") or node.name in _STATISTICAL:
                names.add(node.name)
                pending += node.inputs
        return ways, names

    def squared(self, op: int, place: Place | None) -> int:
        """X ** 2."""
        return self.add("opaque", "square", (op,), place=place)

    def square_rectifiers(self) -> None:
        """The square of a ReLU that is used for nothing else is an activation of its own; once all ops are there."""
        squares = [op for op, node in enumerate(self.nodes, self.first) if node.name == "square" and node.inputs]
        if not squares:
            return
        uses = Counter(each for node in self.nodes for each in set(node.inputs))
        for op in squares:
            square = self.node(op)
            (rectified,) = square.inputs
            node = self.node(rectified)
            if node.kind == "activation" and node.name == "relu" and uses[rectified] == 1:
                self._fuse([rectified])
                self.nodes[op - self.first] = Node("activation", "relu_squared", node.inputs, place=square.place)

    def sum(self, left: int, right: int, place: Place | None) -> int:
        """The sum of two tensors; a constant one only shifts the other."""
        if self.is_constant(left) or self.is_constant(right):
            return self.add("shift", "add", (right if self.is_constant(left) else left,), place=place)
        return self.add("add", "add", (left, right), place=place)

    def is_state(self, op: int) -> bool:
        """Whether it is made of zeros: no factor, but what a recurrence begins with."""
        node = self.node(op)
        while node.kind == "constant" and node.name in _KEEPING and len(node.inputs) == 1:
            node = self.node(node.inputs[0])
        return node.kind == "constant" and node.name in _ZEROS

    def is_constant(self, op: int) -> bool:
        """Whether neither an input nor a parameter of the model is in it: masks, grids, anchors."""
        return op < self.first or self.nodes[op - self.first].kind == "constant"

    def is_made_of(self, op: int, base: int) -> bool:
        """Whether a tensor is another one, or a function of its elements alone."""
        return op == base or (op > base and self._pointwise_path(op, base) is not None)

    def _fuse(self, ops: list[int]) -> None:
        """What has become part of a later op consumes nothing any more."""
        for op in ops:
            if op >= self.first:
                self.lowest_fused = min(self.lowest_fused, op)
                self.nodes[op - self.first] = Node("fused", self.node(op).name, ())

    def fill(self, op: int) -> None:
        """What a call that was not seen was given to write to is no constant any more."""
        if op >= self.first and self.is_constant(op):
            self.lowest_fused = min(self.lowest_fused, op)
            self.nodes[op - self.first] = Node("opaque", self.node(op).name, ())

    def _pointwise_path(self, op: int, base: int) -> list[int] | None:
        """The ops between `base` and `op`, the last first, when each is pointwise and there is no other way in."""
        path: list[int] = []
        pending = [op]
        while pending:
            each = pending.pop()
            node = self.node(each)
            if each == base or each in path or node.kind == "constant":
                continue
            pointwise = node.kind in _POINTWISE or (node.kind == "opaque" and node.name in _POINTWISE_FUNCTIONS)
            if not pointwise or not node.inputs or each < base or len(path) > _WALK:
                return None
            path.append(each)
            pending += node.inputs
        return path

    def _shared_source(self, left: int, right: int) -> tuple[int, list[str]] | None:
        """The one tensor that both operands are pointwise functions of, and the names on the way.

        ``0.5 * x * (1 + tanh(x))`` gives that of ``x``, with ``tanh`` and what scales and shifts it.
        """
        source = left
        above: list[int] = []
        while len(above) <= _WALK:
            path = self._pointwise_path(right, source)
            if path is not None:
                names = [self.node(each).name for each in (*path, *above)]
                if not _product_name(names):
                    return None
                self._fuse([*path, *above])
                return source, names
            node = self.node(source)
            if node.kind not in ("activation", "scale", "shift") or len(node.inputs) != 1:
                return None
            above.append(source)
            (source,) = node.inputs
        return None


def _product_name(names: list[str]) -> str | None:
    """The activation that x * f(x) is, by the pointwise steps of f from the last to the first; None when not known."""
    activations = [name for name in names if name not in _ARITHMETIC]
    if activations == ["sigmoid"]:
        return "quick_gelu" if "mul" in names or "div" in names else "silu"
    if activations == ["tanh", "softplus"]:
        return "mish"
    if activations in (["tanh"], ["erf"]) and len(names) > 1:
        return "gelu"
    if activations in (["relu6"], ["hardsigmoid"], ["hardtanh"]):
        return "hardswish"
    return None
