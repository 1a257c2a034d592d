"""INI309: a parameter is written in place while autograd watches."""

from __future__ import annotations

from initlint.checks.incident import Incident, Statement, incident_check, quoted
from initlint.model import Severity


def _say(incident: Incident) -> Statement:
    subject = quoted(incident.parameters, "a parameter")
    view = "a view of " if incident.detail("part") is True else ""
    return Statement(
        f"`{incident.word('operation')}` raises RuntimeError here: {view}{subject} requires grad and is written in place",
        Severity.ERROR,
        "put it under `with torch.no_grad():`, or call the `nn.init` function of that name",
    )


CHECK = incident_check("INI309", "in-place-on-leaf", ("in-place-on-leaf",), _say)
