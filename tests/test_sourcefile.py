"""A file is written back byte for byte but for the edits, or not at all."""

from __future__ import annotations

import codecs
from pathlib import Path

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


def test_a_write_that_fails_leaves_the_file_and_no_litter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = stored(tmp_path / "a.py", b"a = 1\n")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(InitlintError, match="No space left"):
        write_all([(source, "a = 2\n")])
    assert source.path.read_bytes() == b"a = 1\n"
    assert [path.name for path in tmp_path.iterdir()] == ["a.py"]
