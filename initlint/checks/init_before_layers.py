"""INI302: an initializing walk runs before a layer exists that it would have initialized."""

from __future__ import annotations

from initlint.checks.incident import Incident, Statement, incident_check, quoted
from initlint.model import Severity


def _say(incident: Incident) -> Statement:
    walk = incident.word("walk")
    called = "`apply`" if walk == "apply" else f"this loop over `{walk}()`"
    several = len(incident.layers) > 1
    exist, keep = ("exist", "keep") if several else ("exists", "keeps")
    return Statement(
        f"{called} runs before {quoted(incident.layers, 'the layer')} {exist}, which {keep} torch's default init",
        Severity.ERROR if incident.detail("empty") is True else Severity.WARNING,
        "move it behind the last layer",
        "built here, too late",
    )


CHECK = incident_check("INI302", "init-before-layers", ("init-before-layers",), _say)
