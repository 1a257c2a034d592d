"""What the tracer makes of real models: traced without a crash, layers judged, provenance right, seconds and memory.

    python benchmarks/trace_zoo.py torchvision timm segmentation transformers --output zoo.json

Every model runs in a process of its own, one after the other, with made-up inputs. Libraries may be folders of sources
(`--sources DIR ...`): torchvision's compiled operators are not needed.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import resource
import time
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatch
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any

from zoo import LIBRARIES, layer_rows, prepare

_LIMIT = 600


@dataclass
class Row:
    """What became of one model."""

    family: str
    name: str
    error: str = ""
    ran: bool = False
    opaque: list[str] = field(default_factory=list)
    layers: int = 0
    judged: int = 0
    verdicts: dict[str, int] = field(default_factory=dict)
    reasons: dict[str, int] = field(default_factory=dict)
    sources: dict[str, int] = field(default_factory=dict)
    provenance_checked: int = 0
    provenance_right: int = 0
    provenance_wrong: list[str] = field(default_factory=list)
    without_site: int = 0
    codes: dict[str, int] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)
    parameters: int = 0
    build_seconds: float = 0.0
    plain_build_seconds: float = 0.0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_mib: float = 0.0


def main() -> None:
    """Run the models asked for and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("families", nargs="*", default=list(LIBRARIES))
    parser.add_argument("--sources", type=Path, nargs="*", default=[], help="folders to import from first")
    parser.add_argument("--only", nargs="*", default=["*"], help="names of models, with wildcards")
    parser.add_argument("--output", type=Path, help="write every row as JSON")
    parser.add_argument("--live", type=Path, help="write the traced layers as JSON, for agreement.py")
    options = parser.parse_args()
    import_module("initlint.live")
    rows: list[Row] = []
    layers = {}
    for family in options.families:
        names = list(prepare(family, options.sources).names())
        for name in names:
            if not any(fnmatch(name, pattern) for pattern in options.only):
                continue
            row, layers[f"{family}:{name}"] = run_apart(family, name, options.sources)
            rows.append(row)
            print(line_of(row), flush=True)
            if options.output:
                options.output.write_text(json.dumps([asdict(row) for row in rows], indent=1))
            if options.live:
                options.live.write_text(json.dumps({name: found for name, found in layers.items() if found}))
    for family in options.families:
        print(summary_of(family, [row for row in rows if row.family == family]))


def run_apart(family: str, name: str, sources: Sequence[Path]) -> tuple[Row, list[dict[str, Any]]]:
    """The row of one model and its layers, from a process of its own: a fork of this one, which has imported what they share."""
    context = multiprocessing.get_context("fork")
    answer, told = context.Pipe(duplex=False)
    process = context.Process(target=_tell, args=(told, family, name, sources))
    process.start()
    told.close()
    try:
        if not answer.poll(_LIMIT):
            return Row(family, name, error=f"no answer in {_LIMIT} s"), []
        error, row, layers = answer.recv()
        return (Row(family, name, error=error), []) if error else (row, layers)
    except EOFError:
        return Row(family, name, error="died"), []
    finally:
        process.kill()
        process.join()


def _tell(told: Any, family: str, name: str, sources: Sequence[Path]) -> None:
    try:
        told.send(("", *measure_model(family, name, sources)))
    except BaseException as error:  # noqa: BLE001 (a crash is a result here)
        traceback.print_exc()
        told.send((f"{type(error).__name__}: {error}".splitlines()[0], None, []))


def measure_model(family: str, name: str, sources: Sequence[Path]) -> tuple[Row, list[dict[str, Any]]]:
    """Build and trace one model in this process."""
    from initlint.config import Settings
    from initlint.graph.modes import seeded
    from initlint.graph.provenance import Recorder
    from initlint.knowledge import load_knowledge
    from initlint.live import examine, report_live

    chosen = prepare(family, sources)
    knowledge = load_knowledge()
    row = Row(family, name)
    chosen.build(name)  # what it imports is not the model's time
    row.plain_build_seconds, _ = timed(lambda: chosen.build(name))
    recorder = Recorder(knowledge)
    with seeded(), recorder:
        row.build_seconds, model = timed(lambda: chosen.build(name))
    row.seconds, live = timed(lambda: examine(model, knowledge, recorder=recorder, inputs=chosen.inputs(model)))
    row.ran = live.measurement is not None
    row.opaque = list(live.opaque)
    row.layers, row.judged = live.coverage.total, live.coverage.judged
    row.reasons = {reason: len(names) for reason, names in live.coverage.reasons.items()}
    row.verdicts = counted(judgement.verdict for judgement in live.judgements)
    row.sources = counted(judgement.layer.weight.source for judgement in live.judgements)
    row.without_site = sum(judgement.layer.site.file.startswith("<") for judgement in live.judgements)
    row.findings = [
        f"{finding.code} {finding.severity.label} {finding.site.file}:{finding.site.line} {finding.message}"
        for finding in report_live(live, Settings(), fixes=False).findings
    ]
    row.codes = counted(finding.partition(" ")[0] for finding in row.findings)
    row.parameters = sum(parameter.numel() for parameter in model.parameters())
    check_provenance(live, row)
    row.cpu_seconds = time.process_time()
    row.peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return row, layer_rows(live)


def check_provenance(live: Any, row: Row) -> None:
    """Compare what each recorded initializer promises with what the weights measure."""
    for judgement in live.judgements:
        layer, weight = judgement.layer, judgement.layer.weight
        if weight.std is None or weight.effective_gain is None or not layer.fan_in or not layer.fan_out:
            continue
        row.provenance_checked += 1
        measured = weight.effective_gain / math.sqrt(layer.fan_in)
        tolerance = 0.02 + 5 / math.sqrt(2 * layer.fan_in)  # at least so many elements
        if abs(measured - weight.std) <= tolerance * max(weight.std, 1e-12) + 1e-9:
            row.provenance_right += 1
        else:
            row.provenance_wrong.append(
                f"{layer.owner}.{layer.path}: {weight.source} {weight.function} promises {weight.std:.4g}, is {measured:.4g}"
            )


def timed(action: Any) -> tuple[float, Any]:
    """The seconds that `action` takes, and what it returns."""
    start = time.perf_counter()
    result = action()
    return time.perf_counter() - start, result


def counted(values: Iterable[str]) -> dict[str, int]:
    """How often each value occurs."""
    counts: dict[str, int] = {}
    for value in values:
        counts[value] = counts.get(value, 0) + 1
    return counts


def line_of(row: Row) -> str:
    """A model on one line."""
    if row.error:
        return f"{row.family:12} {row.name:36} CRASH {row.error}"
    how = "ran" if row.ran else f"fx, {len(row.opaque)} opaque"
    return (
        f"{row.family:12} {row.name:36} {how:14} judged {row.judged:4}/{row.layers:4}"
        f"  provenance {row.provenance_right:4}/{row.provenance_checked:4}"
        f"  {row.seconds:6.1f} s, {row.cpu_seconds:6.1f} CPU s in all, {row.peak_mib:6.0f} MiB  {row.codes}"
    )


def summary_of(family: str, rows: list[Row]) -> str:
    """A family in a few figures."""
    good = [row for row in rows if not row.error]
    if not good:
        return f"{family}: nothing traced"
    judged, layers = sum(row.judged for row in good), sum(row.layers for row in good)
    right, checked = sum(row.provenance_right for row in good), sum(row.provenance_checked for row in good)
    recording = median(row.build_seconds / max(row.plain_build_seconds, 1e-9) for row in good)
    return (
        f"{family}: {len(good)} of {len(rows)} traced without a crash, {sum(row.ran for row in good)} run;"
        f" {judged} of {layers} layers judged ({judged / max(layers, 1):.1%});"
        f" provenance right in {right} of {checked} ({right / max(checked, 1):.2%});"
        f" {median(row.seconds for row in good):.1f} s median, {max(row.seconds for row in good):.1f} s most;"
        f" recording makes building {recording:.1f} times as long; {max(row.peak_mib for row in good):.0f} MiB at most"
    )


if __name__ == "__main__":
    main()
