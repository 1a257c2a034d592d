"""INI104: unit gain, as Xavier gives it, in front of an activation that wants about sqrt(2)."""

from __future__ import annotations

from initlint.checks.mismatch import mismatch_check
from initlint.checks.promises import is_kaiming, names_gain, promises_unit_gain
from initlint.knowledge import Activation, Knowledge
from initlint.model import Judgement


def _applies(judgement: Judgement, activation: Activation, _: Knowledge) -> bool:
    if activation.family not in ("rectifier", "smooth") or not names_gain(judgement):
        return False
    return promises_unit_gain(judgement.layer) and not is_kaiming(judgement.layer)


CHECK = mismatch_check("INI104", "xavier-before-rectifier", _applies)
