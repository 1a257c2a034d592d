"""A few lines of source with the place underlined."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from initlint.model import Severity, Site
from initlint.report.style import Style

_TAB = 4


def frame(
    lines: Sequence[str],
    site: Site,
    style: Style,
    *,
    label: str = "",
    context: int = 2,
    gutter: int = 0,
    severity: Severity | None = None,
) -> list[str]:
    """The lines around `site`, numbered, its first line underlined as far as it goes; empty where it lies outside.

    `gutter` is the least width of the numbers. A severity colours the carets of the primary place, without one the
    place is a related one and underlined with dashes.
    """
    if not 1 <= site.line <= len(lines):
        return []
    first, last = max(1, site.line - context), min(len(lines), site.line + context)
    while first < site.line and not lines[first - 1].strip():
        first += 1
    while last > site.line and not lines[last - 1].strip():
        last -= 1
    width = max(gutter, len(str(last)))
    bar = style.frame("|")
    out = [f"{' ' * width} {bar}"]
    for row in range(first, last + 1):
        text = _expanded(lines[row - 1]).rstrip()
        out.append(f"{style.frame(str(row).rjust(width))} {bar} {text}".rstrip())
        if row == site.line:
            out.append(f"{' ' * width} {bar} {_underline(lines[row - 1], site, style, label, severity)}")
    out.append(f"{' ' * width} {bar}")
    return out


def _underline(line: str, site: Site, style: Style, label: str, severity: Severity | None) -> str:
    start = min(site.column - 1, len(line))
    end = site.end_column - 1 if site.end_line == site.line else len(line.rstrip())
    blank = _width(_expanded(line[:start]))
    length = max(1, _width(_expanded(line[: max(start, min(end, len(line)))])) - blank)
    mark = ("-" if severity is None else "^") * length
    painted = style.frame(mark) if severity is None else style.severity(mark, severity)
    words = style.frame(label) if severity is None else style.severity(label, severity)
    return f"{' ' * blank}{painted} {words}".rstrip()


def _expanded(text: str) -> str:
    return text.expandtabs(_TAB).replace("\x0c", " ")


def _width(text: str) -> int:
    """Columns on a terminal: wide characters take two, combining ones none."""
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )
