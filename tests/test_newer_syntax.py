"""Code for a newer Python than the one that runs is read like any other, and its findings stay where its reader sees them."""

from __future__ import annotations

import ast

import pytest

import initlint
from initlint.newer_syntax import lowered
from initlint.syntax import parsed

NET = """import torch
from torch import nn

type Size = int
type Pair[T: (int,
              str)] = tuple[T, T]


class Net[
    ConfigT: Size,  # what it is built for
](nn.Module):
    def __init__[N = 3](self, config: ConfigT, parts: dict[str, int]) -> None:
        super().__init__()
        print(f"{"é" * 3:>{parts["wide"]}} {{ {"\\n".join(parts)}", "{"); self.hidden = nn.Linear(8, 8)
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        try:
            return self.head(torch.relu(self.hidden(x)))
        except ValueError, TypeError:
            raise
"""
KEPT = [
    "type = 3\nx = type if type in [1] else type\n",
    "class type: pass\nx = {type: 1}\n",
    'x = f"{a["b"]"\n',
    'x = f"{a\n',
    "class A[T(B): pass\n",
    "def f(:\n",
    "'\n",
]


def test_a_model_in_newer_syntax() -> None:
    (finding,) = initlint.check_source(NET)
    line = 1 + next(index for index, text in enumerate(NET.splitlines()) if "self.hidden = " in text)
    column = 1 + NET.splitlines()[line - 1].index("nn.Linear")
    assert (finding.code, finding.site.line, finding.site.column) == ("INI101", line, column)
    assert finding.fix is not None


def test_a_mistake_in_newer_syntax() -> None:
    (finding,) = initlint.check_source("import torch\ntype X = int\nx = = 3\n")
    assert (finding.code, finding.site.line) == ("INI900", 3)


@pytest.mark.parametrize("text", KEPT)
def test_what_is_no_newer_syntax(text: str) -> None:
    assert lowered(text) is None


def test_nothing_moves() -> None:
    older = lowered(NET)
    assert older is not None
    ast.parse(older)
    for old, new in zip(NET.split("\n"), older.split("\n"), strict=True):
        assert len(new.removesuffix("\\").encode()) == len(old.encode())


@pytest.mark.parametrize(
    "text",
    [
        "x = t'{a}' \n",
        "def f[**P, *Ts](x): pass\n",
        "try:\n    a\nexcept* A, B.c(d, e):\n    b\n",
        "x = rf'{a:{b['c']}}' 'd' f\"{'e'}\"\n",
        "x = f'''{\n  a['b'] # }\n}'''\n",
        "x = f'{a!r:>{w}}{b['c']:%d}'\n",
        "class A[T = [int]]: pass\n",
        "class A:\n    type X = 'int'; type Y = f\"{X}\"\r\n",
    ],
)
def test_spellings(text: str) -> None:
    parsed(text)
