"""The judgement that both front ends share: what follows a layer, its chain, and what its gain costs there."""

from __future__ import annotations

from initlint.analysis.ideals import contains, ideal_gain, matching_bands
from initlint.analysis.judgement import gain_of, judge, role_of
from initlint.analysis.merging import is_accused, is_settled, merge
from initlint.analysis.severity import is_neutral, local_factor, severity_of, severity_of_signal

__all__ = [
    "contains",
    "gain_of",
    "ideal_gain",
    "is_accused",
    "is_neutral",
    "is_settled",
    "judge",
    "local_factor",
    "matching_bands",
    "merge",
    "role_of",
    "severity_of",
    "severity_of_signal",
]
