"""What a notebook cell may hold besides Python, and the Python that stands for it without moving anything else."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_CELL_MAGIC = re.compile(r"\s*%%\w")
_TRANSPARENT = re.compile(r"\s*%%(?:capture|time|timeit|prun|memit|debug)\b")
"""Cell magics that run the rest of the cell as Python in the notebook's own namespace."""
_TIMED = re.compile(r"(?P<indent>\s*)(?P<magic>%(?:time|timeit|prun|memit)\s+(?:-\w+\s+(?:\d+\s+)?)*)(?P<code>[^\r]+)$")
"""Line magics that run the rest of the line as Python."""
_COMMAND = re.compile(r"(?P<indent>\s*)(?:[%!?]|[/,;]\w)")
_QUESTION = re.compile(r"(?P<indent>\s*)%{0,2}[A-Za-z_*][\w.*\[\]'\"]*\?{1,2}\s*$")
_ASSIGNED = re.compile(r"(?P<target>\s*[A-Za-z_][\w.,\[\]'\" ]*=\s*)[%!](?!=)")
_TOKEN = re.compile(r"#.*|\"\"\"|'''|\"(?:\\.|[^\"\\])*\"?|'(?:\\.|[^'\\])*'?|[(\[{]|[)\]}]")
_STATEMENT = "pass"
_VALUE = "get_ipython()"


@dataclass(frozen=True, slots=True)
class StandIn:
    """The beginning of a line that is no Python, `original`, and what stands for it in the program."""

    original: str
    program: str


def stand_ins(lines: Sequence[str]) -> Mapping[int, StandIn]:
    """What stands for the magics in a cell, by the index of the line. Python keeps its columns."""
    first = next((index for index, line in enumerate(lines) if line.strip()), 0)
    found: dict[int, StandIn] = {}
    if lines and _CELL_MAGIC.match(lines[first]):
        if not _TRANSPARENT.match(lines[first]):
            return as_comments(lines)
        found[first] = StandIn(lines[first], _STATEMENT)
    state = _State()
    for index, line in enumerate(lines):
        if index in found:
            continue
        if state.in_command:
            found[index] = StandIn(line, "")
            state.in_command = line.rstrip().endswith("\\")
            continue
        stand_in = _stand_in(line) if state.at_statement else None
        if stand_in is None:
            state.read(line)
            continue
        found[index] = stand_in
        state.in_command = line.rstrip().endswith("\\")
    return found


def as_comments(lines: Sequence[str]) -> Mapping[int, StandIn]:
    """Every line replaced by nothing: a cell in another language, or one that is no Python."""
    return {index: StandIn(line, "") for index, line in enumerate(lines)}


def _stand_in(line: str) -> StandIn | None:
    """What stands for a line that begins a statement; None where it is Python."""
    timed = _TIMED.match(line)
    if timed is not None and _is_python(timed["code"]):
        magic = f"{timed['indent']}{timed['magic']}"
        return StandIn(magic, f"{timed['indent']}0;{' ' * (len(timed['magic']) - 2)}")
    command = _COMMAND.match(line) or _QUESTION.match(line)
    if command is not None:
        return StandIn(line, f"{command['indent']}{_STATEMENT}")
    assigned = _ASSIGNED.match(line)
    return StandIn(line, f"{assigned['target']}{_VALUE}") if assigned is not None else None


def _is_python(code: str) -> bool:
    """Whether code is simple statements, which may stand behind a semicolon."""
    try:
        ast.parse(f"0;{code}")
    except (SyntaxError, ValueError):
        return False
    return True


class _State:
    """Where in the syntax the next line begins: at a statement, within brackets, a string or a shell command."""

    __slots__ = ("_continued", "_depth", "_quote", "in_command")

    def __init__(self) -> None:
        self.in_command = False
        self._depth = 0
        self._quote: str | None = None
        self._continued = False

    @property
    def at_statement(self) -> bool:
        """Whether a statement may begin here."""
        return not (self._depth or self._quote or self._continued)

    def read(self, line: str) -> None:
        """Go over one line of Python."""
        at = 0
        while at < len(line):
            if self._quote is not None:
                end = line.find(self._quote, at)
                if end < 0:
                    break
                at, self._quote = end + 3, None
            match = _TOKEN.search(line, at)
            if match is None:
                break
            at = match.end()
            part = match.group()
            if part in {'"""', "'''"}:
                self._quote = part
            elif part in "([{":
                self._depth += 1
            elif part in ")]}":
                self._depth = max(self._depth - 1, 0)
        self._continued = self._quote is None and line.rstrip("\r").endswith("\\")
