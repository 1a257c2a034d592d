"""Where text goes: a file, or standard output with or without colours."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from initlint.errors import InitlintError


def wants_color(choice: str, output_file: Path | None = None) -> bool:
    """Whether to colour: as told, else by NO_COLOR and FORCE_COLOR, else on a terminal."""
    if choice != "auto":
        return choice == "always"
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR", "0") not in {"", "0"}:
        return output_file is None
    return output_file is None and sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def write(text: str | bytes, output_file: Path | None = None, *, err: bool = False) -> None:
    """Write a whole result; the colours in it are kept."""
    if output_file is None:
        click.echo(text, nl=False, err=err, color=True)
        return
    try:
        output_file.parent.mkdir(parents=True, exist_ok=True)
        output_file.write_bytes(text.encode() if isinstance(text, str) else text)
    except OSError as error:
        raise InitlintError(
            f"cannot be written: {error.strerror}", where=str(output_file), hint="check --output-file"
        ) from error


def display_root(output_format: str) -> Path:
    """The folder that paths are shown relative to: the repository's for code hosts, else the current one."""
    current = Path.cwd()
    if output_format in {"sarif", "github", "gitlab", "rdjson"}:
        for folder in (current, *current.parents):
            if (folder / ".git").exists():
                return folder
    return current
