"""What makes a finding the same finding after lines above it moved."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from initlint.model import Finding, Site


def shown_path(file: str, root: Path) -> str:
    """`file` relative to `root` with forward slashes, where it lies below it."""
    path = Path(file)
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()


def source_line(site: Site, texts: Mapping[str, str]) -> str:
    """The first line of `site` without its indentation; empty where the text is not at hand."""
    lines = split_lines(texts.get(site.file, ""))
    return lines[site.line - 1].strip() if site.line <= len(lines) else ""


def split_lines(text: str) -> list[str]:
    """The lines of `text` as Python's tokenizer counts them: a form feed ends none."""
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def fingerprints(findings: Sequence[Finding], texts: Mapping[str, str], root: Path) -> tuple[str, ...]:
    """A digest for each finding, of its code, file, layer and line of source, told apart by an occurrence index."""
    seen: Counter[tuple[str, ...]] = Counter()
    digests = []
    for finding in findings:
        key = identity(finding, texts, root)
        digests.append(hashlib.sha256("\0".join((*key, str(seen[key]))).encode()).hexdigest()[:32])
        seen[key] += 1
    return tuple(digests)


def identity(finding: Finding, texts: Mapping[str, str], root: Path) -> tuple[str, str, str, str]:
    """File, code, layer and text of a finding: what stays when lines shift and measures change."""
    return (
        shown_path(finding.site.file, root),
        finding.code,
        finding.layer or "",
        source_line(finding.site, texts),
    )
