"""INI202: a weight matrix is drawn from N(0, 1) or from U[0, 1), whatever its width."""

from __future__ import annotations

import math

from initlint.checks.incident import Incident, Statement, incident_check, quoted
from initlint.checks.wording import number
from initlint.model import Severity

_SECOND_MOMENT = 1 / 3
"""E[w^2] of U[0, 1)."""


def _say(incident: Incident) -> Statement:
    subject = quoted(incident.parameters, "this weight")
    width = incident.detail("width")
    several = len(incident.parameters) > 1
    verb = "are" if several else "is"
    if incident.word("spread") == "uniform":
        gain = "" if not isinstance(width, int) else f" (gain {number(math.sqrt(width * _SECOND_MOMENT))})"
        return Statement(
            f"{subject} {verb} drawn from 0 to 1{gain}: every weight is positive, and every unit answers to the sum of its inputs",
            Severity.ERROR,
            "draw around zero: `nn.init.xavier_uniform_`, or `uniform_(w, -bound, bound)`",
        )
    gain = f"by {number(math.sqrt(width))}" if isinstance(width, int) else "by the root of the number of inputs"
    return Statement(
        f"{subject} {verb} drawn with std 1 whatever the width, which scales the signal {gain}",
        Severity.WARNING,
        "divide by the root of the number of inputs, or initialize by `nn.init.xavier_uniform_`",
    )


CHECK = incident_check("INI202", "unscaled-random-weight", ("unscaled-random-weight",), _say)
