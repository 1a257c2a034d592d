"""Every fix of a rule that speaks of events equals its twin, converges, and makes true on torch what the rule promises.

A fixture says in comments what it is: `# fix: unsafe` asks for the unsafe fixes, too, and each `# case:` names a model
and what it is called with. Below a case stand `# raises:` (what it raises as it is written), `# holds:` (what is true
after the fix, and was not before), `# silent:` (a warning that is gone), `# left` (no fix is certain).
"""

from __future__ import annotations

import ast
import codecs
import re
import subprocess
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from command_line import Shell

from initlint.config import Settings
from initlint.engine import Outcome, check, read_sources, text_source
from initlint.fix.edits import apply
from initlint.fix.fixers import FIXERS
from initlint.knowledge import load_rules
from initlint.model import Finding
from initlint.repair import Repair, is_applicable, repair
from initlint.selection import Layer, Selection
from initlint.sourcefile import write_all

FOLDER = Path(__file__).resolve().parent.parent / "fixtures" / "event_fixes"
FIXTURES = sorted(path for path in FOLDER.glob("*.py") if not path.name.endswith(".fixed.py"))
SELECTION = Selection(layers=(Layer(select=("INI2", "INI3")),))
each_fixture = pytest.mark.parametrize("fixture", [path.stem for path in FIXTURES], indirect=True)


@dataclass(frozen=True)
class Case:
    """A model that a fixture builds, what it is called with, and what is said of it."""

    model: str
    inputs: str
    raises: str | None = None
    holds: str | None = None
    silent: str | None = None
    left: bool = False

    @property
    def name(self) -> str:
        return self.model.partition("(")[0]


@dataclass
class Fixture:
    """A file with faults, read as the only file of `folder`."""

    path: Path
    folder: Path

    @property
    def key(self) -> str:
        return str(self.folder / "net.py")

    @property
    def text(self) -> str:
        return self.path.read_bytes().decode()

    @property
    def twin(self) -> str:
        return self.path.with_suffix(".fixed.py").read_bytes().decode()

    @property
    def settings(self) -> Settings:
        return Settings(unsafe_fixes="# fix: unsafe" in self.text, selection=SELECTION)

    @cached_property
    def outcome(self) -> Outcome:
        return check(text_source(self.text, self.key), self.settings)

    @cached_property
    def repaired(self) -> Repair:
        return repair(self.outcome, self.settings)

    @property
    def cases(self) -> Iterator[Case]:
        for block in re.findall(r"(?m)^# case: .*\n(?:^# (?:raises|holds|silent|left)\b.*\n?)*", _unix(self.text)):
            first, *rest = block.splitlines()
            model, inputs = re.fullmatch(r"# case: (.*?\)), (.*)", first).groups()  # type: ignore[union-attr]
            said = dict(line.removeprefix("# ").partition(": ")[::2] for line in rest)
            yield Case(model, inputs, said.get("raises"), said.get("holds"), said.get("silent"), left="left" in said)


def _unix(text: str) -> str:
    return text.replace("\r\n", "\n")


@pytest.fixture(scope="module")
def fixture(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Fixture:
    return Fixture(FOLDER / f"{request.param}.py", tmp_path_factory.mktemp("project"))


def test_every_fixer_has_its_fixture_and_every_fixture_its_twin() -> None:
    rules = load_rules()
    written = {path.stem for path in FIXTURES}
    assert {rules[code].name.replace("-", "_") for code in FIXERS} <= written
    assert {path.name.removesuffix(".fixed.py") for path in FOLDER.glob("*.fixed.py")} == written


def test_the_pages_say_which_rules_have_a_fix() -> None:
    fixed = {code for code, rule in load_rules().items() if rule.fix != "none" and code[:4] in ("INI2", "INI3")}
    assert fixed == FIXERS.keys()


@each_fixture
def test_the_repair_equals_its_twin(fixture: Fixture) -> None:
    assert fixture.repaired.texts.get(fixture.key, fixture.text) == fixture.twin


@each_fixture
def test_the_findings_are_gone_and_none_is_new(fixture: Fixture) -> None:
    before = {(one.code, one.layer) for one in fixture.outcome.findings}
    after = {(one.code, one.layer) for one in fixture.repaired.outcome.findings}
    answered = [one for one in fixture.repaired.outcome.findings if is_applicable(one, fixture.settings)]
    assert after <= before
    assert answered == []
    assert fixture.repaired.fixed


@each_fixture
def test_a_second_run_changes_nothing(fixture: Fixture) -> None:
    again = check(text_source(fixture.twin, fixture.key), fixture.settings)
    assert repair(again, fixture.settings).texts == {}


@each_fixture
def test_every_fix_alone_parses_and_answers_its_finding(fixture: Fixture) -> None:
    outcome = fixture.outcome
    for finding in outcome.findings:
        if finding.fix is None:
            continue
        text = apply(fixture.text, finding.fix.edits)
        ast.parse(text)
        again = check(outcome.sources.with_texts({fixture.key: text}), fixture.settings)
        assert _count(again.findings, finding) < _count(outcome.findings, finding)
        assert len(again.findings) < len(outcome.findings)


def _count(findings: tuple[Finding, ...], like: Finding) -> int:
    return sum((one.code, one.layer) == (like.code, like.layer) for one in findings)


@each_fixture
def test_only_the_fix_of_the_last_round_touches_a_line(fixture: Fixture) -> None:
    """What is neither part of a fix nor moved by one stays byte for byte, newlines included."""
    assert (fixture.twin.count("\r\n") == 0) == (fixture.text.count("\r\n") == 0)
    assert "\n" not in fixture.twin.replace("\r\n", "") or "\r\n" not in fixture.twin
    assert sorted(re.findall(r"#.*", _unix(fixture.text))) == sorted(re.findall(r"#.*", _unix(fixture.twin)))
    assert fixture.twin.endswith("\n") == fixture.text.endswith("\n")


def _windows(text: str) -> bytes:
    """Line ends of Windows, a byte order mark, and no end to the last line."""
    return codecs.BOM_UTF8 + _unix(text).rstrip("\n").replace("\n", "\r\n").encode()


def _aged(text: str) -> bytes:
    """An encoding of its own, and form feeds between the parts."""
    lines = _unix(text).replace("\nclass ", "\n\fclass ").split("\n")
    return "\n".join(["# -*- coding: latin-1 -*-", "# © Zoë", *lines]).encode("latin-1")


@pytest.mark.parametrize("dress", [_windows, _aged])
@each_fixture
def test_a_fixture_is_repaired_in_every_dress(fixture: Fixture, dress: Callable[[str], bytes], tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    path.write_bytes(dress(fixture.text))
    outcome = check(read_sources([path]), fixture.settings)
    (source,) = outcome.sources.files.values()
    write_all([(source, text) for text in repair(outcome, fixture.settings).texts.values()])
    assert path.read_bytes() == dress(fixture.twin)


@each_fixture
def test_the_difference_applied_with_patch_is_the_repair(fixture: Fixture, shell: Shell) -> None:
    shell.write("net.py", fixture.text)
    unsafe = ["--unsafe-fixes"] if fixture.settings.unsafe_fixes else []
    shown = shell("check", "--isolated", "--select", "INI2,INI3", "--no-cache", "--diff", *unsafe, "net.py")
    command = ["patch", "--binary", "-s", "-p0"]
    subprocess.run(command, input=shown.out.encode(), cwd=shell.folder, check=True)
    assert shell.read("net.py") == fixture.twin


@pytest.mark.parametrize("code", FIXERS)
def test_an_example_of_the_page_is_repaired(code: str, tmp_path: Path) -> None:
    settings = Settings(unsafe_fixes=True, selection=Selection(layers=(Layer(select=(code,)),)))
    repaired = []
    for number, text in enumerate(load_rules()[code].examples):
        outcome = check(text_source(text, str(tmp_path / f"example{number}.py")), settings)
        remaining = repair(outcome, settings).outcome.findings
        repaired.append(len(remaining) < len(outcome.findings))
    assert any(repaired)


UNCALLED = """\
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(256, 256)
        self.head = nn.Linear(256, 4)

    def init_weights(self):
        for m in self.modules():
            if isinstance(m, nn.Linear):
                nn.init.xavier_uniform(m.weight, gain=0.2)
                nn.init.zeros_(m.bias)

    def forward(self, x):
        return self.head(torch.relu(self.hidden(x)))
"""


@pytest.mark.parametrize(
    ("method", "advised"),
    [
        ("def init_weights(self):\n        nn.init.zeros_(self.fc.weight)", "self.init_weights()"),
        ("def init_weights(self, m):\n        nn.init.zeros_(m.weight)", "self.apply(self.init_weights)"),
        ("def init_weights(self, b):\n        nn.init.uniform_(self.fc.weight, -b, b)", "self.init_weights(...)"),
    ],
)
def test_a_method_that_nothing_calls_is_to_be_called_as_it_asks(method: str, advised: str, tmp_path: Path) -> None:
    text = f"""\
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 8)

    {method}
"""
    assert _help_of_uncalled(text, tmp_path).startswith(f"write `{advised}` at the end of `__init__`")


@pytest.mark.parametrize(
    ("function", "advised"),
    [
        ("def init_weights(m):\n    nn.init.zeros_(m.weight)", "net.apply(init_weights)"),
        ("def init_all(net):\n    for m in net.modules():\n        nn.init.zeros_(m.weight)", "init_all(net)"),
        ("def init_weights(m, std):\n    nn.init.normal_(m.weight, 0, std)", "init_weights(net, ...)"),
    ],
)
def test_a_function_that_nothing_calls_is_to_be_called_as_it_asks(function: str, advised: str, tmp_path: Path) -> None:
    text = f"from torch import nn\n\n\n{function}\n\n\nnet = nn.Linear(8, 8)\n"
    assert _help_of_uncalled(text, tmp_path).startswith(f"write `{advised}` after the model is built")


def _help_of_uncalled(text: str, folder: Path) -> str:
    findings = check(text_source(text, str(folder / "net.py")), Settings()).findings
    (told,) = (one.help for one in findings if one.code == "INI301")
    return str(told)


def test_layers_are_judged_by_what_runs_once_the_events_are_fixed(tmp_path: Path) -> None:
    key = str(tmp_path / "net.py")
    settings = Settings(unsafe_fixes=True)
    repaired = repair(check(text_source(UNCALLED, key), settings), settings)
    assert [one.code for one in repaired.fixed] == ["INI301", "INI306", "INI105"]
    assert repaired.outcome.findings == ()
    lines = repaired.texts[key].splitlines()
    assert lines[9] == "        self.init_weights()"
    assert [line.strip() for line in lines[14:18]] == [
        "nn.init.xavier_uniform_(m.weight, gain=0.2)",
        "nn.init.zeros_(m.bias)",
        'nn.init.kaiming_uniform_(self.hidden.weight, nonlinearity="relu")',
        "",
    ]


def test_what_only_a_live_module_showed_is_fixed_as_well(shell: Shell) -> None:
    pytest.importorskip("torch")
    shell.write("net.py", (FOLDER / "padding_row_overwritten.py").read_text())
    shown = shell("trace", "net.py:Number", "--isolated", "--select", "INI207", "--unsafe-fixes", "--diff")
    added = [line for line in shown.out.splitlines() if line.startswith("+ ")]
    assert added == ["+        nn.init.zeros_(self.words.weight[self.words.padding_idx])"]


@each_fixture
def test_torch_shows_what_the_fix_is_worth(fixture: Fixture) -> None:
    pytest.importorskip("torch")
    cases = list(fixture.cases)
    assert cases
    for case in cases:
        _assert_as_said_before(case, fixture)
        if case.left:
            assert _class(fixture.text, case.name) == _class(fixture.twin, case.name), case.name
        else:
            assert _class(fixture.text, case.name) != _class(fixture.twin, case.name), case.name
            _assert_as_said_after(case, fixture)


def _class(text: str, name: str) -> str:
    found = next(node for node in ast.parse(text).body if isinstance(node, ast.ClassDef) and node.name == name)
    return ast.unparse(found)


def _assert_as_said_before(case: Case, fixture: Fixture) -> None:
    if case.raises is not None:
        with pytest.raises(Exception) as raised:  # noqa: PT011  its name is what is asked
            _run(fixture.text, case)
        assert raised.type.__name__ == case.raises, case.name
    elif case.silent is not None:
        assert case.silent in _run(fixture.text, case)[1], case.name
    elif case.holds is not None:
        names, _ = _run(fixture.text, case)
        assert not eval(case.holds, names), case.name


def _assert_as_said_after(case: Case, fixture: Fixture) -> None:
    names, warned = _run(fixture.twin, case)
    assert case.holds is None or eval(case.holds, names), case.name
    assert case.silent is None or case.silent not in warned, case.name


def _run(text: str, case: Case) -> tuple[dict[str, Any], Any]:
    """The names of the fixture with its model after one forward pass, and the warnings that came."""
    import torch

    torch.manual_seed(0)
    names: dict[str, Any] = {"__name__": "fixture"}
    exec(compile(text, "net.py", "exec"), names)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        model = eval(case.model, names)
        model(eval(case.inputs, {**names, "torch": torch}))
    return {**names, "model": model}, {each.category.__name__ for each in warned}
