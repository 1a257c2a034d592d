"""INI311: `or` between two classes is the first of them; after a comparison it is always true."""

from __future__ import annotations

from initlint.checks.incident import Incident, Statement, incident_check
from initlint.model import Severity


def _say(incident: Incident) -> Statement:
    sees, misses = incident.word("sees"), incident.word("misses")
    if incident.detail("always") is True:
        return Statement(
            f"this test is true for every module: `{sees}` stands alone behind the `or`, and a class is true",
            Severity.ERROR,
            "compare with both: `type(m) in (A, B)`",
        )
    return Statement(
        f"this test sees `{sees}` alone: `or` between two classes gives one of them, and `{misses}` is never asked for",
        Severity.ERROR,
        f"write a tuple: `isinstance(m, ({sees}, {misses}))`",
    )


CHECK = incident_check("INI311", "type-test-always-wrong", ("type-test-always-wrong",), _say)
