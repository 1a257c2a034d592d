"""initlint: the linter for how PyTorch models are initialized.

`check_paths` and `check_source` read code without running it; `check_module` judges a live module (and needs torch).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from initlint.engine import check_paths, check_source
    from initlint.live import check_module
    from initlint.model import Finding

__version__ = "0.1.0"

__all__ = ["Finding", "__version__", "check_module", "check_paths", "check_source"]


def __getattr__(name: str) -> object:
    """Import a public name where it is first used: `import initlint` itself costs nothing."""
    homes = {
        "Finding": "initlint.model",
        "check_module": "initlint.live",
        "check_paths": "initlint.engine",
        "check_source": "initlint.engine",
    }
    if name not in homes:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(homes[name]), name)
