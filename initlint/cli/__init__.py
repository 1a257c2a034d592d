"""The command line: one file a command, each imported only when it is called."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from typing import NoReturn, cast

import click

from initlint import __version__
from initlint.errors import InitlintError

_USAGE = 2
_COLLECT_EVERY = 2_500_000
"""New objects between two searches for garbage: nearly all that a scan makes lives to its end, so that looking through it
every 700, Python's habit, is a third of the run."""

COMMANDS: Mapping[str, str] = {
    "check": "Find layers whose initialization does not fit what follows, and repair them.",
    "clean": "Remove what earlier runs have cached.",
    "inspect": "List every layer as the scanner understands it.",
    "rule": "Explain a rule, or all of them.",
    "trace": "Judge a live module by building and running it (needs torch).",
}


class Commands(click.Group):
    """The commands by name; help is written from the table, so that listing them imports none."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The names in the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """The command of one file of this package."""
        if cmd_name not in COMMANDS:
            return None
        return cast("click.Command", import_module(f"initlint.cli.{cmd_name}").command)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """The table as the help shows it."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "--version", message="%(prog)s %(version)s")
def commands() -> None:
    """Lint how PyTorch models are initialized.

    Exit status: 0 nothing found, 1 findings, 2 a mistake in the call, the configuration or initlint itself.
    """


def main() -> None:
    """Run the command line and exit; what a user can mend ends in one line, what they cannot in a traceback."""
    gc.set_threshold(_COLLECT_EVERY, 1, 1)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        status = commands.main(prog_name="initlint", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        status = _USAGE
    except click.Abort:
        click.echo("aborted", err=True)
        status = _USAGE
    except InitlintError as error:
        click.echo(f"error: {error}", err=True)
        status = _USAGE
    except BrokenPipeError:
        sys.stdout = None
        status = 1
    except Exception:  # noqa: BLE001 - the last line of defence: it shows everything and fails
        status = _crash()
    sys.exit(status if isinstance(status, int) else 0)


def run() -> NoReturn:
    """`main` as a process of its own: it ends at once, without taking apart a memory full of trees and values."""
    try:
        main()
    except SystemExit as end:
        if "torch" in sys.modules or "coverage" in sys.modules:
            raise  # they have something to do at the end
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError, AttributeError):
                stream.flush()
        os._exit(end.code if isinstance(end.code, int) else 1)
    raise AssertionError("main always exits")


def _crash() -> int:
    """Show the traceback of a bug in initlint."""
    import traceback

    click.echo(traceback.format_exc(), nl=False, err=True)
    click.echo("error: this is a bug in initlint; please report it with the lines above", err=True)
    return _USAGE
