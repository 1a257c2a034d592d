"""INI313: weight_norm rebuilds the weight at each forward, so what is written to it is lost."""

from __future__ import annotations

from initlint.checks.incident import Incident, Statement, incident_check, quoted
from initlint.model import Severity


def _say(incident: Incident) -> Statement:
    subject = quoted(incident.parameters, "the weight")
    return Statement(
        f"what `{incident.word('function')}` writes here is lost: weight_norm rebuilds {subject} from its own two parameters"
        " at each forward",
        Severity.ERROR,
        "initialize the layer first, then wrap it in weight_norm",
    )


CHECK = incident_check("INI313", "init-after-weight-norm", ("write-to-rebuilt-weight",), _say)
