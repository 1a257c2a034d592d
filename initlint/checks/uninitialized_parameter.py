"""INI203: a parameter is memory that nothing ever fills."""

from __future__ import annotations

from initlint.checks.incident import Incident, Statement, incident_check, quoted
from initlint.model import Severity


def _say(incident: Incident) -> Statement:
    several = len(incident.parameters) > 1
    verb = "are" if several else "is"
    return Statement(
        f"{quoted(incident.parameters, 'the parameter')} {verb} never initialized: the values are whatever the memory held before",
        Severity.ERROR,
        "fill it after it is made, or make it from `torch.zeros` or `torch.randn`",
    )


CHECK = incident_check("INI203", "uninitialized-parameter", ("uninitialized-parameter",), _say)
