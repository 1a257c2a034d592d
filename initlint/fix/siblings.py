"""A class is repaired alike: what it builds in equal words all or not at all, and safely only where all of it is safe."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from initlint.fix.identity import identity
from initlint.fix.recommend import Refusal
from initlint.model import Finding, Judgement, Layer

if TYPE_CHECKING:
    from initlint.fix.proposals import Proposal
    from initlint.fix.workshop import Workshop

    Proposals = dict[int, tuple[Proposal, ...] | Refusal]


def keep_alike(proposals: Proposals, findings: Sequence[Finding], workshop: Workshop) -> None:
    """Refuse what has a twin that stays as it is, and call unsafe what is safe only without the rest of its class."""
    while left := _left_twins(proposals, findings, workshop) or _minorities(proposals, findings):
        proposals |= left
    _lower(proposals, findings)


def _left_twins(proposals: Proposals, findings: Sequence[Finding], workshop: Workshop) -> Proposals:
    """The refusals of layers that a class builds in the words of another, before the same activation, that is not repaired."""
    repairs = {
        index: [repair for one in found for repair in one.repairs]
        for index, found in proposals.items()
        if isinstance(found, tuple)
    }
    made = [repair.layer for found in repairs.values() for repair in found]
    owners, built = {layer.owner_site for layer in made} - {None}, {_built(layer) for layer in made}
    if not owners:
        return {}
    refused = {
        identity(judgement.layer)
        for index, found in proposals.items()
        if isinstance(found, Refusal)
        for judgement in findings[index].judgements
    }
    left: dict[Hashable, str] = {}
    for judgement in workshop.judgements:
        layer = judgement.layer
        if layer.owner_site not in owners or _built(layer) in built:
            continue
        is_default = layer.weight.source == "default"
        stays = is_default and (judgement.verdict == "exempt" or identity(layer) in refused)
        if stays or (judgement.verdict == "unknown" and _is_unseen(layer)):
            left |= dict.fromkeys(_keys(judgement, workshop), layer.path)
    return {
        index: Refusal(f"{left[key]} is built alike and stays as it is")
        for index, found in repairs.items()
        for repair in found
        for key in _keys(repair.judgement, workshop)
        if key in left
    }


def _is_unseen(layer: Layer) -> bool:
    """Whether nobody can tell what fills a layer, for only builders whose weights are loaded may ask for it."""
    return layer.weight.source == "unknown" and layer.weight.site is None


def _built(layer: Layer) -> Hashable:
    """What the layers share that one call builds for one attribute: a loop knows them apart, if anything does."""
    return layer.site, layer.path.partition(".")[0]


def _minorities(proposals: Proposals, findings: Sequence[Finding]) -> Proposals:
    """The refusals of what a class has of layers that were left to torch, where more hidden ones cannot be repaired."""
    owners = {index: _owners(findings[index]) for index, found in proposals.items() if isinstance(found, tuple)}
    repaired = Counter(owner for found in owners.values() for owner in found)
    reasons: dict[Hashable, list[str]] = {}
    for index, found in proposals.items():
        if isinstance(found, Refusal):
            for owner in {one.layer.owner_site for one in findings[index].judgements if _is_hidden_default(one)}:
                reasons.setdefault(owner, []).append(found.reason)
    return {
        index: Refusal(f"most of its class cannot be repaired: {reasons[owner][0]}")
        for index, found in owners.items()
        for owner in found
        if owner in reasons and len(reasons[owner]) > repaired[owner]
    }


def _is_hidden_default(judgement: Judgement) -> bool:
    decisive = judgement.decisive
    return judgement.layer.weight.source == "default" and decisive is not None and decisive.output is False


def _keys(judgement: Judgement, workshop: Workshop) -> Iterator[Hashable]:
    """What twins share: their class, the words that build them or the container that holds them, and the activation.

    Nothing visible sets twins apart; in one container not even that the last of them weighs something else.
    """
    layer = judgement.layer
    source = workshop.source(layer.site.file)
    call = None if source is None else source.call_at(layer.site)
    if call is None:
        return
    words = ast.unparse(call)
    container, _, _ = layer.path.rpartition(".")
    for follower in judgement.followers:
        if follower.normalized or follower.residual:
            continue
        if not follower.gated:
            yield layer.owner_site, words, follower.activation
        if container:
            yield layer.owner_site, (container,), follower.activation


def _lower(proposals: Proposals, findings: Sequence[Finding]) -> None:
    """Call unsafe what a class has beside another layer whose repair is unsafe, although its author left both to torch."""
    made = {index: found for index, found in proposals.items() if isinstance(found, tuple)}
    owners = {index: _owners(findings[index]) for index in made}
    safe = {index for index, found in made.items() if any(one.applicability == "safe" for one in found)}
    shaky = {owner for index, found in owners.items() if index not in safe for owner in found}
    while lowered := [index for index in safe if not shaky.isdisjoint(owners[index])]:
        for index in lowered:
            proposals[index] = tuple(replace(one, applicability="unsafe") for one in made[index])
            shaky |= owners[index]
        safe.difference_update(lowered)


def _owners(finding: Finding) -> frozenset[Hashable]:
    """The classes of the layers that a finding speaks of and that their authors left to torch."""
    layers = (judgement.layer for judgement in finding.judgements)
    return frozenset(layer.owner_site for layer in layers if layer.weight.source == "default" and layer.owner_site)
