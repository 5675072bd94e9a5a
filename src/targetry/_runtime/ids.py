"""Ids for requests, sessions, visitors and notifications."""

from __future__ import annotations

from targetry._runtime.entropy import random_bytes


def new_id() -> str:
    """Return a random UUID (version 4) with dashes. Drawn now, so copies of the process have ids of their own."""
    digits = random_bytes(16).hex()
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"
