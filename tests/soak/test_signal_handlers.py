"""Signal handlers that use and close a client: four thousand trials.

`tests/e2e/client/test_signal_handlers.py` has the short version.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from e2e.client.interrupted import PROGRAMS, run_trials
from e2e.client.target import Target

TRIALS = 4000
AT_ONCE = 200

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs interval timers")


@pytest.fixture
def target() -> Iterator[Target]:
    with Target() as target:
        yield target


@pytest.mark.parametrize("program", PROGRAMS)
def test_handlers_that_use_and_close_the_client_never_deadlock(program: str, target: Target) -> None:
    for _ in range(TRIALS // AT_ONCE):
        run_trials(target, program, AT_ONCE, timeout_s=300.0)
