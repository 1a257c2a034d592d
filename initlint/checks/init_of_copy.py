"""INI315: a copy is initialized that nothing holds on to."""

from __future__ import annotations

from initlint.checks.incident import Incident, Statement, incident_check, quoted
from initlint.model import Severity


def _say(incident: Incident) -> Statement:
    if incident.kind == "write-to-copy":
        subject = quoted(incident.parameters, "the weight")
        return Statement(
            f"this initializes a clone of {subject} and leaves the original as it was",
            Severity.ERROR,
            "leave out `.clone()`; `.data` and `.detach()` share memory with the original",
        )
    called = incident.word("called")
    return Statement(
        f"nothing holds on to what `{called}(...)` returns, so what `apply` initializes here is thrown away",
        Severity.ERROR,
        f"assign it first: `net = {called}(...)`",
    )


CHECK = incident_check("INI315", "init-of-copy", ("write-to-copy", "write-to-discarded"), _say)
