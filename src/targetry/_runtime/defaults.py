"""Default limits that several rooms share."""

from __future__ import annotations

from typing import Final

MAX_DOCUMENT_BYTES: Final = 64 * 1024 * 1024
"""Largest response of the Delivery API and largest artifact, in bytes."""

MAX_CONNECTIONS: Final = 100
"""Connections that one transport opens at a time."""
