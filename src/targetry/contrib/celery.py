"""Celery: clients of a worker send their impressions before it ends (extra `celery`)."""

from __future__ import annotations

import asyncio
from typing import Final

from targetry._client.async_client import AsyncTargetClient
from targetry._client.sync_client import TargetClient
from targetry._runtime.at_exit import close_all
from targetry._runtime.lazy_import import importing_extra
from targetry.errors import OptionError
from targetry.models.scalars import type_name

with importing_extra("celery"):
    from celery import signals  # type: ignore[import-untyped]

__all__ = ["install"]

_LONGEST_S: Final = 2.0


def install(client: TargetClient | AsyncTargetClient | None = None) -> None:
    """Send the impressions of a client before a worker of Celery ends.

    Processes of the prefork pool end without `atexit`; a worker with another pool ends as a whole.
    Both emit a signal, which is used here. Call this where the client is created; a second call
    with the same client changes nothing.

    Args:
        client: The client, which has at most 2 seconds to send its impressions and is closed; None
            for all clients of the process: they send theirs within 2 seconds together.

    Raises:
        OptionError: It is no client.
    """
    if not isinstance(client, TargetClient | AsyncTargetClient | None):
        raise OptionError("client", f"must be a client or None, not {type_name(client)}")

    def close(**_: object) -> None:
        if client is None:
            close_all()
        elif isinstance(client, TargetClient):
            client.close(_LONGEST_S)
        else:
            asyncio.run(client.aclose(_LONGEST_S))

    name = "targetry clients" if client is None else f"targetry client {id(client)}"
    for signal in (signals.worker_process_shutdown, signals.worker_shutdown):
        signal.connect(close, weak=False, dispatch_uid=name)
