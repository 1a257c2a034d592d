"""INI305: code writes to a bias that the layer was built without."""

from __future__ import annotations

from initlint.checks.incident import Incident, Statement, incident_check, quoted
from initlint.model import Severity


def _say(incident: Incident) -> Statement:
    parameter, argument = incident.word("parameter"), incident.word("argument")
    subject = quoted(incident.parameters, f"`{parameter}`")
    return Statement(
        f"this write raises AttributeError: {subject} is None, as the layer is built with {argument}=False",
        Severity.ERROR,
        f"test for `{parameter} is not None` before it is written",
    )


CHECK = incident_check("INI305", "bias-may-be-none", ("bias-may-be-none",), _say)
