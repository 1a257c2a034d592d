"""INI403: Xavier takes the three projections of an attention for one matrix."""

from __future__ import annotations

from initlint.checks.incident import Incident, Statement, incident_check, quoted
from initlint.model import Severity


def _say(incident: Incident) -> Statement:
    return Statement(
        f"`{incident.word('function')}` takes query, key and value in {quoted(incident.parameters, 'this weight')} for one matrix:"
        " gain 0.71 each instead of 1.00",
        Severity.INFO,
        "initialize part by part: `for part in weight.chunk(3): ...`",
    )


CHECK = incident_check("INI403", "packed-qkv-xavier", ("packed-qkv-xavier",), _say)
