"""What the scanner understood of every layer, for people and for programs."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType

from initlint.fingerprint import shown_path
from initlint.model import Chain, Follower, Initializer, Judgement, Layer, Measure, Severity, Site
from initlint.report.style import Style
from initlint.report.view import count, number, position

_VERSION = 1
_NOTHING: Mapping[int, Measure] = MappingProxyType({})


def document(judgements: Iterable[Judgement], root: Path, measures: Mapping[int, Measure] = _NOTHING) -> str:
    """The layers as one JSON object; paths are relative to `root`. `measures` are what live layers, by id, measure."""
    layers = [_layer(judgement, root) | _measured(judgement, measures) for judgement in _in_order(judgements)]
    return json.dumps({"version": _VERSION, "layers": layers}, indent=2, ensure_ascii=False) + "\n"


def table(
    judgements: Iterable[Judgement], root: Path, measures: Mapping[int, Measure] = _NOTHING, *, color: bool = False
) -> str:
    """The layers below their file and class: where, what, how initialized, what follows, and the verdict."""
    style = Style(color)
    ordered = _in_order(judgements)
    if not ordered:
        return "No layers found.\n"
    out: list[str] = []
    for file in dict.fromkeys(judgement.layer.site.file for judgement in ordered):
        out.append(f"{style.bold(shown_path(file, root))}\n")
        inside = [judgement for judgement in ordered if judgement.layer.site.file == file]
        for owner in dict.fromkeys(judgement.layer.owner for judgement in inside):
            out.append(f"  {owner or '(module level)'}\n")
            out += _rows([judgement for judgement in inside if judgement.layer.owner == owner], measures, style)
        out.append("\n")
    mismatches = sum(judgement.verdict == "mismatch" for judgement in ordered)
    return "".join(out) + f"{count(len(ordered), 'layer')}, {mismatches} mismatched.\n"


def _rows(judgements: Sequence[Judgement], measures: Mapping[int, Measure], style: Style) -> list[str]:
    cells = [_cells(judgement, measures.get(judgement.layer.id)) for judgement in judgements]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]) - 1)]
    rows = []
    for judgement, row in zip(judgements, cells, strict=True):
        padded = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False))
        rows.append(f"    {padded}  {_verdict(judgement, row[-1], style)}".rstrip() + "\n")
    return rows


def summary(judgement: Judgement) -> str:
    """A layer in one clause: ``default gain 0.577 -> relu, mismatch``."""
    followers = _followers_words(judgement)
    arrow = f" -> {followers}" if followers else ""
    return f"{_init_words(judgement.layer)}{arrow}, {judgement.verdict}{_reason_words(judgement)}"


def _followers_words(judgement: Judgement) -> str:
    return ", ".join(dict.fromkeys(_follower_words(follower) for follower in judgement.followers))


def _reason_words(judgement: Judgement) -> str:
    return f" ({judgement.reason})" if judgement.reason else ""


def _cells(judgement: Judgement, measure: Measure | None) -> tuple[str, ...]:
    layer = judgement.layer
    followers = _followers_words(judgement)
    return (
        position(layer.site),
        layer.path if measure is None else measure.path or layer.path,
        layer.kind,
        _init_words(layer),
        f"-> {followers}" if followers else "",
        _chain_words(judgement.chain, measure),
        *(() if measure is None else _measure_words(measure)),
        judgement.verdict + _reason_words(judgement),
    )


def _init_words(layer: Layer) -> str:
    init = _built_with(layer)
    loaded = ", then loaded" if init is not layer.weight else ""
    name = init.function if init.source == "explicit" and init.function else init.source
    if init.conditional:
        return f"{name} on a condition{loaded}"
    return f"{name} gain {number(init.gain)}{loaded}" if init.gain is not None else name + loaded


def _built_with(layer: Layer) -> Initializer:
    """What initializes a layer: what was written before weights are loaded, where they are."""
    if layer.weight.source != "loaded":
        return layer.weight
    return next((before for before in reversed(layer.history) if before.source != "loaded"), layer.weight)


def _follower_words(follower: Follower) -> str:
    marks = [
        word
        for word, holds in (
            ("normalized", follower.normalized),
            ("residual", follower.residual),
            ("gated", follower.gated),
            ("output", follower.output),
        )
        if holds
    ]
    return f"{follower.activation} [{', '.join(marks)}]" if marks else follower.activation


def _chain_words(chain: Chain | None, measure: Measure | None) -> str:
    if chain is None:
        return ""
    signal = f", signal {number(chain.signal)}" if chain.signal is not None else ""
    seen = None if measure is None else measure.chain_signal
    return f"{chain.position}/{chain.length}{signal}" + (f" ({number(seen)} measured)" if seen is not None else "")


def _measure_words(measure: Measure) -> tuple[str, ...]:
    """The weight, the signal and gradient of its output, and the activation behind it, each in a column."""
    weight = [("std", measure.std), ("gain", measure.gain)]
    output = [("rms", measure.rms), ("spread", measure.spread), ("gradient", measure.gradient)]
    shares = [("dead", measure.dead), ("saturated", measure.saturated)]
    percent = [f"{share:.0%} {word}" for word, share in shares if share is not None and share >= _TOLD]
    return _numbers(weight), _numbers(output), " ".join(percent)


def _numbers(values: list[tuple[str, float | None]]) -> str:
    return " ".join(f"{word} {number(value)}" for word, value in values if value is not None)


_TOLD = 0.005
"""A share below half a percent reads as none."""


def _verdict(judgement: Judgement, text: str, style: Style) -> str:
    if judgement.verdict == "mismatch":
        return style.severity(text, Severity.WARNING)
    return style.good(text) if judgement.verdict == "match" else text


def _in_order(judgements: Iterable[Judgement]) -> list[Judgement]:
    return sorted(
        judgements, key=lambda j: (j.layer.site.file, j.layer.site.cell or 0, j.layer.site, j.layer.owner, j.layer.path)
    )


def _layer(judgement: Judgement, root: Path) -> dict[str, object]:
    layer = judgement.layer
    chain = judgement.chain
    init = _built_with(layer)
    return {
        "file": shown_path(layer.site.file, root),
        **_cell(layer.site),
        "line": layer.site.line,
        "column": layer.site.column,
        "class": layer.owner,
        "path": layer.path,
        "kind": layer.kind,
        "init": {
            "source": "unknown" if init.conditional else init.source,
            "function": init.function,
            "gain": _promised_gain(init),
            **_cell(init.site),
            "line": init.site.line if init.site else None,
            **({"loaded": True} if layer.weight.source == "loaded" else {}),
        },
        "followed_by": [_follower(follower) for follower in judgement.followers],
        "chain": {
            "length": chain.length if chain else None,
            "position": chain.position if chain else None,
            "signal": chain.signal if chain else None,
        },
        "verdict": judgement.verdict,
    }


def _cell(site: Site | None) -> dict[str, int]:
    """The cell that a line is counted in; nothing where the line is one of a file."""
    return {} if site is None or site.cell is None else {"cell": site.cell}


def _measured(judgement: Judgement, measures: Mapping[int, Measure]) -> dict[str, object]:
    measure = measures.get(judgement.layer.id)
    if measure is None:
        return {}
    values = asdict(measure).items()
    return {"measured": {name: value if _is_writable(value) else None for name, value in values}}


def _is_writable(value: object) -> bool:
    """Whether JSON has a word for it: not for what overflowed."""
    return not isinstance(value, float) or math.isfinite(value)


def _promised_gain(init: Initializer) -> float | None:
    """The gain that an initializer certainly gives: what it names, else what its standard deviation makes of the layer's fan."""
    if init.conditional:
        return None
    named = init.source == "default" or (init.function or "").startswith(("kaiming", "xavier", "orthogonal"))
    return init.gain if named or init.effective_gain is None else init.effective_gain


def _follower(follower: Follower) -> dict[str, object]:
    return {
        "activation": follower.activation,
        "params": dict(follower.params),
        "normalized": follower.normalized,
        "residual": follower.residual,
        "gated": follower.gated,
        "output": follower.output,
    }
