"""What a fix would change, as a unified diff that `patch` and `git apply` take."""

from __future__ import annotations

import re
from difflib import unified_diff
from pathlib import Path

from initlint.fingerprint import shown_path
from initlint.fix.edits import BYTE_ORDER_MARK
from initlint.report.style import Style
from initlint.sourcefile import SourceFile

_HEADER = 2


def unified(before: SourceFile, after: str, root: Path, *, color: bool = False) -> bytes:
    """The diff of one file, of the JSON if it is a notebook, as bytes of that file's encoding.

    Its paths are relative to `root`, in UTF-8.
    """
    style = Style(color)
    path = shown_path(str(before.path), root)
    mark = BYTE_ORDER_MARK if before.bom else ""
    old, new = (_lines(mark + before.stored(text)) for text in (before.text, after))
    out = []
    for position, line in enumerate(unified_diff(old, new, fromfile=path, tofile=path)):
        whole = line if line.endswith(("\n", "\r")) else f"{line}\n\\ No newline at end of file\n"
        out.append(_painted(whole, style).encode("utf-8" if position < _HEADER else before.encoding))
    return b"".join(out)


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
