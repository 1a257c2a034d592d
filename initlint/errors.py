"""The one exception a user can mend: it says what is wrong, where, and how to mend it."""

from __future__ import annotations


class InitlintError(Exception):
    """A mistake outside initlint's own code (exit status 2).

    `what` is one clause, `where` a path, option or key, `hint` what to do about it.
    """

    def __init__(self, what: str, *, where: str | None = None, hint: str | None = None) -> None:
        self.what = what
        self.where = where
        self.hint = hint
        super().__init__(what)

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text}\n  help: {self.hint}" if self.hint else text
