"""What a run costs as a project grows: CPU seconds and peak memory, of all files and of one file among them.

    python benchmarks/scaling.py --files 100 300 1000

Makes projects of that many files, written for this, in a folder of their own: packages of blocks, models built of the
blocks of other files, training scripts that initialize them. Per size it measures a cold run over everything, then one
file alone: cold, and again with the cache that this left. Children are measured, waiting is not.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PACKAGE_SIZE = 10
"""Files of a package: nine of blocks and models, and a script that builds and initializes one of them."""

BLOCKS = '''"""Blocks number {n}."""

import math

import torch
import torch.nn.functional as F
from torch import nn


def conv3x3(inputs, outputs, stride=1):
    return nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)


class Residual{n}(nn.Module):
    def __init__(self, width, act=nn.ReLU, norm=nn.BatchNorm2d):
        super().__init__()
        self.conv1, self.norm1 = conv3x3(width, width), norm(width)
        self.conv2, self.norm2 = conv3x3(width, width), norm(width)
        self.act = act()

    def forward(self, x):
        h = self.act(self.norm1(self.conv1(x)))
        return self.act(x + self.norm2(self.conv2(h)))


class Attention{n}(nn.Module):
    def __init__(self, width, heads=4):
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        batch, length, width = x.shape
        q, k, v = (part.reshape(batch, length, self.heads, -1).transpose(1, 2) for part in self.qkv(self.norm(x)).chunk(3, -1))
        scores = (q @ k.transpose(-2, -1)) / math.sqrt(width // self.heads)
        return x + self.out((scores.softmax(-1) @ v).transpose(1, 2).reshape(batch, length, width))


class Mlp{n}(nn.Module):
    def __init__(self, widths=(64, 128, 128, 128, 128, 10)):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(widths[:-1], widths[1:]))

    def forward(self, x):
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        return self.layers[-1](x)
'''

MODEL = '''"""Model number {n}, of the blocks of two files."""

import torch
from torch import nn

from {package}.blocks{first} import Attention{first}, Residual{first}
from {package}.blocks{second} import Mlp{second}


class Model{n}(nn.Module):
    def __init__(self, channels=3, width=64, depth=4):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(channels, width, 7, 2, 3), nn.ReLU(), nn.MaxPool2d(3, 2))
        self.body = nn.Sequential(*[Residual{first}(width) for _ in range(depth)])
        self.attend = Attention{first}(width)
        self.head = Mlp{second}((width, 128, 128, 10))

    def forward(self, x):
        x = self.body(self.stem(x)).flatten(2).transpose(1, 2)
        return self.head(self.attend(x).mean(1))
'''

SCRIPT = '''"""Trains a model of this package."""

import torch
from torch import nn

from {package}.model{n} import Model{n}


def init_weights(module):
    if isinstance(module, (nn.Conv2d, nn.Linear)):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")


def main():
    net = Model{n}()
    net.apply(init_weights)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(10):
        optimizer.zero_grad()
        net(torch.randn(2, 3, 64, 64)).sum().backward()
        optimizer.step()


if __name__ == "__main__":
    main()
'''


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU seconds of a child process and the most memory it held, in MB."""

    seconds: float
    megabytes: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a line per size; 1 where a run over everything holds more memory than is allowed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, nargs="+", default=[100, 300, 1000])
    parser.add_argument("--at-most", type=float, default=400, help="MB that a run may hold (default 400)")
    options = parser.parse_args(arguments)
    print("files  kLOC   all: CPU s  ms/file    MB   one file: cold s    MB  cached s    MB")
    within = True
    for count in options.files:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            lines = write_project(root, count)
            whole = cost(root, ".")
            one = f"part0/model{PACKAGE_SIZE - 2}.py"
            cold, cached = cost(root, one, cached=True), cost(root, one, cached=True)
        within &= whole.megabytes <= options.at_most
        print(
            f"{count:5} {lines / 1000:5.1f} {whole.seconds:12.2f} {1000 * whole.seconds / count:8.1f} {whole.megabytes:5.0f}"
            f" {cold.seconds:18.2f} {cold.megabytes:5.0f} {cached.seconds:9.2f} {cached.megabytes:5.0f}"
        )
    return 0 if within else 1


def write_project(root: Path, count: int) -> int:
    """Write a project of `count` files; how many lines it has."""
    (root / "pyproject.toml").write_text("[tool.initlint]\n", encoding="utf-8")
    lines = 0
    for number, (name, text) in enumerate(project_files(count)):
        path = root / f"part{number // PACKAGE_SIZE}" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        lines += text.count("\n")
    return lines


def project_files(count: int) -> Iterator[tuple[str, str]]:
    """The names and texts of the files: packages of six files of blocks, three of models and a script."""
    for number in range(count):
        place, package = number % PACKAGE_SIZE, f"part{number // PACKAGE_SIZE}"
        names: Mapping[str, object] = {"n": place, "package": package, "first": place % 6, "second": (place + 1) % 6}
        if place < 6:
            yield f"blocks{place}.py", BLOCKS.format_map(names)
        elif place < PACKAGE_SIZE - 1:
            yield f"model{place}.py", MODEL.format_map(names)
        else:
            yield "train.py", SCRIPT.format_map({**names, "n": PACKAGE_SIZE - 2})


def cost(root: Path, target: str, *, cached: bool = False) -> Cost:
    """What `initlint check` of `target` costs, in a process of its own."""
    options = [] if cached else ["--no-cache"]
    command = [sys.executable, "-m", "initlint", "check", "--exit-zero", "--output-format", "concise", *options, target]
    process = subprocess.Popen(command, cwd=root, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status):
        raise SystemExit(f"{' '.join(command)} failed in {root}")
    return Cost(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


if __name__ == "__main__":
    sys.exit(main())
