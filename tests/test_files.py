"""Folders are searched as git and ruff search them; what is named is taken."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from initlint.errors import InitlintError
from initlint.files import Excludes, find_files
from initlint.gitignore import IgnoreFile, is_ignored, parse


def tree(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("", encoding="utf-8")


def found(root: Path, *paths: str, **options: object) -> list[str]:
    excludes = Excludes(root, **options)  # type: ignore[arg-type]
    return [p.relative_to(root).as_posix() for p in find_files([root / path for path in paths or (".",)], excludes)]


def test_python_files_in_order_and_once(tmp_path: Path) -> None:
    tree(tmp_path, "b.py", "a/c.py", "a/b.txt", "a/d.pyi", "z.py")
    assert found(tmp_path) == ["a/c.py", "b.py", "z.py"]
    assert found(tmp_path, "z.py", ".", "a") == ["z.py", "a/c.py", "b.py"]


def test_a_named_file_is_taken_whatever_it_is_called(tmp_path: Path) -> None:
    tree(tmp_path, "script", "build/gen.py")
    assert found(tmp_path, "script", "build/gen.py") == ["script", "build/gen.py"]


def test_a_missing_path_is_an_error_and_never_silence(tmp_path: Path) -> None:
    with pytest.raises(InitlintError, match="no such file or folder"):
        found(tmp_path, "nowhere")


def test_nothing_to_check_is_nothing(tmp_path: Path) -> None:
    assert found(tmp_path) == []


def test_default_excludes(tmp_path: Path) -> None:
    tree(
        tmp_path,
        ".venv/a.py",
        "build/a.py",
        "x/node_modules/a.py",
        "x/site-packages/a.py",
        "x/builder/a.py",
        ".hidden/a.py",
    )
    assert found(tmp_path) == [".hidden/a.py", "x/builder/a.py"]


def test_excludes_by_name_path_and_glob(tmp_path: Path) -> None:
    tree(tmp_path, "a/gen_x.py", "a/b/c.py", "a/d.py", "vendor/e.py")
    assert found(tmp_path, globs=("gen_*",)) == ["a/b/c.py", "a/d.py", "vendor/e.py"]
    assert found(tmp_path, globs=("a/b",)) == ["a/d.py", "a/gen_x.py", "vendor/e.py"]
    assert found(tmp_path, globs=("vendor/", "a/*.py")) == []


def test_force_exclude_reaches_named_files(tmp_path: Path) -> None:
    tree(tmp_path, "a/b/c.py", "d.py")
    assert found(tmp_path, "a/b/c.py", "d.py", globs=("a",), force=True) == ["d.py"]
    assert found(tmp_path, "a/b", globs=("a",), force=True) == []
    assert found(tmp_path, "a/b/c.py", globs=("a",)) == ["a/b/c.py"]


def test_gitignore_in_every_folder(tmp_path: Path) -> None:
    tree(tmp_path, "a.py", "gen.py", "pkg/gen.py", "pkg/keep.py", "pkg/drop.py", "out/x.py")
    (tmp_path / ".gitignore").write_text("gen.py\n/out/\n", encoding="utf-8")
    (tmp_path / "pkg" / ".gitignore").write_text("drop.py\n!gen.py\n", encoding="utf-8")
    assert found(tmp_path) == ["a.py", "pkg/gen.py", "pkg/keep.py"]
    assert "out/x.py" in found(tmp_path, gitignore=False)


def test_gitignore_above_the_folder_within_the_repository(tmp_path: Path) -> None:
    tree(tmp_path, "repo/.git/config", "repo/pkg/gen.py", "repo/pkg/a.py")
    (tmp_path / "repo" / ".gitignore").write_text("gen.py\n", encoding="utf-8")
    (tmp_path / ".gitignore").write_text("a.py\n", encoding="utf-8")
    assert found(tmp_path, "repo/pkg") == ["repo/pkg/a.py"]


def test_a_link_to_a_folder_is_not_followed(tmp_path: Path) -> None:
    tree(tmp_path, "a/x.py")
    (tmp_path / "a" / "loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "y.py").symlink_to(tmp_path / "a" / "x.py")
    assert found(tmp_path) == ["a/x.py", "y.py"]


def test_blank_lines_and_comments_are_no_patterns() -> None:
    assert parse("") is None
    assert parse("   ") is None
    assert parse("# comment") is None
    assert parse("/") is None
    assert parse("[z-a]") is None


PARTS = ("a", "b", "ab", "a.py", "b.pyc", "#x", "!x", "a b")
PIECES = st.sampled_from(("a", "b", "*", "?", "[ab]", "[!a]", ".py", "\\#x", "a b", "\\ "))
COMPONENTS = st.one_of(st.just("**"), st.lists(PIECES, min_size=1, max_size=3).map("".join))
GLOBS = st.builds(
    lambda negation, lead, components, tail: f"{negation}{lead}{'/'.join(components)}{tail}",
    st.sampled_from(("", "", "!", "#")),
    st.sampled_from(("", "/")),
    st.lists(COMPONENTS, min_size=1, max_size=3),
    st.sampled_from(("", "/", " ")),
).filter(lambda glob: "***" not in glob)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("git") is None:
        pytest.skip("git is what decides")
    root = tmp_path_factory.mktemp("repository")
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    return root


@settings(max_examples=60, deadline=None)
@given(
    lines=st.lists(GLOBS, min_size=1, max_size=3),
    parts=st.lists(st.sampled_from(PARTS), min_size=1, max_size=3),
)
def test_patterns_mean_what_git_says_they_mean(repository: Path, lines: list[str], parts: list[str]) -> None:
    (repository / ".gitignore").write_text("\n".join(lines) + "\n", encoding="utf-8")
    name = "/".join(parts)
    git = subprocess.run(
        ["git", "-c", "core.excludesFile=", "check-ignore", "-q", "--no-index", "--", name],
        cwd=repository,
        capture_output=True,
        check=False,
    )
    patterns = tuple(pattern for line in lines if (pattern := parse(line)) is not None)
    file = IgnoreFile(repository, patterns)
    path = repository / name
    folders = [parent for parent in path.parents if repository in parent.parents]
    ours = any(is_ignored(folder, [file], is_folder=True) for folder in folders)
    assert (ours or is_ignored(path, [file], is_folder=False)) == (git.returncode == 0)
