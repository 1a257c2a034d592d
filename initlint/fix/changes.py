"""What a repair does to a file, before it is text: insert statements, or rewrite one call."""

from __future__ import annotations

from dataclasses import dataclass

Position = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Insertion:
    """Statements to write before or after the statement that starts at a position.

    `code` is without indentation; `spaced` puts an empty line before it, as before a method. With `naming`, the
    statement is a return: what it returns gets that name first, and is returned after the code. `needs` is the import that
    the file lacks for it.
    """

    anchor: Position
    code: str
    before: bool = False
    spaced: bool = False
    naming: str | None = None
    needs: str | None = None


@dataclass(frozen=True, slots=True)
class Replacement:
    """Another function and other arguments for the call that starts and ends at two positions.

    `target` is None where the call's own first argument stays, else the expression to initialize; `note` is a comment to the
    line, if it has none.
    """

    start: Position
    end: Position
    function: str
    arguments: tuple[str, ...]
    target: str | None = None
    note: str | None = None


Change = Insertion | Replacement
