"""A rewritten text is scanned again before it counts: the findings are gone, and nothing new is there."""

from __future__ import annotations

import ast
import io
import tokenize
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

from initlint.fix.edits import BYTE_ORDER_MARK
from initlint.model import Finding

Rescan = Callable[[Mapping[str, str]], tuple[Finding, ...]]
"""Scans the project with some texts replaced and returns what would be reported, before any suppression."""

_Key = tuple[str, str, str | None]

_GAIN = "INI1"
"""Codes that say of a layer that its gain does not fit."""


class Verifier:
    """Compares a file's findings before and after; before is scanned only where the findings at hand do not tell.

    The findings at hand may lack what was suppressed: what is not among them is looked up before it counts as new.
    """

    def __init__(self, texts: Mapping[str, str], findings: Iterable[Finding], rescan: Rescan) -> None:
        self._texts = texts
        self._rescan = rescan
        self._at_hand = _census(findings)
        self._before: dict[tuple[str, ...], Counter[_Key]] = {}

    def objection(self, rewritten: Mapping[str, str], repaired: Iterable[Finding]) -> str | None:
        """Why the rewritten texts may not be written, None if they may.

        Where what is repaired is no layer's gain, more of the author's own initializers may run, or fewer: a layer whose
        gain does not fit may then be said not to fit for another reason.
        """
        for file, text in rewritten.items():
            try:
                ast.parse(text.removeprefix(BYTE_ORDER_MARK))
            except SyntaxError:
                return "the repaired text would not parse"
            if _comments(text) != _comments(self._texts[file]):
                return "a comment would be lost"
        repaired = tuple(repaired)
        gone = _census(repaired)
        after = _census(self._rescan(rewritten))
        if not after - (self._at_hand - gone):
            return None
        before = self._known(tuple(sorted(rewritten)))
        surplus = after - (before - gone)
        if not any(finding.judgements for finding in repaired):
            surplus -= _renamed(before - after, surplus)
        if not surplus:
            return None
        if any(key in gone for key in surplus):
            return "the repair would not last: something initializes the layer later"
        code, _, layer = min(surplus, key=str)
        return f"the repair would bring {code}" + (f" at {layer}" if layer is not None else "")

    def _known(self, files: tuple[str, ...]) -> Counter[_Key]:
        if files not in self._before:
            self._before[files] = _census(self._rescan({file: self._texts[file] for file in files}))
        return self._before[files]


def _keys(finding: Finding) -> Iterator[_Key]:
    """What stays of a finding when lines shift, for each layer that it speaks of: it may come to speak of fewer."""
    layers: list[str | None] = [f"{one.layer.owner}.{one.layer.path}".strip(".") for one in finding.judgements]
    for layer in layers or [finding.layer]:
        yield finding.code, finding.site.file, layer


def _census(findings: Iterable[Finding]) -> Counter[_Key]:
    return Counter(key for finding in findings for key in _keys(finding))


def _renamed(lost: Counter[_Key], surplus: Counter[_Key]) -> Counter[_Key]:
    """What is new of a layer whose gain did not fit before either, and was told under another code."""
    misfits = {(file, layer) for code, file, layer in lost if code.startswith(_GAIN) and layer is not None}
    return Counter(
        {key: count for key, count in surplus.items() if key[0].startswith(_GAIN) and (key[1], key[2]) in misfits}
    )


def _comments(text: str) -> Counter[str]:
    tokens = tokenize.generate_tokens(io.StringIO(text.removeprefix(BYTE_ORDER_MARK)).readline)
    return Counter(token.string for token in tokens if token.type == tokenize.COMMENT)
