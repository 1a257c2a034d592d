"""INI101: torch's default initialization, gain 1/sqrt(3), in front of an activation that wants about sqrt(2)."""

from __future__ import annotations

from initlint.checks.mismatch import mismatch_check
from initlint.knowledge import Activation, Knowledge
from initlint.model import Judgement


def _applies(judgement: Judgement, activation: Activation, _: Knowledge) -> bool:
    return judgement.layer.weight.source == "default" and activation.family in ("rectifier", "smooth")


CHECK = mismatch_check("INI101", "default-init-before-rectifier", _applies)
