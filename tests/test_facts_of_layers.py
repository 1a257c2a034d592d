"""Layers of the installed torch have the parameters, and start with the gains, that the facts say."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from types import MappingProxyType

import pytest
import torch
from torch import nn

from initlint.knowledge import LayerFact
from tests.installed_torch import KNOWLEDGE, named, private

WIDTH = 256

pytestmark = pytest.mark.usefixtures("same_numbers")


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
