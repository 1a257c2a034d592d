"""Options that several commands share, and what they say over the configuration."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from initlint.config import Settings, load_settings, parse_per_file_ignore, parse_settings
from initlint.engine import STDIN_NAME, Sources, bytes_source, read_sources
from initlint.errors import InitlintError
from initlint.files import find_files
from initlint.selection import Layer

if TYPE_CHECKING:
    from initlint.live import Request

Decorated = TypeVar("Decorated", bound=Callable[..., object])
Arguments = TypeVar("Arguments", bound="FileArguments | LiveArguments")
STDIN = "-"


def file_options(command: Decorated) -> Decorated:
    """PATHS, what to leave out of them, and where the configuration is."""
    for option in reversed(
        (
            click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[PATHS]..."),
            click.option(
                "--exclude", metavar="GLOBS", multiple=True, help="Leave out what matches, instead of the defaults."
            ),
            click.option("--extend-exclude", metavar="GLOBS", multiple=True, help="Leave out what matches, too."),
            click.option(
                "--force-exclude/--no-force-exclude", default=None, help="Leave out files even where they are named."
            ),
            click.option(
                "--respect-gitignore/--no-respect-gitignore", default=None, help="Leave out what git ignores (default)."
            ),
            click.option("--stdin-filename", metavar="NAME", help="What standard input (`-`) is to be called."),
            click.option(
                "--config",
                metavar="FILE|KEY=VALUE",
                multiple=True,
                help="A configuration file, or one setting as TOML.",
            ),
            click.option("--isolated", is_flag=True, help="Read no configuration file."),
        )
    ):
        command = option(command)
    return command


def output_options(formats: Sequence[str]) -> Callable[[Decorated], Decorated]:
    """How to write the result, and where to."""

    def decorate(command: Decorated) -> Decorated:
        for option in (
            click.option(
                "--color", type=click.Choice(["auto", "always", "never"]), default="auto", help="Colour the output."
            ),
            click.option(
                "-o",
                "--output-file",
                type=click.Path(dir_okay=False, path_type=Path),
                help="Write the result to a file instead of standard output.",
            ),
            click.option("--output-format", type=click.Choice(list(formats)), help="How to write the result."),
        ):
            command = option(command)
        return command

    return decorate


def taken(kind: type[Arguments], options: dict[str, Any]) -> Arguments:
    """The arguments of one kind, taken out of those that click hands over."""
    return kind(**{field.name: options.pop(field.name) for field in fields(kind)})


def live_options(command: Decorated) -> Decorated:
    """What a live module is built and called with."""
    for option in reversed(
        (
            click.option(
                "--arg", metavar="KEY=VALUE", multiple=True, help="An argument of the target, as a Python literal."
            ),
            click.option(
                "--input",
                metavar="SHAPE",
                multiple=True,
                help="An input of the forward pass: 2x3x224x224, int64:2x16, or by keyword mask=bool:2x16.",
            ),
            click.option("--inputs", metavar="MODULE:FUNCTION", help="A function that returns the inputs."),
            click.option("--device", type=click.Choice(["cpu", "meta"]), help="`meta` allocates and runs nothing."),
        )
    ):
        command = option(command)
    return command


@dataclass(frozen=True, slots=True)
class LiveArguments:
    """What the options of a live module said; None is what was not said."""

    arg: tuple[str, ...]
    input: tuple[str, ...]
    inputs: str | None
    device: str | None

    @property
    def said(self) -> tuple[str, ...]:
        """The options that were given, as they are written."""
        return tuple(f"--{field.name}" for field in fields(self) if getattr(self, field.name))

    def request(self, target: str) -> Request:
        """What to build and run as `target`. Raises InitlintError for words that mean nothing, and for inputs given twice."""
        from initlint.live import make_request

        if self.input and self.inputs:
            raise InitlintError("cannot be combined with --input", where="--inputs", hint="keep one of the two")
        return make_request(
            target, arguments=self.arg, inputs=self.input, inputs_function=self.inputs, device=self.device or "cpu"
        )


@dataclass(frozen=True, slots=True)
class FileArguments:
    """What the file options said; None is what was not said."""

    paths: tuple[Path, ...]
    exclude: tuple[str, ...]
    extend_exclude: tuple[str, ...]
    force_exclude: bool | None
    respect_gitignore: bool | None
    stdin_filename: str | None
    config: tuple[str, ...]
    isolated: bool

    @property
    def reads_stdin(self) -> bool:
        """Whether the text comes from standard input."""
        return STDIN in map(str, self.paths)

    def settings(self) -> Settings:
        """The settings that hold for the paths, with the command line's own files over them.

        Raises InitlintError for two configuration files, one that does not exist, and what `load_settings` objects to.
        """
        files = [text for text in self.config if "=" not in text or Path(text).is_file()]
        if len(files) > 1:
            raise InitlintError("names more than one file", where="--config", hint="keep one")
        named = (Path(self.stdin_filename or STDIN_NAME),) if self.reads_stdin else self.paths or (Path(),)
        settings = load_settings(named, config=Path(files[0]) if files else None, isolated=self.isolated)
        for text in self.config:
            if text not in files:
                settings = parse_settings(_inline(text), settings, where="--config")
        return replace(
            settings,
            exclude=split(self.exclude) or settings.exclude,
            extend_exclude=(*settings.extend_exclude, *split(self.extend_exclude)),
            force_exclude=_said(self.force_exclude, settings.force_exclude),
            respect_gitignore=_said(self.respect_gitignore, settings.respect_gitignore),
        )

    def sources(self, settings: Settings) -> Sources:
        """The texts that the paths mean, or standard input as the file it is said to be.

        Raises InitlintError for a path that does not exist, and for standard input among other paths.
        """
        if not self.reads_stdin:
            return read_sources(find_files(self.paths or (Path(),), settings.excludes))
        if len(self.paths) > 1:
            raise InitlintError("cannot be mixed with other paths", where=STDIN, hint="check standard input by itself")
        name = self.stdin_filename or STDIN_NAME
        if settings.force_exclude and settings.excludes.cover_any(Path(name).absolute()):
            return Sources({})
        return bytes_source(sys.stdin.buffer.read(), name)


def selecting(
    settings: Settings,
    *,
    select: Sequence[str],
    extend_select: Sequence[str],
    ignore: Sequence[str],
    per_file_ignores: Sequence[str],
) -> Settings:
    """The settings with the rules that the command line asks for."""
    layer = Layer(split(select) or None, split(extend_select), split(ignore))
    by_file = tuple(parse_per_file_ignore(text) for text in per_file_ignores)
    return replace(settings, selection=settings.selection.extended((layer,), by_file))


def _said(said: bool | None, otherwise: bool) -> bool:  # noqa: FBT001 - a flag is what it chooses between
    return otherwise if said is None else said


def split(values: Sequence[str]) -> tuple[str, ...]:
    """Values that were repeated, separated by commas, or both."""
    return tuple(part.strip() for value in values for part in value.split(",") if part.strip())


def _inline(text: str) -> dict[str, object]:
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        hint = "write one setting as TOML, such as --config \"fix-style = 'inline'\", or the path of a file"
        raise InitlintError(f"cannot read `{text}`: {error}", where="--config", hint=hint) from error
