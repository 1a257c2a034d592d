"""Which findings one fix repairs together, and whether it is safe."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Container, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from initlint.fix.fixers import FIXERS, fix_finding
from initlint.fix.identity import Identity, identity
from initlint.fix.idle_methods import objection
from initlint.fix.recommend import Refusal
from initlint.fix.shows import COPIED
from initlint.fix.siblings import keep_alike
from initlint.fix.workshop import REPAIRABLE, Repair, Workshop
from initlint.fix.worth import SAFE_SIGNAL, is_cosmetic, was_calm
from initlint.knowledge import load_knowledge
from initlint.model import Applicability, Edit, Finding, Fix, Judgement, Layer

_NAMED_LAYERS = 4
_COSMETIC = Refusal("nothing but the scale of an output would change")


@dataclass(frozen=True, slots=True)
class Proposal:
    """Repairs that belong together, the findings that they answer, and how sure they are.

    What answers events, not judgements, has no repairs of layers: its `edits` are made as they are. `chain` are all
    findings that may have to be answered together, `leaves` those of its layers that are not. `calm`: the signal is where
    every net trained, whatever is left.
    """

    findings: tuple[int, ...]
    repairs: tuple[Repair, ...]
    applicability: Applicability
    title: str
    edits: tuple[Edit, ...] = ()
    chain: tuple[int, ...] = ()
    leaves: tuple[int, ...] = ()
    calm: bool = True

    def is_part_of(self, other: Proposal) -> bool:
        """Whether another proposal answers all that this one does, and more."""
        return set(self.findings) < set(other.findings)


def propose(
    findings: Sequence[Finding], workshop: Workshop, draft: Callable[[Proposal], object]
) -> Mapping[int, tuple[Proposal, ...] | Refusal]:
    """For each finding (by position) the fixes to try, best first; all mismatched layers of a chain go together.

    `draft` writes a proposal, or returns the refusal to: what cannot be written alone is not a part of any other.
    """
    activations = load_knowledge().activations
    proposals: dict[int, tuple[Proposal, ...] | Refusal] = {}
    repairs: dict[int, tuple[Repair, ...]] = {}
    repairable = [index for index, finding in enumerate(findings) if finding.code in REPAIRABLE]
    for index in repairable:
        found = objection(findings[index], findings, workshop) or workshop.repairs(findings[index])
        if isinstance(found, Refusal):
            proposals[index] = found
        else:
            repairs[index] = found
    for group in _chained(findings, repairable):
        able = [index for index in group if index in repairs]
        if len(able) > 1 and isinstance(draft(_proposal(tuple(able), group, findings, repairs, workshop)), Refusal):
            drafts = {index: draft(_proposal((index,), group, findings, repairs, workshop)) for index in able}
            unable = {index: found for index, found in drafts.items() if isinstance(found, Refusal)}
            proposals |= unable
            able = [index for index in able if index not in unable]
        for index in able:
            tried = [_proposal(one, group, findings, repairs, workshop) for one in _variants(index, able, repairs)]
            useful = (one for position, one in enumerate(tried) if _is_useful(one, position, tried))
            whole = tuple(one for one in useful if not one.leaves or (one.calm and _is_fair(one, findings, proposals)))
            worth = tuple(one for one in whole if not is_cosmetic(one.repairs, activations))
            proposals[index] = worth or (_COSMETIC if whole else _incomplete(tried[0], proposals))
    _spread(proposals, findings)
    keep_alike(proposals, findings, workshop)
    return {**proposals, **_of_events(findings, workshop)}


def _of_events(findings: Sequence[Finding], workshop: Workshop) -> Mapping[int, tuple[Proposal, ...] | Refusal]:
    """The fixes of the rules that speak of events; findings whose fixes are the same edits are answered together."""
    knowledge = load_knowledge()
    proposals: dict[int, tuple[Proposal, ...] | Refusal] = {}
    fixes: dict[Fix, list[int]] = {}
    for index, finding in enumerate(findings):
        if finding.code not in FIXERS:
            continue
        found = fix_finding(finding, findings, workshop.source, knowledge, workshop.owned)
        if workshop.is_in_copy(finding.site.file):
            found = COPIED
        elif (
            not isinstance(found, Refusal)
            and found.applicability == "unsafe"
            and workshop.is_in_test(finding.site.file)
        ):
            found = Refusal("a test may compare its numbers")
        if isinstance(found, Refusal):
            proposals[index] = found
        else:
            fixes.setdefault(found, []).append(index)
    for found, answered in fixes.items():
        proposal = Proposal(tuple(answered), (), found.applicability, found.title, found.edits)
        proposals |= dict.fromkeys(answered, (proposal,))
    return proposals


def _variants(index: int, able: Sequence[int], repairs: Mapping[int, tuple[Repair, ...]]) -> list[tuple[int, ...]]:
    """Which findings to repair with one: those that override nothing either, then all of the chain, then it alone."""
    modest = tuple(one for one in able if not any(repair.overrides for repair in repairs[one]))
    variants = [modest] if index in modest else []
    variants += [tuple(able), (index,)]
    return list(dict.fromkeys(variants))


def _is_useful(proposal: Proposal, position: int, tried: Sequence[Proposal]) -> bool:
    """A part of the chain is preferred to the whole only where it is safe and the whole is not."""
    return (
        position > 0
        or len(tried) == 1
        or proposal.applicability == "safe"
        or len(tried[1].findings) <= len(proposal.findings)
    )


def _chained(findings: Sequence[Finding], indexes: Sequence[int]) -> list[list[int]]:
    """Findings grouped by the chains that connect their layers."""
    groups: list[tuple[set[tuple[str, int]], list[int]]] = []
    for index in indexes:
        nodes = {node for judgement in findings[index].judgements for node in _nodes(judgement)}
        members = [index]
        apart = []
        for other, others in groups:
            if other & nodes:
                nodes |= other
                members = [*others, *members]
            else:
                apart.append((other, others))
        groups = [*apart, (nodes, members)]
    return [sorted(members) for _, members in groups]


def _nodes(judgement: Judgement) -> Iterator[tuple[str, int]]:
    yield judgement.model, judgement.layer.id
    if judgement.chain is not None:
        yield from ((judgement.model, layer) for layer in judgement.chain.layers)


def _proposal(
    chosen: tuple[int, ...],
    group: Sequence[int],
    findings: Sequence[Finding],
    repairs: Mapping[int, tuple[Repair, ...]],
    workshop: Workshop,
) -> Proposal:
    made = {identity(repair.layer): repair for index in chosen for repair in repairs[index]}
    others = [index for index in group if index not in chosen]
    left = [judgement for index in others for judgement in findings[index].judgements]
    calm = all(
        _is_calm(repair.judgement, _unrepaired(repair.judgement, left, made, workshop)) for repair in made.values()
    )
    safe = calm and not any(repair.overrides for repair in made.values())
    leaves = tuple(
        index
        for index in others
        if any(_is_of_chain(one, repair.judgement) for one in findings[index].judgements for repair in made.values())
    )
    proposal = _made(chosen, tuple(made.values()), "safe" if safe else "unsafe", group)
    return replace(proposal, leaves=leaves, calm=calm)


def _is_fair(
    proposal: Proposal, findings: Sequence[Finding], proposals: Mapping[int, tuple[Proposal, ...] | Refusal]
) -> bool:
    """Whether a part of a chain may be repaired beside what cannot be.

    Not where the chain was calm before, nor where as many layers of a class would be left as it repairs.
    """
    unable = [index for index in proposal.leaves if isinstance(proposals.get(index), Refusal)]
    if not unable:
        return True
    left = {identity(judgement.layer): judgement.layer for index in unable for judgement in findings[index].judgements}
    repaired = Counter(repair.layer.owner_site for repair in proposal.repairs)
    behind = Counter(layer.owner_site for layer in left.values())
    is_half = any(owner in repaired and count >= repaired[owner] for owner, count in behind.items())
    return not is_half and not all(was_calm(repair.judgement) for repair in proposal.repairs)


def _spread(proposals: dict[int, tuple[Proposal, ...] | Refusal], findings: Sequence[Finding]) -> None:
    """Refuse what another branch builds in place of a layer that is left for the rest of its chain."""
    reasons = {
        _slot(judgement.layer): found
        for index, found in proposals.items()
        if isinstance(found, Refusal) and found.incomplete
        for judgement in findings[index].judgements
    }
    for index, found in proposals.items():
        if isinstance(found, tuple):
            slots = (_slot(repair.layer) for one in found for repair in one.repairs)
            proposals[index] = next((reasons[one] for one in slots if one in reasons), found)


def _slot(layer: Layer) -> Hashable:
    """What layers share that are one attribute of a class, whichever branch builds it."""
    return layer.owner_site or layer.site, layer.path


def _incomplete(proposal: Proposal, proposals: Mapping[int, tuple[Proposal, ...] | Refusal]) -> Refusal:
    """The refusal to repair a chain in part, with what stands in the way of the rest."""
    reasons = [one.reason for index in proposal.leaves if isinstance(one := proposals.get(index), Refusal)]
    reason = reasons[0] if reasons else "it stays as it is"
    return Refusal(f"another layer of its chain cannot be repaired: {reason}", incomplete=True)


def _is_of_chain(judgement: Judgement, repaired: Judgement) -> bool:
    """Whether a layer belongs to the chain of another one, as an output does not."""
    chain = repaired.chain
    same = chain is not None and judgement.model == repaired.model and judgement.layer.id in chain.layers
    is_hidden = judgement.decisive is not None and judgement.decisive.output is False
    return same and (is_hidden or not _is_head(judgement))


def _is_beside(judgement: Judgement, repaired: Judgement) -> bool:
    """Whether a layer lies on the chain of another one, whose signal it is not the last to scale."""
    return _is_of_chain(judgement, repaired) and not _is_head(judgement)


def widened(proposal: Proposal, refusal: Refusal, workshop: Workshop) -> Proposal | Refusal:
    """A proposal that also repairs the layers that it would throw off, so that its chain is mended as a whole."""
    added = workshop.companions(refusal.thrown) if refusal.thrown else refusal
    made = {identity(repair.layer) for repair in proposal.repairs}
    if isinstance(added, Refusal) or any(identity(repair.layer) in made for repair in added):
        return refusal
    return _made(proposal.findings, (*proposal.repairs, *added), "unsafe", proposal.chain)


def _made(
    findings: tuple[int, ...], repairs: tuple[Repair, ...], applicability: Applicability, group: Sequence[int]
) -> Proposal:
    return Proposal(findings, repairs, applicability, title(repairs), chain=tuple(group))


def _unrepaired(
    judgement: Judgement, left: Iterable[Judgement], made: Container[Identity], workshop: Workshop
) -> Iterator[Judgement]:
    """The layers of a chain whose gain will not fit after a repair either: those reported, and those that were not."""
    if judgement.chain is None:
        return
    misfits = workshop.misfits(judgement.chain, judgement.model)
    unreported = (one for one in misfits if identity(one.layer) not in made)
    among = {one.layer.id: one for one in (*left, *unreported) if _is_beside(one, judgement)}
    yield from among.values()


def _is_calm(judgement: Judgement, left: Iterable[Judgement]) -> bool:
    """Whether the chain's J after the fix is predicted to lie where every net trained, whatever stays unrepaired.

    Nor may what is passed on have outgrown that: a max-pool raises its mean, which J does not count.
    """
    chain = judgement.chain
    if chain is None or chain.fixed_signal is None:
        return False
    if chain.fixed_growth is not None and chain.fixed_growth > SAFE_SIGNAL[1]:
        return False
    signal = chain.fixed_signal
    for other in left:
        gain = other.layer.weight.gain
        if gain is None or not other.ideal:
            return False
        signal *= gain / other.ideal
    return SAFE_SIGNAL[0] <= signal <= SAFE_SIGNAL[1] or math.isclose(signal, SAFE_SIGNAL[0])


def _is_head(judgement: Judgement) -> bool:
    return judgement.chain is not None and judgement.chain.position == judgement.chain.length


def title(repairs: Sequence[Repair]) -> str:
    """A verb phrase that names the layers, or how many there are."""
    functions: dict[str, list[str]] = {}
    for repair in sorted(repairs, key=lambda repair: repair.layer.id):
        functions.setdefault(repair.call.function, []).append(_name(repair))
    if len(repairs) > _NAMED_LAYERS:
        owners = sorted({repair.layer.owner for repair in repairs if repair.layer.owner})
        where = f" of {_enumerate(owners)}" if owners else ""
        return f"Initialize {len(repairs)} layers{where} with {_enumerate(list(functions))}"
    parts = [f"{_enumerate(paths)} with {function}" for function, paths in functions.items()]
    return f"Initialize {_enumerate(parts)}"


def _name(repair: Repair) -> str:
    return repair.layer.path if repair.layer.owner else repair.layer.access or repair.layer.path


def _enumerate(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
