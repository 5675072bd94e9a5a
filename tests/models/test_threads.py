"""Models read by many threads at once, the first time in a process."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from support.python_process import environment
from support.slow import slow

_OPTION = {"type": "json", "content": {"a": 1}, "responseTokens": {"a": "b"}}
_ANSWER = {
    "status": 200,
    "id": {"tntId": "x"},
    "execute": {
        "pageLoad": {"options": [_OPTION]},
        "mboxes": [{"name": "hero", "options": [_OPTION], "analytics": {"payload": {"pe": "1"}}}],
    },
    "prefetch": {"views": [{"name": "home", "options": []}]},
    "notifications": [{"id": "n"}],
}
_PROGRAM = """
import sys, threading
from targetry import DeliveryResponse
sys.setswitchinterval(1e-6)
together = threading.Barrier(8)

def read():
    together.wait()
    assert DeliveryResponse.from_json(sys.argv[1]).execute.mboxes[0].name == "hero"

threads = [threading.Thread(target=read) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


@pytest.mark.parametrize("times", [1, *slow(6)])
def test_threads_can_read_the_first_responses_concurrently(times: int) -> None:
    command = [sys.executable, "-c", _PROGRAM, json.dumps(_ANSWER)]
    for _ in range(times):  # the interpreter crashed in two of three
        done = subprocess.run(command, env=environment(), capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
