"""INI301: a function that initializes is never called."""

from __future__ import annotations

from initlint.checks.incident import Incident, Statement, incident_check
from initlint.model import Severity


def _say(incident: Incident) -> Statement:
    name, owner = incident.word("name"), incident.word("owner")
    full = f"{owner}.{name}" if owner else name
    visitor = f"{name}(...)" if incident.detail("makes_initializer") else name
    call = f"`self.{name}()` at the end of `__init__`" if owner else f"`net.apply({visitor})` after the model is built"
    return Statement(
        f"nothing in the project calls `{full}`, so it initializes nothing", Severity.WARNING, f"write {call}"
    )


CHECK = incident_check("INI301", "init-never-called", ("init-never-called",), _say)
