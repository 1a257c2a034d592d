"""Every repair equals its twin, converges, and gives the built model the gains it promises and nothing else."""

from __future__ import annotations

import ast
import codecs
import math
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from initlint.cli.diff import unified
from initlint.config import Settings
from initlint.engine import Outcome, check, read_sources, text_source
from initlint.fix.edits import apply
from initlint.fix.naming import name_layer
from initlint.fix.spelling import Source
from initlint.model import Finding, Initializer, Judgement, Layer
from initlint.repair import repair
from initlint.sourcefile import write_all

FOLDER = Path(__file__).resolve().parent.parent / "fixtures" / "fixes"
FIXTURES = sorted(path for path in FOLDER.glob("*.py") if not path.name.endswith(".fixed.py"))
LARGE = 2000
"""Weights with fewer elements scatter too much for a tolerance of 5 %."""

each_fixture = pytest.mark.parametrize("case", [path.stem for path in FIXTURES], indirect=True)


@dataclass
class Case:
    """A fixture with the settings it asks for, read as the only file of `folder`."""

    path: Path
    folder: Path

    @property
    def fixed(self) -> Case:
        return Case(self.path.with_suffix(".fixed.py"), self.folder)

    @property
    def key(self) -> str:
        return str(self.folder / "net.py")

    @property
    def text(self) -> str:
        return self.path.read_bytes().decode()

    @property
    def twin(self) -> str:
        return self.fixed.text

    @property
    def settings(self) -> Settings:
        return Settings(unsafe_fixes="# fix: unsafe" in self.text)

    @property
    def builds(self) -> str:
        found = re.search(r"# build: (.+?)\r?\n", self.text)
        assert found is not None, "say how the model is built"
        return found[1]

    @cached_property
    def outcome(self) -> Outcome:
        return check(text_source(self.text, self.key), self.settings)


@pytest.fixture(scope="module")
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    return Case(FOLDER / f"{request.param}.py", tmp_path_factory.mktemp("project"))


def test_no_twin_is_without_its_fixture() -> None:
    twins = {path.name.removesuffix(".fixed.py") for path in FOLDER.glob("*.fixed.py")}
    assert twins == {path.stem for path in FIXTURES}


@each_fixture
def test_the_repair_equals_its_twin(case: Case) -> None:
    repaired = repair(case.outcome, case.settings)
    assert repaired.texts.get(case.key, case.text) == case.twin


@each_fixture
def test_a_second_run_changes_nothing(case: Case) -> None:
    assert repair(case.fixed.outcome, case.settings).texts == {}


def _windows(text: str) -> bytes:
    """Line ends of Windows, a byte order mark, and no end to the last line."""
    return codecs.BOM_UTF8 + text.replace("\r\n", "\n").rstrip("\n").replace("\n", "\r\n").encode()


def _aged(text: str) -> bytes:
    """An encoding of its own, form feeds between the parts, tabs and blanks where nobody looks."""
    lines = text.replace("\r\n", "\n").replace("\nclass ", "\n\x0cclass ").split("\n")
    return "\n".join(["# -*- coding: latin-1 -*-", "# © Zoë  \t", *lines]).encode("latin-1")


@pytest.mark.parametrize("dress", [_windows, _aged])
@each_fixture
def test_only_the_bytes_of_the_edits_differ(case: Case, dress: Callable[[str], bytes]) -> None:
    """However a file is stored, its repair is stored likewise, and `patch` makes it of the diff."""
    path = case.folder / "net.py"
    path.write_bytes(dress(case.text))
    outcome = check(read_sources([path]), case.settings)
    (source,) = outcome.sources.files.values()
    repaired = repair(outcome, case.settings)
    texts = [(source, text) for text in repaired.texts.values()]
    diff = b"".join(unified(source, text, case.folder) for source, text in texts)
    write_all(texts)
    fixed = path.read_bytes()
    assert fixed == dress(case.twin)
    path.write_bytes(dress(case.text))
    if diff and shutil.which("patch") is not None:
        subprocess.run(["patch", "--binary", "-p0", "--quiet"], cwd=case.folder, input=diff, check=True)
        assert path.read_bytes() == fixed
        assert [path.name for path in case.folder.iterdir()] == ["net.py"]
    path.unlink()


@each_fixture
def test_what_is_advised_is_what_is_written(case: Case) -> None:
    for finding in case.outcome.findings:
        advised = re.match(r"write `([\w.]+)\([^,)]*(.*)\)`", finding.help or "")
        if finding.fix is not None and advised is not None:
            written = re.sub(r"\s", "", apply(case.text, finding.fix.edits)).replace(",)", ")")
            rest = advised[2].replace(" ", "")
            assert re.search(rf"{re.escape(advised[1])}\([^,()]+{re.escape(rest)}\)", written), finding.help


@each_fixture
def test_every_fix_alone_parses_and_answers_its_finding(case: Case) -> None:
    outcome = case.outcome
    for finding in outcome.findings:
        if finding.fix is None:
            continue
        text = apply(case.text, finding.fix.edits)
        ast.parse(text)
        again = check(outcome.sources.with_texts({case.key: text}), case.settings)
        assert (finding.code, finding.layer) not in {(one.code, one.layer) for one in again.findings}


@each_fixture
def test_the_built_model_has_the_gains_that_were_promised(case: Case) -> None:
    torch = pytest.importorskip("torch")
    findings = [finding for finding in case.outcome.findings if _is_applied(finding, case)]
    written = _initializers(case.fixed)
    model = _build(case.twin, case)
    for judgement in (judgement for finding in findings for judgement in finding.judgements):
        layer = judgement.layer
        for weight in _weights(case.text, layer, model):
            if weight.numel() < LARGE:
                continue
            fan = _fan(torch, weight, written[layer.owner, layer.path])
            assert float(weight.std()) * math.sqrt(fan) == pytest.approx(judgement.ideal, rel=0.05), layer.path


@each_fixture
def test_every_other_layer_keeps_its_initializer(case: Case) -> None:
    pytest.importorskip("torch")
    before, after = _initializers(case), _initializers(case.fixed)
    reported = {
        (judgement.layer.owner, judgement.layer.path)
        for finding in case.outcome.findings
        if _is_applied(finding, case)
        for judgement in finding.judgements
    }
    changed = {key for key, old in before.items() if _call(old) != _call(after[key])}
    assert reported <= changed
    assert all(len(_mismatched(case, key)) == 1 for key in changed - reported)
    old_model, new_model = _build(case.text, case), _build(case.twin, case)
    touched = {
        weight.data_ptr()
        for judgement in case.outcome.reading.judgements
        if (judgement.layer.owner, judgement.layer.path) in changed
        for weight in _weights(case.text, judgement.layer, new_model)
    }
    others = dict(new_model.named_parameters())
    for name, old in old_model.named_parameters():
        if "Uninitialized" not in type(old).__name__ and others[name].data_ptr() not in touched:
            _assert_alike(old.detach(), others[name].detach(), name)


def _assert_alike(old: Any, new: Any, name: str) -> None:
    """Same distribution, as far as a few hundred draws can tell; constants must be equal."""
    spread = float(old.std(correction=0))
    if spread == 0.0 or old.numel() < 64:
        assert spread > 0.0 or bool((old == new).all()), name
        return
    error = 6 * spread / math.sqrt(old.numel())
    assert float(new.std(correction=0)) == pytest.approx(spread, abs=error), name
    assert float(new.mean()) == pytest.approx(float(old.mean()), abs=2 * error), name


def _is_applied(finding: Finding, case: Case) -> bool:
    return finding.fix is not None and (finding.fix.applicability == "safe" or case.settings.unsafe_fixes)


def _initializers(case: Case) -> dict[tuple[str, str], Initializer]:
    """What last wrote every layer's weight, as the scanner reads it; on two branches, of the one that is written last."""
    judgements = sorted(case.outcome.reading.judgements, key=lambda one: one.layer.site.line)
    return {(one.layer.owner, one.layer.path): one.layer.weight for one in judgements}


def _call(initializer: Initializer) -> tuple[object, ...]:
    return initializer.source, initializer.function, initializer.arguments


def _mismatched(case: Case, key: tuple[str, str]) -> list[Judgement]:
    """The judgement of a layer that is a mismatch without being worth a report."""
    judgements = case.outcome.reading.judgements
    return [one for one in judgements if (one.layer.owner, one.layer.path) == key and one.verdict == "mismatch"]


def _build(text: str, case: Case) -> Any:
    import torch

    torch.manual_seed(0)
    namespace: dict[str, Any] = {"__name__": "fixture"}
    exec(compile(text, case.path.name, "exec"), namespace)
    return eval(case.builds, namespace)


def _weights(text: str, layer: Layer, model: Any) -> list[Any]:
    """The weights of one judged layer in every module of the model that holds one."""
    access = layer.access or name_layer(layer, Source(layer.site.file, text))
    assert access is not None
    root = re.split(r"[.\[]", access)[0]
    holders = [one for one in model.modules() if type(one).__name__ == layer.owner] if layer.owner else [model]
    named = [eval(access, {root: holder}) for holder in holders]
    return [(one if layer.kind == "Parameter" else one.weight).detach() for one in named]


def _fan(torch: Any, weight: Any, initializer: Initializer) -> float:
    """What an initializer divides the variance by, as torch counts it."""
    fan_in, fan_out = torch.nn.init._calculate_fan_in_and_fan_out(weight)
    function = str(initializer.function)
    if function.startswith("xavier"):
        return (fan_in + fan_out) / 2
    if function == "orthogonal_":
        return float(max(weight.shape[0], fan_in))
    return float(fan_out if ("mode", "fan_out") in initializer.arguments else fan_in)
