"""INI307: an initializer is given a module where it wants the module's weight."""

from __future__ import annotations

from initlint.checks.incident import Incident, Statement, incident_check, quoted
from initlint.model import Severity


def _say(incident: Incident) -> Statement:
    subject = quoted(incident.layers, "what it is given")
    several = len(incident.layers) > 1
    return Statement(
        f"`{incident.word('function')}` raises AttributeError here: {subject} {'are modules' if several else 'is a module'}, not a tensor",
        Severity.ERROR,
        "give it the module's `weight`",
    )


CHECK = incident_check("INI307", "module-instead-of-tensor", ("module-instead-of-tensor",), _say)
