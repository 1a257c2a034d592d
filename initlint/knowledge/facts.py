"""What a fact about torch or its neighbours is: frozen records, keyed by the dotted names that code resolves to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Family = Literal[
    "linear", "rectifier", "smooth", "self-normalizing", "saturating", "periodic", "shrink", "gate", "output"
]


@dataclass(frozen=True, slots=True)
class Activation:
    """One activation function.

    `spellings` are dotted names (``torch.nn.ReLU``, ``torch.nn.functional.relu``, ``Tensor.relu_``). `parameters` are
    the numeric ones in the order of the module's signature, with defaults; `functional_parameters` those of the
    functional after the input.

    `bands` are the intervals of gain that match, `gain` the one to write, `second_moment_gain` 1 / sqrt(E f(z)^2).
    Where `slope_parameter` names the slope of a leaky rectifier, they are relative to sqrt(2 / (1 + slope^2)).
    `exempt` says that no initializer is ever wrong before it (its bands are then everything). `nonlinearity` is what
    `calculate_gain` calls it, None if it knows none.

    `recommended` is the call to write: `function`, and its arguments; `a = "slope"` stands for the activation's own
    slope, `calculate_gain = "tanh"` for ``gain=nn.init.calculate_gain('tanh')``. `output_gain` and
    `output_recommended` take the place of `gain` and `recommended` where the activation is the model's output; None:
    nothing changes there. `gain_reference` is who found a gain that `calculate_gain` does not know.
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
    output_gain: float | None = None
    output_recommended: Mapping[str, str | float] | None = None
    gain_reference: str | None = None


LayerRole = Literal["weight", "embedding", "recurrent", "attention", "norm", "composite", "head", "activation"]
Fans = Literal["linear", "conv", "conv_transpose", "bilinear", "embedding", "vector", "recurrent", "none"]


@dataclass(frozen=True, slots=True)
class LayerFact:
    """One torch.nn module class with weights: how it is constructed, what its parameters are and how torch fills them.

    `signature` are the constructor's parameters in order with defaults (``...`` for required). `shape` gives each
    parameter's shape as expressions over the constructor's names (``("out_features", "in_features")``;
    ``"*kernel_size"`` splices a tuple that an int stands for `dimensions` times). `optional` maps a parameter to the
    condition over those names under which the layer has it (``"bias"``); others always exist. Parameters of layers
    inside are dotted (``out_proj.weight``); a recurrent layer gives those of its first layer (``weight_ih_l0``).

    `fans` is the family of the true fan formula. `default` maps a parameter to its default initializer: `function` (a
    canonical name) and its arguments, where text is an expression over the constructor's names and `fan_in`, the fan
    torch computes, and for weights `effective_gain`, std * sqrt(true fan_in). The parameter ``*`` stands for every
    one of two or more dimensions.

    `bases` are the torch classes that an isinstance test may name, nearest first. `lazy`: parameters come to be in
    the first forward. `role`: what it does to a signal in the judgement: ``weight`` (judged), ``embedding``,
    ``recurrent``, ``attention``, ``norm``, ``composite`` (contains layers of its own), ``head``, ``activation``.
    """

    name: str
    role: LayerRole
    signature: tuple[tuple[str, object], ...]
    shape: Mapping[str, tuple[str, ...]]
    optional: Mapping[str, str]
    fans: Fans
    dimensions: int
    lazy: bool
    default: Mapping[str, Mapping[str, object]]
    bases: tuple[str, ...]


Target = Literal["tensor", "module", "modules"]


@dataclass(frozen=True, slots=True)
class InitializerFact:
    """One function that writes a tensor: ``torch.nn.init.*``, a Tensor method, or a library's.

    `signature` are parameters in order with defaults; a Tensor method's lacks the tensor. `formula` names how
    variance follows: ``kaiming``, ``xavier``, ``normal``, ``uniform``, ``trunc_normal`` (bounds are absolute),
    ``trunc_normal_tf`` (bounds are in units of std), ``constant``, ``orthogonal``, ``identity``, ``sparse``,
    ``variance_scaling``, ``scale`` (multiplies what is there), ``copy`` (takes the values of another tensor),
    ``opaque``. `fixed` are arguments that the caller cannot change (a Xavier fill that calls Kaiming with a=1).
    `canonical` is the name to report and write (``kaiming_normal_``), `deprecated` that this spelling is. `target`:
    ``tensor``, ``module`` (its weight and bias) or ``modules`` (a list of them, or all below one). `bias` is what it
    does to the bias of its module: ``zeros``, the name of a parameter of `signature`, or None: nothing.
    """

    name: str
    canonical: str
    signature: tuple[tuple[str, object], ...]
    formula: str
    distribution: str
    fixed: Mapping[str, object]
    deprecated: bool
    target: Target
    minimum_dimensions: int
    bias: str | None

    @property
    def fills(self) -> bool:
        """Whether a call of it leaves nothing of what the tensor held."""
        return self.formula not in _KEEPING


_KEEPING = frozenset({"scale", "copy", "opaque"})
"""The formulas of what changes a tensor, or fills it with nobody knows what."""

Effect = Literal[
    "transparent",  # moves, drops or pools elements
    "select",  # takes some of the elements
    "norm",  # erases scale
    "scale",  # multiplies by a number that may be unknown
    "add",  # sums tensors, or adds a number
    "gate",  # multiplies tensors; with a number it scales
    "concat",
    "split",  # returns several views
    "matmul",
    "linear",  # multiplies by a weight that is an argument
    "softmax",
    "attention",
    "clamp",  # an activation where the bounds make it one
    "masked",  # takes each element from one of two tensors
    "constant",  # a tensor of its own, no signal
    "shape",  # sizes and flags, no tensor
    "container",
    "loss",
    "output",  # hands its numbers to numpy or Python
    "opaque",
]
FactorFormula = Literal["dropout", "interpolation", "multiplier", "divisor"]


@dataclass(frozen=True, slots=True)
class OperationFact:
    """One function, Tensor method or module class that has no weights to judge, and its `effect` on a signal.

    `factor` is what it multiplies the rms of a standard-normal signal by (None: 1 or unknown). `factor_by` names how
    it depends on an argument: ``dropout`` (1 / sqrt(1 - p)), ``interpolation`` (`factor` where `mode` is linear of
    any kind, else 1), ``multiplier`` and ``divisor`` (the number `other`). `slope` is what it multiplies a gradient by, where
    that is not the factor. `signature` as for layers (a Tensor
    method's lacks the tensor), empty where arguments do not matter.
    """

    name: str
    effect: Effect
    factor: float | None
    factor_by: FactorFormula | None
    signature: tuple[tuple[str, object], ...]
    slope: float | None = None


LibraryKind = Literal[
    "initializer",
    "alias",
    "operation",
    "activation",
    "layer",
    "initializing-base",
    "module-base",
    "apply",
    "message-passing",
    "mixin",
    "loader",
    "uninitialized",
    "registry",
    "parametrization",
]


@dataclass(frozen=True, slots=True)
class LibraryFact:
    """One name of a library outside torch.nn, and what it stands for.

    `kind` says what, and what else is given:

    - ``initializer``: writes its tensor or module as the initializer `target` does
    - ``alias``: is the torch class or function `target`
    - ``operation``: has that `effect`
    - ``activation``: is the activation with the canonical name `target`
    - ``layer``: a module that initializes itself, or that holds its own activations and norms
    - ``initializing-base``: a base class whose framework calls the init methods named in `hooks`, if it names any
    - ``module-base``: as good as nn.Module; its framework calls the methods in `hooks` after the constructor
    - ``message-passing``: a method of a base class that hands what it is given through the methods in `hooks`
    - ``mixin``: a base class that neither builds nor initializes a layer
    - ``apply``: calls a function on every module below one (named_apply and its kin)
    - ``loader``: gives or fills in trained weights
    - ``uninitialized``: builds a layer and leaves its memory as it is
    - ``registry``: a mapping, or a function of a name, that gives the dotted names in `entries`
    - ``parametrization``: recomputes a weight; `target` is weight_norm, spectral_norm, orthogonal or other
    """

    name: str
    kind: LibraryKind
    target: str | None
    effect: Effect | None
    hooks: tuple[str, ...]
    entries: Mapping[str, str]


Repair = Literal["safe", "unsafe", "sometimes", "none"]


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
    fix: Repair
    since: str
    default: bool
    references: tuple[str, ...]
    text: str
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Knowledge:
    """All tables, keyed by the dotted name that code resolves to (``torch.nn.ReLU``, ``torch.relu``, ``Tensor.relu_``).

    `activation_of` maps every spelling to a canonical name in `activations`. What a library has of its own is in
    these tables under its own name too (``timm.layers.trunc_normal_`` in `initializers`), so that `libraries` needs
    asking last. `prefixes` say where a name is found under a longer path; `resolve` applies them. `parts` are the operations
    that take some of the elements of a tensor, by their last name: ``chunk``, ``getitem``.
    """

    activations: Mapping[str, Activation]
    activation_of: Mapping[str, str]
    layers: Mapping[str, LayerFact]
    initializers: Mapping[str, InitializerFact]
    operations: Mapping[str, OperationFact]
    libraries: Mapping[str, LibraryFact]
    gains: Mapping[str, float | None]
    prefixes: tuple[tuple[str, str], ...] = ()
    parts: frozenset[str] = frozenset()

    def resolve(self, name: str) -> str:
        """The name that the tables know: `name`, or what it stands for as an alias or a long module path.

        ``torch.nn.modules.linear.Linear`` is ``torch.nn.Linear``.
        """
        for _ in range(_LONGEST_DETOUR):
            shorter = self._shorten(name)
            if shorter is None or shorter == name:
                break
            name = shorter
        return name

    def _shorten(self, name: str) -> str | None:
        library = self.libraries.get(name)
        if library is not None:
            return library.target if library.kind == "alias" else None
        for prefix, package in self.prefixes:
            if name.startswith(prefix):
                return f"{package}.{_without_modules(name[len(prefix) :])}"
        return None


def _without_modules(path: str) -> str:
    while path[:1].islower() and "." in path:
        path = path.partition(".")[2]
    return path


_LONGEST_DETOUR = 4
"""A long path to an alias of a long path is the most that happens; the bound keeps a circle from hanging."""
