"""What the scanner makes of programs whose counts, names and options are known in part only."""

from __future__ import annotations

import pytest
from understanding import Understanding, followers


def test_positions_of_two_loops_over_unknown_counts_may_differ(understand: Understanding) -> None:
    """Two things of which nothing is known are not one: the layers between the branches of a high-resolution network."""
    layers = understand("""
        class Net(nn.Module):
            def __init__(self, widths):
                super().__init__()
                self.rows = nn.ModuleList(self.make_row(widths, i) for i in range(len(widths)))

            def make_row(self, widths, i):
                row = []
                for j in range(len(widths)):
                    if j > i:
                        row.append(nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(widths[j], widths[i], 1)))
                    elif j == i:
                        row.append(nn.Identity())
                    else:
                        row.append(nn.Sequential(nn.Conv2d(widths[j], widths[i], 3, 2, 1)))
                return nn.ModuleList(row)

            def forward(self, xs):
                return [torch.relu(sum(way(x) for way, x in zip(row, xs))) for row in self.rows]
        """)
    assert layers.keys() == {"Net.rows.0.0.0", "Net.rows.0.0.1"}


def test_the_options_of_a_configuration_are_opened_as_those_of_a_class_are(understand: Understanding) -> None:
    """What lies behind a word or a flag that the configuration does not have by default is built by those who choose it."""
    layers = understand("""
        from dataclasses import dataclass

        @dataclass
        class Config:
            mode: str = "tree"
            activation: str = "tanh"
            deep: bool = False

        class Net(nn.Module):
            def __init__(self, config: Config):
                super().__init__()
                self.mode, self.deep = config.mode, config.deep
                self.activation = nn.Tanh() if config.activation == "tanh" else nn.ReLU()
                if config.deep:
                    self.inner = nn.Linear(64, 64)
                if config.mode == "tree":
                    self.head = nn.Linear(64, 10)
                elif config.mode == "bytes":
                    self.down = nn.Linear(64, 64)
                    self.bytes = nn.Linear(64, 256)

            def forward(self, x):
                if self.deep:
                    x = self.activation(self.inner(x))
                if self.mode == "tree":
                    return self.head(x)
                return self.bytes(torch.relu(self.down(x)))
        """)
    assert layers.keys() == {"Net.inner", "Net.head", "Net.down", "Net.bytes"}
    assert followers(layers["Net.inner"]) == ["tanh"]
    assert followers(layers["Net.down"]) == ["relu"]


def test_a_member_of_an_enumeration_of_words_is_its_word(understand: Understanding) -> None:
    layers = understand("""
        from enum import Enum

        class Kind(str, Enum):
            RELU = "relu"
            TANH = "tanh"

        def make(kind):
            return nn.ReLU() if kind == "relu" else nn.Tanh()

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(64, 64)
                self.activation = make(Kind.RELU)

            def forward(self, x):
                return self.activation(self.fc(x))
        """)
    assert followers(layers["Net.fc"]) == ["relu"]


@pytest.mark.parametrize("name", ['f"{0}{{i}}"', '"{0}" + str(i)', '"{0}%d" % i', '"{0}{{}}".format(i)'])
@pytest.mark.parametrize(
    ("put", "get"),
    [
        ("setattr(self, {0}, nn.Linear(64, 64))", "getattr(self, {0})"),
        ("self.add_module({0}, nn.Linear(64, 64))", "self._modules[{0}]"),
    ],
)
def test_layers_of_an_unknown_number_are_told_apart_by_what_is_known_of_their_names(
    understand: Understanding, name: str, put: str, get: str
) -> None:
    hidden, last = name.format("hidden"), name.format("last_")
    layers = understand(f"""
        class Net(nn.Module):
            def __init__(self, count):
                super().__init__()
                self.count = count
                for i in range(count):
                    {put.format(hidden)}
                    {put.format(last)}

            def forward(self, x):
                for i in range(self.count):
                    x = torch.relu({get.format(hidden)}(x))
                    x = torch.tanh({get.format(last)}(x))
                return x
        """)
    assert {path: followers(judgement) for path, judgement in layers.items()} == {
        "Net.hidden*": ["relu"],
        "Net.last_*": ["tanh"],
    }


def test_layers_that_share_what_is_known_of_their_names_are_both_kept(understand: Understanding) -> None:
    layers = understand("""
        class Net(nn.Module):
            def __init__(self, count, more):
                super().__init__()
                self.more = more
                for i in range(count):
                    setattr(self, f"fc{i}", nn.Linear(64, 64))
                for i in range(count, more):
                    setattr(self, f"fc{i}", nn.Sequential(nn.Dropout(), nn.Linear(64, 64)))

            def forward(self, x):
                for i in range(self.more):
                    x = torch.relu(getattr(self, f"fc{i}")(x))
                return x
        """)
    assert {path: followers(judgement) for path, judgement in layers.items()} == {
        "Net.fc*": ["relu"],
        "Net.fc*.1": ["relu"],
    }


def test_texts_with_the_same_known_parts_may_differ(understand: Understanding) -> None:
    layers = understand("""
        class Net(nn.Module):
            def __init__(self, mode, other):
                super().__init__()
                self.fc = nn.Linear(64, 64)
                self.activation = nn.ReLU() if f"act_{mode}" == f"act_{other}" else nn.Tanh()

            def forward(self, x):
                return self.activation(self.fc(x))
        """)
    assert sorted(followers(layers["Net.fc"])) == ["relu", "tanh"]


def test_a_rectifier_is_squared_only_where_nothing_else_reads_it(understand: Understanding) -> None:
    """A norm by hand squares what it divides."""
    layers = understand("""
        class Scale(nn.Module):
            def __init__(self):
                super().__init__()
                self.weight = nn.Parameter(torch.ones(64))

            def forward(self, x):
                norm = x.pow(2).sum(dim=1, keepdim=True).sqrt() + 1e-10
                return x / norm * self.weight.view(1, -1, 1, 1)

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.conv1 = nn.Conv2d(64, 64, 3)
                self.conv2 = nn.Conv2d(64, 64, 3)
                self.conv3 = nn.Conv2d(64, 64, 3)
                self.scale = Scale()

            def forward(self, x):
                x = torch.relu(self.conv1(x))
                side = self.scale(x)
                x = torch.relu(self.conv2(F.max_pool2d(x, 2))) ** 2
                return side, torch.relu(self.conv3(x)) ** 2
        """)
    assert followers(layers["Net.conv1"]) == ["relu"]
    assert followers(layers["Net.conv2"]) == ["relu_squared"]
    assert followers(layers["Net.conv3"]) == ["relu_squared"]


def test_nothing_is_left_of_an_attempt_to_reset_a_module_that_applies_it(understand: Understanding) -> None:
    """Neither that it was applied, nor what it kept of the pass."""
    layers = understand("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(64, 64)

            def forward(self, x):
                x = torch.relu(self.fc(x))
                self.state = torch.relu(self.fc(x))
                return x

            def reset_parameters(self):
                x = torch.zeros(2, 64)
                for _ in range(9):
                    x = torch.relu(x)
                self(self(x))

        def main(net):
            net.reset_parameters()
        """)
    assert followers(layers["Net.fc"]) == ["relu", "relu"]


@pytest.mark.parametrize(
    "path",
    [
        "os.path.join(folder, 'net.pt')",
        "folder / 'net.pt'",
        "Path(__file__).parent / 'net.pt'",
        "os.path.abspath('net.pt')",
        "hf_hub_download(repo, filename='net.pt')",
        "f'{folder}/net.pt'",
    ],
)
def test_a_path_is_there_wherever_it_leads(understand: Understanding, path: str) -> None:
    layers = understand(f"""
        import os
        from pathlib import Path
        from huggingface_hub import hf_hub_download

        class Net(nn.Module):
            def __init__(self, path=None):
                super().__init__()
                self.fc = nn.Linear(8, 8)
                if path is not None:
                    self.load_state_dict(torch.load(path))

            def forward(self, x):
                return torch.relu(self.fc(x))

        def load(repo, folder):
            return Net({path})
        """)
    assert layers["Net.fc"].layer.weight.source == "loaded"


def test_a_text_that_is_known_in_part_is_no_other(understand: Understanding) -> None:
    layers = understand("""
        class Net(nn.Module):
            def __init__(self, kind, count):
                super().__init__()
                self.fc = nn.Linear(8, 8)
                self.kind = "conv%s" % count
                if self.kind == "linear":
                    nn.init.zeros_(self.fc.weight)
                if self.kind == "conv1" or not self.kind:
                    nn.init.ones_(self.fc.weight)

            def forward(self, x):
                return torch.relu(self.fc(x))
        """)
    written = {layers["Net.fc"].layer.weight.function, *(each.function for each in layers["Net.fc"].layer.history)}
    assert "ones_" in written
    assert "zeros_" not in written


@pytest.mark.parametrize("call", ["eval(name)", "globals()[name]", "eval(f'{name}Block')", "eval('ConvBlock')"])
def test_what_is_built_by_any_name_is_initialized_by_the_whole(understand: Understanding, call: str) -> None:
    layers = understand(f"""
        class ConvBlock(nn.Module):
            def __init__(self, width, **options):
                super().__init__()
                self.fc = nn.Linear(width, width)

            def forward(self, x):
                return torch.relu(self.fc(x))

        class PlainBlock(ConvBlock):
            pass

        def build(name, **options):
            return {call}(**options)

        class Net(nn.Module):
            def __init__(self, config):
                super().__init__()
                self.block = build(config.block, **config.options)
                self.out = nn.Linear(10, 10)
                for name, param in self.named_parameters():
                    if "weight" in name:
                        nn.init.kaiming_normal_(param)

            def forward(self, x):
                return self.out(self.block(x))
        """)
    assert layers["ConvBlock.fc"].verdict == "match"
    assert layers["Net.out"].chain is not None
    assert layers["Net.out"].chain.length == 2


def test_a_text_that_is_no_name_is_not_evaluated(understand: Understanding) -> None:
    layers = understand("""
        class Net(nn.Module):
            def __init__(self, kind):
                super().__init__()
                self.fc = nn.Linear(8, 8)
                self.act = eval("nn.Re" + "LU")()
                if eval(kind) and eval("False"):
                    nn.init.zeros_(self.fc.weight)

            def forward(self, x):
                return self.act(self.fc(x))
        """)
    assert layers["Net.fc"].verdict == "mismatch"


def test_what_is_given_up_while_it_is_built_is_no_model(understand: Understanding) -> None:
    """On the branch that raises the layer was drawn and not yet initialized; nobody gets to see that model."""
    layers = understand("""
        class Net(nn.Module):
            def __init__(self, width, kind):
                super().__init__()
                self.build(width)
                if kind == "strict":
                    raise ValueError(kind)
                nn.init.kaiming_normal_(self.fc.weight)

            def build(self, width):
                self.fc = nn.Linear(width, width)

            def forward(self, x):
                return torch.relu(self.fc(x))

        def make(name, width):
            if name == "strict":
                net = Net(width, "strict")
            elif name == "lenient":
                net = Net(width, "lenient")
            else:
                net = None
            return net

        net = make(input(), 64)
        """)
    assert layers.keys() == {"Net.fc"}
    assert layers["Net.fc"].verdict == "match"


@pytest.mark.parametrize("path", ["os.path.join(folder, 'net.pt')", "os.path.abspath('nets/../net.pt')"])
def test_a_path_may_be_any_that_ends_alike(understand: Understanding, path: str) -> None:
    layers = understand(f"""
        import os

        class Net(nn.Module):
            def __init__(self, folder):
                super().__init__()
                self.fc = nn.Linear(8, 8)
                path = {path}
                if path == "net.pt":
                    nn.init.zeros_(self.fc.weight)
                if path == "net.onnx":
                    nn.init.ones_(self.fc.weight)

            def forward(self, x):
                return torch.relu(self.fc(x))
        """)
    written = {layers["Net.fc"].layer.weight.function, *(each.function for each in layers["Net.fc"].layer.history)}
    assert "zeros_" in written
    assert "ones_" not in written
