"""Imports that wait until they are needed, and a fork that waits for them.

A module that one thread is importing while another forks stays half imported in the child, with its lock taken for ever: whoever
imports it there hangs. So late imports are done inside `importing()`, and a fork first lets them finish.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Final

from targetry.forks import ForkGate

_gate: Final = ForkGate(longest_wait_s=30.0)  # a busy interpreter gives an import a small share of its time


def importing() -> AbstractContextManager[object]:
    """No other thread forks inside this block. For nothing but imports, which may nest."""
    return _gate.shut()
