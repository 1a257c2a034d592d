"""Runs the command line in this process, as a shell would."""

from __future__ import annotations

import io
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from initlint.cli import main

NET = """\
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(128, 128)
        self.head = nn.Linear(128, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.relu(self.hidden(x)))
"""
"""One finding: INI101 at 8:23, info, with a safe fix."""

CLEAN = "import torch\nfrom torch import nn\n\nnet = nn.Sequential(nn.Linear(8, 8))\n"

DEEP = """\
from torch import nn

body = []
for _ in range(12):
    body += [nn.Linear(128, 128), nn.ReLU()]
net = nn.Sequential(*body, nn.Linear(128, 10))
"""
"""One finding: INI101 at 5:14, error."""


@dataclass(frozen=True, slots=True)
class Result:
    status: int
    out: str
    err: str

    @property
    def codes(self) -> list[str]:
        """The codes in a concise report, in order."""
        return [line.split()[1] for line in self.out.splitlines() if ": INI" in line]


@dataclass(frozen=True, slots=True)
class Shell:
    """A current folder and a way to call initlint in it."""

    folder: Path
    capture: pytest.CaptureFixture[str]
    patch: pytest.MonkeyPatch

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
        return path

    def read(self, name: str) -> str:
        return (self.folder / name).read_bytes().decode()

    def __call__(self, *arguments: str, stdin: str = "") -> Result:
        self.capture.readouterr()
        with self.patch.context() as patch:
            patch.chdir(self.folder)
            patch.setattr(sys, "argv", ["initlint", *arguments])
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode()), encoding="utf-8"))
            with pytest.raises(SystemExit) as exit_:
                main()
        out, err = self.capture.readouterr()
        assert isinstance(exit_.value.code, int)
        return Result(exit_.value.code, out, err)
