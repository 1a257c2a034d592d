"""Which way of tracing reads a model: torch.fx without an input, torch.export with one, or running it and recording the calls.

    python benchmarks/second_way.py transformers --only 'g*' --sources DIR

prints for every model what fx leaves opaque, whether `torch.export.export(strict=False)` gives a graph and in how many seconds, and whether
recording does, and of how many layers it knows what follows. It is why the tracer records: export specializes on the input as a
run does, refuses more, and takes longer. The family `awkward` holds what either may not see through.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from zoo import FAMILIES, prepare

_LIMIT = 300


def main() -> None:
    """Trace the models asked for in each of the three ways, and count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("family", choices=FAMILIES)
    parser.add_argument("--only", nargs="*", default=["*"], help="names of models, with wildcards")
    parser.add_argument("--sources", type=Path, nargs="*", default=[], help="folders to import from first")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(read_three_ways(options.family, options.one, options.sources)))
        return
    rows = []
    for name in prepare(options.family, options.sources).names():
        if any(fnmatch(name, pattern) for pattern in options.only):
            rows.append(run_apart(options.family, name, options.sources))
            print(json.dumps(rows[-1]), flush=True)
    whole = sum(not row["opaque"] for row in rows)
    exported, recorded = (sum(not row[way]["error"] for row in rows) for way in ("export", "record"))
    known, layers = (sum(row.get(count, 0) for row in rows) for count in ("known", "layers"))
    seconds = [round(sum(row[way]["seconds"] for row in rows), 1) for way in ("export", "record")]
    alone = [row["name"] for row in rows if not row["export"]["error"] and not _is_recorded(row)]
    print(
        f"{len(rows)} models: fx reads {whole} wholly, export {exported} in {seconds[0]} CPU s, recording {recorded}"
        f" in {seconds[1]} with {known} of {layers} layers judged; export alone reads {alone or 'none'}"
    )


def _is_recorded(row: dict[str, Any]) -> bool:
    """Whether recording came to the end and knows of every layer what follows."""
    return not row["record"]["error"] and row.get("known") == row.get("layers")


def run_apart(family: str, name: str, sources: Sequence[Path]) -> dict[str, Any]:
    """The row of one model, from a process of its own."""
    command = [sys.executable, __file__, family, "--one", name, "--sources", *map(str, sources)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT, check=True)
    except (subprocess.TimeoutExpired, subprocess.CalledProcessError) as error:
        failed = {"error": type(error).__name__, "seconds": _LIMIT}
        return {"name": name, "opaque": ["?"], "fx_seconds": 0.0, "export": failed, "record": failed}
    row: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return row


def read_three_ways(family: str, name: str, sources: Sequence[Path]) -> dict[str, Any]:
    """What each way makes of one model, on the same input."""
    import torch

    from initlint.analysis.doubts import UNREAD
    from initlint.graph.inputs import synthesize
    from initlint.graph.measure import measure
    from initlint.graph.symbolic import trace_symbolically
    from initlint.knowledge import load_knowledge
    from initlint.live import examine

    chosen, knowledge = prepare(family, sources), load_knowledge()
    model = chosen.build(name)
    start = time.process_time()
    symbolic = trace_symbolically(model, knowledge)
    seconds = time.process_time() - start
    inputs = chosen.inputs(model) or synthesize(model, symbolic.calls)
    row: dict[str, Any] = {"name": name, "opaque": sorted(symbolic.opaque), "fx_seconds": round(seconds, 2)}
    if inputs is None:
        return {**row, "export": {"error": "no input", "seconds": 0.0}, "record": {"error": "no input", "seconds": 0.0}}
    row["record"] = attempt(lambda: measure(model, inputs, knowledge))
    if not row["record"]["error"]:
        coverage = examine(model, knowledge, inputs=inputs).coverage
        row["known"] = coverage.total - len(coverage.reasons.get(UNREAD, ()))
        row["layers"] = coverage.total
    row["export"] = attempt(lambda: torch.export.export(model.eval(), inputs.args, dict(inputs.kwargs), strict=False))
    return row


def attempt(action: Any) -> dict[str, Any]:
    """Whether `action` fails, and the processor's seconds it took."""
    start, error = time.process_time(), ""
    try:
        action()
    except Exception as raised:  # noqa: BLE001 (whatever a model raises on stand-ins for tensors)
        error = f"{type(raised).__name__}: {(str(raised).strip().splitlines() or [''])[0][:120]}"
    return {"error": error, "seconds": round(time.process_time() - start, 2)}


if __name__ == "__main__":
    main()
