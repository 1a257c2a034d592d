"""A rewritten text is scanned again before it counts: the findings are gone, and nothing new is there."""

from __future__ import annotations

import ast
import builtins
import io
import tokenize
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence

from initlint.fix.edits import BYTE_ORDER_MARK
from initlint.fix.identity import qualified
from initlint.fix.idle_methods import draws_as_torch
from initlint.fix.recommend import Refusal
from initlint.fix.spelling import bound_names
from initlint.model import Finding, Judgement, Severity
from initlint.syntax import nodes_of, parsed

Rescan = Callable[[Mapping[str, str]], tuple[Finding, ...]]
"""Scans the project with some texts replaced and returns what would be reported, before any suppression."""

Heed = Callable[[Sequence[Finding], Mapping[str, str]], Sequence[Finding]]
"""What of the findings in some texts a run would report: what the user silenced is not his to mend."""

Judge = Callable[[Mapping[str, str]], Iterable[Judgement]]
"""Scans the project with some texts replaced and returns the judgements of all layers."""

_Key = tuple[str, str, str | None]

_UNCALLED = "INI301"

_GAIN = "INI1"
"""Codes that say of a layer that its gain does not fit."""


class Verifier:
    """Compares a file's findings before and after; before is scanned only where the findings at hand do not tell.

    The findings at hand may lack what was suppressed: what is not among them is looked up before it counts as new.
    """

    def __init__(
        self,
        texts: Mapping[str, str],
        findings: Iterable[Finding],
        rescan: Rescan,
        heed: Heed | None = None,
        judge: Judge | None = None,
    ) -> None:
        """Without `heed` no layer counts as mendable, without `judge` none is known to stay as it was."""
        self._texts = texts
        self._rescan = rescan
        self._heed = heed
        self._judge = judge
        self._at_hand = _census(findings)
        self._before: dict[tuple[str, ...], tuple[Finding, ...]] = {}

    def objection(self, rewritten: Mapping[str, str], repaired: Iterable[Finding]) -> Refusal | None:
        """Why the rewritten texts may not be written, None if they may.

        Where what is repaired is no layer's gain, more of the author's own initializers may run, or fewer: of a layer
        whose gain did not fit, another misfit may be told, and of a line that runs at last what is no more than a hint.
        """
        for file, text in rewritten.items():
            try:
                tree = parsed(text.removeprefix(BYTE_ORDER_MARK))
            except SyntaxError:
                return Refusal("the repaired text would not parse")
            if unbound := _unbound(tree, self._texts[file]):
                return Refusal(f"nothing binds the name {min(unbound)}")
            if _comments(self._texts[file]) - _comments(text):
                return Refusal("a comment would be lost")
        repaired = tuple(repaired)
        gone = _census(repaired)
        found = self._rescan(rewritten)
        called = [one for one in repaired if one.code == _UNCALLED]
        if called and self._judge is not None:
            layers = [judgement.layer for judgement in self._judge(rewritten)]
            if any(draws_as_torch(one, layers) for one in called):
                return Refusal("it would draw what torch has drawn already")
        if not _census(found) - (self._at_hand - gone):
            return None
        known = self._known(tuple(sorted(rewritten)))
        surplus = _census(found) - (_census(known) - gone)
        is_about_layers = any(finding.judgements for finding in repaired)
        if not is_about_layers:
            surplus -= _census(_followed(found, known, max((one.severity for one in repaired), default=Severity.INFO)))
        if not surplus:
            return None
        if any(key in gone for key in surplus):
            later = "would not last: something initializes the layer later"
            return Refusal(f"the repair {later if is_about_layers else 'would not be enough'}")
        code, _, layer = min(surplus, key=str)
        where = "" if layer is None else f" at {layer}"
        reason = f"the repair would bring {code}{where}"
        if not is_about_layers or not _throws_others(surplus, gone):
            return Refusal(reason)
        heeded = () if self._heed is None else self._heed(found, rewritten)
        hushed = surplus.keys() - _census(heeded).keys()
        return Refusal(reason, entire=True, thrown=() if hushed else tuple(_thrown(found, surplus)))

    def _known(self, files: tuple[str, ...]) -> tuple[Finding, ...]:
        if files not in self._before:
            self._before[files] = tuple(self._rescan({file: self._texts[file] for file in files}))
        return self._before[files]


def _keys(finding: Finding) -> Iterator[_Key]:
    """What stays of a finding when lines shift, for each layer that it speaks of: it may come to speak of fewer."""
    layers: list[str | None] = [qualified(one.layer) for one in finding.judgements]
    for layer in layers or [finding.layer]:
        yield finding.code, finding.site.file, layer


def _census(findings: Iterable[Finding]) -> Counter[_Key]:
    return Counter(key for finding in findings for key in _keys(finding))


def _followed(found: Sequence[Finding], known: Sequence[Finding], severity: Severity) -> Iterator[Finding]:
    """What may be found after a repair of this `severity` because code runs that did not: hints, and layers that misfit before."""
    misfits = {layer for finding in known if finding.code.startswith(_GAIN) for layer in _layers(finding)}
    for finding in found:
        is_hint = finding.severity == Severity.INFO < severity
        if is_hint or (finding.code.startswith(_GAIN) and _layers(finding) <= misfits):
            yield finding


def _throws_others(surplus: Iterable[_Key], gone: Iterable[_Key]) -> bool:
    """Whether new misfits are those of layers that are not repaired: the signal that now reaches them is too large or too small."""
    repaired = {layer for _, _, layer in gone}
    return all(code.startswith(_GAIN) and layer not in repaired for code, _, layer in surplus)


def _thrown(found: Iterable[Finding], surplus: Container[_Key]) -> Iterator[Judgement]:
    """The judgements that new findings rest on."""
    for finding in found:
        for judgement in finding.judgements:
            if (finding.code, finding.site.file, qualified(judgement.layer)) in surplus:
                yield judgement


def _layers(finding: Finding) -> frozenset[tuple[str, str]]:
    """The layers that a finding rests on, as their classes name them."""
    return frozenset((judgement.layer.owner, judgement.layer.path) for judgement in finding.judgements)


def _unbound(tree: ast.Module, before: str) -> frozenset[str]:
    """The names that a rewritten file reads, did not read before, and binds nowhere."""
    added = _read_names(tree) - _read_names(parsed(before.removeprefix(BYTE_ORDER_MARK)))
    if not added:
        return frozenset()
    imported = (node.names for node in nodes_of(tree) if isinstance(node, ast.Import | ast.ImportFrom))
    known = {(alias.asname or alias.name).partition(".")[0] for names in imported for alias in names}
    return added - known - bound_names(tree) - vars(builtins).keys()


def _read_names(tree: ast.Module) -> frozenset[str]:
    return frozenset(
        node.id for node in nodes_of(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    )


def _comments(text: str) -> Counter[str]:
    tokens = tokenize.generate_tokens(io.StringIO(text.removeprefix(BYTE_ORDER_MARK)).readline)
    return Counter(token.string for token in tokens if token.type == tokenize.COMMENT)
