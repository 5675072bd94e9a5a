"""Scripts that use clients, each run in a separate process."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence

from e2e.client.target import Target
from support.python_process import environment

PRELUDE = """
import asyncio, logging, os, signal, sys, threading, time
from targetry import AsyncTargetClient, TargetClient, TargetError
from targetry.models import DeliveryRequest, ExecuteRequest, MboxRequest

logging.getLogger("adobe.target").addHandler(logging.NullHandler())
host = sys.argv[1]
options = {
    "client": "acme", "organization_id": "A@AdobeOrg", "server_domain": host, "secure": False,
    "trust_env": False, "timeout": 5000, "cdn_base_path": f"http://{host}",
}
on_device = {**options, "decisioning_method": "on-device"}

def hero(session):
    mboxes = [MboxRequest(name="hero")]
    return {"request": DeliveryRequest(execute=ExecuteRequest(mboxes=mboxes)), "session_id": session}

def in_child(work):
    pid = os.fork()
    if pid == 0:
        try:
            work()
            sys.stderr.flush()
            os._exit(0)
        except BaseException as error:
            sys.stderr.write(repr(error))
            sys.stderr.flush()
        finally:
            os._exit(1)
    return pid

def wait_for(*pids):
    for pid in pids:
        _, status = os.waitpid(pid, 0)
        assert os.waitstatus_to_exitcode(status) == 0, status
"""

Run = Callable[..., float]

# DeprecationWarning: newer Pythons warn about forks with threads.
_WARNINGS = ("-W", "error", "-W", "ignore::DeprecationWarning")


@contextlib.contextmanager
def started(
    target: Target, script: str, *flags: str, prelude: str = PRELUDE, arguments: Sequence[str] = ()
) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, *_WARNINGS, *flags, "-c", prelude + script, target.host, *arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, env=environment(), stdin=pipe, stdout=pipe, stderr=pipe, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()
