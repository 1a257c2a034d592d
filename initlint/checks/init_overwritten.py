"""INI303: a later, less specific initializer leaves nothing of what this one wrote."""

from __future__ import annotations

from initlint.checks.incident import Incident, Statement, incident_check, quoted
from initlint.model import Severity


def _say(incident: Incident) -> Statement:
    subject = quoted(incident.parameters, "the parameter")
    return Statement(
        f"what `{incident.word('function')}` writes to {subject} is overwritten by `{incident.word('later')}` later on",
        Severity.WARNING,
        "initialize in general first and the exceptions after, or leave this call out",
        "overwritten here",
    )


CHECK = incident_check("INI303", "init-overwritten", ("init-overwritten",), _say)
