"""INI317: an initializer runs after weights were loaded, and wipes them."""

from __future__ import annotations

from initlint.checks.incident import Incident, Statement, incident_check, quoted
from initlint.model import Severity


def _say(incident: Incident) -> Statement:
    subject = quoted(incident.parameters, "a weight")
    return Statement(
        f"`{incident.word('function')}` overwrites {subject}, which had been loaded before",
        Severity.ERROR,
        "initialize first, then load",
        "loaded here",
    )


CHECK = incident_check("INI317", "init-after-load", ("init-after-load",), _say)
