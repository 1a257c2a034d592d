"""Where the scanner and the tracer disagree about the same layers: every disagreement, with totals.

    python benchmarks/agreement.py --family torchvision --sources /path/to/site-packages --live live.json
    python benchmarks/agreement.py --family torchvision --only 'resnet*' 'vgg*' --sources DIR
    python benchmarks/agreement.py pkg.mod:Net path/to/net.py:make --scan src/

Traces each model in a process of its own (run on made-up inputs where they can be guessed), runs `initlint inspect` once over the files
the traced layers lie in (or over `--scan`), and compares layer by layer: listed, kind, source of the initialization, gain,
followers and what lies before them, verdict. Where several models build one layer the tracer has several answers, and the scanner may
give any one of them. `--live FILE` keeps what was traced: with an existing file nothing is traced again, so that after a change of
the scanner only `inspect` runs. `--show FIELD` prints one kind of disagreement; `--json FILE` writes them all. The tracer sees only
the paths that its input takes and the widths of the models it built: read both sources before believing either.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from zoo import FAMILIES, layer_rows, prepare

Row = dict[str, Any]
FIELDS = ("listed", "kind", "source", "gain", "followers", "normalized", "verdict")
_LIMIT = 600
_TOLERANCE = 0.05


@dataclass(frozen=True, slots=True)
class Disagreement:
    """One layer of the text on which the two say different things of one `field`."""

    field: str
    where: str
    layer: str
    scanner: str
    tracer: str
    models: int
    example: str


@dataclass(slots=True)
class Totals:
    """How often the two agree, disagree, the scanner says that it does not know, and the tracer did not see what follows."""

    agree: Counter[str] = field(default_factory=Counter)
    disagree: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    unread: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[tuple[str, str]] = field(default_factory=Counter)


def main(arguments: Sequence[str] | None = None) -> int:
    """Trace, inspect, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", help="what `initlint trace` takes")
    parser.add_argument("--family", choices=FAMILIES, help="the models of a library")
    parser.add_argument("--only", nargs="*", default=["*"], help="names of the family, with wildcards")
    parser.add_argument("--sources", type=Path, nargs="*", default=[], help="folders to import from first")
    parser.add_argument("--scan", type=Path, nargs="*", default=[], help="what `initlint inspect` reads")
    parser.add_argument("--live", type=Path, help="what was traced: read if it exists, else written")
    parser.add_argument(
        "--show", choices=FIELDS, nargs="*", default=list(FIELDS), help="print only these disagreements"
    )
    parser.add_argument("--json", type=Path, help="write every disagreement there")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.one:
        print(json.dumps(traced_layers(options.one, options.family, options.sources)))
        return 0
    if options.live and options.live.is_file():
        live = json.loads(options.live.read_text())
    else:
        live = traced(options)
        if options.live:
            options.live.write_text(json.dumps(live))
    scan = [str(path.resolve()) for path in options.scan] or files_of(live, options.sources)
    found, totals = compare(live, inspected(scan))
    for name in options.show:
        show(name, [each for each in found if each.field == name])
    print(table(totals, len(live)))
    if options.json:
        options.json.write_text(json.dumps([asdict(each) for each in found], indent=1))
    return 0


def traced(options: argparse.Namespace) -> dict[str, list[Row]]:
    """The layers of every model by name, each traced in its own process; one that dies is told and left out."""
    names = list(options.targets)
    if options.family:
        family = prepare(options.family, options.sources)
        names += [name for name in family.names() if any(fnmatch(name, pattern) for pattern in options.only)]
    live = {}
    for name in names:
        command = [sys.executable, __file__, "--one", name, "--sources", *map(str, options.sources)]
        command += ["--family", options.family] if options.family and name not in options.targets else []
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT, check=True)
        except (subprocess.TimeoutExpired, subprocess.CalledProcessError) as error:
            last = (error.stderr or "").strip().splitlines()[-1:] if isinstance(error.stderr, str) else []
            print(f"not traced: {name}: {''.join(last) or type(error).__name__}", file=sys.stderr)
            continue
        live[name] = json.loads(done.stdout.splitlines()[-1])
        print(f"traced: {name}, {len(live[name])} layers", file=sys.stderr, flush=True)
    return live


def traced_layers(name: str, family: str | None, sources: Sequence[Path]) -> list[Row]:
    """The layers of one model, as `initlint trace --layers --output-format json` gives them, one per layer of the text."""
    from initlint.graph.modes import seeded
    from initlint.graph.provenance import Recorder
    from initlint.knowledge import load_knowledge
    from initlint.live import examine, make_request, trace_target

    if family is None:
        sys.path[:0] = map(str, sources)
        live = trace_target(make_request(name))
    else:
        chosen, knowledge = prepare(family, sources), load_knowledge()
        recorder = Recorder(knowledge)
        with seeded(), recorder:
            model = chosen.build(name)
        live = examine(model, knowledge, recorder=recorder, inputs=chosen.inputs(model))
    return layer_rows(live)


def files_of(live: dict[str, list[Row]], sources: Sequence[Path]) -> list[str]:
    """The files that traced layers lie in, below `sources` if there are any."""
    files = sorted({row["file"] for rows in live.values() for row in rows})
    folders = [folder.resolve() for folder in sources]
    return [
        file
        for file in files
        if Path(file).is_file() and (not folders or any(Path(file).is_relative_to(folder) for folder in folders))
    ]


def inspected(paths: Sequence[str]) -> list[Row]:
    """The layers that `initlint inspect` lists in `paths`."""
    command = [sys.executable, "-m", "initlint", "inspect", "--output-format", "json", *paths]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rows: list[Row] = json.loads(done.stdout)["layers"]
    return [{**row, "file": str(Path.cwd() / row["file"])} for row in rows]


def compare(live: dict[str, list[Row]], scanned: Iterable[Row]) -> tuple[list[Disagreement], Totals]:
    """Every disagreement on a layer that lies in a scanned file."""
    by_place: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    files = set()
    for row in scanned:
        files.add(row["file"])
        for key in _keys(row):
            by_place[key].append(row)
    totals = Totals()
    found = []
    for variants, models in _layers(live):
        if variants[0]["file"] not in files:
            continue
        candidates = next((by_place[key] for key in _keys(variants[0]) if key in by_place), [])
        found += _differences(variants, candidates, models, totals)
    return found, totals


def _keys(row: Row) -> Iterator[tuple[Any, ...]]:
    """What names a layer, surest first: its place, class and path; then less."""
    place = row["file"], row["line"], row["column"]
    yield (*place, row["class"], row["path"])
    yield (*place, row["class"], re.sub(r"\d+", "#", row["path"]))
    yield (*place, row["class"])
    yield ("line", row["file"], row["line"], row["kind"])
    yield ("path", row["file"], row["class"], row["path"])


def _layers(live: dict[str, list[Row]]) -> Iterator[tuple[list[Row], list[str]]]:
    """Every layer of the text with what each model says of it, and the names of these models."""
    groups: dict[tuple[Any, ...], list[tuple[str, Row]]] = defaultdict(list)
    for name, rows in live.items():
        for row in rows:
            groups[next(_keys(row))].append((name, row))
    for group in groups.values():
        yield [row for _, row in group], list(dict.fromkeys(name for name, _ in group))


def _differences(
    variants: list[Row], candidates: list[Row], models: list[str], totals: Totals
) -> Iterator[Disagreement]:
    first = variants[0]
    if not candidates:
        totals.disagree["listed"] += 1
        yield _told("listed", first, "nothing", f"{first['kind']}, {first['verdict']}", models)
        return
    totals.agree["listed"] += 1
    unread = not all(row.get("read", True) for row in variants)
    for name, read in _READERS.items():
        if unread and name in _ABOUT_WHAT_FOLLOWS:
            totals.unread[name] += 1
            continue
        said = {read(row) for row in candidates}
        seen = {read(row) for row in variants}
        if name == "verdict":
            totals.verdicts.update((mine, yours) for mine in said for yours in seen)
        if said <= {None, "unknown"}:
            totals.unknown[name] += 1
        elif seen <= {None, "unknown"} or _meet(name, said, seen):
            totals.agree[name] += 1
        else:
            totals.disagree[name] += 1
            yield _told(name, first, _words(said), _words(seen), models)


_ABOUT_WHAT_FOLLOWS = frozenset({"followers", "normalized", "verdict"})


def _meet(name: str, said: set[Any], seen: set[Any]) -> bool:
    """Whether the scanner's answers fit the tracer's: gains nearly, followers altogether, anything else as one of them."""
    if name == "gain":
        pairs = [(mine, yours) for mine in said for yours in seen if mine is not None and yours is not None]
        return not pairs or any(abs(mine - yours) <= _TOLERANCE * max(abs(yours), 1e-9) for mine, yours in pairs)
    if name in {"followers", "normalized"}:
        return frozenset().union(*said) == frozenset().union(*seen) or bool(said & seen)
    return bool(said & seen)


def _followers(row: Row) -> frozenset[str]:
    return frozenset(follower["activation"] for follower in row["followed_by"])


def _normalized(row: Row) -> frozenset[str]:
    marks = ("normalized", "residual", "gated", "output")
    return frozenset(
        " ".join([follower["activation"], *(mark for mark in marks if follower[mark])])
        for follower in row["followed_by"]
    )


_READERS = {
    "kind": lambda row: row["kind"],
    "source": lambda row: row["init"]["source"],
    "gain": lambda row: row["init"]["gain"],
    "followers": _followers,
    "normalized": _normalized,
    "verdict": lambda row: row["verdict"],
}


def _told(name: str, row: Row, scanner: str, tracer: str, models: list[str]) -> Disagreement:
    where = f"{row['file']}:{row['line']}:{row['column']}"
    return Disagreement(name, where, f"{row['class']}.{row['path']}", scanner, tracer, len(models), models[0])


def _words(values: set[Any]) -> str:
    return " | ".join(sorted(_word(value) for value in values))


def _word(value: Any) -> str:
    if isinstance(value, frozenset):
        return "{" + ", ".join(sorted(value)) + "}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def show(name: str, found: Sequence[Disagreement]) -> None:
    """Print the disagreements on one field."""
    if found:
        print(f"\n{name} ({len(found)})")
    for each in sorted(found, key=lambda each: each.where):
        print(
            f"  {each.where} {each.layer}: scanner {each.scanner}; tracer {each.tracer} ({each.models} models, {each.example})"
        )


def table(totals: Totals, models: int) -> str:
    """The totals, a field on a line."""
    lines = [
        f"\n{models} models",
        f"{'field':12} {'agree':>7} {'disagree':>9} {'scanner unknown':>16} {'tracer unread':>14}",
    ]
    for name in FIELDS:
        agree, disagree = totals.agree[name], totals.disagree[name]
        share = f"  {agree / (agree + disagree):.1%}" if agree + disagree else ""
        lines.append(f"{name:12} {agree:7} {disagree:9} {totals.unknown[name]:16} {totals.unread[name]:14}{share}")
    lines.append(
        "verdict of scanner, of tracer: " + ", ".join(f"{a}/{b} {n}" for (a, b), n in sorted(totals.verdicts.items()))
    )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
