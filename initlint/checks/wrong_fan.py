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
}
_HOW = {
    "transposed": "draw it by hand, with fan_in = in_channels * kernel / stride",
    "groups": "use mode='fan_in', or divide fan_out by the groups",
    "left": "initialize the transposed view: `nn.init.kaiming_uniform_(w.t())`",
    "stack": "initialize one matrix after the other: `for matrix in w: nn.init.xavier_uniform_(matrix)`",
}
_FAR = 4.0
"""Two powers of two off in std: what one un-normalised layer no longer makes up for."""


def _say(incident: Incident) -> Statement:
    reason, ratio = incident.word("reason"), incident.detail("ratio")
    known = float(ratio) if isinstance(ratio, (int, float)) else None
    far = known is not None and not 1 / _FAR < known < _FAR
    measure = "" if known is None else f": std {number(known)} times that of its true fan"
    return Statement(
        f"`{incident.word('function')}` scales {quoted(incident.parameters, 'this weight')} by the wrong fan{measure}; {_WHY[reason]}",
        Severity.WARNING if far else Severity.INFO,
        _HOW[reason],
    )


CHECK = incident_check("INI310", "wrong-fan", ("wrong-fan",), _say)
