from __future__ import annotations

import os
from pathlib import Path

import pytest

from targetry.activities.model.files import ActivityFolder, FolderFileError, write_atomically


def test_yaml_files_are_found_in_order_without_those_of_tests(tmp_path: Path) -> None:
    for name in ("b.yaml", "a/c.yml", "tests/b.test.yaml", ".hidden.yaml", ".git/x.yaml", "offers/a.html"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    folder = ActivityFolder(tmp_path)
    assert folder.names() == ["a/c.yml", "b.yaml"]
    assert folder.test_names() == ["tests/b.test.yaml"]


def test_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FolderFileError, match="there is no folder"):
        ActivityFolder(tmp_path / "missing")
    (tmp_path / "file").touch()
    with pytest.raises(FolderFileError, match="file is not a folder"):
        ActivityFolder(tmp_path / "file")


def test_files_that_cannot_be_used_say_why(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "secret.html").write_text("secret")
    (inside / "link.html").symlink_to(tmp_path / "secret.html")
    (inside / "loop.html").symlink_to(inside / "loop.html")
    (inside / "binary.html").write_bytes(b"\xff\xfe\x00")
    (inside / "large.html").write_text("x" * 11)
    os.mkfifo(inside / "pipe.html")
    folder = ActivityFolder(inside)
    for name, reason in {
        "../secret.html": "outside of the folder",
        str(tmp_path / "secret.html"): "outside of the folder",
        "link.html": "outside of the folder",
        "loop.html": "cannot be read|no such file",
        "missing.html": "there is no such file",
        ".": "is not a file",
        "pipe.html": "is not a file",
        "a\0b": "cannot be read",
        "binary.html": "not UTF-8",
        "large.html": "larger than 10 bytes",
    }.items():
        with pytest.raises(FolderFileError, match=reason):
            folder.read_text(name, 10)


def test_text_is_read_without_byte_order_mark_and_carriage_returns(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_bytes(b"\xef\xbb\xbfa\r\nb")
    assert ActivityFolder(tmp_path).read_text("a.html") == "a\nb"


def test_failed_write_keeps_the_old_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_atomically(path, "old")

    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]
