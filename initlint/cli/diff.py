"""What a fix would change, as a unified diff that `patch` and `git apply` take."""

from __future__ import annotations

import re
from difflib import unified_diff
from pathlib import Path

from initlint.fingerprint import shown_path
from initlint.report.style import Style
from initlint.sourcefile import SourceFile


def unified(before: SourceFile, after: str, root: Path, *, color: bool = False) -> str:
    """The diff of one file, of the JSON if it is a notebook; its paths are relative to `root`."""
    style = Style(color)
    path = shown_path(str(before.path), root)
    old = before.stored(before.text)
    out = []
    for line in unified_diff(_lines(old), _lines(before.stored(after)), fromfile=path, tofile=path):
        whole = line if line.endswith(("\n", "\r")) else f"{line}\n\\ No newline at end of file\n"
        out.append(_painted(whole, style))
    return "".join(out)


def _lines(text: str) -> list[str]:
    return re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+$", text)


def _painted(line: str, style: Style) -> str:
    body = line.rstrip("\r\n")
    end = line[len(body) :]
    if line.startswith(("---", "+++")):
        return style.bold(body) + end
    if line.startswith("@@"):
        return style.aside(body) + end
    if line.startswith("+"):
        return style.added(body) + end
    return (style.removed(body) if line.startswith("-") else body) + end
