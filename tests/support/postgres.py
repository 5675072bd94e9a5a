"""A PostgreSQL server of a test, in a temporary folder and on a loopback port."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

_DEBIAN = Path("/usr/lib/postgresql")
_USER = "postgres"  # PostgreSQL does not run as root
_TIMEOUT_S = 60


def program(name: str) -> str | None:
    """Return the path of one of PostgreSQL's programs, None if it is not installed."""
    places = sorted(_DEBIAN.glob("*/bin"), reverse=True)
    return next(
        (found for place in (*map(str, places), None) if (found := shutil.which(name, path=place))), None
    )


class PostgresServer:
    """Server of a test; `stop` and `start` keep the data and the port."""

    def __init__(self, folder: Path, port: int, settings: str) -> None:
        self.port = port
        self._settings = settings
        self.url = f"postgresql://{_USER}@127.0.0.1:{port}/postgres"
        self.folder = folder

    def start(self) -> None:
        """Start the server and wait until it accepts connections."""
        settings = (
            f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' "
            f"-c max_connections=40 -c dynamic_shared_memory_type=mmap {self._settings}"
        )
        log = self.folder / "log"
        command = ["start", "-w", "-t", str(_TIMEOUT_S), "-D", self._data, "-l", str(log), "-o", settings]
        deadline = time.monotonic() + _TIMEOUT_S
        while True:
            try:
                return _run("pg_ctl", *command)
            except subprocess.CalledProcessError:
                # Processes of a killed server still use its memory for a moment.
                if time.monotonic() >= deadline:
                    raise
                time.sleep(0.1)

    def stop(self, *, mode: str = "immediate") -> None:
        """Stop the server, at once unless another mode of `pg_ctl` is given."""
        with contextlib.suppress(subprocess.CalledProcessError):
            _run("pg_ctl", "stop", "-w", "-t", str(_TIMEOUT_S), "-m", mode, "-D", self._data)

    @property
    def pid(self) -> int:
        """Process id of the server's main process."""
        return int((self.folder / "data" / "postmaster.pid").read_text("utf-8").splitlines()[0])

    def kill(self) -> None:
        """Kill the server's main process."""
        os.kill(self.pid, signal.SIGKILL)

    def initialize(self) -> None:
        """Create the files of the server."""
        _run("initdb", "-D", self._data, "-U", _USER, "-A", "trust", "-E", "UTF8", "--no-sync")

    def copy(self, server: PostgresServer) -> None:
        """Copy the files of a running server, which this one then follows."""
        source = f"host=127.0.0.1 port={server.port} user={_USER}"
        _run("pg_basebackup", "-D", self._data, "-d", source, "-R", "-c", "fast", "--no-sync")

    def promote(self) -> None:
        """Let a standby take over."""
        _run("pg_ctl", "promote", "-w", "-t", str(_TIMEOUT_S), "-D", self._data)

    @property
    def _data(self) -> str:
        return str(self.folder / "data")


# Ends the server and removes its folder when its stdin closes, as when this process is killed.
_GUARD = 'cat > /dev/null; "$0" stop -m immediate -D "$1/data"; rm -rf "$1"'
_FOR_TESTS = "-c fsync=off -c autovacuum=off -c shared_buffers=16MB"


@contextlib.contextmanager
def postgres_server(settings: str = _FOR_TESTS) -> Iterator[PostgresServer]:
    """Run a server; skip the test where PostgreSQL or its client is not installed.

    Args:
        settings: Further options of the server.
    """
    pytest.importorskip("psycopg")
    if program("initdb") is None or program("pg_ctl") is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    with _folder() as folder:
        server = PostgresServer(folder, free_port(), settings)
        server.initialize()
        with _running(server):
            yield server


@contextlib.contextmanager
def standby_of(server: PostgresServer, settings: str = _FOR_TESTS) -> Iterator[PostgresServer]:
    """Run a standby that follows a server.

    Args:
        server: The server, which runs.
        settings: Further options of the standby.
    """
    with _folder() as folder:
        standby = PostgresServer(folder, free_port(), settings)
        standby.copy(server)
        with _running(standby):
            yield standby


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="targetry-", ignore_cleanup_errors=True) as name:
        if os.geteuid() == 0:
            shutil.chown(name, _USER)
        yield Path(name)


@contextlib.contextmanager
def _running(server: PostgresServer) -> Iterator[None]:
    with _guarded(str(server.folder)):
        server.start()
        try:
            yield
        finally:
            server.stop()


def free_port() -> int:
    """Return a port that no connection of another test takes while the server is down."""
    for port in random.sample(range(20_000, 32_000), 100):  # below the ports of outgoing connections
        with socket.socket() as found, contextlib.suppress(OSError):
            found.bind(("127.0.0.1", port))
            return port
    pytest.fail("100 ports are in use")


@contextlib.contextmanager
def _guarded(folder: str) -> Iterator[None]:
    """End the server of a folder with this process, however the process ends."""
    guard = subprocess.Popen(
        ["sh", "-c", _GUARD, str(program("pg_ctl")), folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        user=_user(),
        cwd="/",
    )
    with guard:
        yield


def _user() -> str | None:
    return _USER if os.geteuid() == 0 else None


def _run(name: str, *arguments: str) -> None:
    found = program(name)
    assert found is not None
    subprocess.run(
        [found, *arguments],
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=2 * _TIMEOUT_S,
        user=_user(),
        cwd="/",
    )
