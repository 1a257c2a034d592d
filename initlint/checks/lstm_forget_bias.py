"""INI401: the forget gate of an LSTM starts half closed."""

from __future__ import annotations

from initlint.checks.incident import Incident, Statement, incident_check, quoted
from initlint.model import Severity


def _say(incident: Incident) -> Statement:
    subject = quoted(incident.layers, "this LSTM")
    starts = "start" if len(incident.layers) > 1 else "starts"
    return Statement(
        f"{subject} {starts} with a forget bias around 0: a gate of 0.5 forgets half of the state at every step",
        Severity.INFO,
        "fill the second quarter of the bias with 1: `bias.data[n // 4 : n // 2].fill_(1.0)`",
    )


CHECK = incident_check("INI401", "lstm-forget-bias", ("lstm-forget-bias",), _say)
