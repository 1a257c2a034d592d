"""The facts about torch are what the installed torch does."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import itertools
import math
import operator
import warnings
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from initlint.knowledge import Activation, InitializerFact, LayerFact, load_knowledge

KNOWLEDGE = load_knowledge()
WIDTH = 256


@pytest.fixture(autouse=True)
def _same_numbers() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


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


# What exists


@pytest.mark.parametrize("table", ["activation_of", "layers", "initializers", "operations"])
def test_every_name_of_torch_exists(table: str) -> None:
    unknown = []
    for name in of_torch(getattr(KNOWLEDGE, table)):
        try:
            named(private(name))
        except AttributeError:
            unknown.append(name)
    assert not unknown


def private(name: str) -> str:
    """Where torch keeps a class that torch.nn does not export."""
    return {"torch.nn.NonDynamicallyQuantizableLinear": "torch.nn.modules.linear.NonDynamicallyQuantizableLinear"}.get(
        name, name
    )


def test_every_torch_name_that_a_library_points_to_exists() -> None:
    for library in KNOWLEDGE.libraries.values():
        for target in (*library.entries.values(), library.target or ""):
            if target.split(".")[0] in ("torch", "Tensor"):
                named(target)
        for target in library.entries.values():
            assert target in {**KNOWLEDGE.activation_of, **KNOWLEDGE.operations}, library.name


def test_every_module_class_of_torch_is_known() -> None:
    tables = (KNOWLEDGE.layers, KNOWLEDGE.operations, KNOWLEDGE.activation_of, KNOWLEDGE.libraries)
    unknown = {
        name
        for name, value in vars(nn).items()
        if inspect.isclass(value) and issubclass(value, nn.Module) and not any(f"torch.nn.{name}" in t for t in tables)
    }
    # The bases of what is known.
    assert unknown == {"RNNBase", "RNNCellBase"}


def test_every_function_of_torch_nn_functional_is_known() -> None:
    machinery = {
        *("assert_int_or_pair", "boolean_dispatch", "handle_torch_function", "Optional"),
        *("has_torch_function", "has_torch_function_unary", "has_torch_function_variadic"),
    }
    unknown = [
        name
        for name, value in vars(functional).items()
        if callable(value)
        and not inspect.isclass(value)
        and not name.startswith("_")
        and not name.endswith("_with_indices")
        and name not in machinery
        and f"torch.nn.functional.{name}" not in {**KNOWLEDGE.activation_of, **KNOWLEDGE.operations}
    ]
    assert not unknown


def test_every_function_of_torch_nn_init_is_known() -> None:
    public = {
        name
        for name, value in vars(nn.init).items()
        if inspect.isfunction(value) and not name.startswith("_") and value.__module__ == "torch.nn.init"
    }
    assert {f"torch.nn.init.{name}" for name in public} - KNOWLEDGE.initializers.keys() == {
        "torch.nn.init.calculate_gain"
    }


def test_a_torch_name_stands_in_one_table() -> None:
    signals = [KNOWLEDGE.activation_of, KNOWLEDGE.operations, KNOWLEDGE.layers]
    for one, other in itertools.combinations(signals, 2):
        assert one.keys() & other.keys() <= {"torch.nn.PReLU"}


@pytest.mark.parametrize("name", sorted(KNOWLEDGE.layers))
def test_the_long_path_of_a_class_leads_to_its_fact(name: str) -> None:
    cls = named(private(name))
    assert isinstance(cls, type)
    assert KNOWLEDGE.resolve(f"{cls.__module__}.{cls.__name__}") == name


# Signatures


Parameters = tuple[tuple[str, object], ...]


def inspected(value: object) -> Parameters | None:
    """The parameters of a callable that is written in Python; None where it is not, or hands *args on."""
    try:
        parameters = inspect.signature(value).parameters.values()
    except (ValueError, TypeError):
        return None
    if {p.kind for p in parameters} & {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}:
        return None
    own = (parameter for parameter in parameters if parameter.name != "self")
    return tuple((p.name, ... if p.default is inspect.Parameter.empty else p.default) for p in own)


def overloads(name: str) -> list[Parameters]:
    """The parameters of each way to call a function or Tensor method, be it written in Python or C++."""
    written = inspected(named(name))
    if written is None and name.startswith("torch.nn.functional."):
        written = inspected(getattr(functional, f"{name.rpartition('.')[2]}_with_indices", None))
    if written is not None:
        return [written]
    found = []
    for schema in torch._C._jit_get_schemas_for_operator(f"aten::{name.rpartition('.')[2]}"):
        arguments = [(a.name, _plain(a.default_value) if a.has_default_value() else ...) for a in schema.arguments]
        if name.startswith("Tensor."):
            arguments = [argument for argument in arguments if argument[0] != "self"]
        found.append(tuple(("input" if key == "self" else key, default) for key, default in arguments))
    return found


def _plain(default: object) -> object:
    """A default of a schema as it is called: one number for each dimension is that number, no number at all None."""
    if not isinstance(default, list):
        return default
    return default[0] if default else None


def matches(claimed: Parameters, ways: list[Parameters]) -> bool:
    """Whether one way to call has these names in this order, and these defaults; it may have more at its end."""
    return any(
        len(claimed) <= len(way)
        and all(
            name == found and (_same_default(default, value) or (value is ... and _omitted(name, ways)))
            for (name, default), (found, value) in zip(claimed, way, strict=False)
        )
        for way in ways
    )


def _same_default(claimed: object, actual: object) -> bool:
    # A function as a default is written as its name.
    return claimed == actual or (callable(actual) and getattr(actual, "__name__", None) == claimed)


def _omitted(name: str, ways: list[Parameters]) -> bool:
    return any(name not in dict(way) for way in ways)


@pytest.mark.parametrize("name", sorted(KNOWLEDGE.layers))
def test_constructor_signatures(name: str) -> None:
    actual = inspected(named(private(name))) or recurrent_signature(name)
    claimed = KNOWLEDGE.layers[name].signature
    assert matches(claimed, [actual])
    assert len(claimed) == len(actual)


def recurrent_signature(name: str) -> tuple[tuple[str, object], ...]:
    """RNN, LSTM and GRU hand *args on: their own parameters, from the base class that takes them."""
    base = list(inspected(nn.RNNBase) or ())[1:]
    if name == "torch.nn.RNN":
        base.insert(3, ("nonlinearity", "tanh"))
    return tuple(pair for pair in base if name == "torch.nn.LSTM" or pair[0] != "proj_size")


@pytest.mark.parametrize("name", [name for name in of_torch(KNOWLEDGE.initializers) if name.startswith("torch")])
def test_signatures_of_torch_nn_init(name: str) -> None:
    fact = KNOWLEDGE.initializers[name]
    current = named(f"torch.nn.init.{fact.canonical}")
    assert inspected(current) == fact.signature


@pytest.mark.parametrize(("table", "at_least"), [("initializers", 28), ("operations", 250)])
def test_signatures_of_operations(table: str, at_least: int) -> None:
    compared = []
    wrong = []
    for name, fact in getattr(KNOWLEDGE, table).items():
        if name.split(".")[0] not in ("torch", "Tensor") or not fact.signature or getattr(fact, "deprecated", False):
            continue
        ways = overloads(name)
        if not ways or any("*" in parameter for parameter, _ in fact.signature):
            continue
        compared.append(name)
        if not matches(fact.signature, ways):
            wrong.append((name, fact.signature, ways))
    assert len(compared) >= at_least
    assert not wrong


@pytest.mark.parametrize("activation", KNOWLEDGE.activations.values(), ids=operator.attrgetter("name"))
def test_parameters_of_activations(activation: Activation) -> None:
    for spelling in activation.spellings:
        value = named(spelling)
        numbers = activation.parameters if inspect.isclass(value) else activation.functional_parameters
        for way in overloads(spelling):
            own = way if inspect.isclass(value) or spelling.startswith("Tensor.") else way[1:]
            for (name, default), (found, theirs) in zip(numbers, own, strict=False):
                assert name == found
                # What torch requires stands in the table with the value that makes the activation a rectifier.
                assert theirs in (default, ...)


# Gains


ONLY_PATTERNS: Mapping[str, Callable[[torch.Tensor], torch.Tensor]] = MappingProxyType(
    {
        "quick_gelu": lambda x: x * torch.sigmoid(1.702 * x),
        "relu_squared": lambda x: torch.relu(x) ** 2,
        "tanh_lecun": lambda x: 1.7159 * torch.tanh(2 * x / 3),
        "identity": lambda x: x,
        "threshold": nn.Threshold(0, 0),
    }
)


def applied(activation: Activation) -> Callable[[torch.Tensor], torch.Tensor]:
    if activation.name in ONLY_PATTERNS:
        return ONLY_PATTERNS[activation.name]
    module = next(s for s in activation.spellings if inspect.isclass(named(s)) or activation.name == "sin")
    cls = named(module)
    return cls().double() if inspect.isclass(cls) else cls


def second_moment(function: Callable[[torch.Tensor], torch.Tensor]) -> float:
    """E f(z)^2 for z ~ N(0, 1), by the midpoint rule."""
    edges = np.linspace(-12.0, 12.0, 400_001)
    z = (edges[:-1] + edges[1:]) / 2
    density = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    with torch.no_grad():
        values = function(torch.from_numpy(z)).numpy()
    return float(np.sum(values**2 * density) * (z[1] - z[0]))


def absolute(activation: Activation, gain: float) -> float:
    """A gain of a leaky rectifier as a number, at its default slope."""
    if activation.slope_parameter is None:
        return gain
    slope = dict(activation.parameters)[activation.slope_parameter]
    return gain * math.sqrt(2 / (1 + slope**2))


INTEGRABLE = [
    activation
    for activation in KNOWLEDGE.activations.values()
    if activation.second_moment_gain is not None and activation.name not in ("glu", "rrelu")
]


@pytest.mark.parametrize("activation", INTEGRABLE, ids=operator.attrgetter("name"))
def test_second_moment_gains(activation: Activation) -> None:
    assert activation.second_moment_gain is not None
    claimed = absolute(activation, activation.second_moment_gain)
    assert claimed == pytest.approx(1 / math.sqrt(second_moment(applied(activation))), rel=2e-4)


def test_the_second_moment_gain_of_glu_is_that_of_its_sigmoid() -> None:
    claimed = KNOWLEDGE.activations["glu"].second_moment_gain
    assert claimed == pytest.approx(1 / math.sqrt(second_moment(torch.sigmoid)), rel=2e-4)


def test_the_second_moment_gain_of_rrelu_in_training() -> None:
    rrelu = KNOWLEDGE.activations["rrelu"]
    lower, upper = (value for _, value in rrelu.parameters)
    mean_square = (lower**2 + lower * upper + upper**2) / 3
    assert rrelu.second_moment_gain == pytest.approx(math.sqrt(2 / (1 + mean_square)), rel=2e-4)
    assert rrelu.recommended["a"] == pytest.approx(math.sqrt(mean_square), rel=2e-4)


def test_the_gains_are_those_of_calculate_gain() -> None:
    for name, gain in KNOWLEDGE.gains.items():
        if gain is None:
            assert nn.init.calculate_gain(name, 0.1) != nn.init.calculate_gain(name, 0.5)
        else:
            assert nn.init.calculate_gain(name) == pytest.approx(gain, rel=1e-12)


def test_calculate_gain_knows_no_other_name() -> None:
    known = []
    for name in {
        *vars(functional),
        *KNOWLEDGE.activations,
        *KNOWLEDGE.layers,
        "swish",
        "ReLU",
    } - KNOWLEDGE.gains.keys():
        with contextlib.suppress(ValueError):
            nn.init.calculate_gain(name)
            known.append(name)
    assert not known


def test_nonlinearities_are_names_that_calculate_gain_knows() -> None:
    assert {a.nonlinearity for a in KNOWLEDGE.activations.values()} - {None} <= KNOWLEDGE.gains.keys()


JUDGED = [activation for activation in KNOWLEDGE.activations.values() if not activation.exempt]


@pytest.mark.parametrize("activation", JUDGED, ids=operator.attrgetter("name"))
def test_bands_hold_the_gain_to_write_and_not_the_default(activation: Activation) -> None:
    default = 1 / math.sqrt(3) / absolute(activation, 1.0)
    assert any(low <= activation.gain <= high for low, high in activation.bands)
    assert not any(low <= default <= high for low, high in activation.bands)
    output = activation.gain if activation.output_gain is None else activation.output_gain
    assert any(low <= output <= high for low, high in activation.output_bands)


@pytest.mark.parametrize("activation", JUDGED, ids=operator.attrgetter("name"))
@pytest.mark.parametrize("place", ["hidden", "output"])
def test_the_recommended_call_gives_the_gain_to_write(activation: Activation, place: str) -> None:
    output = place == "output"
    call = dict((output and activation.output_recommended) or activation.recommended)
    gain = activation.output_gain if output and activation.output_gain is not None else activation.gain
    if "calculate_gain" in call:
        call["gain"] = nn.init.calculate_gain(str(call.pop("calculate_gain")))
    if call.get("a") == "slope":
        call["a"] = dict(activation.parameters)[str(activation.slope_parameter)]
    weight = torch.empty(2 * WIDTH, 2 * WIDTH)
    getattr(nn.init, str(call.pop("function")))(weight, **call)
    assert weight.std().item() * math.sqrt(2 * WIDTH) == pytest.approx(absolute(activation, gain), rel=0.03)


# Layers


BUILT: tuple[tuple[str, dict[str, object]], ...] = (
    ("Linear", {"in_features": WIDTH, "out_features": 320}),
    ("Linear", {"in_features": WIDTH, "out_features": 64, "bias": False}),
    ("NonDynamicallyQuantizableLinear", {"in_features": WIDTH, "out_features": 320}),
    ("Bilinear", {"in1_features": 48, "in2_features": 64, "out_features": 32}),
    ("Bilinear", {"in1_features": 48, "in2_features": 64, "out_features": 32, "bias": False}),
    ("Conv1d", {"in_channels": 96, "out_channels": 320, "kernel_size": 5}),
    ("Conv2d", {"in_channels": 96, "out_channels": 128, "kernel_size": (3, 5), "bias": False}),
    ("Conv2d", {"in_channels": 1024, "out_channels": 1024, "kernel_size": 5, "groups": 1024}),
    ("Conv3d", {"in_channels": 32, "out_channels": 64, "kernel_size": 3, "groups": 2}),
    ("ConvTranspose1d", {"in_channels": 128, "out_channels": 256, "kernel_size": 4, "stride": 2}),
    ("ConvTranspose2d", {"in_channels": 64, "out_channels": 256, "kernel_size": 4, "stride": (2, 1)}),
    ("ConvTranspose2d", {"in_channels": 64, "out_channels": 256, "kernel_size": 3, "groups": 4, "bias": False}),
    ("ConvTranspose3d", {"in_channels": 32, "out_channels": 256, "kernel_size": 2, "stride": 2}),
    ("Embedding", {"num_embeddings": 400, "embedding_dim": 64}),
    ("EmbeddingBag", {"num_embeddings": 400, "embedding_dim": 64}),
    ("RNN", {"input_size": 64, "hidden_size": WIDTH}),
    ("RNN", {"input_size": 64, "hidden_size": WIDTH, "bias": False}),
    ("LSTM", {"input_size": 64, "hidden_size": WIDTH}),
    ("LSTM", {"input_size": 64, "hidden_size": WIDTH, "proj_size": 96}),
    ("GRU", {"input_size": 64, "hidden_size": WIDTH}),
    ("RNNCell", {"input_size": 64, "hidden_size": WIDTH}),
    ("LSTMCell", {"input_size": 64, "hidden_size": WIDTH, "bias": False}),
    ("GRUCell", {"input_size": 64, "hidden_size": WIDTH}),
    ("MultiheadAttention", {"embed_dim": 128, "num_heads": 4}),
    ("MultiheadAttention", {"embed_dim": 128, "num_heads": 4, "bias": False, "add_bias_kv": True}),
    ("MultiheadAttention", {"embed_dim": 128, "num_heads": 4, "kdim": 64, "vdim": 96}),
    ("MultiheadAttention", {"embed_dim": 128, "num_heads": 4, "kdim": 128, "vdim": 128}),
    ("TransformerEncoderLayer", {"d_model": 128, "nhead": 4, "dim_feedforward": 512}),
    ("TransformerEncoderLayer", {"d_model": 128, "nhead": 4, "bias": False}),
    ("TransformerDecoderLayer", {"d_model": 128, "nhead": 4, "dim_feedforward": 512}),
    ("BatchNorm1d", {"num_features": 16}),
    ("BatchNorm2d", {"num_features": 16, "bias": False}),
    ("BatchNorm3d", {"num_features": 16, "affine": False}),
    ("SyncBatchNorm", {"num_features": 16}),
    ("InstanceNorm1d", {"num_features": 16}),
    ("InstanceNorm2d", {"num_features": 16, "affine": True}),
    ("InstanceNorm3d", {"num_features": 16, "affine": True, "bias": False}),
    ("LayerNorm", {"normalized_shape": 16}),
    ("LayerNorm", {"normalized_shape": (4, 8), "bias": False}),
    ("LayerNorm", {"normalized_shape": 16, "elementwise_affine": False}),
    ("GroupNorm", {"num_groups": 4, "num_channels": 16}),
    ("RMSNorm", {"normalized_shape": (4, 8)}),
    ("PReLU", {}),
    ("PReLU", {"num_parameters": 8, "init": 0.1}),
)


def build(name: str, arguments: Mapping[str, object]) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return named(private(f"torch.nn.{name}"))(**arguments)


def arguments_of(fact: LayerFact, given: Mapping[str, object]) -> dict[str, object]:
    """All arguments by name; what an int stands for in each dimension is a tuple."""
    bound = {**dict(fact.signature), **given}
    for key in ("kernel_size", "stride"):
        if isinstance(bound.get(key), int):
            bound[key] = (bound[key],) * fact.dimensions
    if isinstance(bound.get("normalized_shape"), int):
        bound["normalized_shape"] = (bound["normalized_shape"],)
    return bound


def evaluated(expression: object, names: Mapping[str, object]) -> object:
    if not isinstance(expression, str):
        return expression
    return eval(expression, {"sqrt": math.sqrt, "prod": math.prod, "len": len}, dict(names))


def expected_shapes(fact: LayerFact, names: Mapping[str, object]) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    for parameter, terms in fact.shape.items():
        if not evaluated(fact.optional.get(parameter, "True"), names):
            continue
        shape: list[object] = []
        for term in terms:
            if term.startswith("*"):
                shape.extend(evaluated(term[1:], names))
            else:
                shape.append(evaluated(term, names))
        shapes[parameter] = tuple(int(size) for size in shape)
    return shapes


@pytest.mark.parametrize(("name", "given"), BUILT)
def test_parameters_of_layers(name: str, given: Mapping[str, object]) -> None:
    fact = KNOWLEDGE.layers[f"torch.nn.{name}"]
    expected = expected_shapes(fact, arguments_of(fact, given))
    assert {key: tuple(value.shape) for key, value in build(name, given).named_parameters()} == expected


@pytest.mark.parametrize(("name", "given"), BUILT)
def test_defaults_of_layers(name: str, given: Mapping[str, object]) -> None:
    fact = KNOWLEDGE.layers[f"torch.nn.{name}"]
    names = arguments_of(fact, given)
    layer = build(name, given)
    parameters = dict(layer.named_parameters())
    for key, parameter in parameters.items():
        weight = parameters.get(f"{key.removesuffix('bias')}weight", parameter)
        fan_in = math.prod(weight.shape[1:]) if weight.dim() > 1 else 1
        assert_filled(parameter.detach(), fact.default[key], {**names, "fan_in": fan_in})


def assert_filled(parameter: torch.Tensor, default: Mapping[str, object], names: Mapping[str, object]) -> None:
    """That `parameter` is what the default says; enough values to tell the bound and the variance of a draw."""
    arguments = {key: evaluated(value, names) for key, value in default.items() if key != "function"}
    arguments.pop("effective_gain", None)
    function = str(default["function"])
    if function in ("ones_", "zeros_", "constant_"):
        value = {"ones_": 1.0, "zeros_": 0.0}.get(function, arguments.get("val"))
        assert torch.equal(parameter, torch.full_like(parameter, value))
        return
    again = getattr(nn.init, function)(torch.empty_like(parameter), **arguments)
    few = parameter.numel() < 2000
    extreme = 0.25 if few or "normal" in function else 0.02
    assert parameter.abs().max().item() == pytest.approx(again.abs().max().item(), rel=extreme)
    assert parameter.std().item() == pytest.approx(again.std().item(), rel=0.25 if few else 0.05)


TRUE_FANS: Mapping[str, Callable[[torch.Size, Mapping[str, object]], float]] = MappingProxyType(
    {
        "linear": lambda shape, _: shape[1],
        "recurrent": lambda shape, _: shape[1],
        "bilinear": lambda shape, _: shape[1] * shape[2],
        "conv": lambda shape, _: math.prod(shape[1:]),
        "conv_transpose": lambda shape, names: (
            shape[0] / names["groups"] * math.prod(shape[2:]) / math.prod(names["stride"])
        ),
    }
)


@pytest.mark.parametrize(("name", "given"), BUILT)
def test_effective_gains_of_defaults(name: str, given: Mapping[str, object]) -> None:
    fact = KNOWLEDGE.layers[f"torch.nn.{name}"]
    names = arguments_of(fact, given)
    for key, parameter in build(name, given).named_parameters():
        gain = fact.default[key].get("effective_gain")
        if gain is None:
            assert parameter.dim() < 2 or fact.fans in ("embedding", "vector") or key.startswith("bias_")
            continue
        fan = TRUE_FANS["linear" if fact.fans == "none" else fact.fans](parameter.shape, names)
        assert parameter.std().item() * math.sqrt(fan) == pytest.approx(evaluated(gain, names), rel=0.04)


def test_the_gain_of_a_transposed_convolution_is_what_a_signal_meets() -> None:
    given = {"in_channels": 128, "out_channels": 64, "kernel_size": 4, "stride": 2, "bias": False}
    fact = KNOWLEDGE.layers["torch.nn.ConvTranspose2d"]
    layer = build("ConvTranspose2d", given)
    with torch.no_grad():
        out = layer(torch.randn(4, 128, 24, 24))[:, :, 4:-4, 4:-4]
    claimed = evaluated(fact.default["weight"]["effective_gain"], arguments_of(fact, given))
    assert out.std().item() == pytest.approx(claimed, rel=0.04)


@pytest.mark.parametrize("name", ["Linear", "Conv2d", "Bilinear"])
def test_the_gain_of_a_default_is_what_a_signal_meets(name: str) -> None:
    given = {
        "Linear": {"in_features": 512, "out_features": 512, "bias": False},
        "Conv2d": {"in_channels": 128, "out_channels": 64, "kernel_size": 3, "bias": False},
        "Bilinear": {"in1_features": 64, "in2_features": 32, "out_features": 256, "bias": False},
    }[name]
    shapes = {"Linear": [(256, 512)], "Conv2d": [(4, 128, 24, 24)], "Bilinear": [(256, 64), (256, 32)]}[name]
    fact = KNOWLEDGE.layers[f"torch.nn.{name}"]
    with torch.no_grad():
        out = build(name, given)(*(torch.randn(shape) for shape in shapes))
    claimed = evaluated(fact.default["weight"]["effective_gain"], arguments_of(fact, given))
    assert out.std().item() == pytest.approx(claimed, rel=0.04)


def test_every_layer_with_parameters_is_built_here() -> None:
    built = {f"torch.nn.{name}" for name, _ in BUILT}
    composed = {f"torch.nn.{name}" for name in ("Transformer", "TransformerEncoder", "TransformerDecoder")}
    rest = {name for name, fact in KNOWLEDGE.layers.items() if not fact.lazy} - built - composed
    assert rest == {"torch.nn.AdaptiveLogSoftmaxWithLoss"}


def test_the_head_of_an_adaptive_softmax() -> None:
    fact = KNOWLEDGE.layers["torch.nn.AdaptiveLogSoftmaxWithLoss"]
    given = {"in_features": WIDTH, "n_classes": 1000, "cutoffs": [100, 400], "head_bias": True}
    layer = build("AdaptiveLogSoftmaxWithLoss", given)
    head = {key: tuple(value.shape) for key, value in layer.named_parameters() if key.startswith("head")}
    assert head == expected_shapes(fact, arguments_of(fact, given))
    assert layer.head.weight.std().item() * math.sqrt(WIDTH) == pytest.approx(1 / math.sqrt(3), rel=0.03)


def test_a_transformer_is_xavier_uniform_throughout() -> None:
    fact = KNOWLEDGE.layers["torch.nn.Transformer"]
    assert fact.default["*"]["function"] == "xavier_uniform_"
    small = {"d_model": 64, "nhead": 4, "num_encoder_layers": 1, "num_decoder_layers": 1, "dim_feedforward": 128}
    for key, parameter in build("Transformer", small).named_parameters():
        if parameter.dim() > 1:
            again = nn.init.xavier_uniform_(torch.empty_like(parameter))
            assert parameter.std().item() == pytest.approx(again.std().item(), rel=0.06), key


def test_a_transformer_encoder_starts_with_equal_layers() -> None:
    layer = build("TransformerEncoderLayer", {"d_model": 32, "nhead": 4, "dim_feedforward": 64})
    encoder = build("TransformerEncoder", {"encoder_layer": layer, "num_layers": 2, "enable_nested_tensor": False})
    assert torch.equal(encoder.layers[0].linear1.weight, encoder.layers[1].linear1.weight)


LAZY = sorted(name for name, fact in KNOWLEDGE.layers.items() if fact.lazy)


@pytest.mark.parametrize("name", LAZY)
def test_lazy_layers_become_the_layer_of_their_name(name: str) -> None:
    fact = KNOWLEDGE.layers[name]
    arguments = {key: 8 for key in ("out_features", "out_channels") if key in dict(fact.signature)}
    arguments |= {key: 3 for key in ("kernel_size",) if key in dict(fact.signature)}
    layer = build(name.removeprefix("torch.nn."), arguments)
    assert any(isinstance(p, nn.parameter.UninitializedParameter) for p in layer.parameters())
    layer(torch.randn(2, 4, *(8,) * fact.dimensions) if fact.dimensions else torch.randn(2, 4))
    grown = KNOWLEDGE.layers[f"torch.nn.{type(layer).__name__}"]
    assert grown.shape.keys() == fact.shape.keys()
    assert {key: dict(value) for key, value in grown.default.items()} == {k: dict(v) for k, v in fact.default.items()}


@pytest.mark.parametrize("name", sorted(KNOWLEDGE.layers))
def test_bases(name: str) -> None:
    cls = named(private(name))
    assert isinstance(cls, type)
    bases = [f"torch.nn.{base.__name__}" for base in cls.__mro__[1:] if issubclass(base, nn.Module)]
    mixins = [base.__name__ for base in cls.__mro__[1:] if base.__name__ == "LazyModuleMixin"]
    claimed = [base for base in KNOWLEDGE.layers[name].bases if not base.endswith(".LazyModuleMixin")]
    assert claimed == [base for base in bases if not base.startswith("torch.nn._Lazy")]
    assert ("torch.nn.LazyModuleMixin" in KNOWLEDGE.layers[name].bases) == bool(mixins)


# Initializers


def test_deprecated_names_warn() -> None:
    old = [fact for fact in KNOWLEDGE.initializers.values() if fact.deprecated]
    assert len(old) == 11
    arguments = {"constant": (0.5,), "sparse": (0.1,)}
    for fact in old:
        function = named(fact.name)
        short = fact.name.rpartition(".")[2]
        shape = (4, 4, 3) if short == "dirac" else (4, 4)
        with pytest.warns(FutureWarning, match=fact.canonical):
            function(torch.empty(shape), *arguments.get(short, ()))


def test_other_names_do_not_warn() -> None:
    for fact in KNOWLEDGE.initializers.values():
        if fact.name.startswith("torch.nn.init") and not fact.deprecated:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                fill(fact, torch.empty(4, 4, 3) if fact.minimum_dimensions == 3 else torch.empty(4, 4))


def fill(fact: InitializerFact, tensor: torch.Tensor) -> torch.Tensor:
    """Calls the initializer on `tensor`, with a value for what has no default."""
    given = {
        "val": 0.5,
        "value": 0.5,
        "sparsity": 0.1,
        "p": 0.5,
        "src": torch.zeros(1),
        "other": 2.0,
        "fill_value": 1.0,
    }
    function = named(fact.name)
    required = [given[name] for name, default in fact.signature if default is ... and name not in ("tensor", "source")]
    return function(tensor, *required)


@pytest.mark.parametrize("name", [name for name in of_torch(KNOWLEDGE.initializers) if name.startswith("torch")])
def test_minimum_dimensions(name: str) -> None:
    fact = KNOWLEDGE.initializers[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for dimensions in range(1, fact.minimum_dimensions):
            with pytest.raises(ValueError, match=r"dimension|tensor"):
                fill(fact, torch.empty((4,) * dimensions))
        filled = fill(fact, torch.full((4,) * max(1, fact.minimum_dimensions), math.nan))
    assert not filled.isnan().any()


def claimed_std(fact: InitializerFact, arguments: Mapping[str, object], shape: tuple[int, int]) -> float:
    """The standard deviation that the fact's formula gives to a matrix (out, in)."""
    fan_out, fan_in = shape
    n: Mapping[str, float] = {key: value for key, value in arguments.items() if isinstance(value, (int, float))}
    match fact.formula:
        case "kaiming":
            gain = nn.init.calculate_gain(str(arguments["nonlinearity"]), n["a"])
            return gain / math.sqrt(fan_in if arguments["mode"] == "fan_in" else fan_out)
        case "xavier":
            return n["gain"] * math.sqrt(2 / (fan_in + fan_out))
        case "orthogonal":
            return n["gain"] / math.sqrt(max(shape))
        case "normal" | "trunc_normal":
            return n["std"]
        case "uniform":
            low, high = (n[key] for key in (("a", "b") if "a" in n else ("from", "to")))
            return (high - low) / math.sqrt(12)
        case "sparse":
            return n["std"] * math.sqrt(1 - n["sparsity"])
        case "constant":
            return 0.0
    raise AssertionError(fact.formula)


FORMULAS = (
    ("torch.nn.init.kaiming_normal_", {"a": 0.2}),
    ("torch.nn.init.kaiming_uniform_", {"mode": "fan_out", "nonlinearity": "relu"}),
    ("torch.nn.init.kaiming_uniform_", {"a": math.sqrt(5)}),
    ("torch.nn.init.kaiming_normal_", {"a": 0.5, "nonlinearity": "tanh"}),
    ("torch.nn.init.xavier_uniform_", {"gain": 2.0}),
    ("torch.nn.init.xavier_normal_", {}),
    ("torch.nn.init.orthogonal_", {"gain": 0.5}),
    ("torch.nn.init.normal_", {"mean": 0.02}),
    ("torch.nn.init.trunc_normal_", {"std": 0.02}),
    ("torch.nn.init.uniform_", {"b": 0.1}),
    ("torch.nn.init.sparse_", {"sparsity": 0.1}),
    ("torch.nn.init.constant_", {"val": 0.5}),
    ("torch.nn.init.ones_", {}),
    ("torch.nn.init.zeros_", {}),
    ("Tensor.normal_", {"std": 0.3}),
    ("Tensor.uniform_", {"to": 0.1}),
    ("Tensor.fill_", {"value": 0.3}),
    ("Tensor.zero_", {}),
)


@pytest.mark.parametrize(("name", "given"), FORMULAS)
@pytest.mark.parametrize("shape", [(512, 256), (128, 512)], ids=str)
def test_formulas(name: str, given: Mapping[str, object], shape: tuple[int, int]) -> None:
    fact = KNOWLEDGE.initializers[name]
    weight = torch.empty(shape)
    named(name)(weight, **given)
    claimed = claimed_std(fact, {**dict(fact.signature), **fact.fixed, **given}, shape)
    assert weight.std().item() == pytest.approx(claimed, rel=0.02, abs=1e-7)


def test_identities() -> None:
    for name, shape in (("eye_", (8, 8)), ("dirac_", (8, 8, 3))):
        assert KNOWLEDGE.initializers[f"torch.nn.init.{name}"].formula == "identity"
        weight = getattr(nn.init, name)(torch.empty(shape))
        assert weight.sum() == 8
        assert set(weight.unique().tolist()) == {0.0, 1.0}


# Operations


def rms(tensor: torch.Tensor) -> float:
    return float(tensor.square().mean().sqrt())


def maps(*, smooth: bool) -> torch.Tensor:
    """Rectified feature maps: of independent neighbours, or of neighbours that agree."""
    noise = torch.randn(4, 32, 64, 64)
    if smooth:
        noise = functional.avg_pool2d(noise, 9, stride=1)
    return torch.relu(noise / noise.std())


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("torch.nn.MaxPool2d", nn.MaxPool2d(2)),
        ("torch.nn.AvgPool2d", nn.AvgPool2d(2)),
        ("torch.nn.AdaptiveMaxPool2d", nn.AdaptiveMaxPool2d(32)),
    ],
)
def test_the_factor_of_a_pool_lies_between_independent_and_equal_neighbours(name: str, module: nn.Module) -> None:
    claimed = KNOWLEDGE.operations[name].factor
    assert claimed is not None
    measured = sorted(rms(module(x)) / rms(x) for x in (maps(smooth=False), maps(smooth=True)))
    assert measured[0] < claimed < measured[1]


def test_the_factor_of_global_pooling() -> None:
    x = maps(smooth=False)
    for name, pooled in (("torch.nn.AdaptiveAvgPool2d", nn.AdaptiveAvgPool2d(1)(x)), ("Tensor.mean", x.mean((2, 3)))):
        assert rms(pooled) / rms(x) == pytest.approx(KNOWLEDGE.operations[name].factor, rel=0.01)


def test_the_factor_of_interpolation() -> None:
    fact = KNOWLEDGE.operations["torch.nn.functional.interpolate"]
    x = torch.randn(4, 32, 32, 32)
    for mode in ("nearest", "bilinear"):
        measured = rms(functional.interpolate(x, scale_factor=2, mode=mode)) / rms(x)
        assert measured == pytest.approx(1.0 if mode == "nearest" else fact.factor, abs=0.15)


@pytest.mark.parametrize("p", [0.1, 0.5])
@pytest.mark.parametrize("name", ["torch.nn.Dropout", "torch.nn.Dropout2d", "torch.nn.AlphaDropout"])
def test_the_factor_of_dropout(name: str, p: float) -> None:
    x = torch.randn(64, 256, 4, 4)
    expected = (1 - p) ** -0.5 if KNOWLEDGE.operations[name].factor_by == "dropout" else 1.0
    assert rms(named(name)(p)(x)) / rms(x) == pytest.approx(expected, rel=0.03)


def test_the_long_path_of_a_function_leads_to_its_fact() -> None:
    assert KNOWLEDGE.resolve("torch.functional.einsum") == "torch.einsum"
    assert KNOWLEDGE.resolve("torch._C._nn.gelu") == "torch.nn.functional.gelu"
    assert KNOWLEDGE.resolve("torch.Tensor.relu_") == "Tensor.relu_"
    assert (
        KNOWLEDGE.resolve("torch.nn.modules.sparse.Embedding.from_pretrained") == "torch.nn.Embedding.from_pretrained"
    )
