"""What a fixture says about itself, in comments: what the linter must report, how to run it, what it needs.

Comments and not names, because the linter must not see them:

    self.fc = nn.Linear(4, 4)  # expect: INI101 info
    # run: Net()(torch.randn(2, 4))
    # run: Net(depth=0)  # raises: ValueError
    # requires: timm

`# expect:` lists what is reported with its primary location on that line: a code, `xN` where it stands at N different
places of the line, and a severity (or several, separated by `|`) where the fixture fixes one. A line without a mark is
a line without a finding.
"""

from __future__ import annotations

import io
import re
import tokenize
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_EXPECT = re.compile(r"#\s*expect:\s*(?P<marks>[^#]+)")
_MARK = re.compile(r"(?P<code>INI\d{3})(?:\s+x(?P<count>\d+))?(?:\s+(?P<severities>[a-z]+(?:\|[a-z]+)*))?")
_RUN = re.compile(r"#\s*run:\s*(?P<expression>.+?)(?:\s+#\s*raises:\s*(?P<error>\w+))?\s*$")
_REQUIRES = re.compile(r"#\s*requires:\s*(?P<names>.+)$")
_SEVERITIES = frozenset({"info", "warning", "error"})


@dataclass(frozen=True, slots=True)
class Mark:
    """One code expected on one line, at `count` different places; no `severities` means any."""

    line: int
    code: str
    count: int = 1
    severities: frozenset[str] = frozenset()

    def __str__(self) -> str:
        """The mark as a fixture writes it, behind its line."""
        times = f" x{self.count}" if self.count > 1 else ""
        severity = f" {'|'.join(sorted(self.severities))}" if self.severities else ""
        return f"{self.line}: {self.code}{times}{severity}"


@dataclass(frozen=True, slots=True)
class Example:
    """One expression that runs a fixture, and the name of the exception it must raise, if any."""

    line: int
    expression: str
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """One thing the linter said, as marks can speak of it."""

    line: int
    column: int
    code: str
    severity: str


def _comments(text: str) -> Iterator[tuple[int, str]]:
    """Line and text of every comment."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def read_marks(path: Path) -> tuple[Mark, ...]:
    """Every `# expect:` of a file, in order; ValueError names the line of one that cannot be read."""
    return tuple(
        mark
        for line, comment in _comments(path.read_text(encoding="utf-8"))
        if (found := _EXPECT.match(comment))
        for mark in _parse(found["marks"], line, path)
    )


def _parse(marks: str, line: int, path: Path) -> Iterator[Mark]:
    """The comma-separated marks of one comment."""
    for part in marks.split(","):
        match = _MARK.fullmatch(part.strip())
        severities = frozenset(match["severities"].split("|")) if match and match["severities"] else frozenset()
        if match is None or not severities <= _SEVERITIES:
            message = f"{path.name}:{line}: cannot read the mark {part.strip()!r}"
            raise ValueError(message)
        yield Mark(line, match["code"], int(match["count"] or 1), severities)


def read_examples(path: Path) -> tuple[Example, ...]:
    """Every `# run:` of a file, in order."""
    return tuple(
        Example(line, found["expression"], found["error"])
        for line, comment in _comments(path.read_text(encoding="utf-8"))
        if (found := _RUN.match(comment))
    )


def read_requirements(path: Path) -> tuple[str, ...]:
    """The packages that a file needs beyond torch."""
    return tuple(
        name
        for _, comment in _comments(path.read_text(encoding="utf-8"))
        if (found := _REQUIRES.match(comment))
        for name in found["names"].split()
    )


def disagreements(marks: Iterable[Mark], reports: Iterable[Report], source: str) -> list[str]:
    """One readable line for each mark without its report and each report without its mark."""
    lines = source.splitlines()
    expected = {(mark.line, mark.code): mark for mark in marks}
    said = set(reports)
    places = Counter((line, code) for line, _, code in {(r.line, r.column, r.code) for r in said})
    problems = []
    for (line, code), mark in expected.items():
        if places[line, code] != mark.count:
            problems.append((line, f"- {mark} expected, {places[line, code]} reported"))
        severities = {r.severity for r in said if (r.line, r.code) == (line, code)}
        if mark.severities and severities - mark.severities:
            problems.append((line, f"~ {mark} expected, reported as {', '.join(sorted(severities))}"))
    for line, code in sorted(places.keys() - expected.keys()):
        severities = {r.severity for r in said if (r.line, r.code) == (line, code)}
        problems.append((line, f"+ {line}: {code} {'|'.join(sorted(severities))} reported, none expected"))
    return [f"{text}    | {lines[line - 1].strip()}" for line, text in sorted(problems)]
