"""INI318: the test around an initializer lets nothing in, or, by a string that stands alone, everything."""

from __future__ import annotations

from initlint.checks.incident import Incident, Statement, incident_check
from initlint.model import Severity


def _say(incident: Incident) -> Statement:
    if incident.kind == "init-always-matches":
        words = incident.word("words")
        return Statement(
            f"this test is true for every name: {words} stands alone in the `or`, and a string is true",
            Severity.WARNING,
            "ask for each: `'a' in name or 'b' in name`",
        )
    literal = incident.word("literal")
    if literal:
        return Statement(
            f"no parameter is called '{literal}': names are qualified, as in '{incident.word('example')}'",
            Severity.WARNING,
            f"test for the end of the name: `name.endswith('{literal}')`",
        )
    return Statement(
        "this test matches nothing here: no layer is initialized, and all keep torch's default init",
        Severity.WARNING,
        "test for what the model is made of",
    )


CHECK = incident_check("INI318", "init-never-matches", ("init-never-matches", "init-always-matches"), _say)
