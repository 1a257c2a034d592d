"""INI306: the initializer is called by the name it had without the underscore."""

from __future__ import annotations

from initlint.checks.incident import Incident, Statement, incident_check
from initlint.model import Severity


def _say(incident: Incident) -> Statement:
    function, successor = incident.word("function"), incident.word("successor")
    return Statement(
        f"`{function}` is deprecated: torch warns at every call",
        Severity.INFO,
        f"write `{successor}`, which does the same",
    )


CHECK = incident_check("INI306", "deprecated-initializer", ("deprecated-initializer",), _say)
