"""Worker processes of an edge on one port, supervised by uvicorn.

uvicorn starts the workers, starts a worker again that has died or hangs, and ends them on SIGTERM
and SIGINT. All accept connections from one socket, so no connection waits for a worker that is
starting. They share the ledger's folder, where each commits for itself, and the folder of their
metrics (`PROMETHEUS_MULTIPROC_DIR`), which each of them reports for all. Each loads the artifacts
by itself.

uvicorn does not do two things, which a worker does for itself: it opens its edge again with pauses
that double when an artifact or the ledger cannot be opened, and it ends when the supervisor has
been killed.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import Any, Final

import msgspec
from uvicorn.supervisors import Multiprocess

from targetry._runtime.retry import exponential_s
from targetry.edge.app import EdgeApplication
from targetry.edge.observability.log_format import LogFormat, start_logging
from targetry.edge.observability.metrics import SHARED_FOLDER
from targetry.edge.options import EdgeOptions
from targetry.edge.server import (
    SWITCH_INTERVAL_S,
    EdgeServer,
    RunnableEdge,
    listen,
    open_edge,
    server_config,
    url_of,
)
from targetry.errors import TargetError

_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 30.0
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
        self._worker = EdgeWorker(options, log_format)
        self._workers = options.workers
        self._supervisor: Multiprocess | None = None

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
        config = server_config(self._worker, is_factory=True, workers=self._workers)
        logging.getLogger("uvicorn.error").setLevel(logging.INFO)  # starts and ends of workers
        try:
            with _restored_signals(), _variable(SHARED_FOLDER, self._folder):
                self._supervisor = Multiprocess(config, sockets=[self._listener])
                self._supervisor.run()
        finally:
            self._listener.close()
            shutil.rmtree(self._folder, ignore_errors=True)

    def stop(self) -> None:
        """Make `run` end soon; callable from any thread."""
        if self._supervisor is not None:
            self._supervisor.should_exit.set()


class EdgeWorker(msgspec.Struct, frozen=True):
    """Factory of the application of a worker process; uvicorn calls it there."""

    options: EdgeOptions
    log_format: LogFormat

    def __call__(self) -> EdgeApplication:
        """Open and start an edge, however long it takes, and return its application."""
        start_logging(self.log_format)
        log = logging.getLogger(_LOGGER)
        parent = multiprocessing.parent_process()
        assert parent is not None
        threading.Thread(target=_end_with, args=(parent,), name="targetry-parent", daemon=True).start()
        edge = open_with_retries(lambda: open_edge(self.options, log), log)
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        edge.start()
        edge.application.on_stop = lambda: _close(edge, parent)
        return edge.application


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
    before = {one: signal.signal(one, lambda *_: stop.set()) for one in (signal.SIGTERM, signal.SIGINT)}
    try:
        if stop.wait(seconds):
            sys.exit(0)
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _end_with(parent: BaseProcess) -> None:
    """End this process as SIGTERM does once the supervisor has ended."""
    wait([parent.sentinel])
    os.kill(os.getpid(), signal.SIGTERM)


def _close(edge: RunnableEdge, parent: BaseProcess) -> None:
    edge.close()
    if not parent.is_alive():
        shutil.rmtree(os.environ[SHARED_FOLDER], ignore_errors=True)


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
def _restored_signals() -> Iterator[None]:
    """Restore the handlers of the signals that uvicorn's supervisor handles."""
    before: dict[signal.Signals, Any] = {
        one: signal.getsignal(one) for one in signal.valid_signals() if isinstance(one, signal.Signals)
    }
    try:
        yield
    finally:
        for one, handler in before.items():
            if signal.getsignal(one) is not handler and handler is not None:
                signal.signal(one, handler)
