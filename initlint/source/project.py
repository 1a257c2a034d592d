"""The files of one program: which module each of them is, what it imports, and where an imported name comes from."""

from __future__ import annotations

import ast
import io
import itertools
import os
import re
import symtable
import sys
import tokenize
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from initlint.syntax import parsed

if TYPE_CHECKING:
    from initlint.model import Site

_ROOT_MARKS = ("pyproject.toml", "setup.py", "setup.cfg", ".git", "initlint.toml")
_SKIPPED_FOLDERS = frozenset(
    {
        ".git",
        ".hg",
        ".venv",
        "venv",
        "node_modules",
        "__pycache__",
        "build",
        "dist",
        "site-packages",
        ".tox",
        ".nox",
        ".eggs",
    }
)
_NOTEBOOK = ".ipynb"
_READ = (".py", _NOTEBOOK)
_INSTALLED = frozenset({"numpy", "torch", "torchaudio", "torchvision"})
_MOST_FILES = 20_000
_MOST_FOLDERS = 12
_WORD = re.compile(r"[A-Za-z_]\w*")


@dataclass(frozen=True, slots=True)
class SyntaxProblem:
    """A file that cannot be read as Python, and where reading stopped (line and column count from 1)."""

    file: str
    line: int
    column: int
    message: str


def _decoded(path: str) -> str:
    """The text of a Python file; of a notebook, the program that its cells make up."""
    raw = Path(path).read_bytes()
    if path.endswith(_NOTEBOOK):
        from initlint.source.notebook import NotebookError, read_notebook

        try:
            return read_notebook(raw.decode("utf-8-sig")).program
        except NotebookError as error:
            raise SyntaxError(str(error)) from error
    encoding, _ = tokenize.detect_encoding(io.BytesIO(raw).readline)
    return _with_plain_newlines(raw.decode(encoding))


def _with_plain_newlines(text: str) -> str:
    return io.IncrementalNewlineDecoder(None, translate=True).decode(text) if "\r" in text else text


class SourceFile:
    """One Python file; read and parsed when first asked for."""

    __slots__ = ("_problem", "_text", "_tree", "_words", "is_package", "lines_cache", "name", "path", "sites")

    def __init__(self, path: str, name: str, *, text: str | None = None) -> None:
        self.path = path
        self.name = name
        self.is_package = os.path.basename(path) == "__init__.py"
        self._text = None if text is None else _with_plain_newlines(text)
        self._tree: ast.Module | None = None
        self._words: frozenset[str] | None = None
        self._problem: SyntaxProblem | None = None
        self.lines_cache: list[str] | None = None
        self.sites: dict[ast.AST, Site] = {}

    def __repr__(self) -> str:
        return f"<file {self.path}>"

    @property
    def package(self) -> str:
        """The dotted package that relative imports start from."""
        return self.name if self.is_package else self.name.rpartition(".")[0]

    @property
    def text(self) -> str:
        """The decoded text, newlines as Python reads them; empty when the file cannot be read (see `problem`)."""
        if self._text is None:
            try:
                self._text = _decoded(self.path)
            except (OSError, SyntaxError, ValueError, LookupError) as error:
                reason = error.strerror if isinstance(error, OSError) else str(error)
                self._problem = SyntaxProblem(self.path, 1, 1, f"cannot read the file: {reason}")
                self._text = ""
        return self._text

    @property
    def tree(self) -> ast.Module | None:
        """The syntax tree, None when the file is no Python (see `problem`)."""
        if self._tree is None and self._problem is None:
            text = self.text
            if self._problem is not None:
                return None
            try:
                self._tree = parsed(text, self.path)
            except SyntaxError as error:
                column = max(error.offset or 1, 1)
                self._problem = SyntaxProblem(self.path, error.lineno or 1, column, error.msg)
            except (ValueError, RecursionError, MemoryError) as error:
                self._problem = SyntaxProblem(self.path, 1, 1, f"cannot parse the file: {error}")
        return self._tree

    @property
    def parses(self) -> bool:
        """Whether the file is Python, found out without building a tree (see `problem` when it is not)."""
        if self._tree is None and self._problem is None:
            text = self.text
            try:
                symtable.symtable(text, self.path, "exec")
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                return self.tree is not None
        return self._problem is None

    @property
    def body(self) -> list[ast.stmt]:
        """The statements at the top level; none when the file is no Python."""
        tree = self.tree
        return tree.body if tree is not None else []

    @property
    def problem(self) -> SyntaxProblem | None:
        """Why there is no tree; None as long as nobody has looked or all is well."""
        return self._problem

    @property
    def words(self) -> frozenset[str]:
        """Every identifier-like word in the text: a cheap over-approximation of the names it mentions."""
        if self._words is None:
            self._words = frozenset(_WORD.findall(self.text))
        return self._words

    @property
    def lines(self) -> list[str]:
        """The lines of the text, as the parser counts them."""
        if self.lines_cache is None:
            self.lines_cache = self.text.split("\n")
        return self.lines_cache


Imported = tuple[str, str, SourceFile | None, SourceFile | None]
"""What an import binds: a name, the name it has in its module ("" for a module), that module, a submodule."""


class Project:
    """All files around the ones that were named, found lazily by dotted name."""

    def __init__(self, files: Sequence[Path], sources: Mapping[str, str] | None = None) -> None:
        """`files` are the named ones, `sources` texts that stand in for what is on disk, by absolute path."""
        self._sources = dict(sources or {})
        self._by_path: dict[str, SourceFile] = {}
        self._by_name: dict[str, SourceFile | None] = {}
        self.imported: dict[SourceFile, tuple[Imported, ...]] = {}
        self._above: dict[str, list[str]] = {}
        self._root_of: dict[str, str] = {}
        self._found_below: dict[tuple[str, str], SourceFile | None] = {}
        self._found_beside: dict[tuple[str, str], SourceFile | None] = {}
        self.roots: list[str] = []
        self._shared_folder = os.path.commonpath([os.path.dirname(os.path.abspath(path)) for path in files] or [os.sep])
        self.targets = [self._add(os.path.abspath(path)) for path in files]

    def _add(self, path: str) -> SourceFile:
        if path in self._by_path:
            return self._by_path[path]
        root = import_root(path)
        if root not in self.roots:
            self.roots.append(root)
        name = _dotted(path, root)
        file = SourceFile(path, name, text=self._sources.get(path))
        self._by_path[path] = file
        self._by_name.setdefault(name, file)
        return file

    def file(self, path: str) -> SourceFile:
        """The file of the project at an absolute path."""
        return self._add(path)

    def module(self, name: str, asker: SourceFile) -> SourceFile | None:
        """The file of the module called `name`, as `asker` would import it; None when it is not part of the project."""
        if len(self.roots) > 1 and (own := self._from_own_root(name, asker)) is not None:
            return own
        known = self._by_name.get(name)
        if known is not None:
            return known
        if name in self._by_name:
            return self._beside(name, asker)
        for root in self.roots:
            found = self.under(root, name)
            if found is not None:
                self._by_name[name] = found
                return found
        self._by_name[name] = None
        return self._beside(name, asker)

    def _from_own_root(self, name: str, asker: SourceFile) -> SourceFile | None:
        """What lies where the imports of `asker` begin: other folders of scripts may have a module of that name, too."""
        folder = os.path.dirname(asker.path)
        root = self._root_of.get(folder)
        if root is None:
            root = self._root_of[folder] = import_root(asker.path)
        key = (root, name)
        if key not in self._found_below:
            self._found_below[key] = None if name.partition(".")[0] in _INSTALLED else self.under(root, name)
        return self._found_below[key]

    def _beside(self, name: str, asker: SourceFile) -> SourceFile | None:
        """What a script imports from its folder, and a namespace package from any folder above, up to the project's.

        A folder called ``torch`` that happens to lie there (``pkg/models/torch``) is not what anybody's ``import torch`` finds.
        """
        if name.partition(".")[0] in _INSTALLED:
            return None
        folder = os.path.dirname(asker.path)
        key = (folder, name)
        if key not in self._found_beside:
            folders = [each for each in self._folders_above(folder) if not _is_hidden(each, name)]
            self._found_beside[key] = next(filter(None, (self.under(each, name) for each in folders)), None)
        return self._found_beside[key]

    def _folders_above(self, folder: str) -> list[str]:
        known = self._above.get(folder)
        if known is not None:
            return known
        top = _marked_root(os.path.join(folder, "x.py")) or os.path.dirname(self._shared_folder)
        folders = [folder]
        while folders[-1] != top and len(folders) < _MOST_FOLDERS:
            folders.append(os.path.dirname(folders[-1]))
        self._above[folder] = folders
        return folders

    def under(self, folder: str, name: str) -> SourceFile | None:
        """The module called `name` relative to `folder`; the package of the folder itself when `name` is empty."""
        stem = os.path.join(folder, *name.split(".")) if name else folder
        for path in (os.path.join(stem, "__init__.py"), stem + ".py"):
            if path in self._by_path:
                return self._by_path[path]
            if path in self._sources or os.path.isfile(path):
                return self._add(path)
        return None

    def mentioning(self, names: Collection[str], known: Collection[SourceFile]) -> list[SourceFile]:
        """The other files of the project that use one of `names`; only these, found as bytes, become source files."""
        if not names or not self.targets:
            return []
        paths = self._around(known)
        if not paths:
            return []
        wanted = re.compile(rb"\b(?:" + "|".join(sorted(map(re.escape, names))).encode() + rb")\b")
        files = (self._add(path) for path in paths if path in self._sources or wanted.search(_bytes_of(path)))
        return [file for file in files if file.words & set(names)]

    def sorted_by(self, pattern: re.Pattern[bytes]) -> Mapping[str, list[SourceFile]]:
        """The files around the named ones, by each text that the one group of `pattern` finds in them."""
        found: dict[str, list[SourceFile]] = {}
        for path in self._around(self.targets):
            source = self._sources.get(path)
            for name in sorted(set(pattern.findall(_bytes_of(path) if source is None else source.encode()))):
                found.setdefault(name.decode(errors="replace"), []).append(self._add(path))
        return found

    def contents(self) -> Iterator[tuple[SourceFile, bytes]]:
        """All files of the program with their bytes, the named ones first."""
        for path in [*(file.path for file in self.targets), *self._around(self.targets)]:
            source = self._sources.get(path)
            yield self._add(path), _bytes_of(path) if source is None else source.encode()

    def _around(self, known: Collection[SourceFile]) -> list[str]:
        """The paths of all files of the project but those that are `known`."""
        read = {file.path for file in known}
        return [path for path in _project_files(file.path for file in self.targets) if path not in read]


def _is_hidden(folder: str, name: str) -> bool:
    """Whether a package's own ``types`` is reached by its full name only: the bare name means Python's."""
    standard = name.partition(".")[0] in sys.stdlib_module_names
    return standard and os.path.isfile(os.path.join(folder, "__init__.py"))


def _bytes_of(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""


def import_root(path: str) -> str:
    """The folder from which the file is imported: the first one above it that is neither a package nor inside one."""
    folder = _beside_packages(os.path.dirname(path))
    return folder if not _inside_source_tree(folder) else _source_tree(folder)


def _outermost_package(folder: str) -> str | None:
    """The package that `folder` is or lies in, however deep: below one, a folder without ``__init__.py`` is part of it."""
    found = None
    while folder != os.path.dirname(folder):
        if os.path.isfile(os.path.join(folder, "__init__.py")):
            found = folder
        elif _is_marked(folder):
            break
        folder = os.path.dirname(folder)
    return found


def _beside_packages(folder: str) -> str:
    """The folder that the outermost package around `folder` lies in; `folder` itself where there is none."""
    outermost = _outermost_package(folder)
    return os.path.dirname(outermost) if outermost is not None else folder


def _inside_source_tree(folder: str) -> bool:
    return _source_tree(folder) != folder


def _source_tree(folder: str) -> str:
    """Above namespace packages: the project's ``src`` or root folder, if the file lies in one."""
    root = project_root(os.path.join(folder, "x.py"))
    source = os.path.join(root, "src")
    if folder == source or folder.startswith(source + os.sep):
        return source
    return folder


def project_root(path: str) -> str:
    """The nearest folder above `path` that holds a project file, else the folder that its package lies in."""
    return _marked_root(path) or _beside_packages(os.path.dirname(path))


def _marked_root(path: str) -> str | None:
    probe = os.path.dirname(path)
    while True:
        if _is_marked(probe):
            return probe
        parent = os.path.dirname(probe)
        if parent == probe:
            return None
        probe = parent


def _is_marked(folder: str) -> bool:
    return any(os.path.exists(os.path.join(folder, mark)) for mark in _ROOT_MARKS)


def _project_files(paths: Iterable[str]) -> Iterator[str]:
    """The files of the projects around `paths`, each once: below a marked root, else of a package, else in the folder."""
    folders = dict.fromkeys(map(os.path.dirname, paths))
    seen: set[str] = set()
    for folder, whole in dict.fromkeys(map(_project_folder, folders)):
        found = itertools.islice(_python_files(folder), _MOST_FILES) if whole else _files_in(folder)
        for path in found:
            if path not in seen:
                seen.add(path)
                yield path


def _files_in(folder: str) -> list[str]:
    if not os.path.isdir(folder):
        return []
    return [os.path.join(folder, name) for name in sorted(os.listdir(folder)) if name.endswith(_READ)]


def _project_folder(folder: str) -> tuple[str, bool]:
    """Where the project of the files in `folder` begins, and whether all that is below belongs to it."""
    marked = _marked_root(os.path.join(folder, "x.py"))
    beginning = marked or _outermost_package(folder)
    return (beginning, True) if beginning is not None else (folder, False)


def _dotted(path: str, root: str) -> str:
    relative = os.path.relpath(path, root)
    stem = relative.removesuffix(".py")
    parts = stem.split(os.sep)
    if parts[-1] == "__init__" and len(parts) > 1:
        parts.pop()
    return ".".join(parts)


def _python_files(root: str) -> Iterator[str]:
    for folder, names, files in os.walk(root):
        names[:] = sorted(name for name in names if name not in _SKIPPED_FOLDERS and not name.startswith("."))
        for name in sorted(files):
            if name.endswith(_READ):
                yield os.path.join(folder, name)
