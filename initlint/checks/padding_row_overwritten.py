"""INI207: the zero row of an embedding with a padding index is drawn again."""

from __future__ import annotations

from initlint.checks.incident import Incident, Statement, incident_check, quoted
from initlint.model import Severity


def _say(incident: Incident) -> Statement:
    subject = quoted(incident.parameters, "the embedding")
    return Statement(
        f"`{incident.word('function')}` also fills row {incident.word('row')} of {subject}, its padding row: it is no longer zero,"
        " and it gets no gradient",
        Severity.WARNING,
        "zero the row afterwards: `emb.weight.data[emb.padding_idx].zero_()`",
    )


CHECK = incident_check("INI207", "padding-row-overwritten", ("padding-row-overwritten",), _say)
