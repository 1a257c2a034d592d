"""What was found, as text: every renderer is pure, and only the command prints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import cast

from initlint.report.view import HOMEPAGE, View, rule_url

__all__ = ["HOMEPAGE", "View", "render", "rule_url"]

_RENDERERS: Mapping[str, tuple[str, str]] = {
    "full": ("text", "full"),
    "concise": ("text", "concise"),
    "grouped": ("text", "grouped"),
    "json": ("json", "array"),
    "json-lines": ("json", "lines"),
    "sarif": ("sarif", "log"),
    "github": ("github", "commands"),
    "gitlab": ("gitlab", "issues"),
    "junit": ("junit", "suites"),
    "rdjson": ("rdjson", "diagnostics"),
}


def render(view: View, output_format: str) -> str:
    """The findings of `view` in one of the output formats, with a newline at the end of every line."""
    module, function = _RENDERERS[output_format]
    renderer = getattr(import_module(f"initlint.report.{module}"), function)
    return cast("Callable[[View], str]", renderer)(view)
