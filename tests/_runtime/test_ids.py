"""Random ids, also in copies of a process."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

import targetry
from support.cases import each_case
from targetry._runtime.ids import new_id, new_ids


def test_id_is_a_random_uuid_with_dashes() -> None:
    for _ in range(100):
        text = new_id()
        parsed = uuid.UUID(text)
        assert text == str(parsed)
        assert (parsed.version, parsed.variant) == (4, uuid.RFC_4122)


@each_case("count", [0, 1, 3, 16, 17, 101])
def test_several_ids_are_as_many_random_uuids(count: int) -> None:
    ids = list(new_ids(count))
    assert len(set(ids)) == count
    for text in ids:
        parsed = uuid.UUID(text)
        assert (text, parsed.version, parsed.variant) == (str(parsed), 4, uuid.RFC_4122)


@pytest.mark.parametrize("draw", [lambda: [new_id() for _ in range(500)], lambda: [*new_ids(500)]])
def test_ids_differ_in_each_random_bit(draw: Callable[[], list[str]]) -> None:
    ids = draw()
    assert len(set(ids)) == 500
    varying = {place for place in range(36) if len({one[place] for one in ids}) > 8}
    assert varying == set(range(36)) - {8, 13, 14, 18, 19, 23}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_ids_of_a_forked_child_differ() -> None:
    new_id()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, " ".join(new_id() for _ in range(100)).encode())
        os._exit(0)
    own = {new_id() for _ in range(100)}
    os.waitpid(child, 0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        theirs = set(pipe.read().decode().split())
    assert len(own) == len(theirs) == 100
    assert not own & theirs


def test_threads_get_ids_of_their_own() -> None:
    taken: list[str] = []
    threads = [threading.Thread(target=lambda: taken.extend(new_id() for _ in range(500))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(set(taken)) == 2000


@pytest.mark.skipif(sys.platform != "linux", reason="needs the fork of the C library")
def test_ids_of_a_copied_process_differ() -> None:
    """Draw ids in a copy of the process without fork handlers, as in a snapshot of a machine."""
    script = """
import ctypes, os
pid = os.getpid()
os.getpid = lambda: pid
from targetry._runtime.ids import system_random, uniform
import targetry
from targetry._runtime.ids import new_id, new_ids
from targetry.visitor import generate_sdid
def drawn():
    return [new_id(), *new_ids(2), generate_sdid(), repr(uniform()), repr(system_random.random())]
drawn()
def copy():
    reading, writing = os.pipe()
    if ctypes.CDLL(None).fork() == 0:
        os.write(writing, " ".join(drawn()).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        return pipe.read().split()
first, second = copy(), copy()
assert len(first) == 6 and not {*first} & {*second}, (first, second)
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=30)


def test_background_schedules_draw_their_jitter_when_they_use_it() -> None:
    """Check that no schedule uses the module `random`, whose state copies would share."""
    source = Path(targetry.__file__).parent
    users = [file for file in source.rglob("*.py") if "random.random" in file.read_text("utf-8")]
    # The sample of a log of requests and the simulations of the report are no schedules.
    schedules = [file for file in users if "simulation" not in file.parts]
    assert sorted(file.name for file in schedules) == ["ids.py", "log.py"]
