"""The nouns that every part of initlint shares: what was read, what was judged, what is said and what is written.

Nothing here imports more than the standard library, and every object is frozen: a front end builds a
`Model`, `analysis` turns it into `Judgement`s, `checks` turn those into `Finding`s, `fix` attaches `Fix`es.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal, NamedTuple

Value = str | int | float | bool | None
"""A value that can be written down: what a message, a report or a fix may quote."""


@dataclass(frozen=True, slots=True, order=True)
class Site:
    """A stretch of source text.

    Lines and columns count from 1, columns in characters; `end_column` points one past the last character.
    `file` is an absolute path (or the name given for standard input). Within a run, lines of a notebook are those of the
    program that its cells make up; where readers are told, they are those of `cell`, counted from 1 over all cells.
    """

    file: str
    line: int
    column: int
    end_line: int
    end_column: int
    cell: int | None = None


class Severity(IntEnum):
    """How much a finding costs, ordered."""

    INFO = 1
    WARNING = 2
    ERROR = 3

    @property
    def label(self) -> str:
        """The word that users read and write: ``info``, ``warning`` or ``error``."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Initializer:
    """What last wrote a parameter.

    `gain` is the nominal gain, std * sqrt(the fan the initializer itself scales by): sqrt(2) for Kaiming before ReLU
    in either mode, `gain` for Xavier, 1/sqrt(3) for the default of Linear and Conv. `effective_gain` is
    std * sqrt(true fan_in), known only where the widths are known; it is what a signal meets. `std` and `mean` are
    in units of the weight. Whatever is not known is None.

    `editable` says that `site` is one call in the user's text whose arguments may be rewritten (not a helper that
    other layers share with another purpose, not a library's). `rescaled`: the author multiplied what it drew by a number.
    `ambiguous`: what it draws is 2 / fan_out, or Xavier's, and a round number over fan_in as well, by the widths of this layer.
    """

    source: Literal["default", "explicit", "loaded", "unknown"]
    function: str | None = None
    arguments: tuple[tuple[str, Value], ...] = ()
    gain: float | None = None
    effective_gain: float | None = None
    std: float | None = None
    mean: float | None = None
    site: Site | None = None
    editable: bool = False
    conditional: bool = False
    rescaled: bool = False
    ambiguous: bool = False

    @property
    def is_constant(self) -> bool:
        """Whether every element was set to one value."""
        return self.std == 0.0


UNKNOWN_INITIALIZER = Initializer("unknown")

Parametrization = Literal["weight_norm", "spectral_norm", "orthogonal", "other"]


@dataclass(frozen=True, slots=True)
class Layer:
    """One parameterised layer of a model, or a bare `nn.Parameter` used as a matrix (`kind` "Parameter").

    `owner` is the class that holds it, past any torch containers, and `path` the dotted path from there
    (``features.0``): together what a user would call it. `owner_site` is the header of that class. `access` is the
    expression that names the layer in the owner's `__init__` (``self.features[0]``) or after the statement that
    built it at module level (``net[0]``), None where no such expression exists. `holder` is the class of what holds it
    where no class of the user's does: ``Sequential``.

    `transposed`: torch takes what are its inputs for its outputs, as in a transposed convolution and in ``x @ weight``.
    `repeats` says that an unknown number of layers comes from this construction. `context` names who built it, where
    that matters (``Net in net.py``). `history` holds the writes to the weight before the last, oldest first.
    """

    id: int
    kind: str
    owner: str
    path: str
    site: Site
    weight: Initializer
    bias: Initializer | None = None
    history: tuple[Initializer, ...] = ()
    fan_in: int | None = None
    fan_out: int | None = None
    groups: int | None = 1
    transposed: bool = False
    lazy: bool = False
    frozen: bool = False
    repeats: bool = False
    parametrization: Parametrization | None = None
    access: str | None = None
    owner_site: Site | None = None
    holder: str = ""
    context: str | None = None


OpKind = Literal[
    "input",  # a tensor from outside
    "layer",  # applies a Layer; `layer` is its id
    "activation",  # `name` is canonical (relu, leaky_relu, ...), `params` its slopes
    "norm",  # erases scale
    "transparent",  # reshapes, pools, drops: `params` may hold "factor", what it multiplies the rms by, and "slope" if gradients by another
    "scale",  # multiplies by a number: `params` "factor", absent when unknown
    "add",  # sums two or more tensors
    "gate",  # multiplies two or more tensors
    "concat",
    "matmul",  # attention scores, einsum of two activations
    "softmax",
    "join",  # exactly one of the inputs arrives, it is not known which
    "output",  # leaves the model
    "opaque",  # something that was not understood
]


@dataclass(frozen=True, slots=True)
class Op:
    """One step of a forward pass; `inputs` are the positions of earlier ops in `Model.ops`."""

    id: int
    kind: OpKind
    name: str
    inputs: tuple[int, ...] = ()
    layer: int | None = None
    params: tuple[tuple[str, float], ...] = ()
    site: Site | None = None

    def param(self, name: str, default: float | None = None) -> float | None:
        """The numeric parameter `name`, or `default`."""
        return dict(self.params).get(name, default) if self.params else default


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened while a model was built and that a check may want to hear of.

    `kind` names the fact (``deprecated-initializer``, ``write-to-copy``); `site` is where; `layer` the id of the layer it
    concerns; `details` what the message quotes.
    """

    kind: str
    site: Site
    layer: int | None = None
    details: tuple[tuple[str, Value], ...] = ()
    related: tuple[Site, ...] = ()

    def detail(self, name: str) -> Value:
        """The detail called `name`, or None."""
        return dict(self.details).get(name)


@dataclass(frozen=True, slots=True)
class Model:
    """One model as one front end understood it: layers, the ops of its forward pass in order, and what happened.

    `silent` are the ids of layers that are not judged here, since other models show them better. `alone`: no code was seen to
    build it.
    """

    name: str
    layers: tuple[Layer, ...]
    ops: tuple[Op, ...]
    events: tuple[Event, ...] = ()
    opaque: tuple[str, ...] = ()
    site: Site | None = None
    traced: bool = False
    silent: frozenset[int] = frozenset()
    alone: bool = False


class Follower(NamedTuple):
    """An activation that a layer's output runs into, and what lies between the two.

    `normalized`: a normalization; `residual`: a sum with another tensor, `adds` how many, `summed` by what factor its rms exceeds
    that of the layer's own term, None where that is not known; `gated`: the activation multiplies another tensor, or the layer's
    output is multiplied before it arrives; `scaled`: the factor of known scalar multiplications; `output`: what the activation
    returns leaves the model without passing another layer, None where that is not known, or it is bounded and enters one, too: what
    is said of it then has to hold for both; `alternative`: only on one of several branches of which one is taken; `part`: only a
    part of what the layer makes arrives, other parts run into something else.
    """

    activation: str
    params: tuple[tuple[str, float], ...] = ()
    site: Site | None = None
    normalized: bool = False
    residual: bool = False
    adds: int = 0
    summed: float | None = 1.0
    gated: bool = False
    scaled: float | None = 1.0
    output: bool | None = False
    alternative: bool = False
    part: bool = False


class Chain(NamedTuple):
    """The maximal un-normalised path that a layer lies on.

    `length` counts its weight layers including the head, `position` is the layer's, from 1, `signal` is J: the predicted factor on
    gradient and input-dependent signal over the chain (SGD starts well for 0.1 <= J <= 10). `fixed_signal` is J with every
    mismatched layer of the chain repaired, `fixed_growth` by what the rms of its pre-activations then grows. `layers` are the
    ids in order. `pools` counts max-pools on the way. `residual`: in a branch that is added to what it began in; `renewed`: in
    one whose path begins later, in a normalization of that, or ends earlier, in a matrix product or a gate.
    """

    length: int
    position: int
    signal: float | None
    fixed_signal: float | None = None
    layers: tuple[int, ...] = ()
    residual: bool = False
    pools: int = 0
    renewed: bool = False
    fixed_growth: float | None = None


Verdict = Literal["match", "mismatch", "exempt", "unknown"]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is known of one layer: its followers, its chain and the verdict.

    `bands` are the accepted intervals of gain for the follower that decided, `ideal` the gain to write. `reason` says in a few words
    why a layer is exempt or unknown. `model` tells the model it was judged in from all others; `traced` says the tracer judged it,
    `alone` that no code was seen to build what it is part of.
    """

    layer: Layer
    verdict: Verdict
    followers: tuple[Follower, ...] = ()
    chain: Chain | None = None
    decisive: Follower | None = None
    ideal: float | None = None
    bands: tuple[tuple[float, float], ...] = ()
    reason: str = ""
    partial: bool = False
    model: str = ""
    traced: bool = False
    alone: bool = False


@dataclass(frozen=True, slots=True)
class Measure:
    """What a live layer measures; `path` is where it is in the whole model, None what could not be measured.

    `mean`, `std` and `gain` (std times the root of the true fan_in) are those of the weight; `rms`, `spread` (the part that depends on the
    input) and `gradient` (per sample, of a random projection of the output) those of its output in one pass; `dead` and `saturated` the
    shares of the activation behind it; `chain_signal` what `Chain.signal` predicts.
    """

    path: str
    mean: float | None = None
    std: float | None = None
    gain: float | None = None
    rms: float | None = None
    spread: float | None = None
    gradient: float | None = None
    dead: float | None = None
    saturated: float | None = None
    chain_signal: float | None = None


@dataclass(frozen=True, slots=True)
class Related:
    """A second place that a finding points to, and what is there."""

    site: Site
    message: str


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace the text between two positions of one file; both count from 1, columns in characters, `cell` as in Site."""

    file: str
    line: int
    column: int
    end_line: int
    end_column: int
    content: str
    cell: int | None = None


Applicability = Literal["safe", "unsafe"]


@dataclass(frozen=True, slots=True)
class Fix:
    """Edits that belong together: all are applied or none. `title` is a verb phrase.

    `drafted` are the files of edits that nobody has asked for and that are not written yet.
    """

    title: str
    applicability: Applicability
    edits: tuple[Edit, ...]
    drafted: tuple[str, ...] = ()

    @property
    def files(self) -> frozenset[str]:
        """The files that it changes."""
        return frozenset(self.drafted).union(edit.file for edit in self.edits)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to say to the user, at one place.

    `message` is one lower-case clause naming the user's symbols and the measure; `help` says what to write instead. `layer` is
    ``Net.conv1``; `init` the call in effect (``default``, ``kaiming_normal_(mode='fan_out')``).
    `judgements`, the costliest first, and `events` are those that the finding rests on: what a fix repairs.
    """

    code: str
    name: str
    message: str
    severity: Severity
    site: Site
    help: str | None = None
    layer: str | None = None
    activation: str | None = None
    init: str | None = None
    gain: float | None = None
    ideal_gain: float | None = None
    chain_length: int | None = None
    chain_signal: float | None = None
    related: tuple[Related, ...] = ()
    fix: Fix | None = None
    judgements: tuple[Judgement, ...] = ()
    events: tuple[Event, ...] = ()
