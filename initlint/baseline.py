"""The findings a project has decided to live with, in a file that survives line shifts and reads well in a diff."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from initlint.errors import InitlintError
from initlint.fingerprint import identity
from initlint.model import Finding

_VERSION = 1
_FIELDS = ("file", "code", "layer", "text")
Key = tuple[str, str, str, str]


def read_baseline(path: Path) -> Counter[Key]:
    """How often each known finding may occur. Raises InitlintError for a file that is missing or is no baseline."""
    hint = "write one with --write-baseline"
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["version"] != _VERSION:
            raise InitlintError(f"has version {document['version']}, not {_VERSION}", where=str(path), hint=hint)
        return Counter(
            {_key(entry): int(entry.get("count", 1)) for entry in document["findings"]},
        )
    except OSError as error:
        raise InitlintError(f"cannot be read: {error.strerror}", where=str(path), hint=hint) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InitlintError("is not a baseline", where=str(path), hint=hint) from error


def render_baseline(findings: Sequence[Finding], texts: Mapping[str, str], root: Path) -> str:
    """The baseline that knows exactly `findings`; paths are relative to `root`, the folder it is kept in."""
    counts = Counter(identity(finding, texts, root) for finding in findings)
    entries = [
        dict(zip(_FIELDS, key, strict=True)) | ({"count": count} if count > 1 else {})
        for key, count in sorted(counts.items())
    ]
    return json.dumps({"version": _VERSION, "findings": entries}, indent=2, ensure_ascii=False) + "\n"


def subtract(
    findings: Sequence[Finding], known: Counter[Key], texts: Mapping[str, str], root: Path
) -> tuple[tuple[Finding, ...], int]:
    """The findings that `known` does not account for, and how many of its entries nothing matched any more."""
    left = Counter(known)
    fresh = []
    for finding in findings:
        key = identity(finding, texts, root)
        if left[key] > 0:
            left[key] -= 1
        else:
            fresh.append(finding)
    return tuple(fresh), left.total()


def _key(entry: Mapping[str, object]) -> Key:
    file, code, layer, text = (str(entry[field]) for field in _FIELDS)
    return file, code, layer, text
