"""Fixtures: a fake Target, and clients of both kinds for it, closed at the end of the test."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

from e2e.client.any_client import AnyClient, Blocking, Connect, Looped, client_factory
from e2e.client.listener import Listener
from e2e.client.scripts import PRELUDE, Run, started
from e2e.client.target import CLIENT, ORGANIZATION, Target
from support.slow import slow

# For tests that take long and of code that both clients share.
sync_only = pytest.mark.parametrize("connect", [Blocking], indirect=True, ids=["sync"])
# For tests that take long: with the asynchronous client only in `scripts/test --all`.
async_is_slow = pytest.mark.parametrize(
    "connect", [Blocking, *slow(Looped)], indirect=True, ids=["sync", "async"]
)


@pytest.fixture(scope="module")
def no_older_garbage() -> None:
    """Exempt all objects that exist now from collections, which then take a tenth of the time."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def target() -> Iterator[Target]:
    with Target() as target:
        yield target


@pytest.fixture
def emitted() -> Listener:
    return Listener()


@pytest.fixture(params=[Blocking, Looped], ids=["sync", "async"])
def connect(request: pytest.FixtureRequest, target: Target) -> Iterator[Connect]:
    """Return a factory of clients whose options, unless overridden, point to `target`."""
    with client_factory(request.param, **reach(target)) as factory:
        yield factory


@pytest.fixture
def on_device(connect: Connect, target: Target) -> Connect:
    """Return a factory of clients that decide on device by the artifact of `target`."""

    def new(**options: Any) -> AnyClient:
        return connect(**{"decisioning_method": "on-device", "cdn_base_path": target.url, **options})

    return new


def reach(target: Target) -> dict[str, Any]:
    """Return the options of a client that calls only this Target."""
    return {
        "client": CLIENT,
        "organization_id": ORGANIZATION,
        "server_domain": target.host,
        "secure": False,
        "trust_env": False,
        "ca_bundle": os.environ["SSL_CERT_FILE"],  # see tests/conftest.py
        "timeout": 10_000,
    }


@pytest.fixture
def run(target: Target) -> Run:
    """Return a function that runs a script and returns its duration in seconds.

    It checks that the exit status is 0 and stderr is empty.
    """

    def run(script: str, *flags: str, prelude: str = PRELUDE) -> float:
        began = time.monotonic()
        with started(target, script, "-X", "faulthandler", *flags, prelude=prelude) as process:
            try:
                _, errors = process.communicate(timeout=100)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGABRT)
                pytest.fail(f"the script hangs:\n{process.communicate()[1]}")
        assert (process.returncode, errors) == (0, "")
        return time.monotonic() - began

    return run
