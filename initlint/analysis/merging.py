"""One judgement per layer of the text, from the judgements of every context that builds it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import PurePath

from initlint.analysis.followers import unplaced
from initlint.analysis.ideals import contains
from initlint.analysis.judgement import gain_of
from initlint.analysis.severity import is_neutral, severity_of
from initlint.model import Follower, Judgement, Layer
from initlint.pytest_names import is_test_file, is_test_folder


def merge(judgements: Iterable[Judgement]) -> tuple[Judgement, ...]:
    """Merge what several models say of the same (site, owner, path), in order of first appearance.

    A context that loads the weights says nothing about those that do not; but what only tests build bare, or the script at
    the end of a layer's own file, is no mismatch where others build the layer, too. Among these silence wins: a layer is a
    mismatch only where every context in which something judges it says so, and no context initializes it in a band that
    would match or fills it with what is not known. Among mismatches the most severe context speaks (then the longest
    chain, then the first), with the followers of all of them.
    """
    groups: dict[tuple[object, ...], list[Judgement]] = {}
    for judgement in judgements:
        layer = judgement.layer
        groups.setdefault((layer.site, layer.owner, layer.path), []).append(judgement)
    return tuple(_speaker(group) if len(group) == 1 else _merged(group) for group in groups.values())


def is_settled(group: list[Judgement]) -> bool:
    """Whether no context that is still to come can make a mismatch of a layer: one of these is enough for silence."""
    return any(map(_is_silent, group))


def is_accused(group: list[Judgement]) -> bool:
    """Whether a layer is a mismatch unless a context that is still to come speaks for it."""
    return not is_settled(group) and _speaker(_trained(group)).verdict == "mismatch"


def _trained(group: list[Judgement]) -> list[Judgement]:
    """The contexts that count: those that load nothing, without mismatches that only trials show, else all."""
    trained = [found for found in group if not _is_loaded(found)]
    earnest = [found for found in trained if found.verdict != "mismatch" or not _is_tried(found.layer)]
    return earnest or ([found for found in group if _is_loaded(found)] or trained)


def _is_tried(layer: Layer) -> bool:
    """Whether a test builds the layer, or the file that defines it does as a script, to show that it works."""
    name, _, place = (layer.context or "").rpartition(" in ")
    stem = PurePath(place).stem
    return is_test_file(stem) or is_test_folder(stem) or (not name and PurePath(layer.site.file).name == place)


def _merged(group: list[Judgement]) -> Judgement:
    trained = _trained(group)
    speaker = _speaker(trained)
    partial = any(found.verdict != speaker.verdict for found in trained)
    alone = all(found.alone for found in group)
    return replace(speaker, followers=tuple(_followers(group)), partial=partial, alone=alone)


def _followers(group: list[Judgement]) -> Iterable[Follower]:
    kept: dict[Follower, Follower] = {}
    for judgement in group:
        for follower in judgement.followers:
            kept.setdefault(unplaced(follower), follower)
    return kept.values()


def _speaker(group: list[Judgement]) -> Judgement:
    """The judgement that stands for its group."""
    mismatches = [found for found in group if found.verdict == "mismatch"]
    if len(group) > len(mismatches) > 0:
        rare = _rare(group)
        group = [found for found in group if found.verdict != "mismatch" or found.layer.context not in rare]
        mismatches = [found for found in group if found.verdict == "mismatch"]
    if not mismatches:
        return min(group, key=_quietness)
    if (unreadable := next(filter(_is_unreadable, group), None)) is not None and not _is_one_constant(group):
        return unreadable
    for silent in _SILENT:
        if (found := next(filter(silent, group), None)) is not None:
            return found
    bands = tuple(band for found in mismatches for band in found.bands)
    for found in group:
        gain = gain_of(found.layer)
        if (
            found.verdict == "exempt"
            and found.layer.weight.source == "explicit"
            and gain is not None
            and contains(bands, gain)
        ):
            return replace(found, verdict="match", bands=bands, reason="")
    return max(mismatches, key=_weight)


def _rare(group: list[Judgement]) -> frozenset[str | None]:
    """The contexts in which no activation follows most of the layers that they build here: what holds for few is no rule."""
    built = Counter(found.layer.context for found in group)
    followed = Counter(found.layer.context for found in group if found.followers)
    return frozenset(context for context, count in built.items() if 2 * followed[context] < count)


_QUIET = {"match": 0, "mismatch": 1, "exempt": 2, "unknown": 3}


def _quietness(judgement: Judgement) -> tuple[int, bool, int]:
    """Among silent contexts a match comes first, then what an author wrote, then the longest chain."""
    return _QUIET[judgement.verdict], judgement.layer.weight.source != "explicit", -_length(judgement)


def _is_one_constant(group: list[Judgement]) -> bool:
    """Whether one constant std was written, and its gain is unknown only where the width is."""
    written = {(found.layer.weight.function, found.layer.weight.std) for found in group}
    return len(written) == 1 and None not in written.pop()


def _is_match(judgement: Judgement) -> bool:
    return judgement.verdict == "match"


def _is_loaded(judgement: Judgement) -> bool:
    return judgement.layer.weight.source == "loaded"


def _is_pardoned(judgement: Judgement) -> bool:
    """Whether an activation judges the layer here and yet its gain costs nothing."""
    return judgement.verdict == "exempt" and judgement.decisive is not None


def _is_deliberate(judgement: Judgement) -> bool:
    """Whether a constant std was chosen here, and costs nothing: such a mismatch is never reported."""
    weight, chain = judgement.layer.weight, judgement.chain
    chosen = judgement.verdict == "mismatch" and weight.source == "explicit" and weight.gain is None
    return chosen and chain is not None and is_neutral(chain.signal)


_SILENT = (_is_match, _is_pardoned, _is_deliberate)
"""One such context is enough for silence; the first of these that holds for any tells what is shown."""


def _is_silent(judgement: Judgement) -> bool:
    return not _is_loaded(judgement) and any(silences(judgement) for silences in _SILENT)


def _is_unreadable(judgement: Judgement) -> bool:
    """Whether an initializer ran here that nothing is known of."""
    layer = judgement.layer
    return layer.weight.source == "unknown" or (judgement.verdict == "unknown" and gain_of(layer) is None)


def _weight(judgement: Judgement) -> tuple[int, int]:
    return (int(severity_of(judgement)), _length(judgement))


def _length(judgement: Judgement) -> int:
    return 0 if judgement.chain is None else judgement.chain.length
