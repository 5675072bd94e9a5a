"""Write lock of a ledger: it belongs to an open file, so it excludes threads too."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from targetry.ledger import group_commit
from targetry.ledger.errors import LedgerError
from targetry.ledger.group_commit import WriteLock


def test_lock_has_one_holder_at_a_time(tmp_path: Path) -> None:
    inside = most = 0

    def work() -> None:
        nonlocal inside, most
        lock = WriteLock(tmp_path, 10.0)
        for _ in range(50):
            with lock.hold():
                inside += 1
                most = max(most, inside)
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (inside, most) == (0, 1)


def test_waiter_gets_the_lock_from_a_holder_that_reacquires_it(tmp_path: Path) -> None:
    has_started, is_done = threading.Event(), threading.Event()

    def take_again_and_again() -> None:
        lock = WriteLock(tmp_path, 10.0)
        while not is_done.is_set():
            with lock.hold():
                has_started.set()
                is_done.wait(0.001)

    thread = threading.Thread(target=take_again_and_again)
    thread.start()
    try:
        assert has_started.wait(60)
        for _ in range(20):
            with WriteLock(tmp_path, 30.0).hold():
                pass
    finally:
        is_done.set()
        thread.join(60)


def test_background_holder_leaves_the_lock_free_for_a_tenth_of_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    def acquire_and_release(seconds: float) -> None:
        with WriteLock(tmp_path, 0.0).hold():
            pauses.append(seconds)

    monkeypatch.setattr(group_commit, "_pause", acquire_and_release)
    for held_s in (0.0, 0.05):
        with WriteLock(tmp_path, 1.0).hold_in_background():
            threading.Event().wait(held_s)
    assert pauses[0] > 0
    assert pauses[1] >= 0.005


def test_lock_that_is_held_for_too_long_is_an_error(tmp_path: Path) -> None:
    with WriteLock(tmp_path, 1.0).hold(), pytest.raises(LedgerError, match=r"holds ledger\.lock") as caught:  # noqa: SIM117
        with WriteLock(tmp_path, 0.01).hold():
            pass
    assert caught.value.reason == "locked"
    with WriteLock(tmp_path, 0.01).hold():
        pass


def test_lock_is_released_when_its_process_ends(tmp_path: Path) -> None:
    source = f"""
        from pathlib import Path
        from targetry.ledger.group_commit import WriteLock
        with WriteLock(Path({str(tmp_path)!r}), 1.0).hold():
            print("held", flush=True)
            input()
    """
    command = [sys.executable, "-c", textwrap.dedent(source)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(LedgerError), WriteLock(tmp_path, 0.0).hold():
            pass
        process.kill()
        process.wait(60)
        with WriteLock(tmp_path, 0.0).hold():
            pass


def test_folder_without_files_has_no_lock(tmp_path: Path) -> None:
    with WriteLock(tmp_path / "missing", 0.0).hold(), WriteLock(tmp_path / "missing", 0.0).hold():
        pass


def can_be_acquired(folder: Path) -> bool:
    try:
        with WriteLock(folder, 0.0).hold():
            return True
    except LedgerError:
        return False


def test_lock_with_an_open_file_is_free_between_uses(tmp_path: Path) -> None:
    lock = WriteLock(tmp_path, 0.0, keeps_open=True)
    for _ in range(2):
        with lock.hold():
            assert not can_be_acquired(tmp_path)
        assert can_be_acquired(tmp_path)
    lock.remove_file()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="open files cannot be removed there")
def test_lock_with_an_open_file_notices_its_removal(tmp_path: Path) -> None:
    lock = WriteLock(tmp_path, 0.0, keeps_open=True)
    with lock.hold():
        pass
    WriteLock(tmp_path, 0.0).remove_file()
    with lock.hold():
        assert not can_be_acquired(tmp_path)
    lock.remove_file()


def test_lock_with_an_open_file_opens_it_again_after_an_error(tmp_path: Path) -> None:
    """The error can say that the folder was moved, and another one has its name."""
    lock = WriteLock(tmp_path / "data", 0.0, keeps_open=True)
    (tmp_path / "data").mkdir()
    with contextlib.suppress(LedgerError), lock.hold():
        (tmp_path / "data").rename(tmp_path / "moved")
        raise LedgerError("removed", "the folder was moved")
    (tmp_path / "data").mkdir()
    with lock.hold():
        assert not can_be_acquired(tmp_path / "data")
    lock.remove_file()


def test_file_is_removed(tmp_path: Path) -> None:
    lock = WriteLock(tmp_path, 0.0)
    with lock.hold():
        assert list(tmp_path.iterdir())
    lock.remove_file()
    assert list(tmp_path.iterdir()) == []


def test_file_of_a_held_lock_is_not_removed(tmp_path: Path) -> None:
    with WriteLock(tmp_path, 0.0).hold():
        WriteLock(tmp_path, 0.0).remove_file()
        with pytest.raises(LedgerError), WriteLock(tmp_path, 0.0).hold():
            pass
