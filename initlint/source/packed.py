"""Weights that hold several matrices in one: the gates of a recurrent layer, the projections of an attention."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from initlint.source.scales import fact_of
from initlint.source.torch_modules import own_parameters
from initlint.source.values import Instance, ParamV, Write

if TYPE_CHECKING:
    from initlint.source.machine import Machine

_GATES = {"LSTM": 4, "LSTMCell": 4, "GRU": 3, "GRUCell": 3}
_BIAS = re.compile(r"bias_(ih|hh)(_l0)?")
_WEIGHT = re.compile(r"weight_(ih|hh)")


def inspect_packed(machine: Machine) -> None:
    """Note how packed weights were initialized, at the end of a context."""
    for module in machine.instances:
        if module.torch_class is None or module.fact is None or module.uncertain:
            continue
        name = module.torch_class.rpartition(".")[2]
        if name in _GATES:
            _inspect_recurrent(machine, module, name)
        elif name == "MultiheadAttention":
            _inspect_attention(machine, module)


def _inspect_recurrent(machine: Machine, module: Instance, name: str) -> None:
    for parameter, param in own_parameters(module):
        last = param.data[-1] if param.data else None
        if last is None or not _WEIGHT.match(parameter):
            continue
        if _formula(machine, last) in ("orthogonal", "xavier") and last.place is not None:
            machine.occur(
                "packed-recurrent-init",
                last.place,
                module,
                function=last.function.rpartition(".")[2],
                parameter=parameter,
                gates=_GATES[name],
                formula=_formula(machine, last),
            )
    biases = [param for parameter, param in own_parameters(module) if _BIAS.fullmatch(parameter)]
    if name.startswith("LSTM") and biases and module.place is not None:
        machine.reached.add(module.place.node)
        if all(_is_near_zero(machine, param) for param in biases):
            machine.occur("lstm-forget-bias", module.place, module)


def _is_near_zero(machine: Machine, param: ParamV) -> bool:
    """Whether torch's default or zeros are all that was ever written to a bias."""
    return all(
        write.source == "default" or (_formula(machine, write) == "constant" and _fills_zero(machine, write))
        for write in param.data
    )


def _fills_zero(machine: Machine, write: Write) -> bool:
    fact = fact_of(machine.knowledge, write)
    given = {**dict(write.arguments), **(fact.fixed if fact is not None else {})}
    return not write.partial and given.get("val", given.get("value")) == 0


def _inspect_attention(machine: Machine, module: Instance) -> None:
    param = module.data.get("in_proj_weight")
    last = param.data[-1] if isinstance(param, ParamV) and param.data else None
    if last is not None and last.place is not None and _formula(machine, last) == "xavier":
        machine.occur(
            "packed-qkv-xavier",
            last.place,
            module,
            function=last.function.rpartition(".")[2],
            parameter="in_proj_weight",
        )


def _formula(machine: Machine, write: Write) -> str | None:
    """The formula of a call that certainly fills the whole weight."""
    if write.source != "explicit" or write.partial or write.conditional:
        return None
    if write.place is None or not isinstance(write.place.node, ast.Call):
        return None
    fact = fact_of(machine.knowledge, write)
    return None if fact is None else fact.formula
