"""Signal handlers that use and then close the client whose calls they interrupt.

`tests/soak` runs thousands of trials.
"""

from __future__ import annotations

import os
import sys

import pytest

from e2e.client.interrupted import PROGRAMS, run_trials
from e2e.client.target import Target
from support.slow import slow

EACH_RUN = ["on device"]
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs interval timers")


@pytest.mark.parametrize("trials", [6, *slow(20)])
@pytest.mark.parametrize("program", EACH_RUN + slow(*sorted({*PROGRAMS} - {*EACH_RUN})))
def test_handlers_that_use_and_close_the_client_do_not_deadlock(
    program: str, trials: int, target: Target
) -> None:
    run_trials(target, program, trials)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_handler_that_calls_during_fork_detection_returns(target: Target) -> None:
    run_trials(target, "a fork without fork handlers", 5)
