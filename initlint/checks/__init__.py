"""The rules at work: every check stands in `CHECKS`, in order of code.

A new check is a file named as its rule that defines `CHECK`, a line here, and a page in rules/. `mismatch_check` makes
one from a test on a judgement, `event_check` from what to say of something that happened while a model was built.
"""

from __future__ import annotations

from collections.abc import Sequence

from initlint.checks import (
    apply_of_call_result,
    bias_may_be_none,
    class_name_test_too_wide,
    default_init_before_rectifier,
    default_init_before_saturating,
    deprecated_initializer,
    fan_of_vector,
    fixed_std_ignores_width,
    in_place_on_leaf,
    init_after_weight_norm,
    init_of_lazy_layer,
    invalid_initializer_argument,
    kaiming_before_saturating,
    module_instead_of_tensor,
    positional_mean,
    residual_overscale,
    type_test_always_wrong,
    wrong_gain_for_activation,
    wrong_init_before_selu,
    xavier_before_rectifier,
)
from initlint.checks.check import Check
from initlint.knowledge import Knowledge
from initlint.model import Finding, Judgement, Model

__all__ = ["CHECKS", "Check", "run"]

CHECKS: tuple[Check, ...] = (
    default_init_before_rectifier.CHECK,
    default_init_before_saturating.CHECK,
    kaiming_before_saturating.CHECK,
    xavier_before_rectifier.CHECK,
    wrong_gain_for_activation.CHECK,
    wrong_init_before_selu.CHECK,
    fixed_std_ignores_width.CHECK,
    residual_overscale.CHECK,
    positional_mean.CHECK,
    fan_of_vector.CHECK,
    bias_may_be_none.CHECK,
    deprecated_initializer.CHECK,
    module_instead_of_tensor.CHECK,
    apply_of_call_result.CHECK,
    in_place_on_leaf.CHECK,
    type_test_always_wrong.CHECK,
    invalid_initializer_argument.CHECK,
    init_after_weight_norm.CHECK,
    init_of_lazy_layer.CHECK,
    class_name_test_too_wide.CHECK,
)


def run(judgements: Sequence[Judgement], models: Sequence[Model], knowledge: Knowledge) -> tuple[Finding, ...]:
    """Every finding of every check, by place and code.

    `judgements` are merged: one per layer of the text, however many models build it.
    """
    found = [finding for check in CHECKS for finding in check.run(judgements, models, knowledge)]
    return tuple(
        sorted(found, key=lambda finding: (finding.site.file, finding.site.cell or 0, finding.site, finding.code))
    )
