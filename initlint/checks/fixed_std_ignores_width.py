"""INI107: a constant standard deviation that is far off for this width, on a chain that suffers from it."""

from __future__ import annotations

from initlint.analysis import is_neutral
from initlint.checks.mismatch import mismatch_check
from initlint.checks.promises import names_gain
from initlint.knowledge import Activation, Knowledge
from initlint.model import Judgement


def _applies(judgement: Judgement, _: Activation, __: Knowledge) -> bool:
    weight, follower, chain = judgement.layer.weight, judgement.decisive, judgement.chain
    if weight.source != "explicit" or names_gain(judgement):
        return False
    if weight.mean != 0.0 or weight.std == 1.0:
        return False  # no scale was chosen at all: unscaled-random-weight and positional-mean speak of that
    if chain is None or is_neutral(chain.signal) or (follower is not None and follower.output is not False):
        return False
    return chain.length > 1


CHECK = mismatch_check("INI107", "fixed-std-ignores-width", _applies)
