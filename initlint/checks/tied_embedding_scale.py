"""INI205: an embedding with torch's N(0, 1) is tied to an output head, for which it is far too large."""

from __future__ import annotations

import math

from initlint.checks.incident import Incident, Statement, incident_check, quoted
from initlint.checks.wording import number
from initlint.model import Severity


def _say(incident: Incident) -> Statement:
    subject = quoted(incident.layers, "the embedding")
    width = incident.detail("width")
    std = f"std {number(math.sqrt(width))}" if isinstance(width, int) else "a std of the root of its width"
    return Statement(
        f"{subject} keeps torch's N(0, 1) and also serves as output weight: on a normalized input the logits have {std}",
        Severity.WARNING,
        "draw it small: `nn.init.normal_(emb.weight, std=0.02)`",
        "tied here",
    )


CHECK = incident_check("INI205", "tied-embedding-scale", ("tied-embedding-scale",), _say)
