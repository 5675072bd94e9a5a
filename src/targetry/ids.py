"""Ids for requests, sessions, visitors and notifications."""

from __future__ import annotations

from os import urandom


def new_id() -> str:
    """A random UUID (version 4) with dashes; quicker than by way of `uuid.UUID`, and different after a fork."""
    digits = urandom(16).hex()
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"
