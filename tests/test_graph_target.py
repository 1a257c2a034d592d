"""A target, its arguments and its inputs; and whose error an error is."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from torch import nn

from initlint.errors import InitlintError
from initlint.graph.inputs import InputShape, as_inputs, call_inputs, make_inputs, parse_input, synthesize
from initlint.graph.memory import spare_memory
from initlint.graph.symbolic import trace_symbolically
from initlint.graph.target import UserCodeError, build, load, parse_argument
from initlint.knowledge import load_knowledge
from initlint.live import examine

KNOWLEDGE = load_knowledge()
NETS = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, width=8, name="relu"):
        super().__init__()
        self.fc = nn.Linear(width, width)

    def forward(self, x):
        return torch.relu(self.fc(x))


class Broken(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, "wide")


def make(depth: int = 2):
    return nn.Sequential(*[nn.Linear(4, 4) for _ in range(depth)])


def give_up():
    raise KeyError("weights")


def nothing():
    return 3


def leave():
    raise SystemExit(4)


def batch(model):
    return {"x": torch.ones(2, model.fc.in_features)}


ready = make(3)
WIDTH = 8
"""


@pytest.fixture
def nets(tmp_path: Path) -> str:
    file = tmp_path / "nets_for_target.py"
    file.write_text(NETS, encoding="utf-8")
    return str(file)


def test_a_class_a_function_and_an_instance_are_built(nets: str) -> None:
    assert build(f"{nets}:Net", {"width": 5}, KNOWLEDGE).model.fc.in_features == 5
    assert len(build(f"{nets}:make", {}, KNOWLEDGE).model) == 2
    built = build(f"{nets}:ready", {}, KNOWLEDGE)
    assert len(built.model) == 3
    assert build("torch.nn:Identity", {}, KNOWLEDGE).model.__class__ is nn.Identity


def test_a_file_in_a_package_keeps_its_relative_imports(tmp_path: Path) -> None:
    package = tmp_path / "shop_of_nets" / "inner"
    package.mkdir(parents=True)
    (tmp_path / "shop_of_nets" / "__init__.py").write_text("")
    (package / "__init__.py").write_text("")
    (package / "width.py").write_text("WIDTH = 6\n")
    (package / "net.py").write_text(
        "from torch import nn\nfrom .width import WIDTH\n\ndef make():\n    return nn.Linear(WIDTH, 1)\n"
    )
    assert build(f"{package / 'net.py'}:make", {}, KNOWLEDGE).model.in_features == 6


@pytest.mark.parametrize(
    ("target", "what"),
    [
        ("nets", "names no object"),
        ("no_such_module_anywhere:Net", "there is no module no_such_module_anywhere"),
        ("missing.py:Net", "there is no such file"),
    ],
)
def test_a_target_that_names_nothing_is_said_to(target: str, what: str) -> None:
    with pytest.raises(InitlintError, match=what):
        load(target)


def test_a_name_that_a_module_lacks_brings_those_that_it_has(nets: str) -> None:
    with pytest.raises(InitlintError) as raised:
        load(f"{nets}:Nett")
    assert raised.value.hint == "it has Broken, Net, ready"


def test_what_is_no_module_is_said_to_be_none(nets: str) -> None:
    with pytest.raises(InitlintError, match="gives a int"):
        build(f"{nets}:nothing", {}, KNOWLEDGE)
    with pytest.raises(InitlintError, match="is a int and cannot be called"):
        build(f"{nets}:WIDTH", {}, KNOWLEDGE)


def test_an_argument_too_many_is_told_with_the_signature(nets: str) -> None:
    with pytest.raises(InitlintError) as raised:
        build(f"{nets}:make", {"width": 3}, KNOWLEDGE)
    assert "unexpected keyword argument 'width'" in raised.value.what
    assert "make(depth: int = 2)" in str(raised.value.hint)


def test_the_users_error_has_the_users_traceback(nets: str) -> None:
    with pytest.raises(UserCodeError) as raised:
        build(f"{nets}:Broken", {}, KNOWLEDGE)
    text = raised.value.traceback
    assert 'self.fc = nn.Linear(3, "wide")' in text
    assert "TypeError" in text
    assert "initlint/" not in text
    with pytest.raises(UserCodeError, match="KeyError: 'weights'"):
        build(f"{nets}:give_up", {}, KNOWLEDGE)
    with pytest.raises(UserCodeError, match="SystemExit"):
        build(f"{nets}:leave", {}, KNOWLEDGE)


def test_an_import_that_fails_inside_the_users_module_is_theirs(tmp_path: Path) -> None:
    file = tmp_path / "imports_what_is_not_there.py"
    file.write_text("import nothing_of_the_kind\n")
    with pytest.raises(UserCodeError, match="No module named 'nothing_of_the_kind'"):
        build(f"{file}:Net", {}, KNOWLEDGE)


def test_random_numbers_go_on_where_they_were(nets: str) -> None:
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    first = build(f"{nets}:Net", {}, KNOWLEDGE).model
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(first.fc.weight, build(f"{nets}:Net", {}, KNOWLEDGE).model.fc.weight)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("depth=3", ("depth", 3)),
        ("rate=0.5", ("rate", 0.5)),
        ("act=relu", ("act", "relu")),
        ("bias=False", ("bias", False)),
        ("sizes=(1, 2)", ("sizes", (1, 2))),
        ("text='3'", ("text", "3")),
        ("norm=None", ("norm", None)),
        ("empty=", ("empty", "")),
    ],
)
def test_arguments_are_literals_or_words(text: str, value: object) -> None:
    assert parse_argument(text) == value


@pytest.mark.parametrize("text", ["depth", "=3", "a-b=3"])
def test_an_argument_without_a_name_is_refused(text: str) -> None:
    with pytest.raises(InitlintError, match="is not key=value"):
        parse_argument(text)


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("2x3x224x224", InputShape((2, 3, 224, 224))),
        ("5", InputShape((5,))),
        ("2,3", InputShape((2, 3))),
        ("int64:2x16", InputShape((2, 16), torch.int64)),
        ("mask=bool:2x16", InputShape((2, 16), torch.bool, "mask")),
        ("x=2x16", InputShape((2, 16), None, "x")),
    ],
)
def test_inputs_are_shapes_with_types_and_names(text: str, shape: InputShape) -> None:
    assert parse_input(text) == shape


@pytest.mark.parametrize("text", ["", "2xx3", "axb", "float99:2", "nn:2x3", "2x3:int64", "int3:2x3", "dtype:2"])
def test_an_input_that_means_nothing_is_refused(text: str) -> None:
    with pytest.raises(InitlintError):
        parse_input(text)


def test_indices_stay_inside_the_first_embedding() -> None:
    made = make_inputs([InputShape((64, 8), torch.int64)], nn.Sequential(nn.Embedding(5, 2), nn.Embedding(50, 2)))
    assert made.args[0].dtype == torch.int64
    assert int(made.args[0].max()) == 4
    small = make_inputs([InputShape((64, 8), torch.uint8)], nn.Embedding(1000, 2))
    assert small.args[0].dtype == torch.uint8


def test_inputs_come_from_a_function(nets: str) -> None:
    model = build(f"{nets}:Net", {}, KNOWLEDGE).model
    assert call_inputs(f"{nets}:batch", model).kwargs["x"].shape == (2, 8)
    assert as_inputs(torch.ones(2)).args[0].shape == (2,)
    assert len(as_inputs((1, 2)).args) == 2


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(30, 8)
        self.image = nn.Conv2d(3, 8, 3)

    def forward(self, ids: torch.Tensor, image: torch.Tensor, scale: float = 1.0) -> torch.Tensor:
        return self.words(ids).mean(1) + scale * self.image(image).mean((2, 3))


MODELS: dict[str, nn.Module] = {
    "features": nn.Sequential(nn.Flatten(), nn.Linear(7, 3)),
    "images": nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)),
    "large images only": nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.Flatten(), nn.Linear(4 * 111 * 111, 2)),
    "sequences": nn.LSTM(6, 5),
    "sounds": nn.Sequential(nn.Conv1d(2, 4, 5), nn.ReLU()),
    "words": nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 4)),
    "both": TwoInputs(),
}


@pytest.mark.parametrize("name", MODELS)
def test_inputs_are_made_up_from_the_layers_that_they_meet(name: str) -> None:
    model = MODELS[name]
    made = synthesize(model, trace_symbolically(model, KNOWLEDGE).calls)
    assert made is not None
    assert made.synthetic
    model(*made.args, **made.kwargs)


def test_inputs_that_cannot_be_guessed_are_not() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 4)

        def forward(self, x: list[int]) -> torch.Tensor:
            return self.fc(torch.tensor(x["values"]))  # type: ignore[call-overload]

    model = Odd()
    assert synthesize(model, trace_symbolically(model, KNOWLEDGE).calls) is None


def test_a_run_too_heavy_to_go_back_through_is_still_traced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("initlint.graph.inputs.spare_memory", lambda: 0.0)
    live = examine(nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2)), KNOWLEDGE)
    assert live.measurement is None
    assert live.inputs is not None
    assert [op.kind for op in live.model.ops] == ["input", "layer", "activation", "layer", "output"]


def test_a_smaller_batch_is_run_where_memory_does_not_bear_the_usual_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("initlint.graph.inputs.spare_memory", lambda: 1200.0)
    live = examine(nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2)), KNOWLEDGE)
    assert live.inputs is not None
    assert live.measurement is not None
    assert 2 <= live.inputs.args[0].shape[0] < 32


@pytest.mark.parametrize(
    ("machine", "group", "spare"),
    [
        ("MemTotal: 9000 kB\nMemFree: 10 kB\nMemAvailable: 3000 kB\n", {}, 2000 * 1024),
        (
            "MemAvailable: 3000 kB\n",
            {"memory.max": "max", "memory.current": "7", "memory.stat": "anon 5\n"},
            2000 * 1024,
        ),
        (
            "MemAvailable: 9000000 kB\n",
            {"memory.max": "9000", "memory.current": "7000", "memory.stat": "anon 6000\ninactive_file 1000\n"},
            2000,
        ),
        ("MemAvailable: 9000000 kB\n", {"memory.max": "90", "memory.current": "120", "memory.stat": ""}, 0),
    ],
)
def test_the_memory_to_spare_is_that_of_the_machine_or_of_the_container(
    machine: str, group: dict[str, str], spare: float, tmp_path: Path
) -> None:
    (tmp_path / "meminfo").write_text(machine, encoding="ascii")
    for name, text in group.items():
        (tmp_path / name).write_text(text, encoding="ascii")
    assert spare_memory(tmp_path / "meminfo", tmp_path) == pytest.approx(spare)
