"""INI102: torch's default initialization in front of sigmoid, tanh and their kin."""

from __future__ import annotations

from initlint.checks.mismatch import mismatch_check
from initlint.knowledge import Activation, Knowledge
from initlint.model import Judgement


def _applies(judgement: Judgement, activation: Activation, _: Knowledge) -> bool:
    return judgement.layer.weight.source == "default" and activation.family == "saturating"


CHECK = mismatch_check("INI102", "default-init-before-saturating", _applies)
