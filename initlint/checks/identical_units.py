"""INI201: all weights of a layer are one number, so its units start as one."""

from __future__ import annotations

from initlint.checks.incident import Incident, Statement, incident_check, quoted
from initlint.model import Severity


def _say(incident: Incident) -> Statement:
    subject = quoted(incident.layers, "this layer")
    start, value = ("start", "their") if len(incident.layers) > 1 else ("starts", "its")
    if incident.detail("value"):
        but = " but for their biases" if incident.detail("biased") else ""
        return Statement(
            f"{subject} {start} with {value} units all equal{but}: every weight is {incident.word('value')}",
            Severity.ERROR,
            "draw the weights at random",
        )
    return Statement(
        f"{subject} {start} with a gradient of exactly zero: {value} weights are zero, and so are those of the layer behind",
        Severity.WARNING,
        "draw one of the two at random",
        "zero as well",
    )


CHECK = incident_check("INI201", "identical-units", ("identical-units",), _say)
