"""A mismatched gain becomes a finding: one per place, however many layers come from there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from initlint.analysis import gain_of, severity_of
from initlint.checks import wording
from initlint.checks.check import Check
from initlint.knowledge import Activation, Knowledge
from initlint.model import Finding, Judgement, Model, Related, Severity, Site

Applies = Callable[[Judgement, Activation, Knowledge], bool]


def mismatch_check(code: str, name: str, applies: Applies) -> Check:
    """The check that reports every mismatch for which `applies` holds.

    `applies` gets the judgement, the activation that decided and the facts.
    """

    def run(judgements: Sequence[Judgement], _: Sequence[Model], knowledge: Knowledge) -> Iterable[Finding]:
        places: dict[Site, list[Judgement]] = {}
        for judgement in judgements:
            activation = deciding(judgement, knowledge)
            if judgement.verdict == "mismatch" and activation is not None and applies(judgement, activation, knowledge):
                places.setdefault(place_of(judgement), []).append(judgement)
        for place, found in places.items():
            yield report(code, name, place, found, knowledge)

    return Check(code, name, run)


def deciding(judgement: Judgement, knowledge: Knowledge) -> Activation | None:
    """The activation that decided, as the facts describe it."""
    return None if judgement.decisive is None else knowledge.activations.get(judgement.decisive.activation)


def place_of(judgement: Judgement) -> Site:
    """Where the mismatch is written: the construction for torch's default, the call for an explicit initializer."""
    weight = judgement.layer.weight
    return weight.site if weight.source == "explicit" and weight.site is not None else judgement.layer.site


def report(code: str, name: str, place: Site, found: Sequence[Judgement], knowledge: Knowledge) -> Finding:
    """The finding for all mismatches at one place; the costliest speaks, the others stand behind it."""
    judgements = sorted(found, key=_cost, reverse=True)
    worst = judgements[0]
    chain = worst.chain
    names = wording.name_layers([judgement.layer for judgement in judgements])
    return Finding(
        code=code,
        name=name,
        message=names + wording.context_phrase(worst) + _predicate(judgements, knowledge),
        severity=severity_of(worst),
        site=place,
        help=wording.advice(judgements, knowledge),
        layer=names.replace("`", ""),
        activation=None if worst.decisive is None else worst.decisive.activation,
        init=wording.initializer_text(worst.layer.weight),
        gain=gain_of(worst.layer),
        ideal_gain=worst.ideal,
        chain_length=None if chain is None else chain.length,
        chain_signal=None if chain is None else chain.signal,
        related=tuple(_related(worst, place)),
        judgements=tuple(judgements),
    )


def _cost(judgement: Judgement) -> tuple[Severity, int]:
    return severity_of(judgement), 0 if judgement.chain is None else judgement.chain.length


def _predicate(judgements: Sequence[Judgement], knowledge: Knowledge) -> str:
    """What is said of the layers, beginning with the verb; the first judgement gives the chain."""
    worst, several = judgements[0], len(judgements) > 1
    weight = worst.layer.weight
    if weight.source != "explicit":
        said = f" {'keep' if several else 'keeps'} torch's default init"
    elif weight.gain is None and weight.std is not None:
        said = f" {'are' if several else 'is'} drawn with std {wording.number(weight.std)} whatever the width"
    else:
        said = f" {'are' if several else 'is'} initialized by {weight.function or 'hand'}"
    return said + wording.started(judgements) + wording.gain_phrase(judgements) + wording.measure(judgements, knowledge)


def _related(judgement: Judgement, place: Site) -> Iterable[Related]:
    layer, follower = judgement.layer, judgement.decisive
    if place != layer.site:
        yield Related(layer.site, f"`{wording.name_of(layer)}` is built here")
    if follower is not None and follower.site is not None:
        yield Related(follower.site, f"{follower.activation} follows here")
