"""A daemon thread that does a step, waits as long as the step said, and does it again.

There is a thread only while something is due. It keeps no reference to the step's owner while it waits, so an owner that
is forgotten without `close` is collected, and its thread ends with it. Everything shared is under one
condition, and is made anew in a forked child, where nothing runs until `schedule` is called again.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable


class Repeating:
    """Runs `step`, a bound method that never raises, in one thread at a time.

    `step` returns the seconds until it is to run again, or None to let the thread end.
    """

    def __init__(self, name: str, step: Callable[[], float | None]) -> None:
        self._name = name
        self._step = weakref.WeakMethod(step, lambda _: self.close(0))
        self._closed = False
        self._generation = (
            0  # of what is due; a step that ends in another one than it began in asks for nothing
        )
        self.after_fork()

    def after_fork(self) -> None:
        """In a child: no thread, nothing due, and a lock that nobody holds."""
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._due: float | None = None
        self._generation += 1

    @property
    def running(self) -> bool:
        """Whether a step is due or under way."""
        return self._thread is not None

    @property
    def is_current_thread(self) -> bool:
        """Whether the step is what calls."""
        return self._thread is threading.current_thread()

    def schedule(self, delay_s: float) -> bool:
        """Have the next step run in `delay_s` seconds instead of when it was due.

        False when it never will: after `close`, or when the system has no thread to give.
        """
        with self._changed:
            if self._closed:
                return False
            self._due = time.monotonic() + delay_s
            self._changed.notify_all()
            return self._thread is not None or self._start()

    def cancel(self) -> None:
        """Nothing is due any more; neither is what a step under way is about to ask for."""
        with self._changed:
            self._due = None
            self._generation += 1
            self._changed.notify_all()

    def close(self, timeout_s: float) -> bool:
        """End the thread, and wait for a step under way for at most `timeout_s`. Whether it has ended."""
        with self._changed:
            self._closed = True
            thread = self._thread
        self.cancel()
        if thread is None or thread is threading.current_thread():
            return True
        if timeout_s > 0:
            thread.join(timeout_s)
        return not thread.is_alive()

    def _start(self) -> bool:
        thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no thread to be had: a limit was reached, or the interpreter is going down
            self._due = None
            return False
        self._thread = thread
        return True

    def _run(self) -> None:
        try:
            while (generation := self._wait()) is not None:
                step = self._step()
                delay_s = step() if step is not None else None
                del step  # while waiting, the owner is not ours to keep
                self._rearm(delay_s, generation)
        finally:
            with self._changed:
                if self._thread is threading.current_thread():
                    self._thread = None

    def _wait(self) -> int | None:
        """Wait until a step is due; None, and this is the thread no more, when there is nothing to wait for."""
        with self._changed:
            while self._thread is threading.current_thread() and (due := self._due) is not None:
                left = due - time.monotonic()
                if left <= 0:
                    self._due = None
                    return self._generation
                self._changed.wait(min(left, threading.TIMEOUT_MAX))
            if self._thread is threading.current_thread():
                self._thread = None
            return None

    def _rearm(self, delay_s: float | None, generation: int) -> None:
        with self._changed:
            if delay_s is not None and self._due is None and generation == self._generation:
                self._due = time.monotonic() + delay_s
