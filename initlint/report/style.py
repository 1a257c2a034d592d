"""Colours of the terminal, or none."""

from __future__ import annotations

from dataclasses import dataclass

from initlint.model import Severity

_BOLD, _RED, _GREEN, _YELLOW, _BLUE, _CYAN = "1", "1;31", "32", "1;33", "1;34", "36"
_SEVERITIES = {Severity.ERROR: _RED, Severity.WARNING: _YELLOW, Severity.INFO: _CYAN}


@dataclass(frozen=True, slots=True)
class Style:
    """Paints text if `color`, leaves it alone if not."""

    color: bool

    def bold(self, text: str) -> str:
        """What matters: a path, a number."""
        return self._paint(text, _BOLD)

    def frame(self, text: str) -> str:
        """The lines of a code frame."""
        return self._paint(text, _BLUE)

    def good(self, text: str) -> str:
        """What can be repaired, or is right."""
        return self._paint(text, _GREEN)

    def aside(self, text: str) -> str:
        """A mark, a label."""
        return self._paint(text, _CYAN)

    def severity(self, text: str, severity: Severity) -> str:
        """What is as bad as `severity`."""
        return self._paint(text, _SEVERITIES[severity])

    def added(self, text: str) -> str:
        """A line that a diff adds."""
        return self._paint(text, _GREEN)

    def removed(self, text: str) -> str:
        """A line that a diff takes out."""
        return self._paint(text, "31")

    def _paint(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.color and text else text
