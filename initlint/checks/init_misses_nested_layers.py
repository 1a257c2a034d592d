"""INI316: a loop over the children initializes some layers and leaves those of the same class below them as torch made them."""

from __future__ import annotations

from initlint.checks.incident import Incident, Statement, incident_check, quoted
from initlint.model import Severity


def _say(incident: Incident) -> Statement:
    walk = incident.word("walk")
    subject = quoted(incident.layers, "a nested layer")
    keep = "keep" if len(incident.layers) > 1 else "keeps"
    return Statement(
        f"`{walk}()` meets direct children alone: {subject} {keep} torch's default init",
        Severity.WARNING,
        f"loop over `{walk.replace('children', 'modules')}()`",
        "not reached",
    )


CHECK = incident_check("INI316", "init-misses-nested-layers", ("init-misses-nested-layers",), _say)
