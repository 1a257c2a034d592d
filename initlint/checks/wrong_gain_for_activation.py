"""INI105: an initializer that names a gain, slope or nonlinearity, but not that of the activation that follows."""

from __future__ import annotations

from initlint.checks.mismatch import mismatch_check
from initlint.checks.promises import is_kaiming, names_gain, promises_rectifier_gain, promises_unit_gain
from initlint.knowledge import Activation, Knowledge
from initlint.model import Judgement


def _applies(judgement: Judgement, activation: Activation, knowledge: Knowledge) -> bool:
    if not names_gain(judgement):
        return False
    match activation.family:
        case "rectifier" | "smooth":
            return is_kaiming(judgement.layer) or not promises_unit_gain(judgement.layer)
        case "saturating":
            return not promises_rectifier_gain(judgement.layer, knowledge)
        case _:
            return False


CHECK = mismatch_check("INI105", "wrong-gain-for-activation", _applies)
