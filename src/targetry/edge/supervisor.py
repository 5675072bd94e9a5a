"""Worker processes of an edge on one port, and their supervisor.

All workers accept connections from one socket, so no connection waits for a worker that is
starting. They share the ledger's folder, where each commits for itself, and the folder of their
metrics (`PROMETHEUS_MULTIPROC_DIR`), which each of them reports for all. Each loads the artifacts
by itself, and opens its edge again with pauses that double when an artifact or the ledger cannot
be opened.

The supervisor starts a worker again that has ended or hangs. uvicorn has a supervisor too, which
checks one worker after the other and waits for the reply of each: a worker that is killed
meanwhile is not started again before a starting or hanging one has replied, for up to its timeout.
Here workers send heartbeats, and a check waits for none of them.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from typing import Final

from targetry._runtime.retry import exponential_s
from targetry.edge.assembly import RunnableEdge, open_edge
from targetry.edge.observability.log_format import LogFormat, start_logging
from targetry.edge.observability.metrics import SHARED_FOLDER
from targetry.edge.options import EdgeOptions
from targetry.edge.server import DRAIN_S, EdgeServer, listen, url_of
from targetry.errors import TargetError
from targetry.recording.log import new_key

_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 30.0
_CHECK_S: Final = 0.5
_HEARTBEAT_S: Final = 1.0
_HANGS_AFTER_S: Final = 60  # a busy machine takes long to start a process
_END_S: Final = DRAIN_S + 20  # for a worker to serve its last requests and close its parts
_LOGGER: Final = "targetry.edge"


class EdgeWorkers:
    """Edges in several processes that share a port. Made by `EdgeWorkers.open`."""

    def __init__(
        self, options: EdgeOptions, port: int, clients: Sequence[str], log_format: LogFormat
    ) -> None:
        self.clients = clients
        self.host, self.port = options.host, port
        self._listener = listen(options.host, port)
        self._folder = tempfile.mkdtemp(prefix="targetry-edge-")
        self._options = options
        self._log_format: LogFormat = log_format
        self._hash_key = new_key()
        self._is_stopping = False

    @classmethod
    def open(
        cls, options: EdgeOptions, log_format: LogFormat, *, log: logging.Logger | None = None
    ) -> EdgeWorkers:
        """Bind the port, after opening an edge there once.

        Raises:
            OptionError: An option is wrong, or the port cannot be bound.
            ArtifactError: An artifact cannot be loaded.
            LedgerError: The ledger cannot be opened.
        """
        with contextlib.closing(EdgeServer.open(options, log=log)) as trial:
            port, clients = trial.port, trial.clients
        return cls(options, port, clients, log_format)

    @property
    def url(self) -> str:
        """URL of the edge for this machine."""
        return url_of(self.host, self.port)

    def run(self) -> None:
        """Serve until `stop`, SIGTERM or SIGINT; requests being served have 10 s to complete.

        Call it in the main thread.
        """
        try:
            with _handled_signals(self.stop), _variable(SHARED_FOLDER, self._folder):
                self._supervise()
        finally:
            self._listener.close()
            shutil.rmtree(self._folder, ignore_errors=True)

    def stop(self) -> None:
        """Make `run` end soon; callable from any thread and from signal handlers."""
        self._is_stopping = True

    def _supervise(self) -> None:
        log = logging.getLogger(_LOGGER)
        workers: list[Worker] = []
        try:
            # The list keeps the workers that were started before an error.
            workers.extend(self._start() for _ in range(self._options.workers))
            self._restart_failed(workers, log)
        finally:
            for worker in workers:
                worker.terminate()
            deadline = time.monotonic() + _END_S
            for worker in workers:
                worker.join(deadline - time.monotonic())

    def _restart_failed(self, workers: list[Worker], log: logging.Logger) -> None:
        """Replace workers that have ended or hang, until the supervisor is to stop."""
        while not self._is_stopping:
            time.sleep(_CHECK_S)
            for position, worker in enumerate(workers):
                reason = worker.failure()
                if reason is None:
                    continue
                log.error("worker (process %d) %s; another one is started", worker.pid, reason)
                worker.kill()
                try:
                    workers[position] = self._start()
                except OSError as error:
                    log.error("a worker cannot be started: %s; it is tried again in %g s", error, _CHECK_S)

    def _start(self) -> Worker:
        return Worker(_serve, self._options, self._log_format, self._hash_key, self._listener)


class Worker:
    """Worker process, and what its supervisor knows of it.

    Args:
        target: Called in the process with `arguments` and the connection for heartbeats.
        arguments: Values that can be pickled.
    """

    def __init__(self, target: Callable[..., object], *arguments: object) -> None:
        context = multiprocessing.get_context("spawn")
        received, sent = context.Pipe(duplex=False)
        self._process = context.Process(target=target, args=(*arguments, sent))
        self._process.start()
        sent.close()
        self._heartbeats = Heartbeats(received)

    @property
    def pid(self) -> int:
        """Process id."""
        assert self._process.pid is not None
        return self._process.pid

    def failure(self) -> str | None:
        """Return how the process ended or that it hangs, else None. Call it at each check."""
        code = self._process.exitcode
        if code is not None:
            return f"ended by {_signal_name(-code)}" if code < 0 else f"ended with status {code}"
        return f"hangs: no heartbeat for {_HANGS_AFTER_S} s" if self._heartbeats.are_missing() else None

    def terminate(self) -> None:
        """Ask the process to end."""
        self._process.terminate()

    def join(self, timeout_s: float) -> None:
        """Wait for the end of the process, then kill it."""
        self._process.join(max(timeout_s, 0.0))
        self.kill()

    def kill(self) -> None:
        """End the process at once, if it has not ended."""
        self._process.kill()
        self._process.join()
        self._heartbeats.close()


class Heartbeats:
    """Heartbeats of a worker, seen from its supervisor.

    Time is counted in checks, so a supervisor that was stopped itself finds no worker hanging.
    """

    def __init__(self, connection: Connection, patience: int = round(_HANGS_AFTER_S / _CHECK_S)) -> None:
        """Take a connection, and the number of checks in a row without a heartbeat to allow."""
        self._connection = connection
        self._patience = patience
        self._missed = 0

    def are_missing(self) -> bool:
        """Return whether too many checks have found no heartbeat. Call it at each check."""
        self._missed += 1
        with contextlib.suppress(EOFError, OSError):
            while self._connection.poll():
                self._connection.recv_bytes()
                self._missed = 0
        return self._missed > self._patience

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _serve(
    options: EdgeOptions,
    log_format: LogFormat,
    hash_key: bytes,
    listener: socket.socket,
    heartbeats: Connection,
) -> None:
    """Open an edge, however long it takes, serve, and end the process: a worker's main function."""
    start_logging(log_format)
    log = logging.getLogger(_LOGGER)
    threading.Thread(
        target=_send_heartbeats, args=(heartbeats,), name="targetry-heartbeats", daemon=True
    ).start()
    edge = open_with_retries(lambda: open_edge(options, log, hash_key=hash_key), log)
    EdgeServer.of(edge, listener).run()
    parent = multiprocessing.parent_process()
    if parent is None or not parent.is_alive():
        shutil.rmtree(os.environ[SHARED_FOLDER], ignore_errors=True)
    logging.shutdown()
    os._exit(0)  # prometheus_client leaves its files open, which the interpreter would report


def _send_heartbeats(connection: Connection) -> None:
    """Send heartbeats; end this process as SIGTERM does once the supervisor has ended."""
    with contextlib.suppress(OSError):
        while True:
            connection.send_bytes(b"")
            time.sleep(_HEARTBEAT_S)
    os.kill(os.getpid(), signal.SIGTERM)


def open_with_retries(
    open_one: Callable[[], RunnableEdge],
    log: logging.Logger,
    pause: Callable[[float], object] | None = None,
) -> RunnableEdge:
    """Return what `open_one` returns, called again after pauses while it raises `TargetError`.

    Args:
        open_one: Opens the edge.
        log: Logs each failure.
        pause: Waits for a number of seconds; by default, the process ends if SIGTERM or SIGINT
            arrives meanwhile.
    """
    failures = 0
    while True:
        try:
            return open_one()
        except TargetError as error:
            seconds = exponential_s(_FIRST_PAUSE_S, _LONGEST_PAUSE_S, failures)
            log.error(
                "worker (process %d) cannot start: %s; it tries again in %g s", os.getpid(), error, seconds
            )
        (pause or _pause_or_exit)(seconds)
        failures += 1


def _pause_or_exit(seconds: float) -> None:
    """Wait, unless a signal arrives that ends the process."""
    stop = threading.Event()
    with _handled_signals(stop.set):
        if stop.wait(seconds):
            sys.exit(0)


@contextlib.contextmanager
def _variable(name: str, value: str) -> Iterator[None]:
    """Set an environment variable, which child processes inherit."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


@contextlib.contextmanager
def _handled_signals(handle: Callable[[], object]) -> Iterator[None]:
    """Call `handle` on SIGTERM and SIGINT."""
    before = {one: signal.signal(one, lambda *_: handle()) for one in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
