"""INI308: `apply` is given what a function returned instead of the function."""

from __future__ import annotations

from initlint.checks.incident import Incident, Statement, incident_check
from initlint.model import Severity


def _say(incident: Incident) -> Statement:
    called, returns = incident.word("called"), incident.word("returns")
    return Statement(
        f"`apply` is given what `{called}` returns, which is {returns} and cannot be called: TypeError",
        Severity.ERROR,
        f"leave out the call: `apply({called})`",
    )


CHECK = incident_check("INI308", "apply-of-call-result", ("apply-of-call-result",), _say)
