"""INI310: an initializer scales by a fan that torch reads off the wrong side of this weight."""

from __future__ import annotations

from initlint.checks.incident import Incident, Statement, incident_check, quoted
from initlint.checks.wording import number
from initlint.model import Severity

_WHY = {
    "transposed": "torch swaps the fans of transposed convolutions and counts no stride",
    "groups": "torch's fan_out counts all groups of a convolution, and a unit meets one",
    "left": "torch takes the first dimension for out, and this matrix is multiplied from the left",
    "stack": "torch takes a stack of matrices for the kernel of a convolution",
    "tensor": "torch takes what lies behind the first two dimensions for the kernel of a convolution",
}
_HOW = {
    "transposed": "draw it by hand, with fan_in = in_channels * kernel / stride",
    "groups": "use mode='fan_in', or divide fan_out by the groups",
    "left": "initialize the transposed view: `nn.init.kaiming_uniform_(w.t())`",
    "stack": "initialize one matrix after the other: `for matrix in w: nn.init.xavier_uniform_(matrix)`",
    "tensor": "initialize a view of it as the matrix (out, in) that it is",
}
_FAR = 4.0
"""Two powers of two off in std: what one un-normalised layer no longer makes up for."""


def _say(incident: Incident) -> Statement:
    reason = incident.word("reason")
    ratios = sorted({float(each) for each in incident.details("ratio") if isinstance(each, (int, float))})
    far = any(not 1 / _FAR < ratio < _FAR for ratio in ratios)
    measure = f": std {_range(ratios)} times that of its true fan" if ratios else ""
    return Statement(
        f"`{incident.word('function')}` scales {quoted(incident.parameters, 'this weight')} by the wrong fan{measure}; {_WHY[reason]}",
        Severity.WARNING if far else Severity.INFO,
        _HOW[reason],
    )


def _range(ratios: list[float]) -> str:
    ends = dict.fromkeys(map(number, (ratios[0], ratios[-1])))
    return " to ".join(ends)


CHECK = incident_check("INI310", "wrong-fan", ("wrong-fan",), _say)
