"""The names of modules that a running context binds by ``global``: the next one finds them as the modules left them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from initlint.source.symbols import ABSENT

if TYPE_CHECKING:
    from initlint.source.values import Scope


class GlobalNames:
    """What such names held when the context began; what a module does while it is `loading` stays."""

    def __init__(self) -> None:
        self.loading = 0
        self._before: dict[tuple[Scope, str], object] = {}

    def remember(self, scope: Scope, name: str) -> None:
        """Call before a name is bound in another scope than that of the code that runs."""
        if scope.parent is None and not self.loading:
            self._before.setdefault((scope, name), scope.data.get(name, ABSENT))

    def restore(self) -> bool:
        """Undo what was bound since the last time; whether there was anything."""
        for (scope, name), value in self._before.items():
            if value is ABSENT:
                scope.data.pop(name, None)
            else:
                scope.data[name] = value
        changed = bool(self._before)
        self._before = {}
        return changed
