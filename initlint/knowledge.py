"""What initlint knows about torch and its neighbours: rules/ as typed, validated, read-only tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Family = Literal["linear", "rectifier", "smooth", "self-normalizing", "saturating", "periodic", "shrink", "gate", "output"]


@dataclass(frozen=True, slots=True)
class Activation:
    """One activation function: `spellings` are dotted names (``torch.nn.ReLU``, ``torch.nn.functional.relu``, ``Tensor.relu_``).

    `parameters` are the numeric ones in the order of the module's signature, with defaults; `functional_parameters` those of the functional after the
    input. `bands` are the intervals of gain that match, `gain` the one to write, `second_moment_gain` 1/sqrt(E f(z)^2). For leaky
    rectifiers `bands` and gains are relative to sqrt(2 / (1 + slope^2)) when `slope_parameter` names the slope.
    `exempt` says that no initializer is ever wrong before it. `formula` names the function that integrates it (analysis/signal).
    `nonlinearity` is what `calculate_gain` calls it, None if it knows none.
    """

    name: str
    family: Family
    spellings: tuple[str, ...]
    parameters: tuple[tuple[str, float], ...]
    functional_parameters: tuple[tuple[str, float], ...]
    slope_parameter: str | None
    gain: float
    second_moment_gain: float | None
    bands: tuple[tuple[float, float], ...]
    output_bands: tuple[tuple[float, float], ...]
    exempt: bool
    nonlinearity: str | None
    recommended: Mapping[str, str | float]
    reference: str


@dataclass(frozen=True, slots=True)
class LayerFact:
    """One torch.nn module class with weights: how it is constructed, what its parameters are and how torch fills them.

    `signature` are the constructor's parameters in order with defaults (``...`` for required). `shape` gives each parameter's shape as
    expressions over the constructor's names (``["out_features", "in_features"]``, ``"*kernel_size"`` splices a tuple that an int stands for
    `dimensions` times). `fans` is the family of the true fan formula. `default` maps a parameter to its default
    initializer (function and arguments). `role`: what it does to a signal in the judgement: ``weight`` (judged), ``embedding``,
    ``recurrent``, ``attention``, ``norm``, ``composite`` (contains layers of its own), ``head``.
    """

    name: str
    role: Literal["weight", "embedding", "recurrent", "attention", "norm", "composite", "head", "activation"]
    signature: tuple[tuple[str, object], ...]
    shape: Mapping[str, tuple[str, ...]]
    optional: Mapping[str, str]
    fans: Literal["linear", "conv", "conv_transpose", "bilinear", "embedding", "vector", "recurrent", "none"]
    dimensions: int
    lazy: bool
    default: Mapping[str, Mapping[str, object]]
    bases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class InitializerFact:
    """One function that writes a tensor: ``torch.nn.init.*``, a Tensor method, or a library's.

    `signature` are parameters in order with defaults. `formula` names how variance follows: ``kaiming``, ``xavier``, ``normal``, ``uniform``, ``trunc_normal``, ``constant``,
    ``orthogonal``, ``identity``, ``sparse``, ``variance_scaling``, ``lecun``, ``opaque``.
    `canonical` is the name to report and write (``kaiming_normal_``), `deprecated` that this spelling is. `target`: ``tensor``, ``module`` (its weight and bias) or ``modules``.
    """

    name: str
    canonical: str
    signature: tuple[tuple[str, object], ...]
    formula: str
    distribution: str
    fixed: Mapping[str, object]
    deprecated: bool
    target: Literal["tensor", "module", "modules"]
    minimum_dimensions: int
    bias: str | None


Effect = Literal["transparent", "norm", "scale", "add", "gate", "concat", "matmul", "softmax", "attention", "opaque", "constant", "container", "split", "shape", "linear"]


@dataclass(frozen=True, slots=True)
class OperationFact:
    """One operation that has no weights to judge: a function, Tensor method or module class, and its `effect` on a signal.

    `factor` is what it multiplies the rms of a standard-normal signal by (None: 1 or unknown); `factor_by` names a parameter it depends on (``dropout``).
    `signature` as for layers, where arguments matter (the scale, the list of tensors, ...).
    """

    name: str
    effect: Effect
    factor: float | None
    factor_by: str | None
    signature: tuple[tuple[str, object], ...]


@dataclass(frozen=True, slots=True)
class LibraryFact:
    """One name of a library outside torch, and what it stands for.

    `kind`: ``initializer`` (writes its tensor or module: `initializer` says as which fact), ``alias`` (`target` is the torch name it equals), ``operation`` (`effect`), ``activation`` (`target`
    canonical), ``layer`` (a module that initializes itself), ``initializing-base`` (a base class whose hook calls an init method named in `hooks`),
    ``module-base`` (as good as nn.Module), ``apply`` (named_apply and its kin), ``loader``, ``registry`` (a mapping of names to activations or classes).
    """

    name: str
    kind: Literal["initializer", "alias", "operation", "activation", "layer", "initializing-base", "module-base", "apply", "loader", "registry"]
    target: str | None
    effect: Effect | None
    hooks: tuple[str, ...]
    entries: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule page: what ``initlint rule`` prints and every report links to.

    `text` is the Markdown below the toml block; `examples` the python blocks in it.
    """

    code: str
    name: str
    title: str
    summary: str
    severity: str
    fix: Literal["safe", "unsafe", "sometimes", "none"]
    since: str
    default: bool
    references: tuple[str, ...]
    text: str
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Knowledge:
    """All tables, keyed by the dotted name that code resolves to.

    `activation_of` maps every spelling to a canonical name in `activations`. Several spellings of one operation or initializer are several keys
    of one fact.
    """

    activations: Mapping[str, Activation]
    activation_of: Mapping[str, str]
    layers: Mapping[str, LayerFact]
    initializers: Mapping[str, InitializerFact]
    operations: Mapping[str, OperationFact]
    libraries: Mapping[str, LibraryFact]
    gains: Mapping[str, float | None]


def load_knowledge() -> Knowledge:
    """All facts, read once per process from rules/facts; InitlintError names file and key of what is wrong there."""
    raise NotImplementedError


def load_rules() -> Mapping[str, Rule]:
    """All rule pages by code, in order of code; InitlintError names file and key of what is wrong there."""
    raise NotImplementedError
