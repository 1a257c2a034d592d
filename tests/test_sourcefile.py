"""A file is written back byte for byte but for the edits, or not at all."""

from __future__ import annotations

import codecs
import importlib
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from initlint.errors import InitlintError
from initlint.sourcefile import SourceFile, UnreadableError, decode, read, write_all


def stored(path: Path, data: bytes) -> SourceFile:
    path.write_bytes(data)
    return read(path)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"a = 1",
        b"a = 1\r\nb = 2\r\n",
        b"a = 1\rb = 2\n\x0cc = 3\r\n",
        codecs.BOM_UTF8 + "é = 1\n".encode(),
        codecs.BOM_UTF8 + b"# coding: utf-8\na = 1\n",
        "# -*- coding: latin-1 -*-\né = 'ü'\n".encode("latin-1"),
        "#!/usr/bin/python\n# vim: set fileencoding=cp1252 :\nx = '€'\n".encode("cp1252"),
        "# coding: euc-jp\nx = '日本'\n".encode("euc-jp"),
        b"\ta = 1  \n\n\n",
    ],
)
def test_reading_and_writing_changes_no_byte(tmp_path: Path, data: bytes) -> None:
    source = stored(tmp_path / "a.py", data)
    assert not source.text.startswith("\ufeff")
    assert source.encode(source.text) == data
    write_all([(source, source.text)])
    assert source.path.read_bytes() == data


def test_an_edit_is_written_in_the_files_own_encoding(tmp_path: Path) -> None:
    source = stored(tmp_path / "a.py", "# coding: latin-1\nx = 'é'\r\n".encode("latin-1"))
    write_all([(source, source.text.replace("x", "y"))])
    assert source.path.read_bytes() == "# coding: latin-1\ny = 'é'\r\n".encode("latin-1")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"x = '\xff'\n", "not utf-8: byte 0xff at offset 5"),
        (b"# coding: no-such\n", "encoding cannot be told"),
        (codecs.BOM_UTF8 + b"# coding: latin-1\n", "encoding cannot be told"),
        (b"# coding: ascii\nx = '\xe9'\n", "not ascii: byte 0xe9"),
    ],
)
def test_bytes_that_are_no_text_say_why(data: bytes, words: str) -> None:
    with pytest.raises(UnreadableError, match=words):
        decode(Path("a.py"), data)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="no such file"):
        read(tmp_path / "a.py")


def test_what_the_encoding_cannot_say_is_refused(tmp_path: Path) -> None:
    source = stored(tmp_path / "a.py", b"# coding: ascii\nx = 1\n")
    with pytest.raises(InitlintError, match="ascii cannot write"):
        write_all([(source, source.text + "# é\n")])
    assert source.path.read_bytes() == source.data


def test_the_mode_stays(tmp_path: Path) -> None:
    source = stored(tmp_path / "a.py", b"a = 1\n")
    source.path.chmod(0o751)
    write_all([(source, "a = 2\n")])
    assert source.path.stat().st_mode & 0o777 == 0o751
    assert source.path.read_text(encoding="utf-8") == "a = 2\n"
    assert [path.name for path in tmp_path.iterdir()] == ["a.py"]


def test_a_read_only_file_is_refused(tmp_path: Path) -> None:
    source = stored(tmp_path / "a.py", b"a = 1\n")
    source.path.chmod(0o444)
    with pytest.raises(InitlintError, match="read-only"):
        write_all([(source, "a = 2\n")])
    assert source.path.read_bytes() == b"a = 1\n"


def test_a_symbolic_link_is_refused(tmp_path: Path) -> None:
    stored(tmp_path / "real.py", b"a = 1\n")
    link = tmp_path / "link.py"
    link.symlink_to(tmp_path / "real.py")
    with pytest.raises(InitlintError, match="symbolic link") as caught:
        write_all([(read(link), "a = 2\n")])
    assert "real.py" in str(caught.value)
    assert link.is_symlink()
    assert link.read_bytes() == b"a = 1\n"


def test_a_file_of_several_names_is_refused(tmp_path: Path) -> None:
    """Replaced, it would part from the other name; written in place, it would change what that name stands for."""
    source = stored(tmp_path / "a.py", b"a = 1\n")
    (tmp_path / "snapshot.py").hardlink_to(source.path)
    with pytest.raises(InitlintError, match="2 names on this disk"):
        write_all([(source, "a = 2\n")])
    assert source.path.samefile(tmp_path / "snapshot.py")
    assert source.path.read_bytes() == b"a = 1\n"
    assert len(list(tmp_path.iterdir())) == 2


def test_a_file_that_changed_meanwhile_is_refused(tmp_path: Path) -> None:
    source = stored(tmp_path / "a.py", b"a = 1\n")
    source.path.write_bytes(b"a = 1  # edited in the meantime\n")
    with pytest.raises(InitlintError, match="changed while initlint ran"):
        write_all([(source, "a = 2\n")])
    assert source.path.read_bytes() == b"a = 1  # edited in the meantime\n"


def test_one_refusal_keeps_every_file_as_it_is(tmp_path: Path) -> None:
    first = stored(tmp_path / "a.py", b"a = 1\n")
    second = stored(tmp_path / "b.py", b"b = 1\n")
    second.path.write_bytes(b"b = 3\n")
    with pytest.raises(InitlintError):
        write_all([(first, "a = 2\n"), (second, "b = 2\n")])
    assert first.path.read_bytes() == b"a = 1\n"


STEPS = ("tempfile.mkstemp", "os.fdopen", "os.fsync", "pathlib.Path.chmod", "pathlib.Path.replace")


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()], ids=["full", "stop"])
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("passed", [0, 1])
def test_whatever_fails_every_file_is_old_or_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, failure: BaseException, passed: int
) -> None:
    """The `passed` + 1st time that a step is taken fails: only between two replacements is one file ahead of another."""
    files = [stored(tmp_path / f"{name}.py", f"{name} = 1\n".encode()) for name in "ab"]
    holder, _, name = step.rpartition(".")
    module, _, cls = holder.partition(".")
    owner = importlib.import_module(module)
    owner = getattr(owner, cls) if cls else owner
    real, taken = getattr(owner, name), iter([False] * passed + [True])

    def failing(*arguments: Any, **options: Any) -> Any:
        if next(taken, False):
            raise failure
        return real(*arguments, **options)

    monkeypatch.setattr(owner, name, failing)
    with pytest.raises((InitlintError, KeyboardInterrupt)):
        write_all([(source, source.text.replace("1", "2")) for source in files])
    monkeypatch.undo()
    ahead = passed if name == "replace" else 0
    assert [path.read_text() for path in sorted(tmp_path.iterdir())] == [
        f"{name} = {2 if place < ahead else 1}\n" for place, name in enumerate("ab")
    ]


def test_a_file_that_changes_while_others_are_written_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (stored(tmp_path / f"{name}.py", b"x = 1\n") for name in "ab")
    monkeypatch.setattr("os.fsync", lambda _: second.path.write_bytes(b"x = 3\n"))
    with pytest.raises(InitlintError, match="changed while initlint ran"):
        write_all([(first, "x = 2\n"), (second, "x = 2\n")])
    assert [path.read_bytes() for path in sorted(tmp_path.iterdir())] == [b"x = 1\n", b"x = 3\n"]


ENDLESS = """
import sys
from pathlib import Path
from initlint.sourcefile import read, write_all

files = [Path(name) for name in sys.argv[1:]]
print("started", flush=True)
while True:
    for old, new in ("ab", "ba"):
        write_all([(source, source.text.replace(old, new)) for source in map(read, files)])
"""


@pytest.mark.parametrize("moment", [0.0, 0.001, 0.003, 0.01, 0.02, 0.05, 0.07, 0.1])
def test_a_kill_at_any_moment_leaves_the_old_file_or_the_new_one(tmp_path: Path, moment: float) -> None:
    files = [tmp_path / f"{name}.py" for name in "xyz"]
    for path in files:
        path.write_bytes(b"a" * 200_000)
    command = [sys.executable, "-c", ENDLESS, *map(str, files)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"started\n"
        time.sleep(moment)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert {path.read_bytes() for path in files} <= {b"a" * 200_000, b"b" * 200_000}
    assert {path.suffix for path in tmp_path.iterdir()} <= {".py", ".tmp"}


def test_a_write_that_fails_leaves_the_file_and_no_litter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = stored(tmp_path / "a.py", b"a = 1\n")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(InitlintError, match="No space left"):
        write_all([(source, "a = 2\n")])
    assert source.path.read_bytes() == b"a = 1\n"
    assert [path.name for path in tmp_path.iterdir()] == ["a.py"]
