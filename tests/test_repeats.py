"""What the machine repeats instead of running it again changes nothing but the time it takes."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent

import pytest

from initlint.knowledge import load_knowledge
from initlint.model import Model
from initlint.source import functions, module_methods, scan, statements
from initlint.source.machine import Frame, Machine

FIXTURES = Path(__file__).parents[1] / "fixtures"


@contextmanager
def run_in_full(patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing is repeated: every round, call, construction and forward pass is run."""
    from initlint.source import constructions, forward

    with patch.context() as patched:
        patched.setattr(statements, "loop_rounds", lambda *_: None)
        patched.setattr(module_methods, "applied_rounds", lambda *_: None)
        patched.setattr(functions, "called_rounds", lambda *_: None)
        patched.setattr(functions, "replayed", lambda _, __, ___, run: run())
        patched.setattr(forward, "replayed", lambda _, __, ___, run: run())
        patched.setattr(constructions, "constructed", lambda *given: given[-1]())
        yield


def models_in(folder: Path) -> tuple[Model, ...]:
    return scan(sorted(folder.rglob("*.py")), knowledge=load_knowledge()).models


def evaluations(patch: pytest.MonkeyPatch, run: Callable[[], object]) -> int:
    """The expressions that `run` evaluates."""
    count = 0
    evaluate = Machine.evaluate

    def counted(machine: Machine, node: ast.expr, frame: Frame) -> object:
        nonlocal count
        count += 1
        return evaluate(machine, node, frame)

    with patch.context() as patched:
        patched.setattr(Machine, "evaluate", counted)
        run()
    return count


@pytest.mark.parametrize(
    "folder", sorted(path for path in FIXTURES.iterdir() if path.is_dir()), ids=lambda path: path.name
)
def test_fixtures_read_the_same_without(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repeated = models_in(folder)
    with run_in_full(monkeypatch):
        assert models_in(folder) == repeated
    assert folder.name == "notebooks" or repeated


PROGRAMS = {
    "kinds_of_modules": """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.body = nn.ModuleList(nn.Conv2d(8 * i, 8 * i, 3, bias=i % 2 == 0) for i in range(1, 7))
                self.norms = nn.ModuleList(nn.BatchNorm2d(8 * i) for i in range(1, 7))
                self.head = nn.Linear(48, 4)
                for m in self.modules():
                    if isinstance(m, nn.Conv2d):
                        n = m.kernel_size[0] * m.kernel_size[1] * m.out_channels
                        m.weight.data.normal_(0, math.sqrt(2.0 / n))
                        if m.bias is not None:
                            m.bias.data.zero_()
                    elif isinstance(m, nn.BatchNorm2d):
                        m.weight.data.fill_(1)
                    elif isinstance(m, nn.Linear):
                        nn.init.xavier_uniform_(m.weight)

            def forward(self, x):
                for conv, norm in zip(self.body, self.norms):
                    x = F.relu(norm(conv(x)))
                return self.head(x.mean((2, 3)))
        """,
    "counting_rounds": """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.layers = nn.Sequential(*[nn.Linear(16, 16) for _ in range(6)])
                std = 1.0
                for m in self.layers.modules():
                    if isinstance(m, nn.Linear):
                        nn.init.normal_(m.weight, std=std)
                        std = std / 2
                last = None
                for m in self.layers.children():
                    if last is not None:
                        last.weight.data.mul_(0.5)
                    last = m

            def forward(self, x):
                for layer in self.layers:
                    x = torch.relu(layer(x))
                return x
        """,
    "first_round_only": """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.layers = nn.Sequential(*[nn.Linear(16, 16) for _ in range(6)])
                for m in self.layers:
                    nn.init.kaiming_normal_(m.weight)
                    break
                for index, m in enumerate(self.layers):
                    if index == 3:
                        nn.init.zeros_(m.weight)
                for name, p in self.named_parameters():
                    if name.endswith("4.weight"):
                        nn.init.orthogonal_(p)

            def forward(self, x):
                for layer in self.layers:
                    x = torch.relu(layer(x))
                return x
        """,
    "shapes_in_a_helper": """
        def lecun(tensor):
            fan_in = tensor.size(1)
            tensor.data.normal_(0, math.sqrt(1 / fan_in))

        def init(m):
            if isinstance(m, nn.Linear):
                lecun(m.weight)

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.a, self.b, self.c = nn.Linear(8, 32), nn.Linear(32, 128), nn.Linear(128, 8)
                self.apply(init)

            def forward(self, x):
                return self.c(F.relu(self.b(F.relu(self.a(x)))))
        """,
    "constructions_that_count": """
        class Block(nn.Module):
            made = []

            def __init__(self, width):
                super().__init__()
                self.fc = nn.Linear(width, width)
                Block.made.append(self)
                if len(Block.made) > 2:
                    nn.init.zeros_(self.fc.weight)

            def forward(self, x):
                return F.relu(self.fc(x))

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.blocks = nn.ModuleList([Block(16) for _ in range(5)])

            def forward(self, x):
                for block in self.blocks:
                    x = block(x)
                return x
        """,
    "copies_apart": """
        class Block(nn.Module):
            def __init__(self, width, act=nn.ReLU):
                super().__init__()
                self.fc = nn.Linear(width, width)
                self.scale = nn.Parameter(torch.ones(width))
                self.table = nn.Parameter(torch.empty(width, width))
                nn.init.trunc_normal_(self.table, std=0.02)
                self.act = act()
                self.parts = [self.fc, self.act]
                for m in self.modules():
                    if isinstance(m, nn.Linear):
                        nn.init.xavier_normal_(m.weight)

            def forward(self, x):
                return self.act(self.fc(x) @ self.table) * self.scale

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.a, self.b, self.c, self.d = Block(16), Block(16), Block(16), Block(16, nn.Tanh)
                nn.init.kaiming_normal_(self.c.fc.weight)
                self.b.parts[0].weight.data.mul_(2.0)
                self.c.late = nn.Linear(16, 16)

            def forward(self, x):
                return self.d(self.c(self.b(self.a(x))))
        """,
    "arguments_are_kept": """
        class Config:
            def __init__(self):
                self.widths = [16, 32]

        class Block(nn.Module):
            def __init__(self, config):
                super().__init__()
                self.config = config
                self.fc = nn.Linear(config.widths[0], 16)
                config.widths.append(64)

            def forward(self, x):
                return F.relu(self.fc(x))

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                config = Config()
                self.blocks = nn.Sequential(*[Block(config) for _ in range(4)])
                self.last = nn.Linear(config.widths[-1], len(config.widths))

            def forward(self, x):
                return self.last(self.blocks(x))
        """,
    "registries_that_grow": """
        ACTS = {}

        def act(name):
            return ACTS[name]() if name in ACTS else nn.Identity()

        class Block(nn.Module):
            def __init__(self, width):
                super().__init__()
                self.fc, self.act = nn.Linear(width, width), act("relu")

            def forward(self, x):
                return self.act(self.fc(x))

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                first, second, third = Block(16), Block(16), Block(16)
                ACTS["relu"] = nn.ReLU
                self.layers = nn.Sequential(first, second, third, Block(16), Block(16))

            def forward(self, x):
                return self.layers(x)
        """,
    "one_function_on_many_tensors": """
        def gate(x, slope=1.0):
            return x * torch.sigmoid(slope * x)

        def squash(x, kind):
            return torch.tanh(x) if kind == "tanh" else F.relu(x)

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.a, self.b, self.c, self.d = (nn.Linear(16, 16) for _ in range(4))
                self.seen = []

            def forward(self, x):
                x = gate(self.a(x))
                x = gate(self.b(x), slope=1.702)
                x = squash(self.c(x), "tanh")
                return squash(self.d(x), "relu")
        """,
    "kinds_that_depend_on_each_other": """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.layers = nn.Sequential(
                    nn.Linear(16, 16), nn.Conv1d(1, 1, 3), nn.Linear(16, 16), nn.Conv1d(1, 1, 3), nn.Linear(16, 16), nn.Conv1d(1, 1, 3)
                )
                self.met, self.names = 1, []
                self.apply(self.init)
                for m in self.layers:
                    if isinstance(m, nn.Linear):
                        self.names.append("linear")
                    else:
                        nn.init.constant_(m.bias, len(self.names))

            def init(self, m):
                if isinstance(m, nn.Linear):
                    self.met += 1
                elif isinstance(m, nn.Conv1d):
                    nn.init.normal_(m.weight, std=1 / self.met)

            def forward(self, x):
                for layer in self.layers:
                    x = torch.relu(layer(x))
                return x
        """,
    "names_that_change": """
        WIDTH = 16

        class Block(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(WIDTH, WIDTH)

            def forward(self, x):
                return F.relu(self.fc(x))

        def widen(by):
            global WIDTH
            WIDTH = by

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.a, self.b, self.c = Block(), Block(), Block()
                widen(32)
                self.d, self.e, self.f = Block(), Block(), Block()
                width = 8

                class Local(nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.fc = nn.Linear(width, width)

                    def forward(self, x):
                        return F.relu(self.fc(x))

                self.g, self.h, self.i = Local(), Local(), Local()
                width = 4
                self.j, self.k = Local(), Local()

            def forward(self, x):
                x = self.f(self.e(self.d(self.c(self.b(self.a(x))))))
                return self.k(self.j(self.i(self.h(self.g(x)))))
        """,
    "walks_before_the_layers": """
        class Part(nn.Module):
            def __init__(self):
                super().__init__()
                for m in self.modules():
                    if isinstance(m, nn.Linear):
                        nn.init.kaiming_normal_(m.weight)
                self.fc = nn.Linear(16, 16)

            def forward(self, x):
                return F.relu(self.fc(x))

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.a, self.b, self.c, self.d = Part(), Part(), Part(), Part()

            def forward(self, x):
                return self.d(self.c(self.b(self.a(x))))
        """,
    "passes of an attempt that is taken back": """
        def scaled(tensor, factor):
            return tensor * factor

        def start(rows):
            for _ in range(20):
                first = torch.arange(rows).float()
            return scaled(scaled(first, 2.0), 0.5)

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(8, 8)

            def init_weights(self):
                self.fc.weight.data.copy_(start(8))

            def forward(self, x):
                return torch.tanh(self.fc(x))

        def train(model):
            model.init_weights()

        def build():
            return nn.Sequential(Net(), Net())
        """,
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_read_the_same_without(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    imports = "import math\nimport torch\nimport torch.nn.functional as F\nfrom torch import nn\n"
    (tmp_path / "net.py").write_text(imports + dedent(PROGRAMS[name]))
    (tmp_path / "again.py").write_text(
        "from net import *\n\ndef build():\n    return Net()\n\ndef two():\n    return [Net(), Net()]\n"
    )
    repeated = models_in(tmp_path)
    with run_in_full(monkeypatch):
        assert models_in(tmp_path) == repeated
    assert any(model.layers for model in repeated)


def test_a_deep_model_costs_little_more_than_a_flat_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten times the blocks are not ten times the work."""
    program = """
        import torch.nn as nn

        class Block(nn.Module):
            def __init__(self, width):
                super().__init__()
                self.norm = nn.LayerNorm(width)
                self.up, self.act, self.down = nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)

            def forward(self, x):
                return x + self.down(self.act(self.up(self.norm(x))))

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.blocks = nn.Sequential(*[Block(64) for _ in range(DEPTH)])
                for m in self.modules():
                    if isinstance(m, nn.Linear):
                        nn.init.xavier_uniform_(m.weight)
                        nn.init.zeros_(m.bias)

            def forward(self, x):
                return self.blocks(x)
        """
    cost = {}
    for depth in (4, 40):
        folder = tmp_path / str(depth)
        folder.mkdir()
        (folder / "net.py").write_text(dedent(program).replace("DEPTH", str(depth)))
        cost[depth] = evaluations(monkeypatch, lambda folder=folder: models_in(folder))
    assert cost[40] < 3 * cost[4]
    with run_in_full(monkeypatch):
        assert evaluations(monkeypatch, lambda: models_in(tmp_path / "40")) > 3 * cost[40]
