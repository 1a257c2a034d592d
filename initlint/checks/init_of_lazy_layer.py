"""INI314: a lazy layer has no weight to initialize before its first forward."""

from __future__ import annotations

from initlint.checks.incident import Incident, Statement, incident_check, quoted
from initlint.model import Severity


def _say(incident: Incident) -> Statement:
    subject = quoted(incident.parameters, "the parameter")
    return Statement(
        f"`{incident.word('function')}` raises here: {subject} of a lazy layer has no shape before the first forward",
        Severity.ERROR,
        "run one batch through the model first, or name the input width",
    )


CHECK = incident_check("INI314", "init-of-lazy-layer", ("init-of-lazy-layer",), _say)
