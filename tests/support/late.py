"""Bound on the time of calls that must not hang."""

from typing import Final

# Seconds. Far above the timeouts that the tests give, since a busy machine is no failure.
LATE_S: Final = 20.0
