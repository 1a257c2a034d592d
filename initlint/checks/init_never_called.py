"""INI301: a function that initializes is never called."""

from __future__ import annotations

from initlint.checks.incident import Incident, Statement, incident_check
from initlint.model import Severity

_METHOD = {"nothing": "self.{}()", "module": "self.apply(self.{})", "maker": "self.apply(self.{}(...))"}
_FUNCTION = {"module": "net.apply({})", "maker": "net.apply({}(...))", "model": "{}(net)"}
"""The call by what the function asks for; it is left open what else that is."""


def _say(incident: Incident) -> Statement:
    name, owner, asked = incident.word("name"), incident.word("owner"), incident.word("asks_for")
    full = f"{owner}.{name}" if owner else name
    call = _METHOD.get(asked, "self.{}(...)") if owner else _FUNCTION.get(asked, "{}(net, ...)")
    place = "at the end of `__init__`" if owner else "after the model is built"
    return Statement(
        f"nothing in the project calls `{full}`, so it initializes nothing",
        Severity.WARNING,
        f"write `{call.format(name)}` {place}",
    )


CHECK = incident_check("INI301", "init-never-called", ("init-never-called",), _say)
