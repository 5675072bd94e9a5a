"""The threads for calls with callbacks, in a module of their own because multiprocessing takes long to import."""

from __future__ import annotations

from multiprocessing import dummy, queues, synchronize  # noqa: F401  what a pool imports when it is made
from multiprocessing.pool import ThreadPool


class CallbackThreads(ThreadPool):
    def __del__(self) -> None:
        """Says nothing, since the client does, and the threads end all the same.

        The inherited one also writes into a pipe, which in a forked child is the parent's.
        """
