"""The fixtures say on every line what the linter must report there; this holds it to that, in both directions.

Every fixture also runs: what is linted here is code that builds a model and passes data through it.
"""

from __future__ import annotations

import importlib
import io
import shutil
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest

from initlint import check_paths
from initlint.config import Settings
from initlint.knowledge import load_rules
from initlint.model import Finding
from tests.fixture_marks import Mark, Report, disagreements, read_examples, read_marks, read_requirements

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
FILES = sorted([*(FIXTURES / "idioms").glob("*.py"), *(FIXTURES / "article").glob("*.py")])
PROJECTS = sorted(folder for folder in (FIXTURES / "projects").iterdir() if folder.is_dir())
SETTINGS = Settings()

IDIOMS_PER_SECTION = {"a": 14, "b": 12, "c": 25, "d": 20, "e": 8, "f": 14}
"""How many ways of writing a model the catalogue holds, by its sections."""

PENDING = frozenset(
    {
        "INI201", "INI202", "INI203", "INI204", "INI205", "INI206", "INI207", "INI301", "INI302",
        "INI303", "INI304", "INI305", "INI306", "INI307", "INI308", "INI309", "INI310", "INI311",
        "INI312", "INI313", "INI314", "INI315", "INI316", "INI317", "INI318", "INI319", "INI320",
    }
)  # fmt: skip
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
    return check_paths(paths, settings=SETTINGS)


def agree(problems: list[str]) -> None:
    """Fail with one line per disagreement."""
    if problems:
        pytest.fail("\n".join(["marks and findings disagree:", *problems]), pytrace=False)


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
    """The module in `path`, imported as those who start in one of `roots` import it, and forgotten afterwards."""
    before = set(sys.modules)
    root = next(root for root in roots if path.is_relative_to(root))
    name = ".".join(path.relative_to(root).with_suffix("").parts)
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


@pytest.mark.parametrize("path", RUNNABLE, ids=label)
def test_a_fixture_builds_and_runs(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    roots = roots_of(path)
    for root in roots:
        monkeypatch.syspath_prepend(root)
    forwarded: set[type] = set()
    hook = torch.nn.modules.module.register_module_forward_hook(lambda module, _, __: forwarded.add(type(module)))
    raising = ""
    try:
        with imported(path, roots) as module, warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            torch.manual_seed(0)
            names = {**vars(module), "torch": torch, "nn": torch.nn, "state_file": state_file}
            for example in read_examples(path):
                if example.error is None:
                    eval(example.expression, names)
                else:
                    raising += example.expression
                    with pytest.raises(Exception) as raised:  # noqa: PT011  its name is what is asked
                        eval(example.expression, names)
                    assert raised.type.__name__ == example.error
            classes = [value for value in vars(module).values() if isinstance(value, type)]
    finally:
        hook.remove()
    if path not in FILES:
        return
    untouched = [
        cls.__name__
        for cls in classes
        if issubclass(cls, torch.nn.Module)
        and cls.__module__ == module.__name__
        and not any(issubclass(seen, cls) for seen in forwarded)
        and cls.__name__ not in raising
    ]
    assert untouched == [] or raising


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
