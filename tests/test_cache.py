"""A remembered run is the same run, and anything it depended on makes it a new one."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from command_line import CLEAN, NET, Shell

from initlint.cache import FOLDER, Cache, digest
from initlint.config import FORMATS
from initlint.engine import check_source
from initlint.model import Finding


def test_findings_come_back_as_they_were(tmp_path: Path) -> None:
    findings = check_source(NET, filename=str(tmp_path / "net.py"))
    assert findings[0].judgements
    cache = Cache(tmp_path / "cache")
    assert cache.read("key") is None
    cache.write("key", findings)
    assert cache.read("key") == findings
    read = cache.read("key")
    assert read is not None
    assert isinstance(read[0], Finding)


@pytest.mark.parametrize(
    "text", ["", "{", "[1", '[{"Path": ["/etc"]}]', '[{"Site": [1]}]', "[{}]", '{"a": [], "b": []}']
)
def test_an_entry_that_cannot_be_understood_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "key.json").write_text(text, encoding="utf-8")
    assert Cache(tmp_path).read("key") is None


def test_where_nothing_can_be_written_nothing_is_remembered(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    cache = Cache(tmp_path / "file" / "cache")
    cache.write("key", ())
    assert cache.read("key") is None


def test_only_the_latest_runs_are_kept(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    for number in range(70):
        cache.write(f"{number:02}", (number,))
        os.utime(tmp_path / "cache" / f"{number:02}.json", (number, number))
    kept = sorted(path.stem for path in (tmp_path / "cache").glob("*.json"))
    assert len(kept) == 64
    assert (kept[0], kept[-1]) == ("06", "69")


def test_the_key_knows_texts_neighbours_and_settings(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("", encoding="utf-8")
    (tmp_path / "pkg").mkdir()
    neighbour = tmp_path / "pkg" / "train.py"
    neighbour.write_text("a = 1\n", encoding="utf-8")
    texts = {str(tmp_path / "pkg" / "net.py"): "b = 1\n"}
    key = digest(texts, ["settings"])
    assert digest(texts, ["settings"]) == key
    changed = dict.fromkeys(texts, "b = 2\n")
    assert digest(changed, ["settings"]) != key
    assert digest(texts, ["other settings"]) != key
    neighbour.write_text("a = 12\n", encoding="utf-8")
    assert digest(texts, ["settings"]) != key


def test_a_folder_without_end_is_not_looked_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("initlint.cache._MOST_FILES", 3)
    assert digest({str(tmp_path / "net.py"): "b = 1\n"}, []) is None


def test_a_second_run_scans_nothing_and_says_the_same(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    shell.write("net.py", NET)
    first = {name: shell("check", "--output-format", name) for name in FORMATS}

    def never(*_: object, **__: object) -> None:
        raise AssertionError("scanned again")

    monkeypatch.setattr("initlint.engine.understand", never)
    for name in FORMATS:
        assert shell("check", "--output-format", name).out.replace("\r", "") == first[name].out
        assert first[name].status == 1


def test_an_edit_is_seen_at_once(shell: Shell) -> None:
    shell.write("net.py", NET)
    assert shell("check").status == 1
    shell.write("net.py", CLEAN)
    assert shell("check").status == 0
    shell.write("net.py", NET)
    assert shell("check").status == 1
    assert shell("check", "--select", "INI102").status == 0


def test_an_edit_of_a_file_that_was_not_named_makes_a_new_run(shell: Shell) -> None:
    def runs() -> int:
        return len(list((shell.folder / FOLDER).glob("*.json")))

    shell.write("pyproject.toml", "")
    shell.write("net.py", NET)
    shell.write("train.py", "from net import Net\n")
    shell("check", "net.py")
    shell("check", "net.py")
    assert runs() == 1
    shell.write("train.py", "from net import Net\n\nnet = Net()\n")
    shell("check", "net.py")
    assert runs() == 2


def test_no_cache_and_clean(shell: Shell) -> None:
    shell.write("net.py", NET)
    shell("check", "--no-cache")
    assert not (shell.folder / FOLDER).exists()
    shell("check")
    assert (shell.folder / FOLDER / ".gitignore").read_text(encoding="utf-8") == "*\n"
    assert json.loads(next((shell.folder / FOLDER).glob("*.json")).read_text(encoding="utf-8"))
    result = shell("clean")
    assert (result.status, result.out) == (0, f"Removed {shell.folder / FOLDER}.\n")
    assert not (shell.folder / FOLDER).exists()
    assert shell("clean").out == "Nothing to remove.\n"
    assert shell("clean", "nowhere").status == 2


def test_several_jobs_find_the_same(shell: Shell) -> None:
    shell.write("pyproject.toml", "")
    for number in range(4):
        shell.write(f"net{number}.py", NET)
    shell.write("broken.py", "import torch\n(")
    one = shell("check", "--no-cache", "--output-format", "concise")
    assert len(one.codes) == 5
    assert shell("check", "--no-cache", "--output-format", "concise", "--jobs", "2") == one
    assert shell("check", "--jobs", "0").status == 2
