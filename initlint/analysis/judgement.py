"""The verdict on every layer of one model: whether the gain it starts with suits what it runs into."""

from __future__ import annotations

import math
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, replace
from zlib import crc32

from initlint.analysis.chains import find_chains, find_enclosed, find_erased, unmended
from initlint.analysis.doubts import UNREAD, find_unread
from initlint.analysis.followers import MOST_ADDS, find_bypassed, find_followers, find_leaving, find_optional
from initlint.analysis.gates import Gates, find_excitations, find_shifts
from initlint.analysis.ideals import contains, ideal_gain, matching_bands, reaches, touches
from initlint.analysis.powers import find_pooled
from initlint.analysis.signal import Weights, nominal_weights, propagate
from initlint.analysis.skips import find_skipped
from initlint.analysis.wiring import wire
from initlint.knowledge import Knowledge
from initlint.model import UNKNOWN_INITIALIZER, Chain, Follower, Initializer, Judgement, Layer, Model

_SAME = 0.05
_MOST_FAN = 2**18
"""A layer that sums more inputs than this is hardly met: behind a flattened image there are some 10^5 (VGG-16 has 25,088)."""

_STARVED = 0.03
"""Below this J a gain that is taught but carries no signal no longer matches (Xavier before hidden sigmoids)."""


def judge(model: Model, knowledge: Knowledge) -> tuple[Judgement, ...]:
    """A judgement per layer of `model`, in the order of its layers; time linear in the op graph."""
    wiring = wire(model)
    gates = Gates(wiring, knowledge.activations)
    judged = {layer.id: layer for layer in model.layers if role_of(layer, knowledge) == "weight"}
    weights = {identity: nominal_weights(layer) for identity, layer in judged.items()}
    now = propagate(model, weights, knowledge)
    chains = find_chains(wiring, now)
    damped = {now.steps[position].layer for position in now.damped}
    scene = _Scene(
        knowledge=knowledge,
        followers=find_followers(wiring, gates, knowledge.parts, now.raised),
        chains=chains,
        used=frozenset(wiring.uses),
        unread=find_unread(wiring) if model.traced else frozenset(),
        optional=find_optional(wiring),
        leaving=find_leaving(wiring),
        branching=frozenset(now.steps[position].layer for position in now.joined),
        harmless={
            **dict.fromkeys(damped | find_enclosed(wiring, damped), "its branch is scaled down"),
            **dict.fromkeys(find_bypassed(wiring), "it also reaches the next layer without its activation"),
            **dict.fromkeys(find_excitations(wiring, gates), "it is part of a gate"),
            **dict.fromkeys(find_shifts(wiring), "it shifts what another layer scales"),
            **dict.fromkeys(
                find_erased(wiring, judged.keys()) | find_pooled(wiring, judged.keys()),
                "a later normalization erases its scale",
            ),
        },
    )
    verdicts = [_judge(layer, scene) if layer.id in judged else _set_aside(layer, scene) for layer in model.layers]
    verdicts = _starve(verdicts, chains)
    mended = _mended(verdicts, weights)
    then = propagate(model, {**weights, **mended}, knowledge, now.route) if mended else None
    chains = {**find_chains(wiring, now, then)} if then else {each: unmended(chain) for each, chain in chains.items()}
    for each in find_skipped(wiring, mended.keys() & chains.keys()):
        chains[each] = chains[each]._replace(renewed=True)
    identity = _identity(model)
    return tuple(
        replace(judgement, chain=chains.get(judgement.layer.id), model=identity, traced=model.traced, alone=model.alone)
        for judgement in verdicts
        if judgement.layer.id not in model.silent
    )


def _identity(model: Model) -> str:
    """The name of a model and a digest of the layers it is made of: classes of one name in several files are several models."""
    places = (f"{one.site.file}:{one.site.line}:{one.site.column} {one.owner}.{one.path}\n" for one in model.layers)
    return f"{model.name}#{crc32(''.join(places).encode('utf-8', 'surrogatepass')):08x}"


def role_of(layer: Layer, knowledge: Knowledge) -> str:
    """What the layer does to a signal: ``weight`` for what is judged, and for every class that torch does not know."""
    fact = knowledge.layers.get(layer.kind) or knowledge.layers.get(f"torch.nn.{layer.kind}")
    return "weight" if fact is None or fact.role == "head" else fact.role


def gain_of(layer: Layer) -> float | None:
    """The gain that is compared with the bands: what the initializer promises, else what the widths make of its std.

    As torch draws it, a transposed convolution promises nothing: its fans are swapped, and its stride counts, so that only
    what its widths make of that is compared.
    """
    weight = layer.weight
    if weight.source == "default" and layer.kind.startswith("ConvTranspose"):
        return weight.effective_gain
    return weight.gain if weight.gain is not None or weight.ambiguous else weight.effective_gain


@dataclass(frozen=True, slots=True)
class _Scene:
    """What a verdict needs to know beyond its layer.

    `used` are the layers that are applied, `unread` those of which a run did not show what they run into, `optional` those
    that may go without their activation, `leaving` those whose output leaves as it is, `branching` those of branches that begin in
    what they are added to and more, `harmless` says why a layer's scale does not matter where it lies.
    """

    knowledge: Knowledge
    followers: Mapping[int, tuple[Follower, ...]]
    chains: Mapping[int, Chain]
    used: frozenset[int]
    unread: frozenset[int]
    optional: frozenset[int]
    leaving: frozenset[int]
    branching: frozenset[int]
    harmless: Mapping[int, str]


def _set_aside(layer: Layer, scene: _Scene) -> Judgement:
    """Embeddings, recurrent and attention layers: nothing they run into judges them."""
    reason = f"{role_of(layer, scene.knowledge)} layers are not judged by what follows"
    return Judgement(layer, "exempt", scene.followers.get(layer.id, ()), reason=reason)


def _judge(layer: Layer, scene: _Scene) -> Judgement:
    """The verdict of one weight layer, its chain left out."""
    followers = scene.followers.get(layer.id, ())
    relevant = _relevant(layer, followers, scene)
    gain = gain_of(layer)
    if (set_aside := _unjudged(layer, followers, scene)) is not None:
        return set_aside
    if not followers and layer.id in scene.unread:
        return Judgement(layer, "unknown", reason=UNREAD)
    if not relevant:
        return Judgement(layer, "exempt", followers, reason=_why_nobody_judges(followers, scene))
    if layer.weight.source == "unknown":
        return Judgement(layer, "unknown", followers, reason="what fills the weight is not known")
    if gain is None:
        return _judge_by_bound(layer, followers, relevant, scene)
    suited = next(
        (found for found in relevant if contains(_bands(found, scene), gain) or _happens_to_suit(layer, found, scene)),
        None,
    )
    if suited is None and any(_may_suit(other, relevant, scene) for other in _other_writers(layer)):
        layer = replace(layer, weight=UNKNOWN_INITIALIZER)
        return Judgement(layer, "unknown", followers, reason="which initializer fills the weight hangs on a condition")
    decisive = suited or relevant[0]
    bands = _bands(decisive, scene)
    pardon = _pardon(layer, gain, relevant, scene) if suited is None else ""
    return Judgement(
        layer,
        "match" if suited is not None else "exempt" if pardon else "mismatch",
        followers,
        decisive=decisive,
        ideal=ideal_gain(decisive, scene.knowledge.activations),
        bands=bands,
        reason=pardon,
    )


def _judge_by_bound(
    layer: Layer, followers: tuple[Follower, ...], relevant: tuple[Follower, ...], scene: _Scene
) -> Judgement:
    """The verdict where the width is not known: a constant std may be too small for any."""
    weight, decisive = layer.weight, relevant[0]
    most = None if weight.std is None or weight.mean != 0.0 else weight.std * math.sqrt(_MOST_FAN)
    if most is None or weight.conditional or any(reaches(_bands(found, scene), most, found) for found in relevant):
        return Judgement(layer, "unknown", followers, reason="the gain of its initializer is not known")
    pardon = _pardon(layer, most, relevant, scene)
    return Judgement(
        layer,
        "exempt" if pardon else "mismatch",
        followers,
        decisive=decisive,
        ideal=ideal_gain(decisive, scene.knowledge.activations),
        bands=_bands(decisive, scene),
        reason=pardon,
    )


def _happens_to_suit(layer: Layer, follower: Follower, scene: _Scene) -> bool:
    """Whether the widths make just what the activation wants of Xavier's gain, which promises something else all the same.

    Or of torch's own: between two bands lies what somebody has mistaken for another gain, and nobody has chosen a default. It may be
    larger than what an output wants by as much as it may be inside the model: that carries no less of the signal.
    """
    weight, ideal = layer.weight, ideal_gain(follower, scene.knowledge.activations)
    gain, bands = gain_of(layer), (*_bands(follower, scene), *_bands(follower._replace(output=False), scene))
    if weight.source == "default" and gain is not None and bands:
        return min(bands)[0] <= gain <= max(high for _, high in bands)
    if ideal is None or weight.effective_gain is None or not (weight.function or "").startswith("xavier"):
        return False
    return weight.effective_gain != weight.gain and math.isclose(weight.effective_gain, ideal, rel_tol=_SAME)


def _other_writers(layer: Layer) -> Iterator[Initializer]:
    """What else may have written the weight last: whatever came before a write that may not happen."""
    writer = layer.weight
    for before in reversed(layer.history):
        if not writer.conditional:
            return
        writer = before
        yield writer


def _may_suit(writer: Initializer, followers: tuple[Follower, ...], scene: _Scene) -> bool:
    gain = writer.gain if writer.gain is not None or writer.ambiguous else writer.effective_gain
    return gain is None or any(contains(_bands(found, scene), gain) for found in followers)


def _unjudged(layer: Layer, followers: tuple[Follower, ...], scene: _Scene) -> Judgement | None:
    """The verdict where no comparison of gains could say anything."""
    if (reason := _exemption(layer)) is not None:
        return Judgement(layer, "exempt", followers, reason=reason)
    if layer.id not in scene.used:
        return Judgement(layer, "unknown", followers, reason="where it is applied was not seen")
    if layer.weight.source == "unknown" and (reason := scene.harmless.get(layer.id, "")):
        return Judgement(layer, "exempt", followers, reason=reason)
    return None


def _bands(follower: Follower, scene: _Scene) -> tuple[tuple[float, float], ...]:
    return matching_bands(follower, scene.knowledge.activations)


def _exemption(layer: Layer) -> str | None:
    """Why the initializer of this layer is no choice of scale at all."""
    reasons = (
        (layer.weight.source == "loaded", "its weights are loaded"),
        (layer.parametrization is not None, f"{layer.parametrization} rebuilds the weight"),
        (layer.frozen, "it is frozen"),
        (layer.weight.is_constant, "its weight is constant"),
    )
    return next((reason for holds, reason in reasons if holds), None)


def _relevant(layer: Layer, followers: tuple[Follower, ...], scene: _Scene) -> tuple[Follower, ...]:
    """The followers whose bands the layer has to meet.

    Where it is not known which of two branches is taken, the milder counts: an activation that one reaches with a
    normalization and another without is normalized, and one that may be left out does not judge. Nor does one at the
    end of the model of what also leaves without it: a loss takes the logits, and their sigmoid is for whoever reads it.
    """
    maybe_normalized = {found.activation for found in followers if found.alternative and found.normalized}
    return tuple(
        found
        for found in followers
        if not found.normalized
        and not found.gated
        and not found.part
        and not (found.output is not False and layer.id in scene.leaving)
        and found.adds <= MOST_ADDS
        and matching_bands(found, scene.knowledge.activations)
        and not (found.alternative and (found.activation in maybe_normalized or layer.id in scene.optional))
    )


def _why_nobody_judges(followers: tuple[Follower, ...], scene: _Scene) -> str:
    if not followers:
        return "no activation follows"
    reasons = (
        (any(found.normalized for found in followers), "a normalization follows"),
        (any(found.gated for found in followers), "it is part of a gate"),
        (any(found.part for found in followers), "its activation meets only a part of its output"),
        (any(_is_set_unseen(found, scene) for found in followers), "a parameter of its activation is not known"),
        (any(found.scaled is None for found in followers), "its output is rescaled first"),
        (any(found.alternative for found in followers), "its activation may be left out"),
        (any(found.output is not False for found in followers), "its output leaves without that activation, too"),
    )
    return next(
        (reason for holds, reason in reasons if holds), f"no initializer is wrong before {followers[0].activation}"
    )


def _is_set_unseen(found: Follower, scene: _Scene) -> bool:
    """Whether an activation has parameters of which none is known."""
    activation = scene.knowledge.activations.get(found.activation)
    return found.scaled is None and not found.params and activation is not None and bool(activation.parameters)


def _pardon(layer: Layer, gain: float, relevant: tuple[Follower, ...], scene: _Scene) -> str:
    """Why a gain outside the bands of the first follower costs nothing here, empty where it does."""
    chain = scene.chains.get(layer.id)
    if layer.id in scene.harmless:
        return scene.harmless[layer.id]
    is_branch = layer.id in scene.branching or (
        chain is not None and (chain.residual or (chain.renewed and all(found.residual for found in relevant)))
    )
    if is_branch and gain < max(high for _, high in _bands(relevant[0], scene)):
        return "it lies in a residual branch, where small is harmless"
    if any(touches(_bands(found, scene), gain, found) for found in relevant):
        return "what it is added to may make up for it"
    return ""


def _starve(judgements: list[Judgement], chains: Mapping[int, Chain]) -> list[Judgement]:
    """Withdraw matches by a band that is taught but carries no signal, where a chain of such layers has lost it.

    Only an activation with two bands has one: Xavier's gain 1 before hidden sigmoids passes 0.24 of the gradient a
    layer, 3.6 passes 0.60 (Kumar 2017).
    """
    taught = {found.layer.id for found in judgements if _is_taught(found)}
    return [
        replace(found, verdict="mismatch")
        if found.layer.id in taught and _has_starved(chains.get(found.layer.id), taught)
        else found
        for found in judgements
    ]


def _is_taught(judgement: Judgement) -> bool:
    """Whether it matches by a band that the ideal gain is not in."""
    gain = gain_of(judgement.layer)
    if judgement.verdict != "match" or gain is None or judgement.ideal is None or len(judgement.bands) < 2:
        return False
    if judgement.decisive is None or judgement.decisive.output is not False:
        return False
    return any(contains((band,), gain) and not contains((band,), judgement.ideal) for band in judgement.bands)


def _has_starved(chain: Chain | None, taught: Container[int]) -> bool:
    if chain is None or chain.signal is None or chain.signal >= _STARVED:
        return False
    return sum(layer in taught for layer in chain.layers) >= 2


def _mended(judgements: list[Judgement], weights: Mapping[int, Weights]) -> dict[int, Weights]:
    """The weights of the mismatched layers once each has its ideal gain."""
    return {
        found.layer.id: Weights(found.ideal, weights[found.layer.id].bias)
        for found in judgements
        if found.verdict == "mismatch" and found.ideal is not None
    }
