"""Findings get their fixes, and a run of `--fix` gets one set of texts in which no fix is lost to another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from initlint.fix.draft import draft
from initlint.fix.edits import apply
from initlint.fix.options import FixOptions
from initlint.fix.proposals import Proposal, propose
from initlint.fix.recommend import Refusal
from initlint.fix.verify import Rescan, Verifier
from initlint.fix.workshop import Repair, Workshop, identity
from initlint.knowledge import Activation, load_knowledge
from initlint.model import Edit, Finding, Fix, Judgement

_ROUNDS = 10


@dataclass(frozen=True, slots=True)
class FixedTexts:
    """What fixing would write: the changed texts by file, the findings answered, and those left with the reason."""

    texts: Mapping[str, str]
    fixed: tuple[Finding, ...] = ()
    left: tuple[tuple[Finding, str], ...] = ()


def attach(
    findings: Sequence[Finding],
    texts: Mapping[str, str],
    options: FixOptions,
    rescan: Rescan,
    *,
    judgements: Iterable[Judgement] = (),
    activations: Mapping[str, Activation] | None = None,
) -> tuple[Finding, ...]:
    """The findings, each with a fix where one is certain and with the reason in its help where none is.

    `texts` are the current texts by absolute path. `judgements` are those of all layers, not only the reported ones:
    with them loops are rewritten and written that otherwise might reach a layer that is right.
    """
    bench = _Bench(findings, texts, options, rescan, judgements, activations)
    return tuple(_with_fix(finding, bench.answer(index)) for index, finding in enumerate(findings))


def plan(
    findings: Sequence[Finding],
    texts: Mapping[str, str],
    options: FixOptions,
    rescan: Rescan,
    *,
    unsafe: bool = False,
    judgements: Iterable[Judgement] = (),
    activations: Mapping[str, Activation] | None = None,
) -> FixedTexts:
    """All fixes made together, again and again until a further run would change nothing.

    Fixes that write into one function become one insertion. `rescan` sees the texts written so far.
    """
    current = dict(texts)
    fixed: list[Finding] = []
    left: tuple[tuple[Finding, str], ...] = ()
    for _ in range(_ROUNDS):
        bench = _Bench(findings, current, options, rescan, judgements, activations)
        step = bench.together(unsafe=unsafe)
        left = step.left
        if not step.texts:
            break
        current.update(step.texts)
        fixed += step.fixed
        changed = {file: text for file, text in current.items() if text != texts.get(file)}
        findings, judgements = rescan(changed), ()
    return FixedTexts({file: text for file, text in current.items() if text != texts.get(file)}, tuple(fixed), left)


def _with_fix(finding: Finding, answer: Fix | Refusal | None) -> Finding:
    if answer is None:
        return finding
    if isinstance(answer, Fix):
        return replace(finding, fix=answer)
    reason = f"not repaired automatically: {answer.reason}"
    return replace(finding, help=reason if finding.help is None else f"{finding.help}; {reason}")


class _Bench:
    """One round: proposals for some findings over some texts, each drafted and verified at most once."""

    def __init__(
        self,
        findings: Sequence[Finding],
        texts: Mapping[str, str],
        options: FixOptions,
        rescan: Rescan,
        judgements: Iterable[Judgement],
        activations: Mapping[str, Activation] | None,
    ) -> None:
        known = load_knowledge().activations if activations is None else activations
        self._findings = findings
        self._texts = texts
        self._workshop = Workshop(texts, known, options, judgements)
        self._verifier = Verifier(texts, rescan)
        self._proposals = propose(findings, self._workshop)
        self._verified: dict[tuple[int, ...], tuple[Edit, ...] | Refusal] = {}

    def answer(self, index: int) -> Fix | Refusal | None:
        """The first fix of a finding that stands, or why there is none; None for a rule that has no repair."""
        chosen = self._choose(index)
        if not isinstance(chosen, Proposal):
            return chosen
        edits = self._verify([chosen])
        return edits if isinstance(edits, Refusal) else Fix(chosen.title, chosen.applicability, edits)

    def together(self, *, unsafe: bool) -> FixedTexts:
        """All chosen fixes that may be applied, drafted as one; those that do not go with the rest are left."""
        chosen: dict[tuple[int, ...], Proposal] = {}
        left: list[tuple[Finding, str]] = []
        for index, finding in enumerate(self._findings):
            choice = self._choose(index)
            if isinstance(choice, Refusal):
                left.append((finding, choice.reason))
            elif choice is not None and not unsafe and choice.applicability == "unsafe":
                left.append((finding, "the fix is unsafe"))
            elif choice is not None:
                chosen[choice.findings] = choice
        made = self._compatible(list(chosen.values()))
        answered = sorted({index for proposal in made for index in proposal.findings})
        edits = self._verify(made) if made else ()
        texts = {} if isinstance(edits, Refusal) else _applied(self._texts, edits)
        return FixedTexts(texts, tuple(self._findings[index] for index in answered), tuple(left))

    def _compatible(self, proposals: list[Proposal]) -> list[Proposal]:
        """As many proposals as stand together: usually all."""
        if not proposals or not isinstance(self._verify(proposals), Refusal):
            return proposals
        made: list[Proposal] = []
        for proposal in proposals:
            if not isinstance(self._verify([*made, proposal]), Refusal):
                made.append(proposal)
        return made

    def _choose(self, index: int) -> Proposal | Refusal | None:
        proposals = self._proposals.get(index)
        if proposals is None or isinstance(proposals, Refusal):
            return proposals
        refusals = []
        for proposal in proposals:
            outcome = self._verify([proposal])
            if not isinstance(outcome, Refusal):
                return proposal
            refusals.append(outcome)
        return refusals[0]

    def _verify(self, proposals: Sequence[Proposal]) -> tuple[Edit, ...] | Refusal:
        """The edits of some proposals made together, or why they may not be made."""
        findings = tuple(sorted({index for proposal in proposals for index in proposal.findings}))
        if findings not in self._verified:
            repairs = {identity(repair.layer): repair for proposal in proposals for repair in proposal.repairs}
            self._verified[findings] = self._draft(findings, list(repairs.values()))
        return self._verified[findings]

    def _draft(self, findings: Sequence[int], repairs: Sequence[Repair]) -> tuple[Edit, ...] | Refusal:
        edits = draft(repairs, self._workshop)
        if isinstance(edits, Refusal):
            return edits
        objection = self._verifier.objection(
            _applied(self._texts, edits), [self._findings[index] for index in findings]
        )
        return edits if objection is None else Refusal(objection)


def _applied(texts: Mapping[str, str], edits: Iterable[Edit]) -> dict[str, str]:
    """The texts that edits change."""
    by_file: dict[str, list[Edit]] = {}
    for edit in edits:
        by_file.setdefault(edit.file, []).append(edit)
    return {file: apply(texts[file], made) for file, made in by_file.items()}
