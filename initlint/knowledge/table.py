"""A TOML table is read key by key, and whatever is wrong in it is named with its file and key."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from initlint.errors import InitlintError

Signature = tuple[tuple[str, object], ...]
T = TypeVar("T")

_ROOT = re.compile(r"(?:([\d.]+) / )?sqrt\(([\d.]+)\)")
_WORDS: Mapping[str, object] = MappingProxyType({"None": None, "True": True, "False": False})


class Table:
    """One TOML table; a getter takes its key out, so that `end` can name the keys that nobody asked for.

    `file` is what an error calls the file, `path` the key of this table in it, with a dot at its end.
    """

    __slots__ = ("_asked", "_values", "file", "path")

    def __init__(self, file: str, values: Mapping[str, object], path: str = "") -> None:
        self.file = file
        self.path = path
        self._values = dict(values)
        self._asked: list[str] = []

    def error(self, key: str, what: str, hint: str | None = None) -> InitlintError:
        """The error that says `what` is wrong with `key` of this table."""
        return InitlintError(what, where=f"{self.file}: {self.path}{key}", hint=hint)

    def take(self, key: str) -> object:
        """The value of `key`, or None where the table lacks it (TOML has no null)."""
        self._asked.append(key)
        return self._values.pop(key, None)

    def text(self, key: str, default: str | None = None) -> str:
        """A string; required without a `default`."""
        value = self.take(key)
        if value is None:
            value = default
        if isinstance(value, str):
            return value
        raise self._wrong(key, value, "a string")

    def choice(self, key: str, choices: tuple[T, ...], default: T | None = None) -> T:
        """One of the words in `choices`."""
        value = self.take(key)
        if value is None:
            value = default
        for choice in choices:
            if choice == value:
                return choice
        if value is None:
            raise self._wrong(key, value, "a string")
        near = difflib.get_close_matches(str(value), [str(choice) for choice in choices], 1)
        hint = f"did you mean {near[0]!r}?" if near else f"one of {', '.join(map(str, choices))}"
        raise self.error(key, f"{value!r} is not allowed here", hint)

    def number(self, key: str, default: float | None = None) -> float:
        """A number as float; required without a `default`."""
        value = self.take(key)
        if value is None:
            value = default
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return float(value)
        raise self._wrong(key, value, "a number")

    def optional_number(self, key: str) -> float | None:
        """A number as float, or None where the table lacks it."""
        return self.number(key) if key in self._values else None

    def optional_choice(self, key: str, choices: tuple[T, ...]) -> T | None:
        """One of the words in `choices`, or None where the table lacks it."""
        return self.choice(key, choices) if key in self._values else None

    def integers(self, key: str) -> tuple[int, ...]:
        """A list of whole numbers; empty where the table lacks it."""
        value = self.take(key)
        if value is None:
            return ()
        if isinstance(value, list) and all(isinstance(item, int) for item in value):
            return tuple(value)
        raise self._wrong(key, value, "a list of whole numbers")

    def texts(self, key: str) -> Mapping[str, str]:
        """A table of strings as a read-only mapping; empty where the table lacks it."""
        value = self.take(key)
        if value is None:
            return MappingProxyType({})
        if isinstance(value, dict) and all(isinstance(item, str) for item in value.values()):
            return MappingProxyType(value)
        raise self._wrong(key, value, "a table of strings")

    def flag(self, key: str, *, default: bool = False) -> bool:
        """A boolean, `default` where the table lacks it."""
        value = self.take(key)
        if value is None:
            return default
        if isinstance(value, bool):
            return value
        raise self._wrong(key, value, "true or false")

    def words(self, key: str) -> tuple[str, ...]:
        """A string of words, or a list of strings; empty where the table lacks it."""
        value = self.take(key)
        if value is None:
            return ()
        if isinstance(value, str):
            return tuple(value.split())
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return tuple(value)
        raise self._wrong(key, value, "a string of words or a list of strings")

    def lines(self, key: str) -> Iterator[str]:
        """The lines of a string that are not blank, stripped."""
        value = self.take(key)
        if value is None:
            return
        if not isinstance(value, str):
            raise self._wrong(key, value, "a string of lines")
        for line in value.splitlines():
            stripped = line.strip()
            if stripped:
                yield stripped

    def rows(self, key: str, columns: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        """The rows of a string that holds a table: its first line names the columns, ``|`` parts them.

        Each row has a cell for each of `columns`, empty where the table lacks it.
        """
        lines = self.lines(key)
        head = [name.strip() for name in next(lines, columns[0]).split("|")]
        for name in head:
            if name not in columns:
                raise self.error(key, f"has no column {name!r}", f"its columns: {', '.join(columns)}")
        places = [head.index(name) if name in head else None for name in columns]
        for line in lines:
            cells = [cell.strip() for cell in line.split("|")]
            if len(cells) > len(head):
                raise self.error(key, f"{line!r} has {len(cells)} cells for {len(head)} columns")
            cells.extend([""] * (len(head) - len(cells)))
            yield tuple("" if place is None else cells[place] for place in places)

    def intervals(self, key: str) -> tuple[tuple[float, float], ...] | None:
        """A list of [low, high] pairs with low < high, or None."""
        value = self.take(key)
        if value is None:
            return None
        if not isinstance(value, list):
            raise self._wrong(key, value, "a list of [low, high] pairs")
        return tuple(self._interval(key, item) for item in value)

    def numbers(self, key: str) -> tuple[tuple[str, float], ...] | None:
        """A table of names and numbers, in its order, or None."""
        table = self.table(key)
        return None if table is None else tuple((name, table.number(name)) for name in table.untaken())

    def mapping(self, key: str) -> Mapping[str, object] | None:
        """A table of scalars as a read-only mapping, or None."""
        value = self.take(key)
        if value is None:
            return None
        if isinstance(value, dict):
            return MappingProxyType(value)
        raise self._wrong(key, value, "a table")

    def table(self, key: str) -> Table | None:
        """The table under `key`, or None."""
        value = self.take(key)
        if value is None:
            return None
        if isinstance(value, dict):
            return Table(self.file, value, f"{self.path}{key}.")
        raise self._wrong(key, value, "a table")

    def untaken(self) -> tuple[str, ...]:
        """The keys that were not taken yet, in the order of the file."""
        return tuple(self._values)

    def tables(self) -> Iterator[tuple[str, Table]]:
        """Each table below this one that was not taken yet, with its key."""
        for key in self.untaken():
            table = self.table(key)
            if table is not None:
                yield key, table

    def signature(self, key: str) -> Signature:
        """Parameters with defaults, written as in Python (``input, p=0.5``); empty where the table lacks it."""
        return self.parameters(key, self.text(key, ""))

    def parameters(self, key: str, text: str) -> Signature:
        """The parameters that `text` lists; `...` stands for a required one, and a bare ``*`` is left out."""
        found: list[tuple[str, object]] = []
        for part in text.split(","):
            name, equals, default = part.strip().partition("=")
            if name == "*" or not (name or equals or found):
                continue
            if not name.lstrip("*").isidentifier():
                raise self.error(key, f"{part.strip()!r} is not a parameter", "write name or name=default")
            found.append((name, self._literal(key, default) if equals else ...))
        return tuple(found)

    def end(self) -> None:
        """Complain about a key that no getter asked for."""
        for key in self._values:
            near = difflib.get_close_matches(key, self._asked, 1)
            raise self.error(key, "nothing reads this key", f"did you mean {near[0]!r}?" if near else "remove it")

    def _literal(self, key: str, text: str) -> object:
        if text in _WORDS:
            return _WORDS[text]
        if len(text) > 1 and text[0] == text[-1] == "'":
            return text[1:-1]
        for number in (int, float):
            try:
                return number(text)
            except ValueError:
                continue
        raise self.error(key, f"{text!r} is not a default that can be read", "None, True, False, a number or 'text'")

    def _interval(self, key: str, item: object) -> tuple[float, float]:
        match item:
            case [int() | float() as low, int() | float() as high] if low < high:
                return float(low), float(high)
        raise self._wrong(key, item, "[low, high] with low < high")

    def _wrong(self, key: str, value: object, wanted: str) -> InitlintError:
        if value is None:
            return self.error(key, "is missing", f"add it: {wanted}")
        return self.error(key, f"{value!r} is not {wanted}")


def constant(text: str) -> str | float:
    """The number that `text` is (``0.5``, ``sqrt(5)``, ``1 / sqrt(3)``), or `text` where it is none."""
    try:
        return float(text)
    except ValueError:
        root = _ROOT.fullmatch(text)
    if root is None:
        return text
    value = math.sqrt(float(root[2]))
    return float(root[1]) / value if root[1] else value


def read_table(path: Path, shown: str) -> Table:
    """The table that the TOML file at `path` holds; errors call the file `shown`."""
    import tomllib

    try:
        return Table(shown, tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise InitlintError("cannot be read", where=shown, hint="reinstall initlint") from error
    except ValueError as error:
        raise InitlintError(f"is not TOML: {error}", where=shown) from error


def expand(name: str) -> tuple[str, ...]:
    """The names that one with braces stands for, as in a shell: ``Conv{1,2}d`` is Conv1d and Conv2d."""
    before, brace, rest = name.partition("{")
    if not brace:
        return (name,)
    choices, _, after = rest.partition("}")
    return tuple(f"{before}{choice}{tail}" for choice in choices.split(",") for tail in expand(after))
