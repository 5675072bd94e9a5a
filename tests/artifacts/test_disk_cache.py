from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.python_process import environment
from support.shared_folder import LARGEST, read_while_another_writes
from targetry.artifacts.disk_cache import DiskCache, SavedArtifact

URL = "https://assets.adobetarget.com/acme/production/v1/rules.json"


class Warnings(list[str]):
    def __call__(self, kind: str, text: str) -> None:
        self.append(f"{kind}: {text}")


@pytest.fixture
def warnings() -> Warnings:
    return Warnings()


@pytest.fixture
def cache(tmp_path: Path, warnings: Warnings) -> DiskCache:
    return DiskCache(tmp_path / "made" / "when needed", URL, max_bytes=1000, warn=warnings)


@given(st.binary(max_size=300), st.none() | st.text(max_size=20), st.floats(0, 4e9))
@settings(max_examples=30, deadline=None)
def test_saved_copy_is_loaded(body: bytes, etag: str | None, saved_at: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        cache = DiskCache(folder, URL, max_bytes=1000, warn=Warnings())
        assert cache.save(body, etag, saved_at)
        assert cache.load() == SavedArtifact(body, etag, saved_at)


def test_new_copy_replaces_the_old_one_and_leaves_no_other_file(cache: DiskCache) -> None:
    cache.save(b"first", None, 1)
    cache.save(b"second", None, 2)
    assert cache.load() == SavedArtifact(b"second", None, 2)
    assert list(cache.path.parent.iterdir()) == [cache.path]


def test_missing_copy_is_not_logged(cache: DiskCache, warnings: Warnings) -> None:
    assert cache.load() is None
    assert warnings == []


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda content: content[:-1], "damaged"),
        (lambda content: content + b"x", "damaged"),
        (lambda content: content.replace(b"body", b"b0dy"), "damaged"),
        (lambda content: b"", "it has no header"),
        (lambda content: content[content.index(b"\n") + 1 :], "it has no header"),
        (lambda content: b"\xff" + content, "it has no header"),
        (lambda content: b"[" * 70_000, "it has no header"),
        (lambda content: content.replace(b'"format":2', b'"format":1'), "format 1, not 2"),
        (lambda content: re.sub(rb'"url":"....', b'"url":"0000', content), "another URL"),
    ],
    ids=[
        "cut",
        "longer",
        "changed",
        "empty",
        "no header",
        "not text",
        "endless header",
        "other format",
        "other URL",
    ],
)
def test_copy_that_does_not_match_its_header_is_ignored(
    damage: object, why: str, cache: DiskCache, warnings: Warnings
) -> None:
    cache.save(b"the body", "e", 1)
    cache.path.write_bytes(damage(cache.path.read_bytes()))  # type: ignore[operator]
    assert cache.load() is None
    assert len(warnings) == 1
    assert why in warnings[0]


def test_copy_beyond_the_size_limit_is_ignored(tmp_path: Path, warnings: Warnings) -> None:
    DiskCache(tmp_path, URL, max_bytes=1000, warn=warnings).save(b"x" * 1000, None, 1)
    assert DiskCache(tmp_path, URL, max_bytes=999, warn=warnings).load() is None
    assert "larger than 999 bytes" in warnings[0]


def test_each_url_has_its_own_copy(tmp_path: Path, warnings: Warnings) -> None:
    ours = DiskCache(tmp_path, URL, max_bytes=1000, warn=warnings)
    theirs = DiskCache(tmp_path, URL + "?v=2", max_bytes=1000, warn=warnings)
    ours.save(b"ours", None, 1)
    theirs.save(b"theirs", None, 1)
    assert [ours.load(), theirs.load()] == [
        SavedArtifact(b"ours", None, 1),
        SavedArtifact(b"theirs", None, 1),
    ]


def test_copy_holds_no_secret_of_its_url(tmp_path: Path, warnings: Warnings) -> None:
    cache = DiskCache(
        tmp_path, "https://me:hush@cdn.example/rules.json?token=s3cret", max_bytes=1000, warn=warnings
    )
    cache.save(b"body", None, 1)
    content = cache.path.read_bytes()
    assert b"hush" not in content
    assert b"s3cret" not in content


@pytest.mark.skipif(os.name != "posix", reason="modes of POSIX")
def test_only_the_user_may_read_the_copy(cache: DiskCache) -> None:
    cache.save(b"body", None, 1)
    assert cache.path.stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away")
def test_copy_of_another_user_is_ignored(cache: DiskCache, warnings: Warnings) -> None:
    cache.save(b"body", None, 1)
    os.chown(cache.path, 12345, -1)
    assert cache.load() is None
    assert "another user" in warnings[0]


def test_unwritable_folder_is_logged_once_until_it_is_writable(tmp_path: Path, warnings: Warnings) -> None:
    in_the_way = tmp_path / "folder"
    in_the_way.write_text("a file")
    cache = DiskCache(in_the_way, URL, max_bytes=1000, warn=warnings)
    assert [cache.save(b"1", None, 1), cache.save(b"2", None, 2)] == [False, False]
    assert len(warnings) == 1
    in_the_way.unlink()
    assert cache.save(b"3", None, 3)
    assert cache.load() == SavedArtifact(b"3", None, 3)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a full device")
def test_full_disk_leaves_the_old_copy_and_no_temporary_file(cache: DiskCache, warnings: Warnings) -> None:
    cache.save(b"old", None, 1)
    script = (
        "import resource, signal, sys; from targetry.artifacts.disk_cache import DiskCache\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))\n"
        "listener = []\n"
        "cache = DiskCache(sys.argv[1], sys.argv[2], max_bytes=10**6, warn=lambda *text: listener.append(text))\n"
        "assert not cache.save(b'x' * 100_000, None, 2) and len(listener) == 1, listener"
    )
    subprocess.run([sys.executable, "-c", script, cache.path.parent, URL], check=True, env=environment())
    assert cache.load() == SavedArtifact(b"old", None, 1)
    assert list(cache.path.parent.iterdir()) == [cache.path]


def test_unreadable_copy_is_logged(cache: DiskCache, warnings: Warnings) -> None:
    cache.path.mkdir(parents=True)
    assert cache.load() is None
    assert "not a regular file" in warnings[0]


def test_folder_with_an_invalid_name_is_logged(warnings: Warnings) -> None:
    cache = DiskCache("a\0b", URL, max_bytes=1000, warn=warnings)
    assert cache.load() is None
    assert not cache.save(b"body", None, 1)
    assert len(warnings) == 2


def test_temporary_files_of_killed_writers_are_removed(cache: DiskCache) -> None:
    cache.save(b"body", None, 1)
    old, young = (cache.path.with_name(f".{cache.path.name}-{name}") for name in ("old", "young"))
    for left in (old, young):
        left.write_bytes(b"half")
    os.utime(old, (time.time() - 7200,) * 2)
    cache.save(b"body", None, 2)
    assert [old.exists(), young.exists()] == [False, True]


def test_rejected_artifact_is_saved_next_to_the_usable_copy(cache: DiskCache) -> None:
    cache.save(b"good", None, 1)
    assert cache.save_refused(b"bad")
    assert cache.refused_path.read_bytes() == b"bad"
    assert cache.load() == SavedArtifact(b"good", None, 1)


def test_two_processes_never_read_a_partial_copy(cache: DiskCache, warnings: Warnings) -> None:
    """Read while two processes write; `soak/test_soak.py` does so more often."""
    cache = DiskCache(cache.path.parent, URL, max_bytes=LARGEST, warn=warnings)
    assert read_while_another_writes(cache, URL, reads=50, copies=50, within_s=20) >= 50
    assert warnings == []


def test_copy_writable_by_others_is_ignored_with_a_warning(cache: DiskCache, warnings: Warnings) -> None:
    cache.save(b"rules", None, 1.0)
    cache.path.chmod(0o666)
    assert cache.load() is None
    assert ["written by others" in text for text in warnings] == [True]


def test_copy_in_a_world_writable_folder_is_ignored(cache: DiskCache, warnings: Warnings) -> None:
    cache.save(b"rules", None, 1.0)
    cache.path.parent.chmod(0o777)
    assert cache.load() is None
    assert ["all users" in text for text in warnings] == [True]


def _linked(path: Path) -> None:
    elsewhere = path.with_name("elsewhere")
    path.rename(elsewhere)
    path.symlink_to(elsewhere)


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.skipif(os.name != "posix", reason="modes of POSIX")
@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda path: path.chmod(0o620), "may be written by others"),
        (lambda path: path.chmod(0o602), "may be written by others"),
        (_linked, "is a symbolic link"),
        (_pipe, "is not a regular file"),
    ],
    ids=["group", "others", "link", "pipe"],
)
def test_copy_of_another_owner_or_mode_is_ignored(
    change: Callable[[Path], None], why: str, cache: DiskCache, warnings: Warnings
) -> None:
    cache.save(b"body", None, 1)
    change(cache.path)
    assert cache.load() is None
    (warning,) = warnings
    assert why in warning
    assert cache.save(b"new", None, 2)
    assert cache.load() == SavedArtifact(b"new", None, 2)
