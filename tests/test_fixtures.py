"""The fixtures say on every line what the linter must report there; this holds it to that, in both directions.

Every fixture also runs: what is linted here is code that builds a model and passes data through it.
"""

from __future__ import annotations

import importlib
import io
import math
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from initlint.config import Settings
from initlint.engine import Fixes, check, read_sources
from initlint.files import find_files
from initlint.knowledge import load_knowledge, load_rules
from initlint.source import scan
from tests.fixture_marks import Mark, Report, disagreements, read_examples, read_marks, read_requirements

if TYPE_CHECKING:
    from torch import nn

    from initlint.model import Finding, Layer

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
FILES = sorted([*(FIXTURES / "idioms").glob("*.py"), *(FIXTURES / "article").glob("*.py")])
PROJECTS = sorted(folder for folder in (FIXTURES / "projects").iterdir() if folder.is_dir())
SETTINGS = Settings()

IDIOMS_PER_SECTION = {"a": 14, "b": 12, "c": 25, "d": 21, "e": 8, "f": 14}
"""How many ways of writing a model the catalogue holds, by its sections."""

PENDING: frozenset[str] = frozenset()
"""The codes that fixtures expect and that no rule reports yet. It may only shrink."""


def python_files(folder: Path) -> list[Path]:
    """All sources of a project, in order."""
    return sorted(folder.rglob("*.py"))


ALL_FILES = [*FILES, *(path for folder in PROJECTS for path in python_files(folder))]


def label(path: Path) -> str:
    """What a test is called by."""
    return path.relative_to(FIXTURES).as_posix()


def lint(paths: Iterable[Path]) -> tuple[Finding, ...]:
    """What is reported in `paths`, with the default settings whatever the surroundings say."""
    return check(read_sources(find_files(list(paths), SETTINGS.excludes)), SETTINGS, fixes=Fixes.NONE).findings


def agree(problems: list[str]) -> None:
    """Fail with one line per disagreement."""
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)


def compare(findings: Iterable[Finding], copies: Mapping[Path, Path]) -> list[str]:
    """How findings in `copies` differ from the marks in the originals, file by file."""
    by_file: dict[Path, list[Report]] = {copy: [] for copy in copies}
    for finding in findings:
        report = Report(finding.site.line, finding.site.column, finding.code, finding.severity.label)
        by_file.setdefault(Path(finding.site.file), []).append(report)
    problems = []
    for copy, reports in by_file.items():
        original = copies[copy]
        marks = [mark for mark in read_marks(original) if mark.code not in PENDING]
        differences = disagreements(marks, reports, original.read_text(encoding="utf-8"))
        problems += [f"{original.name}:{line}" for line in differences]
    return problems


def copy_project(folder: Path, target: Path) -> dict[Path, Path]:
    """A project on its own, away from this repository; the copies of its sources by which they came from."""
    shutil.copytree(folder, target)
    return {target / path.relative_to(folder): path for path in python_files(folder)}


@pytest.mark.parametrize("path", FILES, ids=label)
def test_marks_of_a_file_are_what_is_reported(path: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copy(path, tmp_path))

    agree(compare(lint([copy]), {copy: path}))


@pytest.mark.parametrize("folder", PROJECTS, ids=label)
def test_marks_of_a_project_are_what_is_reported(folder: Path, tmp_path: Path) -> None:
    copies = copy_project(folder, tmp_path / folder.name)

    agree(compare(lint([tmp_path / folder.name]), copies))


@pytest.mark.parametrize("folder", PROJECTS, ids=label)
def test_each_file_of_a_project_alone_is_read_with_the_others_in_mind(folder: Path, tmp_path: Path) -> None:
    copies = copy_project(folder, tmp_path / folder.name)
    (tmp_path / folder.name / "pyproject.toml").touch()

    agree([problem for copy, original in copies.items() for problem in compare(lint([copy]), {copy: original})])


def test_files_beside_each_other_do_not_change_what_is_said_of_each(tmp_path: Path) -> None:
    copies = {Path(shutil.copy(path, tmp_path)): path for path in FILES}

    agree(compare(lint([tmp_path]), copies))


def test_no_fixture_is_reported_twice_for_the_same_layer() -> None:
    findings = lint(FILES)
    said = [(f.site, f.code, f.layer) for f in findings]

    assert sorted({entry for entry in said if said.count(entry) > 1}) == []


def test_every_idiom_has_a_fixture() -> None:
    written = {path.stem[:3] for path in (FIXTURES / "idioms").glob("*.py")}
    catalogue = {f"{section}{n:02}" for section, last in IDIOMS_PER_SECTION.items() for n in range(1, last + 1)}

    assert catalogue <= written


def test_every_idiom_has_silence_in_it() -> None:
    for path in (FIXTURES / "idioms").glob("*.py"):
        marked = {mark.line for mark in read_marks(path)}
        lines = len(path.read_text(encoding="utf-8").splitlines())
        assert len(marked) < lines / 4, path.name


def test_pending_codes_are_those_that_no_rule_reports_yet() -> None:
    expected = {mark.code for path in ALL_FILES for mark in read_marks(path)}

    assert expected - load_rules().keys() == PENDING


@contextmanager
def imported(path: Path, roots: Iterable[Path]) -> Iterator[ModuleType]:
    """The module in `path`, imported as those who start in one of `roots` import it, and forgotten afterwards.

    What other tests imported under a name that the folders define is out of the way meanwhile.
    """
    root = next(root for root in roots if path.is_relative_to(root))
    name = ".".join(path.relative_to(root).with_suffix("").parts)
    own = {each.relative_to(root).parts[0].removesuffix(".py") for each in root.rglob("*.py")}
    for other in [each for each in sys.modules if each.partition(".")[0] in own]:
        file = str(getattr(sys.modules[other], "__file__", None))
        if not file.startswith((sys.prefix, sys.base_prefix)):
            del sys.modules[other]
    before = set(sys.modules)
    try:
        yield importlib.import_module(name)
    finally:
        for added in set(sys.modules) - before:
            if str(FIXTURES) in str(getattr(sys.modules[added], "__file__", None)):
                del sys.modules[added]


def roots_of(path: Path) -> list[Path]:
    """The folders from which the modules of a fixture are imported, the innermost first."""
    project = next((folder for folder in PROJECTS if path.is_relative_to(folder)), None)
    if project is None:
        return [path.parent]
    return [folder for folder in (project / "src", project) if folder.is_dir()]


def state_file(shapes: Mapping[str, tuple[int, ...]]) -> io.BytesIO:
    """A checkpoint with random tensors of these shapes, for fixtures that load one."""
    import torch

    file = io.BytesIO()
    torch.save({name: torch.randn(*shape) for name, shape in shapes.items()}, file)
    file.seek(0)
    return file


RUNNABLE = [path for path in ALL_FILES if read_examples(path)]


def run_examples(path: Path, module: ModuleType) -> tuple[list[nn.Module], set[type]]:
    """Run what a fixture says runs; the modules that it calls first, and the classes of all that were called."""
    import torch

    names = {**vars(module), "torch": torch, "nn": torch.nn, "state_file": state_file}
    outermost: list[nn.Module] = []
    called: set[type] = set()
    depth = 0

    def enter(callee: nn.Module, _: object) -> None:
        nonlocal depth
        if depth == 0:
            outermost.append(callee)
        called.add(type(callee))
        depth += 1

    def leave(_: nn.Module, __: object, ___: object) -> None:
        nonlocal depth
        depth -= 1

    hooks = [
        torch.nn.modules.module.register_module_forward_pre_hook(enter),
        torch.nn.modules.module.register_module_forward_hook(leave),
    ]
    torch.manual_seed(0)
    try:
        for example in read_examples(path):
            depth = 0
            if example.error is None:
                eval(example.expression, names)
            else:
                with pytest.raises(Exception) as raised:  # noqa: PT011  its name is what is asked
                    eval(example.expression, names)
                assert raised.type.__name__ == example.error, example
    finally:
        for hook in hooks:
            hook.remove()
    return outermost, called


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("path", RUNNABLE, ids=label)
def test_a_fixture_builds_and_runs(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    roots = roots_of(path)
    for root in roots:
        monkeypatch.syspath_prepend(root)
    with imported(path, roots) as module:
        outermost, called = run_examples(path, module)
        own = [each for each in vars(module).values() if isinstance(each, type) and each.__module__ == module.__name__]

    raising = " ".join(example.expression for example in read_examples(path) if example.error)
    untouched = {
        each.__name__
        for each in own
        if issubclass(each, torch.nn.Module) and not any(issubclass(seen, each) for seen in called)
    }
    if path in FILES:
        assert {name for name in untouched if name not in raising} == set()
        assert outermost or raising


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_what_the_scanner_says_of_a_gain_is_what_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    compared, wrong = 0, []
    knowledge = load_knowledge()
    for path in FILES:
        if not read_examples(path):
            continue
        monkeypatch.syspath_prepend(path.parent)
        models = {model.name: model for model in scan([path], knowledge=knowledge).models}
        with imported(path, [path.parent]) as module:
            outermost, _ = run_examples(path, module)
        for net in outermost:
            model = models.get(type(net).__name__)
            for layer in model.layers if model is not None else ():
                said = said_gains(layer)
                if not said or (measured := measured_gain(net, layer)) is None:
                    continue
                compared += 1
                gain, tolerance = measured
                if all(abs(gain - one) > tolerance * one for one in said):
                    says = f"{layer.weight.function} has gain {said[0]:.3g}"
                    wrong.append(
                        f"{path.name}:{layer.site.line}: {layer.owner}.{layer.path} {says}, measured {gain:.3g}"
                    )

    agree(wrong)
    assert compared > LEAST_COMPARED


LEAST_COMPARED = 500
"""How many layers of the fixtures the scanner must at least know the gain of."""


def said_gains(layer: Layer) -> list[float]:
    """The gains of all that may have written a weight last, a write that may not happen first; none where one is not known."""
    writers = [layer.weight]
    for before in reversed(layer.history):
        if not writers[-1].conditional:
            break
        writers.append(before)
    gains = [writer.effective_gain for writer in writers]
    return [gain for gain in gains if gain is not None] if None not in gains else []


def measured_gain(net: nn.Module, layer: Layer) -> tuple[float, float] | None:
    """The std of a layer's weight times the root of its true fan_in, and how far chance takes that, relatively.

    None for what is no Linear or convolution of `net` itself, for parametrized weights and for constants.
    """
    from torch import nn

    if layer.owner != type(net).__name__ or layer.parametrization is not None or layer.weight.is_constant:
        return None
    try:
        found = net.get_submodule(layer.path)
    except AttributeError:
        return None
    if not isinstance(found, (nn.Linear, nn.modules.conv._ConvNd)):
        return None
    fan_in: float = found.weight[0].numel()
    if isinstance(found, nn.modules.conv._ConvNd) and found.transposed:
        taps = math.prod(found.kernel_size) / math.prod(found.stride)
        fan_in = found.in_channels // found.groups * taps
    return found.weight.std().item() * math.sqrt(fan_in), SIGMAS / math.sqrt(2 * found.weight.numel())


SIGMAS = 4.5
"""How many standard errors of a sample's std a measured gain may lie off."""


def test_a_mark_without_its_finding_is_a_disagreement() -> None:
    marks = (Mark(1, "INI101"), Mark(2, "INI101", count=2), Mark(3, "INI102", severities=frozenset({"info"})))
    reports = (
        Report(2, 5, "INI101", "info"),
        Report(2, 9, "INI101", "info"),
        Report(3, 5, "INI102", "warning"),
        Report(4, 5, "INI103", "info"),
    )

    found = disagreements(marks, reports, "first\nsecond\nthird\nfourth\n")

    assert found == [
        "- 1: INI101 expected, 0 reported    | first",
        "~ 3: INI102 info expected, reported as warning    | third",
        "+ 4: INI103 info reported, none expected    | fourth",
    ]


def test_a_mark_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    path.write_text("x = 1  # expect: INI101 serious\n", encoding="utf-8")

    with pytest.raises(ValueError, match=r"net\.py:1: cannot read the mark 'INI101 serious'"):
        read_marks(path)


def test_what_does_not_run_says_what_it_needs() -> None:
    silent = [path for path in FILES if not read_examples(path) and not read_requirements(path)]

    assert silent == []
