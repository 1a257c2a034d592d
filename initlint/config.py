"""The settings of one run: the nearest [tool.initlint] or initlint.toml, then the command line over it."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, cast

from initlint.errors import InitlintError
from initlint.files import DEFAULT_EXCLUDES, Excludes
from initlint.model import Severity
from initlint.selection import Layer, Selection

FixStyle = Literal["auto", "inline", "init_weights"]
FixBias = Literal["keep", "zeros"]
Distribution = Literal["normal", "uniform", "auto"]
FanMode = Literal["fan_in", "fan_out", "auto"]

FORMATS = (
    "full",
    "concise",
    "grouped",
    "json",
    "json-lines",
    "sarif",
    "github",
    "gitlab",
    "junit",
    "rdjson",
)
SEVERITIES = tuple(severity.label for severity in Severity)
FIX_STYLES: tuple[FixStyle, ...] = ("auto", "inline", "init_weights")
FIX_BIASES: tuple[FixBias, ...] = ("keep", "zeros")
DISTRIBUTIONS: tuple[Distribution, ...] = ("normal", "uniform", "auto")
FAN_MODES: tuple[FanMode, ...] = ("fan_in", "fan_out", "auto")


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run was told. `root` is the folder that relative patterns and the baseline are relative to."""

    root: Path = field(default_factory=Path.cwd)
    file: Path | None = None
    selection: Selection = field(default_factory=Selection)
    min_severity: Severity = Severity.INFO
    fail_on: Severity = Severity.INFO
    exclude: tuple[str, ...] = DEFAULT_EXCLUDES
    extend_exclude: tuple[str, ...] = ()
    force_exclude: bool = False
    respect_gitignore: bool = True
    output_format: str = "full"
    baseline: Path | None = None
    fix: bool = False
    unsafe_fixes: bool = False
    show_fixes: bool = False
    fix_style: FixStyle = "auto"
    fix_bias: FixBias = "keep"
    distribution: Distribution = "auto"
    mode: FanMode = "auto"
    jobs: int = 1

    @property
    def excludes(self) -> Excludes:
        """What file discovery leaves out."""
        globs = (*self.exclude, *self.extend_exclude)
        return Excludes(self.root, globs, force=self.force_exclude, gitignore=self.respect_gitignore)


def load_settings(paths: Sequence[Path], *, config: Path | None = None, isolated: bool = False) -> Settings:
    """The settings for `paths`: from `config`, or the nearest file at or above their common folder, or the defaults.

    Raises InitlintError for a file that is not TOML, a key that does not exist and a value of the wrong kind.
    """
    if isolated:
        return Settings()
    if config is not None:
        return _from_file(config.absolute(), required=True) or Settings()
    start = _common_folder(paths)
    for folder in (start, *start.parents):
        for name in ("initlint.toml", "pyproject.toml"):
            if (folder / name).is_file() and (settings := _from_file(folder / name, required=False)) is not None:
                return settings
    return Settings()


def parse_settings(table: Mapping[str, object], base: Settings, *, where: str) -> Settings:
    """The settings that a TOML `table` spells out over `base`; `where` is the file or option it came from."""
    plain: dict[str, object] = {}
    layer: dict[str, object] = {}
    per_file: tuple[tuple[str, tuple[str, ...]], ...] = ()
    for key, value in table.items():
        parser = _KEYS.get(key)
        if parser is None:
            raise InitlintError(f"unknown key `{key}`", where=where, hint=_nearest(key, tuple(_KEYS)))
        parsed = parser(value, f"{where}: {key}")
        name = key.replace("-", "_")
        if key in {"select", "extend-select", "ignore"}:
            layer[name] = parsed
        elif key == "per-file-ignores":
            per_file = cast("tuple[tuple[str, tuple[str, ...]], ...]", parsed)
        else:
            plain[name] = base.root / cast("str", parsed) if key == "baseline" else parsed
    layers = (Layer(**layer),) if layer else ()  # type: ignore[arg-type]
    selection = base.selection.extended(layers, per_file)
    return replace(base, selection=selection, **plain)  # type: ignore[arg-type]


def option_keys() -> tuple[str, ...]:
    """Every key that a configuration file may hold."""
    return tuple(_KEYS)


def parse_per_file_ignore(text: str) -> tuple[str, tuple[str, ...]]:
    """``glob:INI101,INI2`` as the command line writes it."""
    glob, separator, selectors = text.rpartition(":")
    parsed = tuple(part.strip() for part in selectors.split(",") if part.strip())
    if not separator or not glob or not parsed:
        hint = "write the glob, a colon and the rules: tests/*:INI101,INI2"
        raise InitlintError(f"cannot read `{text}`", where="--per-file-ignores", hint=hint)
    return glob, parsed


def _from_file(file: Path, *, required: bool) -> Settings | None:
    """The settings in `file`; None if it is a pyproject.toml that does not speak of initlint."""
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InitlintError(f"cannot be read: {error.strerror}", where=str(file), hint="check --config") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        if not required and file.name == "pyproject.toml" and "initlint" not in _lenient_text(file):
            return None
        raise InitlintError(f"is not valid TOML: {error}", where=str(file), hint="mend the file") from error
    table: object = document
    if file.name == "pyproject.toml":
        tool = document.get("tool")
        table = tool.get("initlint") if isinstance(tool, dict) else None
    if table is None:
        return None
    if not isinstance(table, dict):
        raise InitlintError("[tool.initlint] is not a table", where=str(file), hint="write [tool.initlint]")
    base = Settings(root=file.parent, file=file, selection=Selection(root=file.parent))
    return parse_settings(table, base, where=str(file))


def _lenient_text(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace")


def _common_folder(paths: Sequence[Path]) -> Path:
    folders = [path if path.is_dir() else path.parent for path in (p.absolute() for p in paths)] or [Path.cwd()]
    first, *others = folders
    for folder in (first, *first.parents):
        if all(other.is_relative_to(folder) for other in others):
            return folder
    return Path.cwd()


def _nearest(word: str, words: Sequence[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(word, words, n=1, cutoff=0.0)
    return f"the nearest is `{near[0]}`; all of them: {', '.join(words)}"


def _strings(value: object, where: str) -> tuple[str, ...]:
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    raise InitlintError("is not a list of strings", where=where, hint='write it as ["...", "..."]')


def _flag(value: object, where: str) -> bool:
    if isinstance(value, bool):
        return value
    raise InitlintError("is neither true nor false", where=where, hint="write true or false")


def _path(value: object, where: str) -> str:
    if isinstance(value, str) and value:
        return value
    raise InitlintError("is not a path", where=where, hint="write it as a string")


def _jobs(value: object, where: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return value
    raise InitlintError("is not a number of processes", where=where, hint="write 1 or more")


def _one_of(words: Sequence[str]) -> Callable[[object, str], object]:
    def parse(value: object, where: str) -> str:
        if isinstance(value, str) and value in words:
            return value
        raise InitlintError(f"is {value!r}", where=where, hint=_nearest(str(value), words))

    return parse


def _severity(value: object, where: str) -> Severity:
    return Severity[str(_one_of(SEVERITIES)(value, where)).upper()]


def _per_file(value: object, where: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    if isinstance(value, dict):
        return tuple((str(glob), _strings(selectors, f"{where}: {glob}")) for glob, selectors in value.items())
    raise InitlintError("is not a table", where=where, hint='write "tests/*" = ["INI101"] below it')


_KEYS: Mapping[str, Callable[[object, str], object]] = {
    "select": _strings,
    "extend-select": _strings,
    "ignore": _strings,
    "per-file-ignores": _per_file,
    "min-severity": _severity,
    "fail-on": _severity,
    "exclude": _strings,
    "extend-exclude": _strings,
    "force-exclude": _flag,
    "respect-gitignore": _flag,
    "output-format": _one_of(FORMATS),
    "baseline": _path,
    "fix": _flag,
    "unsafe-fixes": _flag,
    "show-fixes": _flag,
    "fix-style": _one_of(FIX_STYLES),
    "fix-bias": _one_of(FIX_BIASES),
    "distribution": _one_of(DISTRIBUTIONS),
    "mode": _one_of(FAN_MODES),
    "jobs": _jobs,
}
