"""CPU seconds of initlint against torchfix on one tree: cold, one process, no cache, in turn, in the same run.

    python benchmarks/speed.py path/to/tree --repeat 3

needs `pip install torchfix` (the extra `benchmark`). Both tools find the files themselves; user and system time of the
child processes count, waiting does not. The median of each is compared. Both are byte-compiled first, as pip leaves them.
"""

from __future__ import annotations

import argparse
import compileall
import os
import resource
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path


def main(arguments: Sequence[str] | None = None) -> int:
    """Run both tools in turn and print the figures; 2 if one of them does not run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tree", type=Path, help="the folder to check")
    parser.add_argument("--repeat", type=int, default=3, help="how often each tool runs (default 3)")
    parser.add_argument("--at-least", type=float, help="exit with 1 if initlint is not so many times faster")
    options = parser.parse_args(arguments)
    if find_spec("torchfix") is None:
        print("torchfix is not installed: pip install 'torchfix>=0.7'", file=sys.stderr)
        return 2
    for package in ("initlint", "torchfix", "libcst"):
        compile_package(package)
    commands = tool_commands(options.tree)
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(options.repeat):
        for name, command in commands.items():
            seconds = cpu_seconds(command)
            if seconds is None:
                print(f"{name} does not run: {' '.join(command)}", file=sys.stderr)
                return 2
            times[name].append(seconds)
    medians = {name: statistics.median(values) for name, values in times.items()}
    lines = count_lines(options.tree)
    print(f"{options.tree}: {lines} lines of Python, {options.repeat} runs each, CPU seconds")
    for name, values in times.items():
        rate = lines / 1000 / medians[name]
        runs = ", ".join(f"{value:.2f}" for value in values)
        print(f"{name:10} median {medians[name]:8.2f}   {rate:6.1f} kLOC/s   runs {runs}")
    ratio = medians["torchfix"] / medians["initlint"]
    print(f"initlint is {ratio:.1f} times as fast")
    return 1 if options.at_least is not None and ratio < options.at_least else 0


def tool_commands(tree: Path) -> Mapping[str, Sequence[str]]:
    """The command of each tool; findings are counted or listed, nothing is written."""
    initlint = ("-m", "initlint", "check", "--isolated", "--no-cache", "--exit-zero", "--output-format", "concise")
    return {
        "initlint": (sys.executable, *initlint, str(tree)),
        "torchfix": (sys.executable, "-m", "torchfix", "--jobs", "1", "--select", "ALL", str(tree)),
    }


def compile_package(name: str) -> None:
    """Byte-compile an importable package where it stands; a checkout is not compiled as an installed package is."""
    for folder in getattr(find_spec(name), "submodule_search_locations", None) or ():
        compileall.compile_dir(folder, quiet=1)


def cpu_seconds(command: Sequence[str]) -> float | None:
    """User and system time that `command` and its children take; None if it fails to run."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, check=False, text=True, env=environment)
    if done.returncode not in {0, 1} or "Traceback (most recent call last)" in done.stderr:
        print(done.stderr, file=sys.stderr)
        return None
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def count_lines(tree: Path) -> int:
    """The lines of all Python files below `tree`."""
    return sum(path.read_bytes().count(b"\n") for path in tree.rglob("*.py") if path.is_file())


if __name__ == "__main__":
    sys.exit(main())
