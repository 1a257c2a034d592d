"""The files that a command line means: what is named, and what lies in the folders that are named."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import translate
from pathlib import Path

from initlint.errors import InitlintError
from initlint.gitignore import IgnoreFile, is_ignored, read_ignore_file

SUFFIXES = (".py", ".ipynb")

DEFAULT_EXCLUDES = (
    ".bzr",
    ".direnv",
    ".eggs",
    ".git",
    ".git-rewrite",
    ".hg",
    ".initlint_cache",
    ".ipynb_checkpoints",
    ".mypy_cache",
    ".nox",
    ".pants.d",
    ".pyenv",
    ".pytest_cache",
    ".pytype",
    ".ruff_cache",
    ".svn",
    ".tox",
    ".venv",
    ".vscode",
    "__pypackages__",
    "_build",
    "buck-out",
    "build",
    "dist",
    "node_modules",
    "site-packages",
    "venv",
)


@dataclass(frozen=True, slots=True)
class Excludes:
    """What is left out: `globs` match a name or a path below `root`; `force` applies them to named files too."""

    root: Path
    globs: tuple[str, ...] = DEFAULT_EXCLUDES
    force: bool = False
    gitignore: bool = True

    def cover(self, path: Path) -> bool:
        """Whether a glob matches `path` itself."""
        name, whole = path.name, path.as_posix()
        below = whole.removeprefix(f"{self.root.as_posix().rstrip('/')}/")
        names, patterns = _matchers(self.globs)
        return name in names or any(any(map(pattern, (name, below, whole))) for pattern in patterns)

    def cover_any(self, path: Path) -> bool:
        """Whether a glob matches `path` or a folder below `root` that it lies in."""
        parents = [parent for parent in path.parents if parent != self.root and parent.is_relative_to(self.root)]
        return any(self.cover(candidate) for candidate in (path, *parents))


@functools.cache
def _matchers(globs: tuple[str, ...]) -> tuple[frozenset[str], tuple[Callable[[str], object], ...]]:
    """Plain names, which a look-up finds, and the matchers of all other globs."""
    plain = frozenset(glob.rstrip("/") for glob in globs if not set(glob.rstrip("/")) & set("*?[/"))
    others = (glob.rstrip("/") for glob in globs if glob.rstrip("/") not in plain)
    return plain, tuple(re.compile(translate(glob)).match for glob in others)


def find_files(paths: Sequence[Path], excludes: Excludes) -> tuple[Path, ...]:
    """Every Python file and notebook that `paths` mean, absolute, each once, sorted within a folder.

    A file that is named is taken whatever its suffix and even where it is excluded, unless `excludes.force`.
    Raises InitlintError for a path that does not exist.
    """
    found: dict[Path, None] = {}
    for named in paths:
        path = Path(os.path.abspath(named))  # noqa: PTH100 - resolve() would follow links and rename what was named
        if not path.exists():
            raise InitlintError("no such file or folder", where=str(named), hint="check the spelling of the path")
        if path.is_dir():
            ignores = _ignore_files_above(path) if excludes.gitignore else ()
            if not (excludes.force and excludes.cover_any(path)):
                found.update(dict.fromkeys(_walk(path, excludes, ignores)))
        elif not (excludes.force and excludes.cover_any(path)):
            found[path] = None
    return tuple(found)


def _walk(folder: Path, excludes: Excludes, ignores: tuple[IgnoreFile, ...]) -> Iterator[Path]:
    own = read_ignore_file(folder) if excludes.gitignore else None
    if own is not None:
        ignores = (*ignores, own)
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except PermissionError:
        raise InitlintError("the folder cannot be read", where=str(folder), hint="exclude it with --exclude") from None
    for entry in entries:
        path = folder / entry.name
        is_folder = entry.is_dir(follow_symlinks=False)
        if not is_folder and not entry.name.endswith(SUFFIXES):
            continue
        if excludes.cover(path) or is_ignored(path, ignores, is_folder=is_folder):
            continue
        if is_folder:
            yield from _walk(path, excludes, ignores)
        elif entry.is_file():
            yield path


def _ignore_files_above(folder: Path) -> tuple[IgnoreFile, ...]:
    """The .gitignore files of the folders between the repository's root and `folder`, outermost first."""
    files: list[IgnoreFile] = []
    if (folder / ".git").exists():
        return ()
    for parent in folder.parents:
        if (file := read_ignore_file(parent)) is not None:
            files.append(file)
        if (parent / ".git").exists():
            return tuple(reversed(files))
    return ()
