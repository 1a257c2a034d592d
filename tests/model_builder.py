"""Op graphs written by hand, as a front end would lay them down."""

from __future__ import annotations

import math

from initlint.model import Event, Initializer, Layer, Model, Op, Site

WIDTH = 128
DEFAULT = Initializer(
    "default",
    "kaiming_uniform_",
    (("a", math.sqrt(5)),),
    gain=1 / math.sqrt(3),
    effective_gain=1 / math.sqrt(3),
    std=1 / math.sqrt(3 * WIDTH),
    mean=0.0,
)
UNKNOWN = Initializer("unknown")
LOADED = Initializer("loaded")
ZERO = Initializer("explicit", "zeros_", gain=0.0, effective_gain=0.0, std=0.0, mean=0.0)


def site(line: int, column: int = 9, file: str = "/src/net.py") -> Site:
    return Site(file, line, column, line, column + 20)


def kaiming(gain: float = math.sqrt(2), line: int = 90, **arguments: str | float) -> Initializer:
    return _explicit("kaiming_normal_", gain, line, arguments or {"nonlinearity": "relu"})


def xavier(gain: float = 1.0, line: int = 90) -> Initializer:
    return _explicit("xavier_uniform_", gain, line, {} if gain == 1.0 else {"gain": gain})


def _explicit(function: str, gain: float, line: int, arguments: dict[str, str | float]) -> Initializer:
    return Initializer(
        "explicit",
        function,
        tuple(arguments.items()),
        gain=gain,
        effective_gain=gain,
        std=gain / math.sqrt(WIDTH),
        mean=0.0,
        site=site(line),
        editable=True,
    )


def normal(std: float, fan_in: int | None = WIDTH, line: int = 90, mean: float = 0.0) -> Initializer:
    effective = None if fan_in is None else std * math.sqrt(fan_in)
    arguments = (("mean", mean), ("std", std))
    return Initializer("explicit", "normal_", arguments, None, effective, std, mean, site(line), editable=True)


class ModelBuilder:
    """Layers and ops are added in the order of the forward pass; every method returns the position of its op."""

    def __init__(self, name: str = "Net", file: str = "/src/net.py") -> None:
        self.name = name
        self.file = file
        self.layers: list[Layer] = []
        self.ops: list[Op] = []
        self.events: list[Event] = []

    def op(self, kind: str, *inputs: int, name: str = "", layer: int | None = None, **params: float) -> int:
        position = len(self.ops)
        place = site(100 + position, file=self.file)
        self.ops.append(Op(position, kind, name or kind, inputs, layer, tuple(params.items()), place))  # type: ignore[arg-type]
        return position

    def input(self) -> int:
        return self.op("input")

    def layer(
        self,
        tensor: int,
        init: Initializer = DEFAULT,
        *,
        bias: Initializer | None = None,
        path: str | None = None,
        line: int | None = None,
        kind: str = "Linear",
        **more: object,
    ) -> int:
        identity = len(self.layers)
        path = path or f"fc{identity}"
        place = site(line or 10 + identity, file=self.file)
        self.layers.append(
            Layer(identity, kind, self.name, path, place, init, bias, access=f"self.{path}", **more)  # type: ignore[arg-type]
        )
        return self.op("layer", tensor, name=kind, layer=identity)

    def again(self, tensor: int, identity: int) -> int:
        """Apply a layer once more."""
        return self.op("layer", tensor, layer=identity)

    def act(self, tensor: int, name: str = "relu", **params: float) -> int:
        return self.op("activation", tensor, name=name, **params)

    def block(self, tensor: int, init: Initializer = DEFAULT, act: str = "relu", **more: object) -> int:
        """A layer and its activation."""
        return self.act(self.layer(tensor, init, **more), act)  # type: ignore[arg-type]

    def output(self, *tensors: int) -> None:
        for tensor in tensors:
            self.op("output", tensor)

    def build(self) -> Model:
        return Model(self.name, tuple(self.layers), tuple(self.ops), tuple(self.events))


def plain(depth: int, init: Initializer = DEFAULT, act: str = "relu", bias: Initializer | None = None) -> Model:
    """`depth` weight layers with an activation after each but the head."""
    net = ModelBuilder()
    tensor = net.input()
    for _ in range(depth - 1):
        tensor = net.block(tensor, init, act, bias=bias)
    net.output(net.layer(tensor, init, bias=bias))
    return net.build()
