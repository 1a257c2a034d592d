"""One forward and one backward pass, as numbers: the signal at every layer and activation of a model as it is built."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import nn

from initlint.graph.calls import Call, known_class
from initlint.graph.execution import Execution, tensors_in
from initlint.graph.inputs import Inputs
from initlint.graph.modes import running
from initlint.graph.provenance import Recorder
from initlint.graph.tracer import Trace, find_compiled, lower
from initlint.knowledge import Knowledge


@dataclass(frozen=True, slots=True)
class Signal:
    """What a tensor held in one pass.

    `rms` is over all elements; `spread` the part of it that depends on the input: the standard deviation over the batch,
    None for a batch of one. `gradient` is the norm, per sample, of the derivative of a random projection of the output by this tensor:
    between two layers it changes by J (for a Jacobian A, E|A'v|^2 = |v|^2 |A|^2 / n). `units` is the number of features.
    """

    rms: float
    spread: float | None
    units: int
    samples: int
    gradient: float | None = None

    @property
    def is_finite(self) -> bool:
        """Whether nothing overflowed."""
        return math.isfinite(self.rms) and (self.gradient is None or math.isfinite(self.gradient))


@dataclass(frozen=True, slots=True)
class Activity:
    """How an activation, by op, leaves its `units`: `dead` is the share that is zero on every sample, `saturated` that of flat elements."""

    op: int
    activation: str
    dead: float | None
    saturated: float | None
    samples: int
    units: int


@dataclass(frozen=True, slots=True)
class Measurement:
    """A traced model with the signal behind each op that was measured, by position."""

    trace: Trace
    signals: Mapping[int, Signal]
    activities: tuple[Activity, ...]
    batch: int

    def layer_signals(self) -> dict[int, Signal]:
        """The signal where each layer, by id, is first applied."""
        found: dict[int, Signal] = {}
        for position, op in enumerate(self.trace.model.ops):
            if op.kind == "layer" and op.layer is not None and position in self.signals:
                found.setdefault(op.layer, self.signals[position])
        return found


def measure(model: nn.Module, inputs: Inputs, knowledge: Knowledge, *, recorder: Recorder | None = None) -> Measurement:
    """Run `model` forward and backward once; its parameters, buffers, modes and gradients stay as they are.

    Whatever the user's code raises comes through.
    """
    probe = _Probe(knowledge)
    execution = Execution(model, knowledge, probe)
    with running(model), torch.enable_grad():
        output = execution.run(model, inputs.args, inputs.kwargs)
        probe.pull_back(output)
    calls, compiled = tuple(execution.calls), find_compiled(model)
    trace = lower(model, calls, compiled, knowledge, recorder, strangers=execution.strangers)
    signals = {trace.op_of[call]: signal for call, signal in probe.finished().items() if call in trace.op_of}
    activities = tuple(
        replace(activity, op=trace.op_of[activity.op]) for activity in probe.activities if activity.op in trace.op_of
    )
    return Measurement(trace, signals, activities, probe.batch)


@dataclass(slots=True)
class _Probe:
    """Watches the tensors of one run."""

    knowledge: Knowledge
    signals: dict[int, Signal] = field(default_factory=dict)
    gradients: dict[int, float] = field(default_factory=dict)
    activities: list[Activity] = field(default_factory=list)
    batch: int = 0

    def __call__(self, call: Call, tensor: torch.Tensor) -> None:
        """Note what `tensor` holds now: an in-place operation may soon change it."""
        if not tensor.is_floating_point() or tensor.dim() < 2 or tensor.is_meta or not tensor.numel():
            return
        if call.kind == "input":
            self.batch = self.batch or int(tensor.shape[0])
            return
        activation = self._activation(call)
        if activation is None and not self._applies_weight(call):
            return
        values = tensor.detach().float()
        self.signals[call.id] = _signal(values)
        if activation is not None:
            self.activities.append(_activity(call.id, activation, values))
        if tensor.requires_grad:
            samples, number = int(tensor.shape[0]), call.id
            tensor.register_hook(lambda gradient: self._note_gradient(number, gradient, samples))

    def pull_back(self, output: object) -> None:
        """Send a random gradient back from every output."""
        outputs = [tensor for tensor in tensors_in(output) if tensor.requires_grad and tensor.is_floating_point()]
        if outputs and not any(tensor.is_meta for tensor in outputs):
            torch.autograd.backward(outputs, [torch.randn_like(tensor) for tensor in outputs])

    def finished(self) -> dict[int, Signal]:
        """The signals with their gradients, by call."""
        return {call: replace(signal, gradient=self.gradients.get(call)) for call, signal in self.signals.items()}

    def _note_gradient(self, call: int, gradient: torch.Tensor, samples: int) -> None:
        norm = float(gradient.detach().float().norm()) / math.sqrt(max(samples, 1))
        self.gradients[call] = math.hypot(self.gradients.get(call, 0.0), norm)

    def _applies_weight(self, call: Call) -> bool:
        """Whether the call may be a layer's."""
        if call.module is not None:
            return any(True for _ in call.module.parameters())
        operation = self.knowledge.operations.get(self.knowledge.resolve(call.name))
        return operation is not None and operation.effect in {"linear", "matmul"}

    def _activation(self, call: Call) -> str | None:
        name = call.name if call.module is None else known_class(call.module, self.knowledge) or call.name
        return self.knowledge.activation_of.get(self.knowledge.resolve(name))


def _signal(values: torch.Tensor) -> Signal:
    batch = int(values.shape[0])
    spread = None
    if batch > 1:
        # The mean over the batch takes one degree of freedom with it. Differences first: a vanishing spread beside a bias.
        spread = float((values - values.mean(dim=0)).square_().mean().mul(batch / (batch - 1)).sqrt())
    units = int(values.shape[_unit_dimension(values)])
    return Signal(float(values.square().mean().sqrt()), spread, units, values.numel() // max(units, 1))


def _activity(call: int, activation: str, values: torch.Tensor) -> Activity:
    unit = _unit_dimension(values)
    others = [dimension for dimension in range(values.dim()) if dimension != unit]
    samples = values.numel() // max(int(values.shape[unit]), 1)
    dead = float((values == 0).all(dim=others[0]).float().mean()) if len(others) == 1 else None
    if dead is None:
        dead = float((values.abs().amax(dim=others) == 0).float().mean())
    bounds = _BOUNDS.get(activation)
    saturated = None
    if bounds is not None:
        low, high = bounds
        margin = _FLAT * (high - low)
        saturated = float(((values < low + margin) | (values > high - margin)).float().mean())
    return Activity(call, activation, dead, saturated, samples, int(values.shape[unit]))


def _unit_dimension(values: torch.Tensor) -> int:
    """The dimension of features: channels of images and volumes, the last of anything else."""
    return 1 if values.dim() >= 4 else values.dim() - 1


_FLAT = 0.015
"""The share of the range next to a bound where a sigmoid's or tanh's derivative is below 6 % of its largest."""

_BOUNDS = {
    "sigmoid": (0.0, 1.0),
    "hardsigmoid": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "tanh_lecun": (-1.7159, 1.7159),
    "hardtanh": (-1.0, 1.0),
    "softsign": (-1.0, 1.0),
}
