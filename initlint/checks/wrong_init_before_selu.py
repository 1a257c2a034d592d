"""INI106: anything but unit gain in front of SELU, whose fixed point (mean 0, variance 1) needs exactly that."""

from __future__ import annotations

from initlint.checks.mismatch import mismatch_check
from initlint.checks.promises import names_gain
from initlint.knowledge import Activation, Knowledge
from initlint.model import Judgement


def _applies(judgement: Judgement, activation: Activation, _: Knowledge) -> bool:
    if activation.family != "self-normalizing":
        return False
    return judgement.layer.weight.source == "default" or names_gain(judgement)


CHECK = mismatch_check("INI106", "wrong-init-before-selu", _applies)
