"""Several processes behind one port, each an edge of its own.

Each has a socket of its own there, over which Linux spreads connections evenly; on other systems they share one, and whoever is
quickest takes all that come at once. The sockets belong to the process that starts the others, so a connection that comes while one is
started anew waits for it. They share the ledger's folder, where each commits for itself, and their metrics, which any of
them tells for all. Each reads the artifacts by itself. A process that ends is started anew: at once if it had lasted, else after a pause
that doubles. When the first process dies, the others end as on SIGTERM.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import Final

from targetry.edge.observability.log_format import LogFormat, start_logging
from targetry.edge.observability.metrics import end_sharing, forget_process, share_metrics
from targetry.edge.options import EdgeOptions
from targetry.edge.server import DRAIN_S, EdgeServer, listen, url_of
from targetry.errors import OptionError, TargetError

_CANNOT_START: Final = 1  # exit status; a start may take long on a busy machine, and is no service
_LASTED_S: Final = 3.0
_SHORTEST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 30.0
_KILL_AFTER_S: Final = DRAIN_S + 5.0

_SPREADS: Final = sys.platform == "linux"  # connections over several sockets of one port

# A fork would take along the locks of threads, and metrics that were made for one process.
_spawn = multiprocessing.get_context("spawn")


class EdgeWorkers:
    """Edges that hold a port together; made by `EdgeWorkers.open`, run in `run`, end after `stop` or a signal."""

    def __init__(
        self,
        options: EdgeOptions,
        port: int,
        clients: Sequence[str],
        log_format: LogFormat,
        log: logging.Logger,
    ) -> None:
        self.clients = clients
        self.host, self.port = options.host, port
        self._options = options
        self._log_format: LogFormat = log_format
        self._log = log
        self._ears, self._mouth = _spawn.Pipe(duplex=False)
        self._is_ending = False
        self._folder = tempfile.mkdtemp(prefix="targetry-edge-")
        shared = None if _SPREADS else listen(options.host, port)
        self._workers = [
            _Worker(number, options.host, port, shared) for number in range(1, options.workers + 1)
        ]

    @classmethod
    def open(
        cls, options: EdgeOptions, log_format: LogFormat, *, log: logging.Logger | None = None
    ) -> EdgeWorkers:
        """Take the port, having seen that an edge can be had there. Raises as `EdgeServer.open`."""
        log = log or logging.getLogger("targetry.edge")
        with contextlib.closing(EdgeServer.open(options, log=log)) as trial:
            port, clients = trial.port, trial.clients
        return cls(options, port, clients, log_format, log)

    @property
    def url(self) -> str:
        """Where they are reached from this machine."""
        return url_of(self.host, self.port)

    def run(self) -> None:
        """Serve until `stop`, SIGTERM or SIGINT; requests under way have 10 s to end."""
        try:
            with _on_signals(self.stop):
                while not self._is_ending:
                    self._start_those_due(time.monotonic())
                    self._wait(min(worker.due_in(time.monotonic()) for worker in self._workers))
        finally:
            self.close()

    def stop(self) -> None:
        """Make `run` end soon; from any thread, and from a signal's handler."""
        self._is_ending = True
        with contextlib.suppress(OSError):
            self._mouth.send_bytes(b"!")

    def close(self) -> None:
        """End all, and give back what `open` took. May be called twice."""
        for worker in self._workers:
            worker.give_up_socket()
        running = [worker.process for worker in self._workers if worker.process is not None]
        for process in running:
            process.terminate()
        deadline = time.monotonic() + _KILL_AFTER_S
        for process in running:
            process.join(max(0.0, deadline - time.monotonic()))
            if process.exitcode is None:
                process.kill()
                process.join()
        for pipe in (self._ears, self._mouth):
            pipe.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _start_those_due(self, now: float) -> None:
        for worker in self._workers:
            if worker.due_in(now):
                continue
            try:
                listener = worker.listener()
            except OptionError as error:
                self._log.error("worker %d cannot start: %s", worker.number, error)
                worker.ended(now, has_served=False)
                continue
            arguments = (self._options, listener, worker.number, self._folder, self._log_format)
            process = _spawn.Process(target=_work, args=arguments, daemon=True)
            process.start()
            worker.began(process, now)

    def _wait(self, seconds: float) -> None:
        """For an end: of one of them, of the pause of one, or of all."""
        running: dict[int, _Worker] = {}
        for worker in self._workers:
            if worker.process is not None:
                running[worker.process.sentinel] = worker
        for ready in wait([self._ears, *running], None if seconds == float("inf") else seconds):
            if ready in running and not self._is_ending:
                self._note_end(running[ready])

    def _note_end(self, worker: _Worker) -> None:
        process = worker.process
        assert process is not None
        process.join()
        forget_process(worker.number, self._folder)
        pause = worker.ended(time.monotonic(), has_served=process.exitcode != _CANNOT_START)
        when = f"in {pause:g} s" if pause else "at once"
        how = _how_it_ended(process.exitcode)
        self._log.error(
            "worker %d (process %s) %s; it is started anew %s", worker.number, process.pid, how, when
        )


class _Worker:
    """One of the processes, and when it is to be started if it does not run."""

    def __init__(self, number: int, host: str, port: int, shared: socket.socket | None) -> None:
        """`shared` is the socket of all, where there is one for all. Raises `OptionError`."""
        self.number = number
        self.process: BaseProcess | None = None
        self._place = host, port
        self._is_alone = shared is None
        self._listener = shared
        self._began = self._due = 0.0
        self._failures = 0
        self.listener()

    def listener(self) -> socket.socket:
        """Its socket. Raises `OptionError`."""
        if self._listener is None:
            self._listener = listen(*self._place, is_one_of_many=True)
        return self._listener

    def give_up_socket(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def began(self, process: BaseProcess, now: float) -> None:
        self.process, self._began = process, now

    def ended(self, now: float, *, has_served: bool) -> float:
        """Return the pause until it is started again, in seconds. Its connections go to the other workers meanwhile."""
        self.process = None
        lasted = has_served and now - self._began >= _LASTED_S
        self._failures = 0 if lasted else self._failures + 1
        doubled = _SHORTEST_PAUSE_S * 2 ** min(self._failures - 2, 10)
        pause = min(doubled, _LONGEST_PAUSE_S) if self._failures > 1 else 0.0
        self._due = now + pause
        if pause and self._is_alone:
            self.give_up_socket()
        return pause

    def due_in(self, now: float) -> float:
        """Seconds; infinite while it runs."""
        return float("inf") if self.process is not None else max(0.0, self._due - now)


def _work(
    options: EdgeOptions, listener: socket.socket, number: int, folder: str, log_format: LogFormat
) -> None:
    """A process's whole life."""
    share_metrics(folder, number)
    start_logging(log_format)
    try:
        server = EdgeServer.open(options, listener=listener)
    except TargetError as error:
        logging.getLogger("targetry.edge").error("worker %d cannot start: %s", number, error)
        sys.exit(_CANNOT_START)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def end_with_parent() -> None:
        wait([parent.sentinel])
        server.stop()

    threading.Thread(target=end_with_parent, name="targetry-parent", daemon=True).start()
    server.run()
    end_sharing()
    if not parent.is_alive():  # who would have done it
        shutil.rmtree(folder, ignore_errors=True)


def _how_it_ended(code: int | None) -> str:
    if code is None or code >= 0:
        return f"ended with status {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"


@contextlib.contextmanager
def _on_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Have SIGTERM and SIGINT call `stop`. Threads get no signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {one: signal.signal(one, lambda *_: stop()) for one in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
