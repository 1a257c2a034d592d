"""One round of fixing: every proposal drafted once, and all that do not touch each other verified in one scan."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise

from initlint.fix.draft import Draft, draft, write
from initlint.fix.edits import apply
from initlint.fix.identity import Identity, identity
from initlint.fix.proposals import Proposal, propose, widened
from initlint.fix.recommend import Refusal
from initlint.fix.verify import Heed, Judge, Rescan, Verifier
from initlint.fix.workshop import Repair, Workshop
from initlint.model import Edit, Finding, Fix

_Edits = tuple[Edit, ...]
_Key = tuple[tuple[int, ...], frozenset[Identity]]
"""Which findings some proposals answer, and which layers they write for that."""


@dataclass(frozen=True, slots=True)
class FixedTexts:
    """What fixing would write: the changed texts by file, the findings answered, and those left with the reason."""

    texts: Mapping[str, str]
    fixed: tuple[Finding, ...]
    left: tuple[tuple[Finding, str], ...]


class Bench:
    """The proposals for some findings over some texts; nothing outside of it changes."""

    def __init__(
        self,
        findings: Sequence[Finding],
        texts: Mapping[str, str],
        workshop: Workshop,
        rescan: Rescan | None,
        heed: Heed | None = None,
        judge: Judge | None = None,
    ) -> None:
        self._findings = findings
        self._texts = texts
        self.workshop = workshop
        self._verifier = None if rescan is None else Verifier(texts, findings, rescan, heed, judge)
        self._drafts: dict[_Key, Draft | Refusal] = {}
        self._written: dict[_Key, _Edits | Refusal] = {}
        self._verified: dict[_Key, _Edits | Refusal] = {}
        self._proposals = propose(findings, workshop, self._possible)
        self._batched = False

    def answer(self, index: int) -> Fix | Refusal | None:
        """The first fix of a finding that stands, or why there is none; None for a rule that has no repair.

        Without a rescan no fix can be verified and none is written: the first that can be drafted is the answer.
        """
        if self._verifier is None:
            return self._drafted(index)
        if not self._batched:
            self._verify_at_once()
        chosen = self._choose(index)
        if not isinstance(chosen, Proposal):
            return chosen
        edits = self._verify([chosen])
        return edits if isinstance(edits, Refusal) else Fix(chosen.title, chosen.applicability, edits)

    def _drafted(self, index: int) -> Fix | Refusal | None:
        proposals = self._proposals.get(index)
        if proposals is None or isinstance(proposals, Refusal):
            return proposals
        drafts = [(proposal, self._draft([proposal])) for proposal in proposals]
        for proposal, drafted in drafts:
            if isinstance(drafted, Draft):
                return Fix(proposal.title, proposal.applicability, proposal.edits, tuple(drafted.changes))
        return next(drafted for _, drafted in drafts if isinstance(drafted, Refusal))

    def _possible(self, proposal: Proposal) -> Draft | _Edits | Refusal:
        """A refusal where a proposal cannot be made, whatever a scan would say of it."""
        return self._draft([proposal]) if self._verifier is None else self._write([proposal])

    def repairs(self, index: int) -> tuple[Repair, ...]:
        """How the layers that a finding speaks of are repaired, in its order; none where they are not."""
        proposals = self._proposals.get(index)
        if proposals is None or isinstance(proposals, Refusal):
            return ()
        made = {identity(repair.layer): repair for repair in proposals[0].repairs}
        found = dict.fromkeys(identity(judgement.layer) for judgement in self._findings[index].judgements)
        return tuple(made[one] for one in found if one in made)

    def together(self, *, unsafe: bool) -> FixedTexts:
        """All fixes that may be applied, drafted as one; those that do not go with the rest are left.

        Where the first choices stand together, as they nearly always do, none of them is verified alone.
        """
        chosen, left = self._allowed(self._first, unsafe=unsafe)
        if chosen and isinstance(self._verify(chosen), Refusal):
            chosen, left = self._allowed(self._choose, unsafe=unsafe)
        made = self._compatible(chosen)
        answered = _answered(made)
        dropped = sorted(set(_answered(chosen)).difference(answered))
        left += [(self._findings[index], "its fix does not go with the others") for index in dropped]
        edits = self._verify(made) if made else ()
        texts = {} if isinstance(edits, Refusal) else _applied(self._texts, edits)
        return FixedTexts(texts, tuple(self._findings[index] for index in answered), tuple(left))

    def _allowed(
        self, choose: Callable[[int], Proposal | Refusal | None], *, unsafe: bool
    ) -> tuple[list[Proposal], list[tuple[Finding, str]]]:
        """The choices that may be applied, each once, and the findings left with the reason.

        Events come first: layers are judged anew once the code does what it says.
        """
        chosen: dict[tuple[int, ...], Proposal] = {}
        left: list[tuple[Finding, str]] = []
        for index, finding in enumerate(self._findings):
            choice = choose(index)
            if isinstance(choice, Refusal):
                left.append((finding, choice.reason))
            elif choice is not None and not unsafe and choice.applicability == "unsafe":
                left.append((finding, "the fix is unsafe"))
            elif choice is not None:
                chosen[choice.findings] = choice
        of_events = [one for one in chosen.values() if one.edits]
        return of_events or list(chosen.values()), left

    def _compatible(self, proposals: list[Proposal]) -> list[Proposal]:
        """As many proposals as stand together: usually all; none of a chain of which another part would suffer."""
        if not proposals or not isinstance(self._verify(proposals), Refusal):
            return proposals
        made: list[Proposal] = []
        parts: dict[tuple[int, ...], list[Proposal]] = {}
        for proposal in proposals:
            parts.setdefault(proposal.chain or proposal.findings, []).append(proposal)
        for together in parts.values():
            made = self._joined_by(made, together)
        return made

    def _joined_by(self, made: list[Proposal], parts: Sequence[Proposal]) -> list[Proposal]:
        """Proposals joined by as many of one chain as stand with them."""
        joined = made
        for proposal in parts:
            outcome = self._verify([*joined, proposal])
            if not isinstance(outcome, Refusal):
                joined = [*joined, proposal]
            elif outcome.entire:
                return made
        return joined

    def _first(self, index: int) -> Proposal | Refusal | None:
        proposals = self._proposals.get(index)
        return proposals if proposals is None or isinstance(proposals, Refusal) else proposals[0]

    def _choose(self, index: int) -> Proposal | Refusal | None:
        proposals = self._proposals.get(index)
        if proposals is None or isinstance(proposals, Refusal):
            return proposals
        refusals: dict[Proposal, Refusal] = {}
        for proposal in proposals:
            if any(refusal.entire and proposal.is_part_of(whole) for whole, refusal in refusals.items()):
                continue
            outcome = self._verify([proposal])
            if not isinstance(outcome, Refusal):
                return proposal
            refusals[proposal] = outcome
        largest = max(refusals, key=lambda one: len(one.findings))
        return self._widened(largest, refusals[largest]) or next(iter(refusals.values()))

    def _widened(self, proposal: Proposal, refusal: Refusal) -> Proposal | None:
        """A proposal with the repairs of all that it would throw off, where that stands."""
        wider = widened(proposal, refusal, self.workshop)
        if isinstance(wider, Refusal):
            return None
        outcome = self._verify([wider])
        return self._widened(wider, outcome) if isinstance(outcome, Refusal) else wider

    def _verify_at_once(self) -> None:
        """Verify first choices in batches of which no two write in one place; what a batch fails is verified alone."""
        self._batched = True
        first = {one[0].findings: one[0] for one in self._proposals.values() if not isinstance(one, Refusal)}
        batches: dict[bool, list[dict[_Key, _Edits]]] = {}
        for proposal in first.values():
            edits = self._write([proposal])
            if isinstance(edits, Refusal):
                continue
            alike = batches.setdefault(bool(proposal.edits), [])
            batch = next((one for one in alike if not any(_touch(edits, other) for other in one.values())), None)
            if batch is None:
                alike.append({_key([proposal]): edits})
            else:
                batch[_key([proposal])] = edits
        for batch in chain.from_iterable(batches.values()):
            edits = tuple(dict.fromkeys(edit for part in batch.values() for edit in part))
            if self._objection(edits, [index for findings, _ in batch for index in findings]) is None:
                self._verified |= batch

    def _verify(self, proposals: Sequence[Proposal]) -> _Edits | Refusal:
        """The edits of some proposals made together, or why they may not be made."""
        key = _key(proposals)
        if key not in self._verified:
            edits = self._write(proposals)
            objection = None if isinstance(edits, Refusal) else self._objection(edits, _answered(proposals))
            self._verified[key] = edits if objection is None else objection
        return self._verified[key]

    def _write(self, proposals: Sequence[Proposal]) -> _Edits | Refusal:
        """The edits of some proposals made together, not verified."""
        key = _key(proposals)
        if key not in self._written:
            drafted = self._draft(proposals)
            made = drafted if isinstance(drafted, Refusal) else write(drafted, self.workshop)
            known = tuple(dict.fromkeys(edit for proposal in proposals for edit in proposal.edits))
            self._written[key] = made if isinstance(made, Refusal) else _joined(made, known)
        return self._written[key]

    def _draft(self, proposals: Sequence[Proposal]) -> Draft | Refusal:
        key = _key(proposals)
        if key not in self._drafts:
            repairs = {identity(repair.layer): repair for proposal in proposals for repair in proposal.repairs}
            self._drafts[key] = draft(list(repairs.values()), self.workshop)
        return self._drafts[key]

    def _objection(self, edits: _Edits, findings: Iterable[int]) -> Refusal | None:
        if self._verifier is None:
            return None
        return self._verifier.objection(_applied(self._texts, edits), [self._findings[index] for index in findings])


def _key(proposals: Sequence[Proposal]) -> _Key:
    return _answered(proposals), frozenset(identity(repair.layer) for one in proposals for repair in one.repairs)


def _answered(proposals: Sequence[Proposal]) -> tuple[int, ...]:
    return tuple(sorted({index for proposal in proposals for index in proposal.findings}))


def _touch(edits: _Edits, others: _Edits) -> bool:
    """Whether two fixes write in one place; the same import added by both is no conflict."""
    return any(
        one != other
        and one.file == other.file
        and (one.line, one.column) <= (other.end_line, other.end_column)
        and (other.line, other.column) <= (one.end_line, one.end_column)
        for one in edits
        for other in others
    )


def _joined(drafted: _Edits, written: _Edits) -> _Edits | Refusal:
    """The edits of layers and those of events, where they do not overlap."""
    spans = sorted(
        ((one.file, one.line, one.column), (one.file, one.end_line, one.end_column)) for one in (*drafted, *written)
    )
    if any(later[0] < earlier[1] for earlier, later in pairwise(spans)):
        return Refusal("its fix does not go with the others")
    return (*drafted, *written)


def _applied(texts: Mapping[str, str], edits: Iterable[Edit]) -> dict[str, str]:
    """The texts that edits change."""
    by_file: dict[str, list[Edit]] = {}
    for edit in edits:
        by_file.setdefault(edit.file, []).append(edit)
    return {file: apply(texts[file], made) for file, made in by_file.items()}
