"""The repair: pure text to text, safe only where it is certain, and scanned again before anyone writes it.

`attach` gives findings their fixes, `plan` makes all of them together, `apply` makes edits of one text.
"""

from initlint.fix.attach import attach, plan
from initlint.fix.bench import FixedTexts
from initlint.fix.edits import apply
from initlint.fix.options import FixOptions
from initlint.fix.verify import Rescan

__all__ = ["FixOptions", "FixedTexts", "Rescan", "apply", "attach", "plan"]
