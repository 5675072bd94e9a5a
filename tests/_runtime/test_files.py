"""Ownership, versions and reading of files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from targetry._runtime.files import (
    NotRegularFileError,
    UntrustedFileError,
    check_folder,
    check_private_if_exists,
    file_version,
    make_folder,
    open_private,
    read_file,
)

pytestmark = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs owners of files")
needs_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away"
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    path.chmod(0o600)
    return path


def replace_by_link(path: Path) -> None:
    path.rename(path.with_name("target"))
    path.symlink_to("target")


def replace_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def replace_by_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


UNTRUSTED: dict[str, tuple[Callable[[Path], object], str]] = {
    "link": (replace_by_link, "symbolic link"),
    "folder": (replace_by_folder, "not a regular file"),
    "pipe": (replace_by_pipe, "not a regular file"),
    "group": (lambda path: path.chmod(0o620), "written by others"),
    "world": (lambda path: path.chmod(0o602), "written by others"),
}


@pytest.mark.parametrize(("change", "why"), UNTRUSTED.values(), ids=UNTRUSTED)
def test_file_writable_by_others_raises(change: Callable[[Path], object], why: str, file: Path) -> None:
    change(file)
    with pytest.raises(UntrustedFileError, match=why):
        open_private(file, os.O_RDONLY)


@needs_root
def test_file_of_another_user_raises(file: Path) -> None:
    os.chown(file, 12345, -1)
    with pytest.raises(UntrustedFileError, match="another user"):
        open_private(file, os.O_RDONLY)


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o644])
def test_file_of_this_user_is_opened(mode: int, file: Path) -> None:
    file.chmod(mode)
    with open(open_private(file, os.O_RDONLY), "rb") as opened:
        assert opened.read() == b"content"


def test_new_file_is_private(tmp_path: Path) -> None:
    os.close(open_private(tmp_path / "new", os.O_RDWR | os.O_CREAT))
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o600


def test_file_that_is_not_there_needs_no_check(tmp_path: Path) -> None:
    check_private_if_exists(tmp_path / "none")


@pytest.mark.parametrize(
    ("mode", "trusted"), [(0o700, True), (0o755, True), (0o775, True), (0o1777, True), (0o777, False)]
)
def test_folder_without_sticky_bit_raises(mode: int, trusted: bool, tmp_path: Path) -> None:
    tmp_path.chmod(mode)
    if trusted:
        check_folder(tmp_path)
        return
    with pytest.raises(UntrustedFileError, match="all users"):
        check_folder(tmp_path)


def test_version_of_a_missing_file_is_none(tmp_path: Path) -> None:
    assert file_version(tmp_path / "nowhere") is None
    assert file_version(Path("nul\0")) is None


def test_version_changes_with_the_content(tmp_path: Path) -> None:
    path = tmp_path / "rules.json"
    path.write_bytes(b"v1")
    before = file_version(path)
    path.write_bytes(b"v20")
    after = file_version(path)
    assert before is not None
    assert after is not None
    assert before != after
    assert before.etag != after.etag


def test_version_changes_with_a_file_of_equal_content(tmp_path: Path) -> None:
    path, other = tmp_path / "rules.json", tmp_path / "other"
    path.write_bytes(b"v1")
    other.write_bytes(b"v1")
    before = file_version(path)
    os.replace(other, path)
    after = file_version(path)
    assert before is not None
    assert after is not None
    assert before != after


def test_read_file_returns_at_most_one_byte_beyond_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "rules.json"
    path.write_bytes(b"x" * 1000)
    assert read_file(path) == (b"x" * 1000, file_version(path))
    assert len(read_file(path, 10)[0]) == 11


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_read_file_rejects_pipes_and_folders_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(NotRegularFileError, match="is not a file"):
            read_file(path)


def test_file_in_place_of_a_new_folder_or_of_a_parent_is_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    for folder in (file, file / "below" / "folder"):
        with pytest.raises(NotADirectoryError, match=rf"{file} is not a folder$"):
            make_folder(folder)
    make_folder(tmp_path / "new" / "folder", 0o700)
    make_folder(tmp_path / "new" / "folder", 0o700)
    assert (tmp_path / "new" / "folder").stat().st_mode & 0o777 == 0o700
