"""INI320: layers in a plain list or dict are not part of the module that holds them."""

from __future__ import annotations

from initlint.checks.incident import Incident, Statement, incident_check
from initlint.model import Severity


def _say(incident: Incident) -> Statement:
    kind = "dict" if incident.word("container") == "ModuleDict" else "list"
    return Statement(
        f"the layers in `{incident.word('holder')}.{incident.word('attribute')}` are not registered, as a plain {kind} holds them:"
        " `apply`, `parameters()` and the optimizer never meet them",
        Severity.WARNING,
        f"hold them in `nn.{incident.word('container')}`",
    )


CHECK = incident_check("INI320", "unregistered-layers", ("unregistered-layers",), _say)
