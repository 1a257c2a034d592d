"""What a run found is remembered under a digest of everything it depended on; nothing that is read back is ever run."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from itertools import islice
from pathlib import Path

from initlint import __version__, model
from initlint.model import Severity

FOLDER = ".initlint_cache"
_MOST_ENTRIES = 64
_MOST_FILES = 20_000
_SKIPPED = frozenset({".git", ".hg", ".venv", "venv", "node_modules", "__pycache__", "build", "dist", "site-packages"})


@dataclass(frozen=True, slots=True)
class Cache:
    """The remembered runs in one folder."""

    folder: Path

    def read(self, key: str) -> tuple[object, ...] | None:
        """What was written under `key`, None where there is nothing (or nothing that can be understood)."""
        try:
            text = (self.folder / f"{key}.json").read_text(encoding="utf-8")
            decoded = _decode(json.loads(text))
        except (OSError, ValueError, LookupError, TypeError):
            return None
        return decoded if isinstance(decoded, tuple) else None

    def write(self, key: str, values: tuple[object, ...]) -> None:
        """Remember `values`; where the folder cannot be written, nothing is remembered and the run is as good."""
        try:
            self._prepare()
            descriptor, name = tempfile.mkstemp(dir=self.folder, suffix=".tmp")
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(_encode(values), file)
            Path(name).replace(self.folder / f"{key}.json")
            self._prune()
        except OSError:
            return

    def _prepare(self) -> None:
        if self.folder.is_dir():
            return
        self.folder.mkdir(parents=True)
        (self.folder / ".gitignore").write_text("*\n", encoding="utf-8")
        (self.folder / "CACHEDIR.TAG").write_text("Signature: 8a477f597d28d172789f06886806bc55\n", encoding="utf-8")

    def _prune(self) -> None:
        """Forget the runs that were longest ago."""
        entries = sorted(self.folder.glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
        for path in entries[_MOST_ENTRIES:]:
            path.unlink(missing_ok=True)


def digest(texts: Mapping[str, str], words: Iterable[str]) -> str | None:
    """The key of a run: the texts it checks, every file of their projects as it is now, initlint itself and `words`.

    None where the files lie in no project but in so large a folder that looking at all of it costs more than it saves.
    """
    state = hashlib.sha256(f"{__version__} {sys.version}".encode())
    for file, text in texts.items():
        state.update(f"\0{file}\0{len(text)}\0".encode("utf-8", "surrogatepass"))
        state.update(text.encode("utf-8", "surrogatepass"))
    for word in words:
        state.update(f"\0{word}".encode())
    own = Path(__file__).parent
    roots = (*_roots(texts), str(own), str(own.parent / "rules"))
    stamps = list(islice((stamp for root in roots for stamp in _stamps(root)), _MOST_FILES + 1))
    if len(stamps) > _MOST_FILES:
        return None
    state.update("".join(stamps).encode("utf-8", "surrogateescape"))
    return state.hexdigest()


def _roots(files: Iterable[str]) -> list[str]:
    """The folders whose files the scanner may look into for the sake of `files`."""
    from initlint.source.project import import_root, project_root

    folders = {os.path.dirname(file): file for file in files}  # noqa: PTH120 - thousands of them
    roots = {root for file in folders.values() for root in (import_root(file), project_root(file))}
    return sorted(root for root in roots if not any(root.startswith(other + os.sep) for other in roots))


def _stamps(root: str) -> Iterator[str]:
    """Name, size and time of every file below `root` that a run may read."""
    for folder, names, files in os.walk(root):
        names[:] = sorted(name for name in names if name not in _SKIPPED and not name.startswith("."))
        for name in sorted(files):
            if name.endswith((".py", ".ipynb", ".toml", ".md")):
                path = f"{folder}{os.sep}{name}"
                status = os.stat(path)  # noqa: PTH116 - thousands of them
                yield f"\0{path}\0{status.st_size}\0{status.st_mtime_ns}"


def _encode(value: object) -> object:
    """`value` as JSON: the nouns of the model by name and fields, tuples as arrays."""
    if isinstance(value, Severity):
        return {"Severity": [int(value)]}
    if isinstance(value, tuple):
        return [_encode(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {type(value).__name__: [_encode(getattr(value, field.name)) for field in fields(value)]}
    if value is None or isinstance(value, str | int | float):
        return value
    raise TypeError(f"{type(value).__name__} cannot be remembered")


def _decode(value: object) -> object:
    """What `_encode` made into JSON; LookupError or TypeError for anything else."""
    if isinstance(value, list):
        return tuple(_decode(item) for item in value)
    if not isinstance(value, dict):
        return value
    ((name, arguments),) = value.items()
    noun = _NOUNS[name]
    return noun(*(_decode(argument) for argument in arguments))


_NOUNS: Mapping[str, type] = {
    name: noun
    for name, noun in vars(model).items()
    if isinstance(noun, type) and (is_dataclass(noun) or noun is Severity)
}
