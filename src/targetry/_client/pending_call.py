"""Result of a call with a callback; importing multiprocessing is slow, so nothing else is here."""

from __future__ import annotations

from multiprocessing import TimeoutError as PoolTimeoutError
from multiprocessing.pool import AsyncResult
from typing import Generic, TypeVar

from targetry._runtime.sync_primitives import OneShotEvent

T = TypeVar("T")


class PendingCall(AsyncResult[T], Generic[T]):
    """`AsyncResult` with the whole public interface, without a pool of multiprocessing."""

    def __init__(self) -> None:
        self._done = OneShotEvent()
        self._result: T | None = None
        self._error: BaseException | None = None

    def succeed(self, result: T) -> None:
        """Set the result, and release the threads that wait in `get`."""
        self._result = result
        self._done.set()

    def fail(self, error: BaseException) -> None:
        """Set the exception, and release the threads that wait in `get`."""
        self._error = error
        self._done.set()

    def ready(self) -> bool:
        """Return whether the call and its callback have ended."""
        return self._done.is_set()

    def successful(self) -> bool:
        """Return whether the call succeeded. Raises `ValueError` if it has not ended."""
        if not self.ready():
            raise ValueError(f"{self!r} not ready")
        return self._error is None

    def wait(self, timeout: float | None = None) -> None:
        """Wait until the call has ended, at most `timeout` seconds."""
        self._done.wait(timeout)

    def get(self, timeout: float | None = None) -> T:
        """Return the result, or raise the exception of the call.

        Args:
            timeout: Seconds to wait at most; None for no bound.

        Raises:
            multiprocessing.TimeoutError: The call has not ended in time.
        """
        self.wait(timeout)
        if not self.ready():
            raise PoolTimeoutError
        if self._error is not None:
            raise self._error
        result: T = self._result  # type: ignore[assignment]  # None is one only where T allows it
        return result
