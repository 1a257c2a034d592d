"""What a fix is worth: small plain nets trained as written and after `initlint check --fix` of their source, in one run.

    python benchmarks/training.py --output benchmarks/training.md

needs `pip install -e '.[trace,benchmark]'`. Every net is a generated source file; initlint rewrites copies of it, once with the safe
fixes and once with the unsafe ones as well, and all versions are trained on scikit-learn's digits: same data, same batches,
same seeds, same choice of learning rates. `--quick` trains a few nets for a few steps, to see that it runs.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - everybody writes F

ACTIVATIONS: Mapping[str, str] = {
    "ReLU": "nn.ReLU()",
    "LeakyReLU": "nn.LeakyReLU(0.2)",
    "GELU": "nn.GELU()",
    "tanh": "nn.Tanh()",
    "sigmoid": "nn.Sigmoid()",
    "SELU": "nn.SELU()",
}
DEPTHS: Mapping[str, tuple[int, ...]] = {"MLP": (3, 6, 12, 20), "CNN": (4, 8)}
WIDTH = 64
CHANNELS = 8
TRAINED = 1297
BATCH = 64
RATES: Mapping[str, tuple[float, ...]] = {"SGD": (0.01, 0.03, 0.1), "Adam": (0.001, 0.003, 0.01)}
"""The learning rates to choose from, low to high."""
BEST = "best"
VERDICTS = ("helps", "no difference", "hurts")
SIGNALS: Mapping[str, float] = {"0.3 and more": 0.3, "0.03 to 0.3": 0.03, "0.001 to 0.03": 0.001, "less": 0.0}
_OWN = "for each its own best"
ARMS: Mapping[str, tuple[str, ...]] = {
    "as written": (),
    "--fix": ("--fix",),
    "--unsafe-fixes": ("--fix", "--unsafe-fixes"),
}
NOTHING = "-"
TELLING = 2.0
"""Points by which the accuracy must move to count as a difference."""


@dataclass(frozen=True, slots=True)
class Net:
    """A plain net: `layers` weight layers including the head, the activation between them, no normalization."""

    family: str
    activation: str
    layers: int

    @property
    def module(self) -> str:
        """The name of its file."""
        return f"{self.family}_{self.activation}_{self.layers}".lower()

    @property
    def source(self) -> str:
        """The net as somebody would write it who leaves the initialization to torch."""
        activation = ACTIVATIONS[self.activation]
        widths = [64, *[WIDTH] * (self.layers - 1)] if self.family == "MLP" else [1, *[CHANNELS] * (self.layers - 1)]
        head = widths[-1] if self.family == "MLP" else 4 * CHANNELS
        lines = ["nn.Flatten(),"] if self.family == "MLP" else []
        for position, (inputs, outputs) in enumerate(itertools.pairwise(widths)):
            if self.family == "MLP":
                lines += [f"nn.Linear({inputs}, {outputs}),", f"{activation},"]
            else:
                lines += [f"nn.Conv2d({inputs}, {outputs}, 3, padding=1),", f"{activation},"]
                lines += ["nn.MaxPool2d(2),"] if position == 0 else []
        lines += [] if self.family == "MLP" else ["nn.AdaptiveAvgPool2d(2),", "nn.Flatten(),"]
        lines.append(f"nn.Linear({head}, 10),")
        return _SOURCE.format(body="\n".join(f"            {line}" for line in lines))


_SOURCE = """\
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
{body}
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x)
"""


@dataclass(frozen=True, slots=True)
class Trained:
    """How a run ended: the loss on the training set, and the test images told right, in percent."""

    loss: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Test accuracy of each arm, the median over the seeds; None where the arm's source is that of the one before."""

    accuracies: tuple[float | None, ...]

    @property
    def written(self) -> float:
        """The accuracy of the net as written."""
        return self.accuracies[0] or 0.0

    @property
    def repaired(self) -> float:
        """The accuracy of the last arm that changed something."""
        return next(value for value in reversed(self.accuracies) if value is not None)

    @property
    def verdict(self) -> str:
        """What the repair does to the net as written."""
        gain = round(self.repaired - self.written, 1)
        return "helps" if gain >= TELLING else "hurts" if gain <= -TELLING else "no difference"

    @property
    def is_safe(self) -> bool:
        """Whether the safe fixes are all there are."""
        return self.accuracies[2] is None


@dataclass(frozen=True, slots=True)
class Row:
    """One net under one optimizer at one learning rate, or with ``best`` at the one that each arm likes best.

    `signal` is what initlint predicts for the net as written: the factor on the signal over the whole chain.
    """

    net: Net
    optimizer: str
    signal: str
    rate: str
    comparison: Comparison


def main(arguments: Sequence[str] | None = None) -> int:
    """Train everything and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=150, help="steps a run (default 150)")
    parser.add_argument("--seeds", type=int, default=3, help="seeds a net (default 3)")
    parser.add_argument("--quick", action="store_true", help="two nets, few steps: to see that it runs")
    parser.add_argument("--output", type=Path, help="write the tables here, too")
    options = parser.parse_args(arguments)
    nets = [Net(family, name, layers) for family, depths in DEPTHS.items() for name in ACTIVATIONS for layers in depths]
    if options.quick:
        nets, options.steps, options.seeds = [Net("MLP", "ReLU", 6), Net("CNN", "tanh", 4)], 5, 2
    torch.set_num_threads(1)
    started = time.process_time()
    rows = tuple(measured(nets, steps=options.steps, seeds=options.seeds))
    minutes = (time.process_time() - started) / 60
    print(text := document(rows, setting(options.steps, options.seeds)), end="")
    print(f"{minutes:.1f} minutes of one processor", file=sys.stderr)
    if options.output is not None:
        options.output.write_text(text, encoding="utf-8")
    return 0


def measured(nets: Sequence[Net], *, steps: int, seeds: int) -> Iterator[Row]:
    """Every net trained in every arm; arms whose source is the same are trained once."""
    with tempfile.TemporaryDirectory() as folder:
        arms = [fixed(nets, Path(folder) / str(index), options) for index, options in enumerate(ARMS.values())]
        signals = predicted(Path(folder) / "0")
    for net, (optimizer, rates) in itertools.product(nets, RATES.items()):
        sources = [arm[net] for arm in arms]
        runs = {
            source: {
                rate: [train(built(source), optimizer, rate, steps, seed) for seed in range(seeds)] for rate in rates
            }
            for source in dict.fromkeys(sources)
        }
        signal = signals.get(net.module)
        words = "" if signal is None else f"{signal:.2g}"
        for rate in rates:
            runs_at = {source: by_rate[rate] for source, by_rate in runs.items()}
            yield Row(net, optimizer, words, str(rate), compare(sources, runs_at))
        best = {source: min(by_rate.values(), key=_median_loss) for source, by_rate in runs.items()}
        yield Row(net, optimizer, words, BEST, compare(sources, best))


def compare(sources: Sequence[str], runs: Mapping[str, Sequence[Trained]]) -> Comparison:
    """The arms side by side; `runs` holds those of each source, by seed."""
    changed = [index == 0 or source != sources[index - 1] for index, source in enumerate(sources)]
    medians = (_median_accuracy(runs[source]) for source in sources)
    return Comparison(tuple(median if new else None for median, new in zip(medians, changed, strict=True)))


def fixed(nets: Iterable[Net], folder: Path, options: Sequence[str]) -> dict[Net, str]:
    """The source of every net after a run of initlint with `options`; as it was written without any."""
    folder.mkdir()
    paths = {net: folder / f"{net.module}.py" for net in nets}
    for net, path in paths.items():
        path.write_text(net.source, encoding="utf-8")
    if options:
        _initlint(*options, "--quiet", str(folder))
    return {net: path.read_text(encoding="utf-8") for net, path in paths.items()}


def predicted(folder: Path) -> dict[str, float]:
    """The signal that initlint predicts over the chain of every module in a folder, by its name."""
    findings = json.loads(_initlint("--output-format", "json", str(folder)))
    signals = {Path(finding["filename"]).stem: finding["chain"]["signal"] for finding in findings}
    return {module: signal for module, signal in signals.items() if signal is not None}


def _initlint(*options: str) -> str:
    command = [sys.executable, "-m", "initlint", "check", "--isolated", "--no-cache", "--exit-zero", *options]
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout


@cache
def built(source: str) -> Callable[[], nn.Module]:
    """The class that a source file defines."""
    names: dict[str, Callable[[], nn.Module]] = {"__name__": "net"}  # type: ignore[dict-item]
    exec(compile(source, "net.py", "exec"), names)  # noqa: S102 - it was generated above
    return names["Net"]


@cache
def digits() -> tuple[Tensor, Tensor]:
    """The images with mean 0 and variance 1, in an order that is always the same, and what they show."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    x = torch.tensor(images, dtype=torch.float32)[order]
    return ((x - x.mean()) / x.std()).reshape(-1, 1, 8, 8), torch.tensor(labels)[order]


def train(make: Callable[[], nn.Module], optimizer: str, rate: float, steps: int, seed: int) -> Trained:
    """Build a net and train it: the seed decides weights and batches."""
    x, y = digits()
    torch.manual_seed(seed)
    net = make()
    if optimizer == "SGD":
        stepper: torch.optim.Optimizer = torch.optim.SGD(net.parameters(), lr=rate, momentum=0.9, fused=True)
    else:
        stepper = torch.optim.Adam(net.parameters(), lr=rate, fused=True)
    batches = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        chosen = torch.randint(TRAINED, (BATCH,), generator=batches)
        stepper.zero_grad()
        F.cross_entropy(net(x[chosen]), y[chosen]).backward()
        stepper.step()
    with torch.no_grad():
        outputs = net(x)
        loss = float(F.cross_entropy(outputs[:TRAINED], y[:TRAINED]))
        right = outputs[TRAINED:].argmax(1) == y[TRAINED:]
    return Trained(loss if math.isfinite(loss) else math.inf, 100 * float(right.float().mean()))


def _median_loss(runs: Iterable[Trained]) -> float:
    return statistics.median(run.loss for run in runs)


def _median_accuracy(runs: Iterable[Trained]) -> float:
    return round(statistics.median(run.accuracy for run in runs), 1)


def setting(steps: int, seeds: int) -> str:
    """What was trained, and how, in one paragraph."""
    images = len(digits()[1])
    return textwrap.fill(
        f"scikit-learn's digits, {TRAINED} images to train on and the other {images - TRAINED} to test; plain nets without "
        f"normalization, MLPs {WIDTH} wide, CNNs with {CHANNELS} channels of 3x3; {steps} steps of {BATCH} images, SGD with "
        f"momentum 0.9 or Adam; {seeds} seeds; torch {torch.__version__.partition('+')[0]}, one thread. Test accuracy in percent, "
        f"the median over the seeds. A fix helps or hurts where that moves by {TELLING:g} points or more.",
        width=120,
    )


def document(rows: Sequence[Row], words: str) -> str:
    """All that was measured, as Markdown: the short tables, then every row."""
    parts = [
        "# What a fix is worth",
        "Written by `python benchmarks/training.py --output benchmarks/training.md`.",
        words,
        by_depth(rows),
        by_signal(rows),
        by_rate(rows),
        "## Every net",
        textwrap.fill(
            "`signal` is what initlint predicts for the net as written: the factor on the signal over the whole chain. With the rate "
            f"`{BEST}` every arm has the one at which its training loss ends lowest. A dash: the option changes nothing more.",
            width=120,
        ),
        every_net(rows),
    ]
    return "\n\n".join(parts) + "\n"


def by_depth(rows: Iterable[Row]) -> str:
    """As written → repaired, each at its best learning rate, by activation and depth."""
    listed = [row for row in rows if row.rate == BEST]
    columns = list(dict.fromkeys((row.net.family, row.net.layers) for row in listed))
    lines = list(dict.fromkeys((row.net.activation, row.optimizer) for row in listed))
    cells = {
        (row.net.activation, row.optimizer, row.net.family, row.net.layers): _cell(row.comparison) for row in listed
    }
    head = ["activation", "optimizer", *(f"{family} {layers}" for family, layers in columns)]
    return _table(head, [[*line, *(cells.get((*line, *column), "") for column in columns)] for line in lines])


def _cell(comparison: Comparison) -> str:
    """Bold where the fix helps, slanted where it hurts; a dagger where it is an unsafe one."""
    mark = {"helps": "**", "hurts": "_"}.get(comparison.verdict, "")
    return f"{mark}{comparison.written:.0f} → {comparison.repaired:.0f}{mark}{'' if comparison.is_safe else ' †'}"


def by_signal(rows: Iterable[Row]) -> str:
    """The same, each at its best learning rate, by the signal that initlint predicts for the net as written."""
    chosen = {words: Counter[str]() for words in SIGNALS}
    for row in rows:
        if row.rate == BEST and row.signal:
            words = next(words for words, least in SIGNALS.items() if float(row.signal) >= least)
            chosen[words][row.comparison.verdict] += 1
    body = [[words, *(str(found[verdict]) for verdict in VERDICTS)] for words, found in chosen.items()]
    return _table(["predicted signal", *VERDICTS], body)


def by_rate(rows: Iterable[Row]) -> str:
    """How often a fix helps, makes no difference and hurts, by how the learning rate was chosen."""
    chosen: dict[str, Counter[str]] = {}
    for row in rows:
        chosen.setdefault(_choice(row), Counter())[row.comparison.verdict] += 1
    order = sorted(chosen, key=lambda choice: (choice != _OWN, choice))
    body = [[choice, *(str(chosen[choice][verdict]) for verdict in VERDICTS)] for choice in order]
    return _table(["learning rate", *VERDICTS], body)


def _choice(row: Row) -> str:
    """The learning rate of a row in words that hold for all optimizers."""
    if row.rate == BEST:
        return _OWN
    index = RATES[row.optimizer].index(float(row.rate))
    return "for both " + ", ".join(f"{name} {rates[index]:g}" for name, rates in RATES.items())


def every_net(rows: Iterable[Row]) -> str:
    """One line a net, optimizer and learning rate."""
    head = [
        "net",
        "activation",
        "layers",
        "optimizer",
        "signal",
        "rate",
        "as written",
        "`--fix`",
        "`--unsafe-fixes`",
        "the fix",
    ]
    return _table(head, [_cells(row) for row in rows])


def _cells(row: Row) -> list[str]:
    net, comparison = row.net, row.comparison
    accuracies = [NOTHING if value is None else f"{value:.1f}" for value in comparison.accuracies]
    return [
        net.family,
        net.activation,
        str(net.layers),
        row.optimizer,
        row.signal,
        row.rate,
        *accuracies,
        comparison.verdict,
    ]


def read_rows(text: str) -> tuple[Row, ...]:
    """The rows in a document that `document` wrote."""
    lines = text.partition("## Every net")[2].splitlines()
    split = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")][2:]
    return tuple(
        Row(Net(net, activation, int(layers)), optimizer, signal, rate, Comparison(_read(accuracies)))
        for net, activation, layers, optimizer, signal, rate, *accuracies, _ in split
    )


def _read(cells: Sequence[str]) -> tuple[float | None, ...]:
    return tuple(None if cell == NOTHING else float(cell) for cell in cells)


def _table(head: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *body))


if __name__ == "__main__":
    sys.exit(main())
