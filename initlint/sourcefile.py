"""A file's text as it was read, and the way back: every byte that was not edited stays."""

from __future__ import annotations

import codecs
import io
import os
import tempfile
import tokenize
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from initlint.errors import InitlintError

if TYPE_CHECKING:
    from initlint.cells import CellMap
    from initlint.source.notebook import Notebook

NOTEBOOK_SUFFIX = ".ipynb"


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A Python file: `text` without the byte order mark and with its own line ends; `data` the bytes it came from.

    The text of a `notebook` is the program in its cells.
    """

    path: Path
    text: str
    encoding: str
    bom: bool
    data: bytes
    notebook: Notebook | None = None

    @property
    def cells(self) -> CellMap | None:
        """Where the places in the program of a notebook lie for its readers; None for a plain file."""
        return None if self.notebook is None else self.notebook.cell_map(self.text)

    def stored(self, text: str) -> str:
        """What the file holds when its program is `text`: that text, or the JSON of a notebook around it."""
        if self.notebook is None:
            return text
        try:
            return self.notebook.stored(text)
        except ValueError as error:
            hint = "please report this; the file is as it was"
            raise InitlintError(f"cannot be fixed: {error}", where=str(self.path), hint=hint) from error

    def encode(self, text: str) -> bytes:
        """The bytes of the file when its program is `text`; InitlintError if its encoding cannot say it."""
        try:
            encoded = self.stored(text).encode(self.encoding)
        except UnicodeEncodeError as error:
            raise InitlintError(
                f"the fix needs {error.object[error.start : error.end]!r}, which {self.encoding} cannot write",
                where=str(self.path),
                hint="save the file as UTF-8",
            ) from None
        return codecs.BOM_UTF8 + encoded if self.bom else encoded


class UnreadableError(Exception):
    """A file that cannot be read as Python source; the message is one clause, line and column where reading stopped."""

    def __init__(self, message: str, *, remedy: str = "save it as UTF-8", line: int = 1, column: int = 1) -> None:
        super().__init__(message)
        self.remedy = remedy
        self.line = line
        self.column = column


def read(path: Path) -> SourceFile:
    """The text of `path`. Raises UnreadableError saying why it cannot be had."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UnreadableError(f"the file cannot be read: {(error.strerror or 'unknown reason').lower()}") from error
    return decode(path, data)


def decode(path: Path, data: bytes) -> SourceFile:
    """The text in `data` by Python's own rules (PEP 263). Raises UnreadableError for bytes that are none."""
    if path.suffix == NOTEBOOK_SUFFIX:
        return _decode_notebook(path, data)
    bom = data.startswith(codecs.BOM_UTF8)
    try:
        encoding = _declared_encoding(data)
        body = data.removeprefix(codecs.BOM_UTF8)
        return SourceFile(path, body.decode(encoding), encoding, bom, data)
    except SyntaxError as error:
        raise UnreadableError(f"the encoding cannot be told: {error.msg}") from error
    except UnicodeDecodeError as error:
        bad = error.object[error.start]
        raise UnreadableError(f"the file is not {error.encoding}: byte 0x{bad:02x} at offset {error.start}") from error


def _decode_notebook(path: Path, data: bytes) -> SourceFile:
    """The program in a notebook; an empty one, and the JSON is not looked at, where torch is not spoken of."""
    bom = data.startswith(codecs.BOM_UTF8)
    if b"torch" not in data:
        return SourceFile(path, "", "utf-8", bom, data)
    from initlint.source.notebook import NotebookError, read_notebook

    try:
        notebook = read_notebook(data.removeprefix(codecs.BOM_UTF8).decode())
    except UnicodeDecodeError as error:
        bad = error.object[error.start]
        raise UnreadableError(f"the file is not utf-8: byte 0x{bad:02x} at offset {error.start}") from error
    except NotebookError as error:
        raise UnreadableError(str(error), remedy=error.remedy, line=error.row, column=error.column) from error
    return SourceFile(path, notebook.program, "utf-8", bom, data, notebook)


def write_all(texts: Iterable[tuple[SourceFile, str]]) -> None:
    """Replace the text of every file, all or none.

    Everything that can be refused is refused before the first byte is written: a symbolic link, a file of several names,
    a file or folder that may not be written, a file that changed since it was read. Each file is replaced in one step
    and keeps its mode.
    """
    encoded = [(source, source.encode(text)) for source, text in texts]
    for source, _ in encoded:
        _require_writable(source)
    staged: list[tuple[SourceFile, Path]] = []
    try:
        for source, data in encoded:
            staged.append((source, _stage(source.path, data)))
        for source, _ in staged:
            _require_unchanged(source)
        for source, written in staged:
            with _telling(source.path):
                written.replace(source.path)
    finally:
        for _, written in staged:
            written.unlink(missing_ok=True)


def _declared_encoding(data: bytes) -> str:
    """The encoding a cookie on the first two lines names, else UTF-8."""
    head = data[:1024]
    if b"coding" not in head:
        return "utf-8"
    encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
    return "utf-8" if encoding == "utf-8-sig" else encoding


def _require_writable(source: SourceFile) -> None:
    path = source.path
    if path.is_symlink():
        hint = f"run initlint on the file that it points to, {path.resolve()}"
        raise InitlintError("is a symbolic link and was not written", where=str(path), hint=hint)
    _require_unchanged(source)
    state = path.stat()
    if not os.access(path, os.W_OK) or not state.st_mode & 0o222:
        raise InitlintError("is read-only and was not written", where=str(path), hint="make the file writable")
    if state.st_nlink > 1:
        # Replaced, it would part from its other names; written in place, it would change those too, and not in one step.
        names = f"{state.st_nlink} names on this disk (hard links)"
        hint = "put a copy in its place, or fix it where nothing else shares it"
        raise InitlintError(f"has {names} and was not written", where=str(path), hint=hint)
    if not os.access(path.parent, os.W_OK):
        hint = "a fix is written beside the file and moved over it: make the folder writable"
        raise InitlintError("lies in a read-only folder and was not written", where=str(path), hint=hint)


def _require_unchanged(source: SourceFile) -> None:
    path = source.path
    try:
        unchanged = path.read_bytes() == source.data
    except OSError as error:
        raise InitlintError(f"cannot be read again: {error.strerror}", where=str(path), hint="run again") from error
    if not unchanged:
        raise InitlintError("changed while initlint ran and was not written", where=str(path), hint="run again")


def _stage(path: Path, data: bytes) -> Path:
    """The bytes in a new file beside `path`, on disk and with its mode."""
    written: Path | None = None
    try:
        with _telling(path):
            descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
            written = Path(name)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            written.chmod(path.stat().st_mode & 0o7777)
    except BaseException:
        if written is not None:
            written.unlink(missing_ok=True)
        raise
    return written


@contextmanager
def _telling(path: Path) -> Iterator[None]:
    """Failures of the operating system told as failures to write `path`."""
    try:
        yield
    except OSError as error:
        hint = "the file is as it was"
        raise InitlintError(f"cannot be written: {error.strerror}", where=str(path), hint=hint) from error
