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
    identical_clones,
    identical_units,
    in_place_on_leaf,
    init_after_load,
    init_after_weight_norm,
    init_before_layers,
    init_misses_nested_layers,
    init_never_called,
    init_never_matches,
    init_of_copy,
    init_of_lazy_layer,
    init_overwritten,
    invalid_initializer_argument,
    kaiming_before_saturating,
    lstm_forget_bias,
    module_instead_of_tensor,
    packed_qkv_xavier,
    packed_recurrent_init,
    padding_row_overwritten,
    positional_mean,
    residual_overscale,
    tied_embedding_scale,
    type_test_always_wrong,
    uninitialized_parameter,
    unregistered_layers,
    unscaled_random_weight,
    wrong_fan,
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
    identical_units.CHECK,
    unscaled_random_weight.CHECK,
    uninitialized_parameter.CHECK,
    positional_mean.CHECK,
    tied_embedding_scale.CHECK,
    identical_clones.CHECK,
    padding_row_overwritten.CHECK,
    init_never_called.CHECK,
    init_before_layers.CHECK,
    init_overwritten.CHECK,
    fan_of_vector.CHECK,
    bias_may_be_none.CHECK,
    deprecated_initializer.CHECK,
    module_instead_of_tensor.CHECK,
    apply_of_call_result.CHECK,
    in_place_on_leaf.CHECK,
    wrong_fan.CHECK,
    type_test_always_wrong.CHECK,
    invalid_initializer_argument.CHECK,
    init_after_weight_norm.CHECK,
    init_of_lazy_layer.CHECK,
    init_of_copy.CHECK,
    init_misses_nested_layers.CHECK,
    init_after_load.CHECK,
    init_never_matches.CHECK,
    class_name_test_too_wide.CHECK,
    unregistered_layers.CHECK,
    lstm_forget_bias.CHECK,
    packed_recurrent_init.CHECK,
    packed_qkv_xavier.CHECK,
)


def run(judgements: Sequence[Judgement], models: Sequence[Model], knowledge: Knowledge) -> tuple[Finding, ...]:
    """Every finding of every check, by place and code.

    `judgements` are merged: one per layer of the text, however many models build it.
    """
    found = [finding for check in CHECKS for finding in check.run(judgements, models, knowledge)]
    return tuple(
        sorted(found, key=lambda finding: (finding.site.file, finding.site.cell or 0, finding.site, finding.code))
    )
