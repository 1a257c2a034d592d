"""Settings come from the nearest file, the command line goes over them, and every mistake names its remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from initlint.config import Settings, load_settings, option_keys, parse_per_file_ignore, parse_settings
from initlint.errors import InitlintError
from initlint.model import Severity


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_defaults_without_any_file(tmp_path: Path) -> None:
    settings = load_settings([tmp_path])
    assert settings.file is None
    assert settings.fail_on is Severity.INFO
    assert settings.selection.layers == ()


def test_the_nearest_file_wins(tmp_path: Path) -> None:
    write(tmp_path / "pyproject.toml", '[tool.initlint]\nselect = ["INI1"]\n')
    near = write(tmp_path / "src" / "initlint.toml", 'select = ["INI2"]\n')
    settings = load_settings([tmp_path / "src"])
    assert settings.file == near
    assert settings.selection.layers[0].select == ("INI2",)
    assert settings.root == tmp_path / "src"


def test_initlint_toml_goes_before_pyproject_in_one_folder(tmp_path: Path) -> None:
    write(tmp_path / "pyproject.toml", '[tool.initlint]\nfix-style = "inline"\n')
    write(tmp_path / "initlint.toml", 'fix-style = "init_weights"\n')
    assert load_settings([tmp_path]).fix_style == "init_weights"


def test_a_pyproject_that_does_not_speak_of_initlint_is_passed_over(tmp_path: Path) -> None:
    outer = write(tmp_path / "pyproject.toml", "[tool.initlint]\nunsafe-fixes = true\n")
    write(tmp_path / "a" / "pyproject.toml", "[tool.other]\nx = 1\n")
    settings = load_settings([tmp_path / "a"])
    assert settings.file == outer
    assert settings.unsafe_fixes


def test_paths_in_several_folders_share_the_file_above_them(tmp_path: Path) -> None:
    write(tmp_path / "initlint.toml", 'fail-on = "error"\n')
    write(tmp_path / "a" / "initlint.toml", 'fail-on = "warning"\n')
    (tmp_path / "b").mkdir()
    assert load_settings([tmp_path / "a", tmp_path / "b"]).fail_on is Severity.ERROR
    assert load_settings([tmp_path / "a"]).fail_on is Severity.WARNING


def test_isolated_reads_nothing(tmp_path: Path) -> None:
    write(tmp_path / "initlint.toml", "nonsense")
    assert load_settings([tmp_path], isolated=True).file is None


def test_a_named_file_wins_over_the_nearest(tmp_path: Path) -> None:
    write(tmp_path / "initlint.toml", 'fix-bias = "keep"\n')
    other = write(tmp_path / "other.toml", 'fix-bias = "zeros"\n')
    assert load_settings([tmp_path], config=other).fix_bias == "zeros"


def test_a_named_file_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InitlintError, match="cannot be read"):
        load_settings([tmp_path], config=tmp_path / "none.toml")


def test_the_baseline_is_relative_to_the_file(tmp_path: Path) -> None:
    write(tmp_path / "initlint.toml", 'baseline = "known.json"\n')
    assert load_settings([tmp_path]).baseline == tmp_path / "known.json"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("selct = []", ["unknown key `selct`", "nearest is `select`"]),
        ('fix-style = "inlined"', ["fix-style", "'inlined'", "nearest is `inline`"]),
        ('select = "INI1"', ["select", "list of strings"]),
        ("select = [1]", ["select", "list of strings"]),
        ('fix = "yes"', ["fix", "neither true nor false"]),
        ("fix = 1", ["fix", "neither true nor false"]),
        ('fail-on = "warn"', ["fail-on", "nearest is `warning`"]),
        ("baseline = 3", ["baseline", "not a path"]),
        ('per-file-ignores = ["x"]', ["per-file-ignores", "not a table"]),
        ("jobs = 0", ["jobs", "not a number of processes"]),
        ('mode = "fan_avg"', ["mode", "fan_"]),
        ("select = [", ["not valid TOML"]),
    ],
)
def test_a_mistake_names_file_key_and_remedy(tmp_path: Path, text: str, words: list[str]) -> None:
    file = write(tmp_path / "initlint.toml", text)
    with pytest.raises(InitlintError) as caught:
        load_settings([tmp_path])
    message = str(caught.value)
    assert str(file) in message
    assert "help:" in message
    for word in words:
        assert word in message


def test_a_broken_pyproject_of_somebody_else_is_not_our_mistake(tmp_path: Path) -> None:
    write(tmp_path / "pyproject.toml", "[tool.other\n")
    assert load_settings([tmp_path]).file is None


def test_every_key_is_read() -> None:
    table: dict[str, object] = {
        "select": ["INI1"],
        "extend-select": ["INI4"],
        "ignore": ["INI107"],
        "per-file-ignores": {"tests/*": ["INI1"]},
        "min-severity": "warning",
        "fail-on": "error",
        "exclude": ["a"],
        "extend-exclude": ["b"],
        "force-exclude": True,
        "respect-gitignore": False,
        "output-format": "concise",
        "baseline": "b.json",
        "fix": True,
        "unsafe-fixes": True,
        "show-fixes": True,
        "fix-style": "inline",
        "fix-bias": "zeros",
        "distribution": "uniform",
        "mode": "fan_out",
        "jobs": 3,
    }
    assert set(table) == set(option_keys())
    default = Settings(root=Path("/p"))
    settings = parse_settings(table, default, where="test")
    layer = settings.selection.layers[0]
    assert (layer.select, layer.extend_select, layer.ignore) == (("INI1",), ("INI4",), ("INI107",))
    assert settings.selection.per_file_ignores == (("tests/*", ("INI1",)),)
    assert (settings.min_severity, settings.fail_on) == (Severity.WARNING, Severity.ERROR)
    assert settings.baseline == Path("/p/b.json")
    assert settings.excludes.globs == ("a", "b")
    assert settings.excludes.force
    assert not settings.excludes.gitignore
    changed = (
        "output_format",
        "fix",
        "unsafe_fixes",
        "show_fixes",
        "fix_style",
        "fix_bias",
        "distribution",
        "mode",
        "jobs",
    )
    for name in changed:
        assert getattr(settings, name) != getattr(default, name)


def test_per_file_ignores_on_the_command_line() -> None:
    assert parse_per_file_ignore("tests/*:INI1,INI204") == ("tests/*", ("INI1", "INI204"))
    for wrong in ("tests/*", ":INI1", "tests/*:"):
        with pytest.raises(InitlintError, match="cannot read"):
            parse_per_file_ignore(wrong)
