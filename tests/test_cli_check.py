"""`initlint check` does what its options say, and its exit status says what happened."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import CLEAN, DEEP, NET, Shell

ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}


def test_findings_are_shown_and_end_in_one(shell: Shell) -> None:
    shell.write("net.py", NET)
    result = shell("check")
    assert result.status == 1
    assert "--> net.py:8:23" in result.out
    assert "8 |         self.hidden = nn.Linear(128, 128)" in result.out
    assert "INI101 [*] info: " in result.out
    assert "[*] 1 fixable with `--fix`." in result.out
    assert result.err == ""


@pytest.mark.parametrize("name", ["clean.py", "empty.py", "notes.txt"])
def test_nothing_found_and_nothing_to_check_end_in_zero(shell: Shell, name: str) -> None:
    shell.write(name, CLEAN if name == "clean.py" else "")
    result = shell("check")
    assert (result.status, result.out) == (0, "All checks passed!\n")


def test_an_empty_folder_is_nothing_to_check(shell: Shell) -> None:
    assert shell("check").status == 0


def test_a_missing_path_ends_in_two(shell: Shell) -> None:
    result = shell("check", "nowhere.py")
    assert result.status == 2
    assert result.out == ""
    assert result.err.startswith("error: nowhere.py: no such file or folder\n  help: ")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--no-such-option",),
        ("--output-format", "xml"),
        ("--fail-on", "never"),
        ("--select", "INI777"),
        ("--ignore", "no-such-rule"),
        ("--per-file-ignores", "net.py"),
        ("--config", "none.toml"),
        ("--config", "fix-style = 'other'"),
        ("--config", "= ="),
        ("--baseline", "none.json"),
        ("--write-baseline",),
        ("--statistics", "--output-format", "sarif"),
        ("-", "net.py"),
    ],
)
def test_a_mistake_in_the_call_ends_in_two(shell: Shell, arguments: tuple[str, ...]) -> None:
    shell.write("net.py", NET)
    result = shell("check", *arguments)
    assert result.status == 2
    assert result.err != ""
    assert "Traceback" not in result.err


def test_a_wrong_configuration_ends_in_two_and_names_the_nearest_key(shell: Shell) -> None:
    shell.write("pyproject.toml", "[tool.initlint]\nselct = []\n")
    result = shell("check")
    assert result.status == 2
    assert "pyproject.toml: unknown key `selct`" in result.err
    assert "the nearest is `select`" in result.err


def test_a_bug_ends_in_two_with_a_traceback(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("the wheel came off")

    monkeypatch.setattr("initlint.cli.check.check", broken)
    result = shell("check")
    assert result.status == 2
    assert "Traceback" in result.err
    assert "the wheel came off" in result.err
    assert "bug in initlint" in result.err


def test_fail_on_and_min_severity(shell: Shell) -> None:
    shell.write("net.py", NET)
    shell.write("deep.py", DEEP)
    assert shell("check", "net.py", "--fail-on", "warning").status == 0
    assert "INI101" in shell("check", "net.py", "--fail-on", "warning").out
    assert shell("check", "deep.py", "--fail-on", "error").status == 1
    result = shell("check", "--min-severity", "warning", "--output-format", "concise")
    assert result.out.startswith("deep.py:5:")
    assert "net.py" not in result.out
    assert shell("check", "net.py", "--min-severity", "error").status == 0
    assert shell("check", "--exit-zero").status == 0


def test_selecting(shell: Shell) -> None:
    shell.write("net.py", NET)
    concise = ("check", "--output-format", "concise")
    assert shell(*concise, "--select", "INI1").codes == ["INI101"]
    assert shell(*concise, "--select", "default-init-before-rectifier").codes == ["INI101"]
    assert shell(*concise, "--select", "INI102").codes == []
    assert shell(*concise, "--ignore", "INI1").codes == []
    assert shell(*concise, "--ignore", "INI1", "--extend-select", "INI101").codes == ["INI101"]
    assert shell(*concise, "--per-file-ignores", "net.py:INI101").codes == []
    assert shell(*concise, "--per-file-ignores", "other.py:INI101").codes == ["INI101"]


def test_the_command_line_goes_over_the_configuration(shell: Shell) -> None:
    shell.write("net.py", NET)
    shell.write("initlint.toml", 'ignore = ["INI101"]\noutput-format = "concise"\n')
    assert shell("check").status == 0
    assert shell("check", "--select", "INI101").codes == ["INI101"]
    assert shell("check", "--isolated").status == 1
    assert shell("check", "--config", 'ignore = ["INI102"]', "--config", 'select = ["INI101"]').status == 1


def test_a_syntax_error_is_a_finding_and_the_run_goes_on(shell: Shell) -> None:
    shell.write("broken.py", "import torch\ndef f(:\n")
    shell.write("net.py", NET)
    result = shell("check", "--output-format", "concise")
    assert result.status == 1
    assert result.codes == ["INI900", "INI101"]
    assert result.out.startswith("broken.py:2:7: INI900 error: ")
    assert shell("check", "broken.py", "--select", "INI101").status == 1
    assert shell("check", "broken.py", "--ignore", "INI900").status == 0


def test_a_file_that_cannot_be_decoded_is_a_finding_and_the_run_goes_on(shell: Shell) -> None:
    (shell.folder / "binary.py").write_bytes(b"import torch\nx = '\xff'\n")
    shell.write("net.py", NET)
    result = shell("check", "--output-format", "concise")
    assert result.codes == ["INI900", "INI101"]
    assert "the file is not utf-8: byte 0xff at offset 18" in result.out


def test_fix_writes_once_and_for_all(shell: Shell) -> None:
    shell.write("net.py", NET)
    result = shell("check", "--fix", "--show-fixes")
    assert result.status == 0
    assert "Fixed 1 finding:\n- net.py:\n    1 x INI101" in result.out
    assert "Found 1 finding (1 fixed, 0 remaining)." in result.out
    fixed = shell.read("net.py")
    assert "kaiming" in fixed
    compile(fixed, "net.py", "exec")
    again = shell("check", "--fix")
    assert (again.status, again.out) == (0, "All checks passed!\n")
    assert shell.read("net.py") == fixed


def test_fix_keeps_line_ends_and_the_byte_order_mark(shell: Shell) -> None:
    path = shell.write("net.py", "")
    path.write_bytes(b"\xef\xbb\xbf" + NET.replace("\n", "\r\n").encode())
    assert shell("check", "--fix").status == 0
    data = path.read_bytes()
    assert data.startswith(b"\xef\xbb\xbfimport torch\r\n")
    assert b"kaiming" in data
    assert data.count(b"\n") == data.count(b"\r\n")


def test_diff_shows_and_writes_nothing(shell: Shell) -> None:
    shell.write("net.py", NET)
    result = shell("check", "--diff")
    assert result.status == 1
    assert result.out.startswith("--- net.py\n+++ net.py\n@@")
    assert "\n+        nn.init.kaiming" in result.out
    assert "Would fix 1 finding." in result.err
    assert shell.read("net.py") == NET
    shell.write("net.py", CLEAN)
    assert shell("check", "--diff").status == 0


def test_git_takes_the_diff(shell: Shell) -> None:
    shell.write("net.py", NET.replace("\n", "\r\n"))
    (shell.folder / "fix.patch").write_bytes(shell("check", "--diff").out.encode())
    subprocess.run(["git", "apply", "-p0", "--unsafe-paths", "fix.patch"], cwd=shell.folder, check=True)
    patched = shell.read("net.py")
    shell.write("net.py", NET.replace("\n", "\r\n"))
    shell("check", "--fix")
    assert shell.read("net.py") == patched


def test_fix_only_and_exit_non_zero_on_fix(shell: Shell) -> None:
    shell.write("net.py", NET)
    result = shell("check", "--fix-only")
    assert (result.status, result.out) == (0, "")
    assert "kaiming" in shell.read("net.py")
    shell.write("net.py", NET)
    assert shell("check", "--fix", "--exit-non-zero-on-fix").status == 1
    assert shell("check", "--fix", "--exit-non-zero-on-fix").status == 0


def test_a_suppressed_line_is_never_rewritten(shell: Shell) -> None:
    text = NET.replace("Linear(128, 128)", "Linear(128, 128)  # initlint: ignore[INI101]")
    shell.write("net.py", text)
    assert shell("check", "--fix", "--unsafe-fixes").status == 0
    assert shell.read("net.py") == text


def test_an_unused_suppression_is_found_and_taken_out(shell: Shell) -> None:
    shell.write("clean.py", CLEAN.replace("\n\nnet", "\n# initlint: ignore-file\nnet"))
    result = shell("check", "--output-format", "concise")
    assert (result.status, result.codes) == (1, ["INI901"])
    assert shell("check", "--fix").status == 0
    assert shell.read("clean.py") == CLEAN.replace("\n\nnet", "\nnet")


def test_only_named_files_are_reported_and_written(shell: Shell) -> None:
    shell.write("net.py", NET)
    shell.write("other.py", NET)
    result = shell("check", "net.py", "--fix", "--output-format", "concise")
    assert "other.py" not in result.out
    assert shell.read("other.py") == NET


def test_a_read_only_file_is_an_error_and_stays(shell: Shell) -> None:
    shell.write("net.py", NET).chmod(0o444)
    result = shell("check", "--fix")
    assert result.status == 2
    assert "is read-only and was not written" in result.err
    assert shell.read("net.py") == NET


def test_standard_input(shell: Shell) -> None:
    result = shell("check", "-", "--stdin-filename", "src/net.py", "--output-format", "concise", stdin=NET)
    assert result.status == 1
    assert result.out.startswith("src/net.py:8:23: INI101")
    assert shell("check", "-", stdin=NET).out.count("--> <stdin>:8:23") == 1
    assert shell("check", "-", stdin="").status == 0


def test_standard_input_is_repaired_onto_standard_output(shell: Shell) -> None:
    shell.write("net.py", NET)
    shell("check", "--fix")
    result = shell("check", "-", "--fix", "--stdin-filename", "net.py", stdin=NET)
    assert result.out == shell.read("net.py")
    assert "1 fixed" in result.err
    untouched = shell("check", "-", "--fix", stdin=CLEAN)
    assert untouched.out == CLEAN


def test_excluding(shell: Shell) -> None:
    shell.write("pkg/net.py", NET)
    assert shell("check", "--exclude", "pkg").status == 0
    assert shell("check", "--extend-exclude", "*.py,other").status == 0
    assert shell("check", "pkg/net.py", "--exclude", "pkg").status == 1
    assert shell("check", "pkg/net.py", "--exclude", "pkg", "--force-exclude").status == 0
    shell.write("initlint.toml", 'exclude = ["pkg"]\nforce-exclude = true\n')
    assert shell("check", "pkg/net.py").status == 0
    assert shell("check", "pkg/net.py", "--no-force-exclude").status == 1
    assert shell("check", "-", "--stdin-filename", "pkg/net.py", stdin=NET).status == 0


def test_the_output_file(shell: Shell) -> None:
    shell.write("net.py", NET)
    result = shell("check", "--output-format", "json", "--output-file", "out/report.json")
    assert (result.status, result.out) == (1, "")
    assert json.loads(shell.read("out/report.json"))[0]["code"] == "INI101"


def test_statistics(shell: Shell) -> None:
    shell.write("net.py", NET)
    shell.write("other.py", NET)
    assert shell("check", "--statistics").out == "2\tINI101\t[*] default-init-before-rectifier\n"
    assert json.loads(shell("check", "--statistics", "--output-format", "json").out)[0]["count"] == 2


def test_add_noqa_silences_everything_and_changes_nothing_else(shell: Shell) -> None:
    shell.write("net.py", NET.replace("Linear(128, 128)", "Linear(\n            128, 128\n        )  # noqa: E501"))
    shell.write("deep.py", DEEP)
    result = shell("check", "--add-noqa")
    assert (result.status, result.out) == (0, "Added 2 noqa comments.\n")
    assert "body += [nn.Linear(128, 128), nn.ReLU()]  # noqa: INI101\n" in shell.read("deep.py")
    assert "self.hidden = nn.Linear(  # noqa: INI101\n" in shell.read("net.py")
    assert shell("check").status == 0
    assert shell("check", "--add-noqa").out == "Added 0 noqa comments.\n"


def test_add_noqa_extends_the_list_that_is_there(shell: Shell) -> None:
    shell.write("net.py", NET.replace("Linear(128, 128)", "Linear(128, 128)  # noqa: E501"))
    shell("check", "--add-noqa")
    assert "Linear(128, 128)  # noqa: E501, INI101\n" in shell.read("net.py")
    assert shell("check").status == 0


def test_a_baseline_remembers_what_is_there(shell: Shell) -> None:
    shell.write("net.py", NET)
    written = shell("check", "--baseline", "known.json", "--write-baseline")
    assert written.status == 0
    assert "Wrote 1 finding to" in written.out
    assert shell("check", "--baseline", "known.json").status == 0
    shell.write("net.py", "# a line more\n" + NET)
    shell.write("deep.py", DEEP)
    result = shell("check", "--baseline", "known.json", "--output-format", "concise")
    assert result.out.startswith("deep.py:")
    assert "net.py" not in result.out
    shell.write("net.py", CLEAN)
    assert "nothing matches any more: 1" in shell("check", "net.py", "--baseline", "known.json", "--verbose").err


def test_colours(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    shell.write("net.py", NET)
    assert "\x1b[" not in shell("check").out
    assert "\x1b[" in shell("check", "--color", "always").out
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[" in shell("check").out
    assert "\x1b[" not in shell("check", "--color", "never").out
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" not in shell("check").out


def test_github_gets_annotations_and_a_summary(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    shell.write("net.py", NET)
    shell.write("deep.py", DEEP)
    summary = shell.folder / "summary.md"
    summary.write_text("before\n", encoding="utf-8")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    result = shell("check", "--output-format", "github")
    assert [line.split(" ")[0] for line in result.out.splitlines()] == ["::error", "::notice"]
    assert summary.read_text(encoding="utf-8").startswith("before\n### initlint\n")


def test_code_hosts_get_paths_relative_to_the_repository(shell: Shell) -> None:
    shell.write(".git/HEAD", "")
    shell.write("pkg/net.py", NET)
    inside = Shell(shell.folder / "pkg", shell.capture, shell.patch)
    log = json.loads(inside("check", "--output-format", "sarif").out)
    location = log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]
    assert location["uri"] == "pkg/net.py"
    assert inside("check", "--output-format", "concise").out.startswith("net.py:8:")


def test_quiet_and_verbose(shell: Shell) -> None:
    shell.write("clean.py", CLEAN)
    assert shell("check", "--quiet").out == ""
    result = shell("check", "--verbose")
    assert "configuration: none\nfiles read: 1\n" in result.err


def test_a_pipe_that_closes_is_no_bug(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(NET, encoding="utf-8")
    command = f"'{sys.executable}' -m initlint check net.py | head -n 1"
    done = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True, env=ENVIRONMENT
    )
    assert done.stdout.startswith("INI101")
    assert done.stderr == ""


def test_an_odd_terminal_encoding_is_no_bug(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(NET.replace("hidden", "層"), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "initlint", "check", "net.py"],
        cwd=tmp_path,
        capture_output=True,
        check=False,
        env=ENVIRONMENT | {"PYTHONIOENCODING": "latin-1"},
    )
    assert done.returncode == 1
    assert rb"`Net.\u5c64`" in done.stdout


def test_nets_of_one_name_in_several_files_are_repaired_each_by_itself(shell: Shell) -> None:
    shell.write("calm.py", NET)
    alone = shell("check", "--isolated", "--diff").out
    assert "\n+        nn.init.kaiming_normal_" in alone
    hidden = "        self.hidden = nn.Linear(128, 128)"
    layers = "nn.Linear(128, 128), nn.Sigmoid(), " * 6  # whose fix is unsafe
    shell.write("wild.py", NET.replace(hidden, f"        self.hidden = nn.Sequential({layers}nn.Linear(128, 128))"))
    result = shell("check", "--isolated", "--diff")
    assert result.out == alone


@pytest.mark.parametrize(
    ("arguments", "verifies"),
    [
        ((), False),
        (("--output-format", "concise"), False),
        (("--output-format", "github"), False),
        (("--statistics",), False),
        (("--output-format", "json"), True),
        (("--output-format", "json-lines"), True),
        (("--output-format", "rdjson"), True),
        (("--output-format", "sarif"), True),
        (("--diff",), True),
        (("--fix",), True),
    ],
)
def test_a_fix_is_verified_where_its_edits_are_written_or_shown(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], *, verifies: bool
) -> None:
    from initlint.fix.verify import Verifier

    verified: list[Verifier] = []
    objection = Verifier.objection

    def noted(self: Verifier, *given: object) -> object:
        verified.append(self)
        return objection(self, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(Verifier, "objection", noted)
    shell.write("net.py", NET)
    shell("check", "--no-cache", *arguments)
    assert bool(verified) is verifies


def test_a_draft_that_its_verification_refuses_is_not_written(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    from initlint.fix.recommend import Refusal
    from initlint.fix.verify import Verifier

    refusal = Refusal("the repair would bring INI107")
    monkeypatch.setattr(Verifier, "objection", lambda *_: refusal)
    shell.write("net.py", NET)
    assert "[*]" in shell("check", "--no-cache").out
    result = shell("check", "--no-cache", "--fix")
    assert f"not repaired automatically: {refusal.reason}" in result.out
    assert "[*]" not in result.out
    assert shell.read("net.py") == NET
