"""The patterns of a .gitignore file, as git reads them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Pattern:
    """One line: `expression` matches a whole path relative to the file's folder, ``/`` between its parts."""

    expression: re.Pattern[str]
    negated: bool
    folders_only: bool


@dataclass(frozen=True, slots=True)
class IgnoreFile:
    """The patterns of the .gitignore in `folder`, in order; the last that matches decides."""

    folder: Path
    patterns: tuple[Pattern, ...]

    def verdict(self, path: Path, *, is_folder: bool) -> bool | None:
        """Whether `path` is ignored (True), taken back (False), or not spoken of (None)."""
        relative = path.relative_to(self.folder).as_posix()
        for pattern in reversed(self.patterns):
            if pattern.folders_only and not is_folder:
                continue
            if pattern.expression.fullmatch(relative):
                return not pattern.negated
        return None


def is_ignored(path: Path, files: Sequence[IgnoreFile], *, is_folder: bool) -> bool:
    """Whether the nearest of `files` (outermost first) that speaks of `path` ignores it."""
    for file in reversed(files):
        verdict = file.verdict(path, is_folder=is_folder)
        if verdict is not None:
            return verdict
    return False


def read_ignore_file(folder: Path) -> IgnoreFile | None:
    """The .gitignore of `folder`, or None if it has none that can be read."""
    try:
        text = (folder / ".gitignore").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    patterns = tuple(pattern for line in text.splitlines() if (pattern := parse(line)) is not None)
    return IgnoreFile(folder, patterns) if patterns else None


def parse(line: str) -> Pattern | None:
    """The pattern on one line, None for a blank line or a comment."""
    text = re.sub(r"(?<!\\)[ \t]+$", "", line.rstrip("\r\n"))
    if not text or text.startswith("#"):
        return None
    negated = text.startswith("!")
    text = text.removeprefix("!")
    if text.startswith(("\\#", "\\!")):
        text = text[1:]
    folders_only = text.endswith("/")
    text = text.removesuffix("/")
    if not text:
        return None
    anchored = "/" in text
    prefix = "" if anchored else "(?:.*/)?"
    try:
        expression = re.compile(prefix + _translate(text.removeprefix("/")))
    except re.error:  # an impossible range such as [z-a] matches nothing
        return None
    return Pattern(expression, negated, folders_only)


def _translate(glob: str) -> str:
    """The regular expression of a git glob: ``*`` stays within a part of a path, ``**`` crosses them."""
    *parts, last = glob.split("/")
    folders = "".join("(?:.*/)?" if part == "**" else f"{_part(part)}/" for part in parts)
    return folders + (".+" if last == "**" else _part(last))


def _part(glob: str) -> str:
    """The regular expression of one part of a path."""
    out: list[str] = []
    position = 0
    for match in re.finditer(r"\\.|\*+|\?|\[!?\]?[^\]]*\]", glob):
        out += re.escape(glob[position : match.start()]), _piece(match.group())
        position = match.end()
    return "".join([*out, re.escape(glob[position:])])


def _piece(piece: str) -> str:
    if piece.startswith("["):
        inner = piece[1:-1]
        negation = "^" if inner[:1] in {"!", "^"} else ""
        return f"(?!/)[{negation}{_escaped_set(inner[len(negation) :])}]"
    if piece.startswith("\\"):
        return re.escape(piece[1])
    return "[^/]" if piece == "?" else "[^/]*"


def _escaped_set(inner: str) -> str:
    return inner.replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]").replace("^", "\\^")
