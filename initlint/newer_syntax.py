"""What a newer Python reads is spelled for an older one without moving a line, or a column to the right of what changed."""

from __future__ import annotations

import ast
import keyword
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""(?P<blank>[ \t\f]+|\\\r?\n|\#[^\r\n]*)
      | (?P<string>(?:[bft]r|r[bft]|[bfrtu])?(?:\"{3}|'{3}|"|'))
      | (?P<word>\w+)
      | (?P<line>\r?\n|\r)
      | (?P<mark>.)""",
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
_STRING_PARTS = {
    quote: re.compile(rf"\\.|{quote}|[^\\{quote[0]}{{}}]+|.", re.DOTALL) for quote in ('"', "'", '"""', "'''")
}
_OPENING = re.compile(r"""(?P<prefix>[A-Za-z]*)(?P<quote>\"{3}|'{3}|"|')""")
_OPENS = frozenset("([{")
_CLOSES = frozenset(")]}")
_UNKNOWN_STRING = 'f"{_._}"'
"""A formatted string of which nothing is known, and hardly ever longer than one that an older Python refuses."""
_UNKNOWN_TEMPLATE = "_._"


class _UnendedError(Exception):
    """A string or a bracket that nothing closes: the text is no Python of any age."""


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    start: int
    end: int


def lowered(text: str) -> str | None:
    """The text with what Python has learned since 3.11 spelled as 3.11 reads it; None where there is nothing of the kind.

    Type parameters and the `type` of an alias are blanked out (PEP 695, 696), a formatted string that reuses its quotes
    becomes one of unknown content (PEP 701), a template an unknown value (PEP 750), and the exceptions of an `except`
    without parentheses are joined by `|` (PEP 758).
    """
    try:
        tokens = [token for token in _tokens(text, 0) if token.kind != "blank"]
        changes = [change for index in range(len(tokens)) for change in _changes(tokens, index)]
    except _UnendedError:
        return None
    if not changes:
        return None
    pieces: list[str] = []
    done = 0
    for start, end, spelling in sorted(changes):
        if start < done:
            continue
        pieces += [text[done:start], spelling, _blank(text[start:end], len(spelling.encode()))]
        done = end
    return "".join(pieces) + text[done:]


def _blank(text: str, spelled: int) -> str:
    """Blanks in place of a text, as wide in every line, of which the first `spelled` bytes are written already."""
    lines = re.split(r"\r?\n|\r", text)
    widths = [len(line.encode()) for line in lines]
    widths[0] = max(widths[0] - spelled, 0)
    return "\\\n".join(" " * width for width in widths)


def _tokens(text: str, start: int) -> Iterator[_Token]:
    place = start
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise AssertionError("every character is a token")
        end = _end_of_string(text, match) if match.lastgroup == "string" else match.end()
        yield _Token(match.lastgroup or "", text[place:end], place, end)
        place = end


def _end_of_string(text: str, opening: re.Match[str]) -> int:
    """Where a string ends; one with replacement fields may hold its own quotes within them."""
    prefix, quote = _opening(opening.group())
    has_fields = "f" in prefix or "t" in prefix
    place = opening.end()
    while (part := _STRING_PARTS[quote].match(text, place)) is not None:
        found = part.group()
        if found == quote:
            return part.end()
        if "\n" in found and len(quote) == 1 and not found.startswith("\\"):
            break
        place = part.end()
        if found == "{" and has_fields:
            place = place + 1 if text.startswith("{", place) else _end_of_field(text, place)
    raise _UnendedError


def _opening(text: str) -> tuple[str, str]:
    """The letters that a string begins with, in lower case, and its quote."""
    match = _OPENING.match(text)
    if match is None:
        raise AssertionError("a string begins with its quote")
    return match["prefix"].lower(), match["quote"]


def _end_of_field(text: str, start: int) -> int:
    """Where a replacement field ends, past its brace; what follows a colon is text with fields of its own."""
    depth = 0
    for token in _tokens(text, start):
        if token.text in _OPENS:
            depth += 1
        elif token.text in _CLOSES and depth:
            depth -= 1
        elif token.text == "}":
            return token.end
        elif token.text == ":" and not depth:
            return _end_of_format(text, token.end)
    raise _UnendedError


def _end_of_format(text: str, start: int) -> int:
    place = start
    while place < len(text):
        if text[place] == "}":
            return place + 1
        place = _end_of_field(text, place + 1) if text[place] == "{" else place + 1
    raise _UnendedError


def _changes(tokens: Sequence[_Token], index: int) -> Iterator[tuple[int, int, str]]:
    """From where to where something else is to stand, for what begins at one token."""
    token = tokens[index]
    if token.kind == "string":
        yield from _string_changes(token)
    elif token.text in {"class", "def"} and _is_name(tokens, index + 1) and _text(tokens, index + 2) == "[":
        yield tokens[index + 2].start, tokens[_closing(tokens, index + 2)].end, ""
    elif token.text == "type" and _is_name(tokens, index + 1):
        yield from _alias_changes(tokens, index)
    elif token.text == "except" and _text(tokens, index - 1) in {"", "\n", "\r\n", "\r"}:
        yield from _except_changes(tokens, index)


def _string_changes(token: _Token) -> Iterator[tuple[int, int, str]]:
    prefix, _ = _opening(token.text)
    if "f" not in prefix and "t" not in prefix:
        return
    try:
        ast.parse(f"({token.text})")
    except (SyntaxError, ValueError):
        yield token.start, token.end, _UNKNOWN_TEMPLATE if "t" in prefix else _UNKNOWN_STRING


def _alias_changes(tokens: Sequence[_Token], index: int) -> Iterator[tuple[int, int, str]]:
    name, after = tokens[index + 1], index + 2
    if _text(tokens, after) == "[":
        after = _closing(tokens, after) + 1
    if _text(tokens, after) == "=":
        yield tokens[index].start, tokens[after - 1].end, name.text


def _except_changes(tokens: Sequence[_Token], index: int) -> Iterator[tuple[int, int, str]]:
    commas: list[_Token] = []
    depth = 0
    for token in tokens[index + 1 :]:
        if token.text in _OPENS:
            depth += 1
        elif token.text in _CLOSES:
            depth -= 1
        elif not depth and (token.text == ":" or token.kind == "line"):
            break
        elif not depth and token.text == ",":
            commas.append(token)
    yield from ((comma.start, comma.end, "|") for comma in commas)


def _closing(tokens: Sequence[_Token], index: int) -> int:
    """The place of the bracket that closes the one at a place."""
    depth = 0
    for place in range(index, len(tokens)):
        depth += (tokens[place].text in _OPENS) - (tokens[place].text in _CLOSES)
        if not depth:
            return place
    raise _UnendedError


def _text(tokens: Sequence[_Token], index: int) -> str:
    return tokens[index].text if 0 <= index < len(tokens) else ""


def _is_name(tokens: Sequence[_Token], index: int) -> bool:
    return _text(tokens, index).isidentifier() and not keyword.iskeyword(tokens[index].text)
