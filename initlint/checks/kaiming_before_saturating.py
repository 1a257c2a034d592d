"""INI103: the gain of a rectifier in front of an activation that saturates."""

from __future__ import annotations

from initlint.checks.mismatch import mismatch_check
from initlint.checks.promises import names_gain, promises_rectifier_gain
from initlint.knowledge import Activation, Knowledge
from initlint.model import Judgement


def _applies(judgement: Judgement, activation: Activation, knowledge: Knowledge) -> bool:
    if activation.family != "saturating" or not names_gain(judgement):
        return False
    return promises_rectifier_gain(judgement.layer, knowledge)


CHECK = mismatch_check("INI103", "kaiming-before-saturating", _applies)
