"""A file's text as it was read, and the way back: every byte that was not edited stays."""

from __future__ import annotations

import codecs
import io
import os
import tempfile
import tokenize
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from initlint.errors import InitlintError


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A Python file: `text` without the byte order mark and with its own line ends; `data` the bytes it came from."""

    path: Path
    text: str
    encoding: str
    bom: bool
    data: bytes

    def encode(self, text: str) -> bytes:
        """`text` as bytes of this file's encoding; InitlintError if the encoding cannot say it."""
        try:
            encoded = text.encode(self.encoding)
        except UnicodeEncodeError as error:
            raise InitlintError(
                f"the fix needs {error.object[error.start : error.end]!r}, which {self.encoding} cannot write",
                where=str(self.path),
                hint="save the file as UTF-8",
            ) from None
        return codecs.BOM_UTF8 + encoded if self.bom else encoded


class UnreadableError(Exception):
    """A file that cannot be read as Python source; the message is one clause."""


def read(path: Path) -> SourceFile:
    """The text of `path`. Raises UnreadableError saying why it cannot be had."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UnreadableError(f"the file cannot be read: {(error.strerror or 'unknown reason').lower()}") from error
    return decode(path, data)


def decode(path: Path, data: bytes) -> SourceFile:
    """The text in `data` by Python's own rules (PEP 263). Raises UnreadableError for bytes that are none."""
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


def write_all(texts: Iterable[tuple[SourceFile, str]]) -> None:
    """Replace the text of every file, all or none.

    Everything that can be refused is refused before the first byte is written: a symbolic link, a file or folder that
    may not be written, a file that changed since it was read. Each file is replaced in one step and keeps its mode.
    """
    staged = [(source, source.encode(text)) for source, text in texts]
    for source, _ in staged:
        _require_writable(source)
    for source, data in staged:
        _replace(source.path, data)


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
    try:
        unchanged = path.read_bytes() == source.data
    except OSError as error:
        raise InitlintError(f"cannot be read again: {error.strerror}", where=str(path), hint="run again") from error
    if not unchanged:
        raise InitlintError("changed while initlint ran and was not written", where=str(path), hint="run again")
    if not os.access(path, os.W_OK) or not path.stat().st_mode & 0o222:
        raise InitlintError("is read-only and was not written", where=str(path), hint="make the file writable")
    if not os.access(path.parent, os.W_OK):
        hint = "a fix is written beside the file and moved over it: make the folder writable"
        raise InitlintError("lies in a read-only folder and was not written", where=str(path), hint=hint)


def _replace(path: Path, data: bytes) -> None:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(path.stat().st_mode & 0o7777)
        Path(name).replace(path)
    except OSError as error:
        Path(name).unlink(missing_ok=True)
        hint = "the file is as it was"
        raise InitlintError(f"cannot be written: {error.strerror}", where=str(path), hint=hint) from error
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
