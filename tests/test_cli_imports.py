"""What is heavy is imported only by the run that needs it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import CLEAN, NET

HEAVY = ("torch", "libcst", "numpy", "matplotlib", "rich")
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}


def imported(folder: Path, *arguments: str) -> set[str]:
    """The modules that a run of the command line imports."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "initlint", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env=ENVIRONMENT,
    )
    assert "Traceback" not in done.stderr
    return set(re.findall(r"\|\s+([\w.]+)$", done.stderr, flags=re.MULTILINE))


@pytest.mark.parametrize("arguments", [("--help",), ("--version",)])
def test_help_and_version_import_click_and_next_to_nothing(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    modules = imported(tmp_path, *arguments)
    assert "click" in modules
    own = {name for name in modules if name.startswith("initlint")}
    assert own == {"initlint", "initlint.cli", "initlint.errors"}
    assert modules.isdisjoint({*HEAVY, "dataclasses", "importlib.metadata", "tomllib", "ast"} - imported_by_click())


def imported_by_click() -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", "import sys, click; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


@pytest.mark.parametrize("arguments", [("check",), ("check", "--fix"), ("inspect",), ("rule", "INI101")])
def test_a_clean_run_imports_nothing_heavy(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    (tmp_path / "clean.py").write_text(CLEAN, encoding="utf-8")
    modules = imported(tmp_path, *arguments)
    assert modules.isdisjoint(HEAVY)
    assert "initlint.engine" in modules or arguments[0] == "rule"


@pytest.mark.parametrize(
    ("arguments", "writes"), [((), False), (("--diff",), True), (("--output-format", "json"), True)]
)
def test_only_a_fix_that_is_written_imports_libcst_and_none_torch(
    tmp_path: Path, arguments: tuple[str, ...], *, writes: bool
) -> None:
    (tmp_path / "net.py").write_text(NET, encoding="utf-8")
    modules = imported(tmp_path, "check", "--no-cache", *arguments)
    assert "initlint.fix.draft" in modules
    assert ("libcst" in modules) is writes
    assert "torch" not in modules


def test_the_public_names_cost_nothing_until_they_are_used() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import sys, initlint; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
        env=ENVIRONMENT,
    )
    own = {name for name in done.stdout.split() if name.startswith("initlint")}
    assert own == {"initlint"}
