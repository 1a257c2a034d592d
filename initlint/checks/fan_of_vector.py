"""INI304: an initializer that scales by a fan is called on a parameter that has none."""

from __future__ import annotations

from initlint.checks.incident import Incident, Statement, incident_check, quoted
from initlint.model import Severity


def _say(incident: Incident) -> Statement:
    dimensions, minimum = incident.word("dimensions"), incident.word("minimum")
    shaped = "a vector" if dimensions == "1" else f"{dimensions}-dimensional"
    subject = quoted(incident.parameters, "the parameter")
    verb = "are" if len(incident.parameters) > 1 else "is"
    return Statement(
        f"`{incident.word('function')}` raises ValueError here: {subject} {verb} {shaped}, and it needs {minimum} dimensions",
        Severity.ERROR,
        f"test for `p.dim() >= {minimum}`, and give vectors zeros or ones",
    )


CHECK = incident_check("INI304", "fan-of-vector", ("fan-of-vector",), _say)
