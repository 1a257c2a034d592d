"""INI402: one initializer for the gates of a recurrent layer takes them for one matrix."""

from __future__ import annotations

import math

from initlint.checks.incident import Incident, Statement, incident_check, quoted
from initlint.checks.wording import gain_text
from initlint.model import Severity


def _say(incident: Incident) -> Statement:
    gates = incident.detail("gates")
    count = gates if isinstance(gates, int) else 1
    gain = 1 / math.sqrt(count) if incident.word("formula") == "orthogonal" else math.sqrt(2 / (1 + count))
    return Statement(
        f"`{incident.word('function')}` takes the {count} gates in {quoted(incident.parameters, 'this weight')} for one matrix:"
        f" gain {gain_text(gain)} each instead of 1.00, with as many inputs as units",
        Severity.INFO,
        f"initialize gate by gate: `for gate in weight.chunk({count}): ...`",
    )


CHECK = incident_check("INI402", "packed-recurrent-init", ("packed-recurrent-init",), _say)
