"""INI204: the one number behind the tensor is the mean; the standard deviation stays 1."""

from __future__ import annotations

from initlint.checks.incident import Incident, Statement, incident_check
from initlint.model import Severity


def _say(incident: Incident) -> Statement:
    function = incident.word("function")
    value = incident.word("text") or incident.word("mean")
    given = f"`{value}`" if value else "the number"
    return Statement(
        f"{given} is the mean that `{function}` draws around; the standard deviation stays 1",
        Severity.ERROR,
        f"name it: `{function}(..., std={value or '...'})`",
    )


CHECK = incident_check("INI204", "positional-mean", ("positional-mean",), _say)
