"""Turns of processes at a ledger; `flock` belongs to an open file, so two of one process do as well."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from support.edge_sockets import wait_until
from targetry.ledger.errors import LedgerError
from targetry.ledger.write_lock import Turns

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no turns on Windows")


def can_queue(folder: Path) -> bool:
    import fcntl

    with (folder / "ledger.queue").open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def test_one_has_the_turn_at_a_time(tmp_path: Path) -> None:
    inside = most = 0

    def work() -> None:
        nonlocal inside, most
        turns = Turns(tmp_path, 10.0)
        for _ in range(50):
            with turns.turn():
                inside += 1
                most = max(most, inside)
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert (inside, most) == (0, 1)


def test_who_has_had_a_turn_does_not_get_the_next_while_another_waits(tmp_path: Path) -> None:
    order: list[str] = []
    waits = threading.Event()

    def other() -> None:
        waits.set()
        with Turns(tmp_path, 10.0).turn():
            order.append("other")

    turns = Turns(tmp_path, 10.0)
    thread = threading.Thread(target=other)
    with turns.turn():
        thread.start()
        assert waits.wait(10)
        wait_until(lambda: not can_queue(tmp_path), "that the other one queues")
    with turns.turn():
        order.append("the first again")
    thread.join(10)
    assert order == ["other", "the first again"]


def test_a_turn_that_does_not_end_is_an_error(tmp_path: Path) -> None:
    with Turns(tmp_path, 1.0).turn(), pytest.raises(LedgerError, match="turn locked") as caught:  # noqa: SIM117
        with Turns(tmp_path, 0.01).turn():
            pass
    assert caught.value.reason == "locked"
    with Turns(tmp_path, 0.01).turn():
        pass


def test_a_turn_ends_with_its_process(tmp_path: Path) -> None:
    source = f"""
        from pathlib import Path
        from targetry.ledger.write_lock import Turns
        with Turns(Path({str(tmp_path)!r}), 1.0).turn():
            print("mine", flush=True)
            input()
    """
    command = [sys.executable, "-c", textwrap.dedent(source)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"mine\n"
        with pytest.raises(LedgerError), Turns(tmp_path, 0.0).turn():
            pass
        process.kill()
        process.wait(10)
        with Turns(tmp_path, 0.0).turn():
            pass


def test_where_there_can_be_no_files_there_are_no_turns(tmp_path: Path) -> None:
    with Turns(tmp_path / "missing", 0.0).turn(), Turns(tmp_path / "missing", 0.0).turn():
        pass


def test_no_files_are_left(tmp_path: Path) -> None:
    turns = Turns(tmp_path, 0.0)
    with turns.turn():
        assert list(tmp_path.iterdir())
    turns.tidy()
    assert list(tmp_path.iterdir()) == []
