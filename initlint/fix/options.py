"""What users may choose about the code that a repair writes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class FixOptions:
    """The ``fix-*`` settings; ``auto`` follows what the class already does.

    `style`: calls at the end of ``__init__`` (``inline``), in a method called from it (``init_weights``), or whichever
    is shorter to read. `bias`: leave biases as they are, or zero those of repaired layers. `distribution` and `mode`
    choose among ``kaiming_normal_`` and ``kaiming_uniform_``, and which fan Kaiming's initializers scale by.
    """

    style: Literal["auto", "inline", "init_weights"] = "auto"
    bias: Literal["keep", "zeros"] = "keep"
    distribution: Literal["normal", "uniform", "auto"] = "auto"
    mode: Literal["fan_in", "fan_out", "auto"] = "auto"
