"""A wake-up call that can be given from anywhere: also from a signal handler, while the same thread is giving one."""

from __future__ import annotations

from targetry._runtime.sync_primitives import WakeupEvent


class Bell(WakeupEvent):
    """Rung before or while somebody waits, it wakes one waiter. Several rings before that are one."""

    __slots__ = ()

    ring = WakeupEvent.set
