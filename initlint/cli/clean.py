"""`initlint clean`: forget what earlier runs found."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from initlint.cache import FOLDER
from initlint.cli.output import write
from initlint.config import load_settings
from initlint.errors import InitlintError


@click.command("clean")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[PATHS]...")
def command(paths: tuple[Path, ...]) -> int:
    """Remove the cache of the project that PATHS lie in; without any, of the current folder's."""
    for path in paths:
        if not path.exists():
            raise InitlintError("no such file or folder", where=str(path), hint="check the spelling of the path")
    folder = load_settings(paths or (Path(),)).root / FOLDER
    if folder.is_dir():
        shutil.rmtree(folder)
        write(f"Removed {folder}.\n")
    else:
        write("Nothing to remove.\n")
    return 0
