"""Where a syntax node stands, as readers count."""

from __future__ import annotations

from typing import TYPE_CHECKING

from initlint.model import Site

if TYPE_CHECKING:
    from initlint.source.values import Place


def site_of(place: Place | None) -> Site | None:
    """The text that a syntax node covers."""
    if place is None:
        return None
    node, file = place.node, place.file
    known = file.sites.get(node)
    if known is None and hasattr(node, "lineno"):
        known = file.sites[node] = Site(
            file.path,
            node.lineno,
            _column(file.lines, node.lineno, node.col_offset),
            node.end_lineno or node.lineno,
            _column(file.lines, node.end_lineno or node.lineno, node.end_col_offset or node.col_offset),
        )
    return known


def _column(lines: list[str], line: int, offset: int) -> int:
    """The parser counts bytes of UTF-8, people count characters, from 1."""
    text = lines[line - 1] if line <= len(lines) else ""
    if text.isascii():
        return offset + 1
    return len(text.encode()[:offset].decode(errors="ignore")) + 1
