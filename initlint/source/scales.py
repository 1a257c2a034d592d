"""From what wrote a parameter to what it promises: nominal gain, true gain, standard deviation and mean."""

from __future__ import annotations

import ast
import math
from dataclasses import replace
from typing import TYPE_CHECKING

from initlint.model import UNKNOWN_INITIALIZER, Initializer
from initlint.source.sites import site_of
from initlint.source.symbols import Sym, monomial, multiply, power
from initlint.source.torch_modules import number
from initlint.source.transformed import inverts, transformed, truncation
from initlint.source.values import ParamV, Write, quotable

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from initlint.knowledge import InitializerFact, Knowledge

_TELLING = (1 / 3, 1.0, 2.0, 0.5, 2 / 3, 4.0, 3.0, 6.0)
_SAME = 1e-6
_STACKED = 3
"""Dimensions of a stack of matrices, of which each is multiplied by itself."""


LEADING = "leading_"
"""The orientation of a tensor that is contracted over that many of its first dimensions."""


class Fans:
    """The fans of one weight: as torch counts them by the shape, and true to the computation; None where unknown."""

    __slots__ = ("cols", "fan_in", "fan_out", "made", "rows", "true_in", "true_out")

    def __init__(
        self, shape: tuple[object, ...] | None, *, kind: str = "linear", groups: object = 1, stride: object = ()
    ) -> None:
        self.fan_in = self.fan_out = self.true_in = self.true_out = self.rows = self.cols = None
        self.made: dict[Hashable, Initializer] = {}
        if shape is None or len(shape) < 2 or any((value_of(monomial(size)) or 0) < 0 for size in shape):
            return  # -1 is how torch_geometric writes a width that the first input decides
        field = _product(shape[2:])
        self.rows = monomial(shape[0])
        self.cols = _product(shape[1:])
        self.fan_in, self.fan_out = times(monomial(shape[1]), field), times(monomial(shape[0]), field)
        self.true_in, self.true_out = self.fan_in, self.fan_out
        if kind == "conv":
            self.true_out = over(self.fan_out, monomial(groups))
        elif kind == "conv_transpose":
            strides = _product(tuple(stride)) if isinstance(stride, tuple) else None
            self.true_in = over(over(self.fan_out, monomial(groups)), strides)
            self.true_out = self.fan_in
        elif kind == "in_out" and len(shape) == _STACKED:
            self.true_in, self.true_out = monomial(shape[1]), monomial(shape[2])
        elif kind == "in_out":
            self.true_in, self.true_out = self.fan_out, self.fan_in
        elif kind == "embedding":
            self.true_in = self.true_out = Sym(1, ())  # a lookup adds nothing up
        elif kind.startswith(LEADING):
            count = int(kind.removeprefix(LEADING))
            self.true_in, self.true_out = _product(shape[:count]), _product(shape[count:])
        elif kind in ("unknown", "unstacked", "transposed", "plain"):
            self.true_in = self.true_out = None


def _product(values: tuple[object, ...]) -> Sym | None:
    total: Sym | None = Sym(1, ())
    for value in values:
        total = times(total, monomial(value))
    return total


def times(left: Sym | None, right: Sym | None) -> Sym | None:
    """The product, None where a factor is not known."""
    return None if left is None or right is None else monomial(multiply(left, right))


def over(left: Sym | None, right: Sym | None) -> Sym | None:
    """The quotient, None where a part is not known."""
    return None if left is None or right is None else monomial(multiply(left, right, -1))


def value_of(sym: Sym | None) -> float | None:
    """The number, when no symbol is in it."""
    return sym.coefficient if sym is not None and not sym.powers else None


def _width_of(sym: Sym | None) -> float | None:
    """The number, when it is one that a width can be: lazy layers are declared with zero or minus one."""
    value = value_of(sym)
    return value if value is not None and value > 0 else None


def _root(sym: Sym | None) -> float | None:
    value = value_of(sym)
    return math.sqrt(value) if value is not None and value >= 0 else None


def fact_of(knowledge: Knowledge, write: Write) -> InitializerFact | None:
    """The initializer that a write is a call of."""
    return knowledge.initializers.get(write.function) or knowledge.initializers.get(f"torch.nn.init.{write.function}")


class Scales:
    """What was written to parameters; equal writes to equally wide weights are measured once."""

    def __init__(self, knowledge: Knowledge) -> None:
        self._knowledge = knowledge
        self._fans: dict[Hashable, Fans] = {}

    def fans(
        self, shape: tuple[object, ...] | None, *, kind: str = "linear", groups: object = 1, stride: object = ()
    ) -> Fans:
        """The fans of a weight of this shape."""
        sizes = shape or ()
        key = shape, kind, groups, stride, type(groups), *map(type, sizes)
        try:
            known = self._fans.get(key)
        except TypeError:  # what cannot be looked up is counted anew
            return Fans(shape, kind=kind, groups=groups, stride=stride)
        if known is None:
            known = self._fans[key] = Fans(shape, kind=kind, groups=groups, stride=stride)
        return known

    def history(self, param: ParamV | None, fans: Fans) -> list[Initializer]:
        """The initializers of a parameter, oldest first."""
        history: list[Initializer] = []
        inverted = False
        for write in param.data if param is not None else ():
            if write.source == "loaded" and write.conditional:
                continue
            made = transformed(history[-1] if history else UNKNOWN_INITIALIZER, write)
            if made is None:
                history.append(self._initializer(write, fans))
                inverted = False
                continue
            inverted |= inverts(write)
            history.append(self._sited(_drawn_anew(made, fans) if inverted else made, write))
        return history

    def _initializer(self, write: Write, fans: Fans) -> Initializer:
        node = None if write.place is None or write.source == "default" else write.place.node
        kinds = (type(value) for _, value in write.arguments)  # 1 is not True
        key = write.function, write.source, write.partial, write.conditional, node, write.arguments, *kinds
        try:
            known = fans.made.get(key)
        except TypeError:
            return self._sited(_measured(self._knowledge, write, fans), write)
        if known is None:
            known = fans.made[key] = self._sited(_measured(self._knowledge, write, fans), write)
        return known

    def _sited(self, made: Initializer, write: Write) -> Initializer:
        if write.source == "default":
            return made
        fact = fact_of(self._knowledge, write)
        editable = (
            write.place is not None
            and isinstance(write.place.node, ast.Call)
            and fact is not None
            and fact.name.startswith(("torch.nn.init.", "Tensor."))
        )
        return replace(made, site=site_of(write.place), editable=editable, conditional=write.conditional)


def _measured(knowledge: Knowledge, write: Write, fans: Fans) -> Initializer:
    """What one write promises, without its site."""
    if write.source in ("unknown", "uninitialized"):
        return UNKNOWN_INITIALIZER
    if write.source == "loaded":
        return Initializer("loaded", function="load_state_dict")
    fact = fact_of(knowledge, write)
    source = "default" if write.source == "default" else "explicit"
    if fact is None:
        return Initializer(source, function=write.function or None)  # type: ignore[arg-type]
    arguments = {
        **{name: value for name, value in fact.signature if value is not ...},
        **dict(write.arguments),
        **fact.fixed,
    }
    quoted = tuple((name, quotable(value)) for name, value in write.arguments if _worth_quoting(fact, name, value))
    made = Initializer(source, function=fact.canonical, arguments=quoted)  # type: ignore[arg-type]
    handler = _FORMULAS.get(fact.formula)
    if handler is None or write.partial:
        return made
    return handler(made, arguments, fans, knowledge)


def _worth_quoting(fact: InitializerFact, name: str, value: object) -> bool:
    default = dict(fact.signature).get(name, ...)
    return not (type(value) is type(default) and value == default) and quotable(value) is not None


def _kaiming(made: Initializer, arguments: dict[str, object], fans: Fans, knowledge: Knowledge) -> Initializer:
    gain = _nonlinear_gain(knowledge, arguments.get("nonlinearity", "leaky_relu"), arguments.get("a", 0))
    if gain is None:
        return made
    fan = fans.fan_out if str(arguments.get("mode", "fan_in")).lower() == "fan_out" else fans.fan_in
    ratio = _root(over(fans.true_in, fan))
    width = _width_of(fan)
    return replace(
        made,
        gain=gain,
        effective_gain=None if ratio is None else gain * ratio,
        std=gain / math.sqrt(width) if width else None,
        mean=0.0,
    )


def _nonlinear_gain(knowledge: Knowledge, nonlinearity: object, a: object) -> float | None:
    if nonlinearity == "leaky_relu":
        slope = number(a)
        return None if slope is None else math.sqrt(2 / (1 + slope * slope))
    return knowledge.gains.get(nonlinearity) if isinstance(nonlinearity, str) else None


def _xavier(made: Initializer, arguments: dict[str, object], fans: Fans, knowledge: Knowledge) -> Initializer:
    gain = number(arguments.get("gain", 1.0))
    if gain is None:
        return made
    fan_in, fan_out = _width_of(fans.fan_in), _width_of(fans.fan_out)
    std = gain * math.sqrt(2 / (fan_in + fan_out)) if fan_in and fan_out else None
    shares = _shares(fans.true_in, fans.fan_in, fans.fan_out)
    effective = gain * math.sqrt(2 / sum(shares)) if shares else None
    return replace(made, gain=gain, effective_gain=effective, std=std, mean=0.0)


def _shares(whole: Sym | None, *fans: Sym | None) -> tuple[float, ...]:
    """The fans in units of the true one, none where a ratio is not known; a single unit is nothing beside a width that is not."""
    ratios = (0.0 if _is_single(fan, whole) else _width_of(over(fan, whole)) for fan in fans)
    known = tuple(ratio for ratio in ratios if ratio is not None)
    return known if len(known) == len(fans) else ()


def _is_single(fan: Sym | None, whole: Sym | None) -> bool:
    return whole is not None and bool(whole.powers) and value_of(fan) == 1


def _orthogonal(made: Initializer, arguments: dict[str, object], fans: Fans, knowledge: Knowledge) -> Initializer:
    gain = number(arguments.get("gain", 1.0))
    if gain is None:
        return made
    rows, cols = _width_of(fans.rows), _width_of(fans.cols)
    std = gain / math.sqrt(max(rows, cols)) if rows and cols else None
    shares = _shares(fans.true_in, fans.rows, fans.cols)
    effective = gain / math.sqrt(max(shares)) if shares else None
    return replace(made, gain=gain, effective_gain=effective, std=std, mean=0.0)


def _normal(made: Initializer, arguments: dict[str, object], fans: Fans, knowledge: Knowledge) -> Initializer:
    return _spread(made, monomial(arguments.get("std", 1.0)), number(arguments.get("mean", 0.0)), fans)


def _trunc_normal(made: Initializer, arguments: dict[str, object], fans: Fans, knowledge: Knowledge) -> Initializer:
    std, low, high = (number(arguments.get(name)) for name in ("std", "a", "b"))
    mean = number(arguments.get("mean", 0.0))
    if std and low is not None and high is not None and mean is not None:
        _, shrink = truncation((low - mean) / std, (high - mean) / std)
        return _spread(made, Sym(std * shrink, ()), mean, fans)
    return _spread(made, monomial(arguments.get("std", 1.0)), mean, fans)


def _trunc_normal_tf(made: Initializer, arguments: dict[str, object], fans: Fans, knowledge: Knowledge) -> Initializer:
    std, low, high = (number(arguments.get(name)) for name in ("std", "a", "b"))
    if std is None or low is None or high is None:
        return _spread(made, None, None, fans)
    _, shrink = truncation(low, high)
    return _spread(made, Sym(std * shrink, ()), number(arguments.get("mean", 0.0)), fans)


def _uniform(made: Initializer, arguments: dict[str, object], fans: Fans, knowledge: Knowledge) -> Initializer:
    low, high = arguments.get("a", arguments.get("from", 0.0)), arguments.get("b", arguments.get("to", 1.0))
    one, other = monomial(low), monomial(high)
    if one is None or other is None:
        return made
    if one.powers != other.powers:
        return made
    width = Sym((other.coefficient - one.coefficient) / math.sqrt(12), one.powers)
    middle = (other.coefficient + one.coefficient) / 2
    return _spread(made, width, middle if not one.powers or not middle else None, fans)


def _drawn_anew(made: Initializer, fans: Fans) -> Initializer:
    """Normal draws by hand: what scales them is their std, and no change of another's choice."""
    if made.std is None:
        return made
    return _spread(replace(made, rescaled=False), Sym(made.std, ()), made.mean, fans)


def _spread(made: Initializer, std: Sym | None, mean: float | None, fans: Fans) -> Initializer:
    """A standard deviation of its own; the gain is known where a fan is in the formula or the widths are known."""
    if std is None:
        return replace(made, mean=mean)
    variance = monomial(power(std, 2))
    known = value_of(std)
    effective = _root(times(variance, fans.true_in))
    nominal, ambiguous = None, False
    if std.powers:
        nominal = next(
            (gain for fan in (fans.fan_in, fans.fan_out) if (gain := _root(times(variance, fan))) is not None), None
        )
    else:
        nominal, ambiguous = _telling(variance, fans)
    return replace(
        made,
        gain=nominal,
        effective_gain=effective,
        std=abs(known) if known is not None else None,
        mean=mean,
        ambiguous=ambiguous,
    )


def _telling(variance: Sym | None, fans: Fans) -> tuple[float | None, bool]:
    """A variance that is a round number over a fan was computed from that fan, one over the mean of both as Xavier does.

    Where twice as many go out as come in, 2 / fan_out is 1 / fan_in: which of them was meant cannot be told.
    """
    by_in = _scale_by(variance, fans.fan_in, _TELLING)
    by_mean = _scale_by(variance, _mean_of(fans), (1.0,))
    by_out = _scale_by(variance, fans.fan_out, _TELLING if by_in is None else (2.0,))
    told = [scale for scale in (by_in, by_mean, by_out) if scale is not None]
    if by_in is not None and any(not math.isclose(scale, by_in, rel_tol=_SAME) for scale in told):
        return None, True
    return (math.sqrt(told[0]) if told else None), False


def _scale_by(variance: Sym | None, fan: Sym | None, telling: tuple[float, ...]) -> float | None:
    """The variance times a fan, where that is one of the numbers which tell that the fan is in it."""
    scale = value_of(times(variance, fan))
    return scale if scale is not None and any(math.isclose(scale, each, rel_tol=_SAME) for each in telling) else None


def _mean_of(fans: Fans) -> Sym | None:
    fan_in, fan_out = _width_of(fans.fan_in), _width_of(fans.fan_out)
    return None if fan_in is None or fan_out is None else Sym((fan_in + fan_out) / 2, ())


def _constant(made: Initializer, arguments: dict[str, object], fans: Fans, knowledge: Knowledge) -> Initializer:
    default = {"zeros_": 0.0, "zero_": 0.0, "ones_": 1.0}.get(made.function or "")
    value = number(arguments.get("val", arguments.get("value", default)))
    return replace(
        made, std=0.0, mean=value, gain=0.0 if value == 0 else None, effective_gain=0.0 if value == 0 else None
    )


def _variance_scaling(made: Initializer, arguments: dict[str, object], fans: Fans, knowledge: Knowledge) -> Initializer:
    scale = number(arguments.get("scale", 1.0))
    return made if scale is None or scale < 0 else replace(made, gain=math.sqrt(scale), mean=0.0)


_FORMULAS: dict[str, Callable[..., Initializer]] = {
    "kaiming": _kaiming,
    "xavier": _xavier,
    "orthogonal": _orthogonal,
    "normal": _normal,
    "trunc_normal": _trunc_normal,
    "trunc_normal_tf": _trunc_normal_tf,
    "uniform": _uniform,
    "constant": _constant,
    "variance_scaling": _variance_scaling,
}
