"""A profile drawn: signal and gradient along the depth, measured and predicted, as built and repaired."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from initlint.analysis import gain_of
from initlint.errors import InitlintError
from initlint.graph.profile import Point, Reading, State

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BUILT, REPAIRED, WRONG, QUIET = "#c2410c", "#1d4ed8", "#fde68a", "#6b7280"
_NAMED = 32
"""So many layers can be named along the axis; more are numbered."""

Take = Callable[[State], Reading]


def write_plot(points: Sequence[Point], title: str, file: Path) -> None:
    """Draw `points` into a .png, .svg or .html file; InitlintError where there is nothing to draw."""
    if not points:
        hint = "give --input with a shape that the model takes, and leave --device meta away"
        raise InitlintError("nothing was measured that could be drawn", where=str(file), hint=hint)
    figure = draw(points, "" if file.suffix == ".html" else title)  # a page has its title above the picture
    if file.suffix == ".html":
        file.write_text(_page(points, title, _svg(figure)), encoding="utf-8")
    else:
        figure.savefig(file, dpi=144)


def draw(points: Sequence[Point], title: str) -> Figure:
    """Two panels over one depth axis: the signal from the input on, the gradient from the output back."""
    from matplotlib.figure import Figure

    named = len(points) <= _NAMED
    width = min(16.0, max(8.0, 2.5 + 0.34 * len(points)))
    figure = Figure(figsize=(width, 7.6 if named else 6.6), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    _panel(above, points, lambda state: state.signal, "signal that depends on the input\n(std over the batch)")
    _panel(below, points, lambda state: state.gradient, "gradient norm per sample\n(of a random projection)")
    below.set_xlim(-0.7, len(points) - 0.3)
    if named:
        labels = [_short(point.path) for point in points]
        below.set_xticks(range(len(points)), labels, rotation=55, ha="right", rotation_mode="anchor", fontsize=8)
    else:
        numbers = range(step := _step(len(points)), len(points) + 1, step)
        below.set_xticks([number - 1 for number in numbers], [str(number) for number in numbers])
        below.set_xlabel("layer, in the order of the forward pass", color=QUIET)
    if title:
        figure.suptitle(title, fontsize=11, x=0.01, ha="left")
    handles, texts = above.get_legend_handles_labels()
    figure.legend(handles, texts, loc="outside lower center", ncols=len(handles), fontsize=8, frameon=False)
    return figure


def _step(layers: int) -> int:
    """The distance of the numbers along an axis of so many layers: a round one, for some ten numbers."""
    return next((step for step in (5, 10, 20, 50) if layers <= 12 * step), 100)


def _short(path: str) -> str:
    """A path that fits below an axis: the middle is left out of a long one."""
    return path if len(path) <= _LABEL else f"{path[: _LABEL // 2]}…{path[-_LABEL // 2 :]}"


_LABEL = 24


def _panel(axes: Axes, points: Sequence[Point], take: Take, label: str) -> None:
    places = range(len(points))
    _mark_wrong(axes, points)
    built = [take(point.built) for point in points]
    _lines(axes, places, built, points, BUILT, "as built")
    repaired = [take(point.repaired) if point.repaired else Reading(None, None) for point in points]
    if any(reading.measured for reading in repaired):
        _lines(axes, places, repaired, points, REPAIRED, "repaired")
    axes.set_yscale("log")
    axes.set_ylabel(label, fontsize=9, color=QUIET)
    axes.grid(visible=True, axis="y", color="#e5e7eb", linewidth=0.8)
    axes.tick_params(colors=QUIET, labelsize=8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    _leave_room(axes, [*built, *repaired])


def _leave_room(axes: Axes, readings: Sequence[Reading]) -> None:
    """A flat line is shown flat: the axis spans two decades at least."""
    values = [value for reading in readings for value in (reading.measured, reading.predicted) if value]
    if values and max(values) < 100 * min(values):
        middle = (max(values) * min(values)) ** 0.5
        axes.set_ylim(middle / 15, middle * 15)


def _mark_wrong(axes: Axes, points: Sequence[Point]) -> None:
    labelled = False
    for place, point in enumerate(points):
        if point.judgement.verdict == "mismatch":
            axes.axvspan(place - 0.5, place + 0.5, color=WRONG, alpha=0.4, lw=0, label=None if labelled else "mismatch")
            labelled = True


def _lines(
    axes: Axes, places: range, readings: Sequence[Reading], points: Sequence[Point], color: str, label: str
) -> None:
    """Measured values as one line, predicted ones dashed and broken where a chain ends."""
    measured = [reading.measured or float("nan") for reading in readings]
    size = 4.5 if len(places) <= _NAMED else 2.5
    axes.plot(
        places, measured, color=color, marker="o", markersize=size, linewidth=1.2, alpha=0.9, label=f"{label}, measured"
    )
    named = False
    for run in _runs(points):
        predicted = [readings[place].predicted or float("nan") for place in run]
        axes.plot(
            run,
            predicted,
            color=color,
            linestyle=(0, (4, 2)),
            marker="x" if len(run) > 1 else None,
            markersize=size,
            linewidth=1.0,
            alpha=0.6,
            label=None if named or len(run) < 2 else f"{label}, predicted",
        )
        named = named or len(run) > 1


def _runs(points: Sequence[Point]) -> list[list[int]]:
    """The places of each chain, in order of depth."""
    runs: dict[object, list[int]] = {}
    for place, point in enumerate(points):
        runs.setdefault(("alone", place) if point.chain is None else point.chain, []).append(place)
    return list(runs.values())


def _svg(figure: Figure) -> str:
    stream = io.StringIO()
    figure.savefig(stream, format="svg", metadata={"Date": None})
    text = stream.getvalue()
    return text[text.index("<svg") :]


def _page(points: Sequence[Point], title: str, picture: str) -> str:
    rows = "\n".join(_row(place, point) for place, point in enumerate(points, start=1))
    header = "".join(f"<th{_kind(column)}>{name}</th>" for column, name in enumerate(_COLUMNS))
    return _PAGE.format(title=escape(title), picture=picture, header=f"<tr>{header}</tr>", rows=rows)


def _row(place: int, point: Point) -> str:
    judgement = point.judgement
    layer, chain = judgement.layer, judgement.chain
    cells: list[str | None] = [
        str(place),
        point.path,
        layer.kind,
        f"{Path(layer.site.file).name}:{layer.site.line}",
        layer.weight.function if layer.weight.source == "explicit" else layer.weight.source,
        _figure(gain_of(layer)),
        _figure(judgement.ideal),
        ", ".join(dict.fromkeys(follower.activation for follower in judgement.followers)),
        _figure(point.built.signal.measured),
        _figure(point.built.gradient.measured),
        _figure(None if chain is None or chain.length < 2 else chain.signal),
        f"{judgement.verdict}: {judgement.reason}" if judgement.reason else judgement.verdict,
    ]
    text = "".join(f"<td{_kind(column)}>{escape(cell or '')}</td>" for column, cell in enumerate(cells))
    return f'<tr class="{judgement.verdict}">{text}</tr>'


def _kind(column: int) -> str:
    return ' class="number"' if column in _NUMBERS else ""


_COLUMNS = (
    "#",
    "layer",
    "kind",
    "built at",
    "initializer",
    "gain",
    "fits",
    "runs into",
    "signal",
    "gradient",
    "J",
    "verdict",
)
_NUMBERS = frozenset({0, 5, 6, 8, 9, 10})
"""The columns of the table that hold numbers."""


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title}</title>
<style>
:root {{ color-scheme: light; }}
body {{ font: 14px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 80rem; padding: 0 1rem; color: #111827; }}
svg {{ width: 100%; min-width: 46rem; height: auto; }}
table {{ border-collapse: collapse; width: 100%; font-size: 12px; font-variant-numeric: tabular-nums; }}
th, td {{ border-bottom: 1px solid #e5e7eb; padding: .25rem .5rem; text-align: left; white-space: nowrap; }}
th {{ position: sticky; top: 0; background: #fff; }}
tr.mismatch {{ background: #fef3c7; }}
tr.exempt, tr.unknown {{ color: #6b7280; }}
.number {{ text-align: right; }}
td:last-child {{ white-space: normal; min-width: 16rem; }}
div {{ overflow-x: auto; }}
p {{ color: #4b5563; max-width: 60rem; }}
</style>
</head>
<body>
<h1>{title}</h1>
<div>{picture}</div>
<p>The layers as built. Gain: std(W) &middot; &radic;fan_in, beside the one that fits what the layer runs into. Signal: what depends on
the input, as std over the batch. Gradient: its norm per sample, of a random projection of the output. J: the predicted factor on both
over the layers between two normalizations.</p>
<div>
<table>
<thead>{header}</thead>
<tbody>
{rows}
</tbody>
</table>
</div>
</body>
</html>
"""
