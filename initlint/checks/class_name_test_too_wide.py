"""INI319: a test on a part of the class name also lets in a module that has no weight."""

from __future__ import annotations

from initlint.checks.incident import Incident, Statement, incident_check
from initlint.model import Severity


def _say(incident: Incident) -> Statement:
    return Statement(
        f"this test on the class name matches `{incident.word('class_name')}` too, which has no `{incident.word('attribute')}`:"
        " AttributeError",
        Severity.ERROR,
        "ask for the type: `isinstance(m, (nn.Conv2d, nn.Linear))`",
    )


CHECK = incident_check("INI319", "class-name-test-too-wide", ("class-name-test-too-wide",), _say)
