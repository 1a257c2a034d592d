"""INI206: layers are copies of one layer and start equal."""

from __future__ import annotations

from initlint.checks.incident import Incident, Statement, incident_check
from initlint.model import Severity


def _say(incident: Incident) -> Statement:
    copied = incident.word("copied")
    equal = f"the same `{incident.word('equal')}`" if incident.word("equal") else "equal weights"
    return Statement(
        f"these copies of one `{copied}` start with {equal}: `deepcopy` copies the values too",
        Severity.WARNING,
        "build each one anew, or initialize the copies afterwards",
    )


CHECK = incident_check("INI206", "identical-clones", ("identical-clones",), _say)
