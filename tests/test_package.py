"""The package says of itself what is true, and its public names work."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from command_line import NET, Shell

import initlint
from initlint.errors import InitlintError
from initlint.report import HOMEPAGE

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_check_paths(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(NET, encoding="utf-8")
    (finding,) = initlint.check_paths([tmp_path])
    assert isinstance(finding, initlint.Finding)
    assert (finding.code, finding.site.file, finding.site.line) == ("INI101", str(tmp_path / "net.py"), 8)
    assert finding.fix is not None
    assert initlint.check_paths([]) == ()
    with pytest.raises(InitlintError, match="no such file"):
        initlint.check_paths([tmp_path / "none.py"])


def test_check_source() -> None:
    (finding,) = initlint.check_source(NET, filename="net.py")
    assert finding.code == "INI101"
    assert initlint.check_source("") == ()
    assert [f.code for f in initlint.check_source("import torch\n(")] == ["INI900"]


def test_check_module() -> None:
    torch = pytest.importorskip("torch")

    class Net(torch.nn.Module):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            super().__init__()
            self.hidden = torch.nn.Linear(8, 8)
            self.head = torch.nn.Linear(8, 2)

        def forward(self, x: object) -> object:
            return self.head(torch.relu(self.hidden(x)))

    found = initlint.check_module(Net, torch.randn(4, 8), raise_on=None)
    assert "INI101" in {finding.code for finding in found}


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        initlint.nothing  # noqa: B018
    assert set(initlint.__all__) >= {"check_paths", "check_source", "check_module", "Finding", "__version__"}


def test_one_home_page() -> None:
    assert PROJECT["project"]["urls"]["Homepage"] == HOMEPAGE
    assert HOMEPAGE in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_core_needs_click_and_libcst_and_caps_nothing() -> None:
    names = [re.split(r"[<>=!~ ]", text)[0] for text in PROJECT["project"]["dependencies"]]
    assert sorted(names) == ["click", "libcst"]
    extras = PROJECT["project"]["optional-dependencies"]
    for requirement in (*PROJECT["project"]["dependencies"], *extras["trace"]):
        assert re.fullmatch(r"[a-z]+>=[\d.]+", requirement), requirement


def test_the_changelog_knows_the_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert "## Unreleased" in text or f"## {initlint.__version__}" in text


def test_the_hooks_call_commands_that_exist() -> None:
    text = (ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8")
    entries = re.findall(r"entry: initlint (\S+)((?: --[\w-]+)*)", text)
    assert [command for command, _ in entries] == ["check", "check"]
    from initlint.cli.check import command

    known = {option for parameter in command.params for option in parameter.opts}
    for _, options in entries:
        assert set(options.split()) <= known
    assert re.findall(r"- id: (\S+)", text) == ["initlint", "initlint-fix"]


def test_the_readme_shows_what_a_run_shows(shell: Shell) -> None:
    shell.write("net.py", NET.replace("hidden", "fc1").replace("head", "fc2"))
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"```\n{shell('check', '.').out}```" in readme


def test_the_options_that_the_readme_shows_exist() -> None:
    from initlint.cli.check import command

    text = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = {option for line in re.findall(r"initlint check[^\n]*", text) for option in re.findall(r"--[\w-]+", line)}
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    assert shown
    assert shown <= known


def test_the_settings_that_the_readme_shows_are_read() -> None:
    from initlint.config import Settings, option_keys, parse_settings

    text = (ROOT / "README.md").read_text(encoding="utf-8")
    block = next(b for b in re.findall(r"```toml\n(.*?)```", text, flags=re.DOTALL) if "[tool.initlint]" in b)
    table = tomllib.loads(block)["tool"]["initlint"]
    assert parse_settings(table, Settings(), where="README.md") != Settings()
    assert all(f"`{key}`" in text or key in table for key in option_keys())


def test_ci_runs_the_tests_that_the_readme_names() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    section = readme.split("## Run the tests")[1]
    install, test = re.findall(r"```bash\n(.*?)\n(.*?)\n```", section)[0]
    assert test in script
    assert install.removeprefix("pip install -e ") in script
