"""The result of a call with a callback, in a module of its own because multiprocessing takes long to import."""

from __future__ import annotations

from multiprocessing import TimeoutError as PoolTimeoutError
from multiprocessing.pool import AsyncResult
from typing import Generic, TypeVar

from targetry._runtime.sync_primitives import OneShotEvent

T = TypeVar("T")


class PendingCall(AsyncResult[T], Generic[T]):
    """An `AsyncResult` of its own: all of the public interface, without a pool of multiprocessing behind it."""

    def __init__(self) -> None:
        self._done = OneShotEvent()
        self._result: T | None = None
        self._error: BaseException | None = None

    def succeed(self, result: T) -> None:
        """Release the threads that wait in `get`, with a result."""
        self._result = result
        self._done.set()

    def fail(self, error: BaseException) -> None:
        """Release the threads that wait in `get`, with an exception to raise."""
        self._error = error
        self._done.set()

    def ready(self) -> bool:
        """Return whether the call has ended, its callback too."""
        return self._done.is_set()

    def successful(self) -> bool:
        """Return whether the call has ended without an exception. Raises `ValueError` if it has not ended."""
        if not self.ready():
            raise ValueError(f"{self!r} not ready")
        return self._error is None

    def wait(self, timeout: float | None = None) -> None:
        """Wait for the end of the call, for at most `timeout` seconds."""
        self._done.wait(timeout)

    def get(self, timeout: float | None = None) -> T:
        """Wait as `wait` does; return the result, or raise the call's exception, or `multiprocessing.TimeoutError`."""
        self.wait(timeout)
        if not self.ready():
            raise PoolTimeoutError
        if self._error is not None:
            raise self._error
        result: T = self._result  # type: ignore[assignment]  # None is one only where T allows it
        return result
