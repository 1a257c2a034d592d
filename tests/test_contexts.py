"""Which contexts are run, in which order, and what one forward pass may be copied from another."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from initlint.engine import understand
from initlint.knowledge import load_knowledge
from initlint.source import scan
from initlint.source.project import SourceFile
from tests.notebook_builder import notebook

CYCLE = """
from torch import nn

class Backbone(nn.Module):
    def __init__(self, cell, width):
        super().__init__()
        self.rnn = cell(width, width)

    def forward(self, x):
        return self.rnn(x)

def elman():
    return Backbone(nn.RNN, 16)

def gated():
    model = Backbone(nn.GRU, 32)
    return model

def long_short():
    model = Backbone(nn.LSTM, 64)
    model.train()
    return model

def zoo(name):
    return {"elman": elman, "gated": gated, "long_short": long_short}[name]
"""


def test_the_order_of_contexts_does_not_hang_on_the_hashes_of_strings(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(CYCLE)
    outputs = set()
    for seed in range(6):
        environment = {**os.environ, "PYTHONHASHSEED": str(seed)}
        command = [sys.executable, "-m", "initlint", "inspect", "--isolated", "--output-format", "json", str(tmp_path)]
        outputs.add(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)
    assert len(outputs) == 1
    assert json.loads(outputs.pop())["layers"]


def test_a_name_from_elsewhere_is_not_the_class_of_the_project(tmp_path: Path) -> None:
    """`Image` of another library builds no layers, whatever a class of that name does here."""
    (tmp_path / "image.py").write_text(
        "from torch import nn\nclass Image(nn.Module):\n    def __init__(self):\n"
        "        super().__init__()\n        self.fc = nn.Linear(4, 4)\n"
    )
    (tmp_path / "load.py").write_text("import torch\nfrom PIL import Image\ndef load(p):\n    return Image.open(p)\n")
    from initlint.source.definitions import definitions
    from initlint.source.project import Project
    from initlint.source.relevance import Relevance

    project = Project([tmp_path / "image.py", tmp_path / "load.py"])
    relevance = Relevance(project, load_knowledge())
    found = [each for file in project.targets for each in definitions(file)]
    assert [each.name for each in relevance.interesting(found)] == ["Image"]


REPEATED = """
import torch
from torch import nn

class Block(nn.Module):
    def __init__(self, i, o, rate):
        super().__init__()
        self.fc = nn.Linear(i, o)
        self.drop_prob = rate
        {init}

    def forward(self, x):
        {before}
        x = torch.{activation}(self.fc(x))
        if self.drop_prob > 0:
            x = x * self.drop_prob
        return x

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.Sequential(
            Block(8, 16, 0.1), Block(16, 32, 0.2), Block(32, 64, 0.3), Block(64, 64, 0.4), Block(64, 64, 0.5)
        )
        self.head = nn.Linear(64, 2)

    def forward(self, x):
        return self.head(self.blocks(x))
"""


def _ops(tmp_path: Path, source: str, monkeypatch: pytest.MonkeyPatch, *, copying: bool) -> list[tuple[object, ...]]:
    from initlint.source import forward

    path = tmp_path / "net.py"
    path.write_text(source)
    if not copying:
        monkeypatch.setattr(forward, "replayed", lambda *given: given[-1]())
    (model,) = scan([path], knowledge=load_knowledge()).models
    return [(op.kind, op.name, op.inputs, op.layer, op.site) for op in model.ops]


@pytest.mark.parametrize(
    ("init", "before", "activation"),
    [
        ("pass", "pass", "relu"),
        ("self.count = []", "self.count.append(1)", "tanh"),
        ("self.kept = ([],)", "self.kept[0].append(1); x = x.relu() if len(self.kept[0]) > 1 else x", "tanh"),
        ("self.seen = 0", "self.seen = self.seen + 1", "relu"),
        ("self.register_buffer('scale', torch.ones(1))", "x = x * self.scale", "sigmoid"),
        ("self.seen = None", "sizes = []; sizes.append(x.shape); x = x.view(sizes[0])", "relu"),
        ("self.gate = nn.Linear(i, i)", "x = x * torch.sigmoid(self.gate(x))", "relu"),
        ("self.late = None", "self.late = nn.Linear(4, 4) if self.late is None else self.late", "relu"),
    ],
)
def test_a_copied_pass_lays_down_what_a_run_would(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, init: str, before: str, activation: str
) -> None:
    source = dedent(REPEATED).format(init=init, before=before, activation=activation)
    copied = _ops(tmp_path, source, monkeypatch, copying=True)
    run = _ops(tmp_path, source, monkeypatch, copying=False)
    assert copied == run
    assert sum(kind == "layer" for kind, *_ in run) >= 6


def test_blocks_that_hold_each_other_are_compared_to_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    init = "self.link = [self]; self.near = (self.link, self.link); self.far = [self.near, self.near]"
    source = dedent(REPEATED).format(init=init, before="pass", activation="relu")
    assert _ops(tmp_path, source, monkeypatch, copying=True) == _ops(tmp_path, source, monkeypatch, copying=False)


def test_equal_blocks_are_run_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of five blocks that differ in widths and rates the first sees the input, the second another block: three copies."""
    from initlint.source import replay

    copies = []
    original = replay._copied
    monkeypatch.setattr(replay, "_copied", lambda *given: copies.append(1) or original(*given))
    _ops(tmp_path, dedent(REPEATED).format(init="pass", before="pass", activation="relu"), monkeypatch, copying=True)
    assert len(copies) == 3


def test_copied_layers_are_judged_like_run_ones(tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    source = dedent(REPEATED).format(init="pass", before="pass", activation="relu")
    reading = understand({str(path): source})
    found = [finding for finding in reading.findings if finding.code == "INI101"]
    assert {finding.layer for finding in found} == {"Block.fc"}
    (chain,) = {judgement.chain.length for judgement in reading.judgements if judgement.chain is not None}
    assert chain == 6


def test_verifying_a_fix_runs_only_what_reads_the_rewritten_file(tmp_path: Path) -> None:
    """A class that somebody builds is no root of its own because its builder is left out of the second scan."""
    files = {
        "layers.py": "from torch import nn\nclass Cell(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.fc = nn.Linear(8, 8)\n    def forward(self, x):\n        return self.fc(x).relu()\n",
        "one.py": "from layers import Cell\ndef one():\n    return Cell()\n",
        "other.py": "from torch import nn\nclass Other(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.fc = nn.Linear(8, 8)\n    def forward(self, x):\n        return self.fc(x).tanh()\n"
        "def other():\n    return Other()\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    texts = {str(tmp_path / name): text for name, text in files.items()}
    first = understand(texts)
    assert first.visits is not None
    layers, one = str(tmp_path / "layers.py"), str(tmp_path / "one.py")
    assert first.visits[one, "one"] == {one, layers}
    again = understand({layers: files["layers.py"]}, known=first.visits)
    assert again.findings == tuple(finding for finding in first.findings if finding.site.file == layers)
    assert again.visits is not None
    assert {context for context, _ in again.visits} == {one}


def test_verifying_a_fix_runs_what_reads_the_rewritten_file_by_way_of_another(tmp_path: Path) -> None:
    """The trainer names only the model, the model the cell: of the cell's file alone nobody would come to the trainer."""
    cell = (
        "from torch import nn\nclass Cell(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.fc = nn.Linear(8, 8)\n    def forward(self, x):\n        return self.fc(x).relu()\n"
    )
    files = {
        "layers.py": cell,
        "model.py": "from torch import nn\nfrom layers import Cell\nclass Model(nn.Module):\n    def __init__(self):\n"
        "        super().__init__()\n        self.cell = Cell()\n    def forward(self, x):\n        return self.cell(x)\n",
        "train.py": "from torch import nn\nfrom model import Model\ndef train():\n    model = Model()\n"
        "    nn.init.kaiming_normal_(model.cell.fc.weight)\n    return model\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    first = understand({str(tmp_path / name): text for name, text in files.items()})
    layers = str(tmp_path / "layers.py")
    again = understand({layers: cell}, known=first.visits)
    assert [found.verdict for found in first.judgements] == ["match"]
    assert [found.verdict for found in again.judgements] == ["match"]


def test_a_notebook_beside_a_file_is_part_of_its_project(tmp_path: Path) -> None:
    """Only the module is named; the notebook that builds its net initializes it."""
    module = tmp_path / "net.py"
    module.write_text(
        "from torch import nn\n"
        "class Net(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.fc = nn.Linear(8, 8)\n"
        "    def forward(self, x):\n"
        "        return self.fc(x).relu()\n"
    )

    def verdicts() -> list[str]:
        return [found.verdict for found in understand({str(module): module.read_text()}).judgements]

    assert verdicts() == ["mismatch"]
    cells = "from net import Net\nfrom torch import nn\n", "net = Net()\nnn.init.kaiming_normal_(net.fc.weight)"
    (tmp_path / "train.ipynb").write_text(notebook(*cells))
    assert verdicts() == ["match"]


NET = """
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 8)
    def forward(self, x):
        return self.fc(x).relu()
"""


def test_every_root_that_files_were_named_in_is_searched_for_users(tmp_path: Path) -> None:
    """Two packages beside each other, one file of each named: what uses the second one's net is found there."""
    files = {
        "first/__init__.py": "",
        "first/net.py": NET,
        "second/__init__.py": "",
        "second/net.py": NET,
        "second/train.py": "from torch import nn\nfrom .net import Net\nnet = Net()\nnn.init.kaiming_normal_(net.fc.weight)\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    named = [tmp_path / "first" / "net.py", tmp_path / "second" / "net.py"]
    found = understand({str(path): path.read_text() for path in named})
    verdicts = {Path(judgement.layer.site.file).parent.name: judgement.verdict for judgement in found.judgements}
    assert verdicts == {"first": "mismatch", "second": "match"}


def test_a_class_method_may_build_another_class(tmp_path: Path) -> None:
    """What it builds is judged as it leaves it, and not passed over."""
    text = NET + "class Task:\n    @classmethod\n    def build(cls):\n        return Net()\n"
    found = understand({str(tmp_path / "net.py"): text})
    assert [judgement.verdict for judgement in found.judgements] == ["mismatch"]


def test_a_context_that_builds_nothing_is_given_up_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Command lines that set up options for thousands of steps are not worth what a model is."""
    (tmp_path / "net.py").write_text(
        dedent(
            """
            from torch import nn

            def early():
                model = nn.Sequential(nn.Linear(8, 8), nn.Tanh())
                for index in range(300):
                    name = str(index)
                return model

            def late():
                for index in range(300):
                    name = str(index)
                return make()

            def make():
                return nn.Sequential(nn.Linear(16, 16), nn.Tanh())
            """
        )
    )
    assert {model.name for model in scan([tmp_path / "net.py"], knowledge=load_knowledge()).models} == {"early", "late"}
    monkeypatch.setattr("initlint.source.contexts.BARREN_BUDGET", 200)
    assert {model.name for model in scan([tmp_path / "net.py"], knowledge=load_knowledge()).models} == {"early", "make"}


def test_of_functions_that_differ_in_numbers_only_the_first_and_the_last_are_run(tmp_path: Path) -> None:
    """That ``_net_tower`` has the letters of ``net_t`` in it does not make it another function than `net_s` calls."""
    variants = "".join(f"def net_{size}():\n    return _net_tower(width={8 << size})\n\n" for size in range(3))
    text = (
        "from torch import nn\n\ndef _net_tower(width):\n    return nn.Sequential(nn.Linear(width, 64), nn.ReLU())\n\n"
    )
    path = tmp_path / "net.py"
    path.write_text(text + variants.replace("net_0", "net_t"))
    assert [model.name for model in scan([path], knowledge=load_knowledge()).models] == ["net_t", "net_2"]


@pytest.mark.parametrize("head", [":\r\n    ", ":  # a size\n    ", ": "])
def test_functions_that_build_of_other_blocks_are_run_each(tmp_path: Path, head: str) -> None:
    """However a line ends, and wherever the body of a function begins."""
    text = (
        "from torch import nn\n\n"
        "def narrow(width):\n    return nn.Linear(width, 64)\n\n"
        "def wide(width):\n    return nn.Linear(width, 4 * width)\n\n"
        "def build(block, width):\n    return nn.Sequential(block(width), nn.ReLU())\n\n"
    )
    path = tmp_path / "net.py"
    built = zip(("net_0", "net_1", "net_2"), ("narrow", "wide", "narrow"), strict=True)
    variants = "".join(f"def {name}(){head}return build({block}, 64)\n\n" for name, block in built)
    path.touch()
    models = scan([path], knowledge=load_knowledge(), sources={str(path): text + variants}).models
    assert [model.name for model in models] == ["net_0", "net_1", "net_2"]


def test_of_functions_that_look_a_model_up_by_its_name_one_of_each_family_is_run(tmp_path: Path) -> None:
    """``wide_net_8`` may be another model than ``net_0`` and ``net_2``, though their code differs in a string only."""
    text = (
        "from torch import nn\n\n"
        "CONFIGS = dict(net_0=nn.ReLU, net_1=nn.ReLU, wide_net_8=nn.Tanh, wide_net_9=nn.Tanh, net_2=nn.ReLU)\n\n"
        "def build(name):\n    return nn.Sequential(nn.Linear(64, 64), CONFIGS[name]())\n\n"
    )
    path = tmp_path / "net.py"
    names = ("net_0", "net_1", "wide_net_8", "wide_net_9", "net_2")
    path.write_text(text + "".join(f"def {name}():\n    return build('{name}')\n\n" for name in names))
    models = scan([path], knowledge=load_knowledge()).models
    assert [model.name for model in models] == ["net_0", "wide_net_8", "net_2"]


def test_modules_that_are_loaded_are_not_charged_to_a_context(tmp_path: Path) -> None:
    """A package that loads many modules knows all that each of them defines."""
    indices = range(60)
    for index in indices:
        (tmp_path / f"m{index}.py").write_text(
            "def pick():\n    for index in range(350):\n"
            + "        count = index\n" * 8
            + "    return 'tanh'\n\nkind = pick()\n"
        )
    text = "from torch import nn\n" + "".join(f"from m{index} import kind as k{index}\n" for index in indices)
    layers = ", ".join(f"nn.Linear(8, 8), KINDS[k{index}]()" for index in indices)
    text += f"KINDS = {{'tanh': nn.Tanh, 'relu': nn.ReLU}}\n\ndef net():\n    return nn.Sequential({layers})\n"
    found = understand(
        {str(path): path.read_text() for path in tmp_path.glob("m*.py")} | {str(tmp_path / "net.py"): text}
    )
    followers = [[each.activation for each in judgement.followers] for judgement in found.judgements]
    assert followers == [["tanh"]] * len(indices)


GLOBAL = """
from torch import nn

PLAIN = False

class configured:
    def __init__(self, plain):
        global PLAIN
        self.before = PLAIN
        PLAIN = plain

    def __enter__(self):
        return self

    def __exit__(self, *error):
        global PLAIN
        PLAIN = self.before

def create(plain):
    with configured(plain):
        return nn.Sequential(nn.Linear(8, 8), nn.Tanh())

def activation():
    return nn.Identity() if PLAIN else nn.ReLU()

def build():
    return nn.Sequential(nn.Linear(64, 64), activation())
"""


def test_what_a_context_binds_to_a_global_name_ends_with_it(tmp_path: Path) -> None:
    found = understand({str(tmp_path / "net.py"): GLOBAL})
    followers = {judgement.layer.context: judgement.followers for judgement in found.judgements}
    assert {name: [each.alternative for each in ahead] for name, ahead in followers.items()} == {
        "create in net.py": [False],
        "build in net.py": [False],
    }


def test_a_file_without_layers_is_checked_without_a_tree(tmp_path: Path) -> None:
    """Only what the parser objects to is an error: that a compiler would say more of `nonlocal` is not of interest."""
    texts = {"plain.py": "width = 8\n", "scope.py": "nonlocal width\n", "broken.py": "width = \n"}
    files = [SourceFile(str(tmp_path / name), name, text=text) for name, text in texts.items()]
    assert [file.parses for file in files] == [True, True, False]
    assert [file.problem and (file.problem.line, file.problem.column) for file in files] == [None, None, (1, 9)]


SCRIPT = """
from torch import nn

def build():
    return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))

def main():
    net = build()
    return net

if __name__ == "__main__":
    main()
    {then}
"""


@pytest.mark.parametrize(("then", "contexts"), [("pass", ["train"]), ("raise SystemExit", ["main"])])
def test_what_a_script_has_run_is_run_again_only_where_the_script_did_not_end(
    tmp_path: Path, then: str, contexts: list[str]
) -> None:
    path = tmp_path / "train.py"
    path.write_text(SCRIPT.format(then=then))
    assert [model.name for model in scan([path], knowledge=load_knowledge()).models] == contexts


def _faults_of_recursion() -> int:
    """The page faults of calls that go 370 frames deep, and from every depth on the way 30 deeper and back, often."""
    import resource

    def dive(depth: int) -> None:
        if depth:
            dive(depth - 1)

    def climb(depth: int) -> None:
        for _ in range(50):
            dive(30)
        if depth:
            climb(depth - 1)

    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    climb(370)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(sys.platform == "win32", reason="counts page faults")
def test_a_deep_recursion_has_room() -> None:
    from initlint.source.room import with_room

    plain = _faults_of_recursion()
    if plain < 1000:
        pytest.skip("this Python keeps its frames")
    assert with_room(_faults_of_recursion) < plain / 2


def test_what_is_raised_in_a_room_leaves_it() -> None:
    from initlint.source.room import with_room

    with pytest.raises(ZeroDivisionError):
        with_room(lambda: 1 / 0)
    assert with_room(lambda: with_room(lambda: 1)) == 1


def test_what_others_mix_in_is_built_where_they_do(tmp_path: Path) -> None:
    """Alone, the layers that a mixin builds belong to nobody; here they are the temperature of a softmax."""
    text = """
    import torch
    from torch import nn

    class Logits(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.fc = nn.Linear(width, width)

        def forward(self, x):
            return self.fc(x)

    class TemperatureMixin:
        def make_temperature(self, width):
            self.logits = Logits(width)
            self.temperature = nn.Sequential(nn.Linear(width, width), nn.ReLU())

    class Attention(TemperatureMixin, nn.Module):
        def __init__(self, width=8):
            super().__init__()
            self.make_temperature(width)

        def forward(self, x):
            return torch.softmax(self.logits(x) / (1.0 + self.temperature(x)), dim=-1)
    """
    found = understand({str(tmp_path / "net.py"): dedent(text)})
    assert {judgement.layer.owner for judgement in found.judgements} == {"Attention", "Logits"}
    assert not found.findings
