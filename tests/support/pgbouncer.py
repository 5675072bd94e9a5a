"""PgBouncer in front of a PostgreSQL server of a test."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from support.edge_sockets import wait_until
from support.postgres import PostgresServer, free_port

_USER = "postgres"  # PgBouncer does not run as root


class Pooler:
    """PgBouncer of a test; `start` after `kill` keeps the port."""

    def __init__(self, file: Path, port: int) -> None:
        self.port = port
        self._file = file
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the program and wait until it accepts connections."""
        self._process = subprocess.Popen(
            ["pgbouncer", "-q", str(self._file)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=_USER if os.geteuid() == 0 else None,
        )
        wait_until(self._accepts)

    def kill(self) -> None:
        """Kill the program, with all its connections."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _accepts(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
            return True
        return False


@contextmanager
def pooler(server: PostgresServer, *settings: str) -> Iterator[Pooler]:
    """Run PgBouncer for all databases of a server; skip the test where it is not installed.

    Args:
        server: The server.
        settings: Lines of the section `pgbouncer`.
    """
    if shutil.which("pgbouncer") is None:
        pytest.skip("PgBouncer is not installed: apt-get install pgbouncer")
    with tempfile.TemporaryDirectory(prefix="targetry-") as name:
        port, file = free_port(), Path(name) / "pgbouncer.ini"
        file.write_text(
            "\n".join(
                (
                    "[databases]",
                    f"* = host=127.0.0.1 port={server.port} user={_USER}",
                    "[pgbouncer]",
                    f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any",
                    *settings,
                )
            ),
            "utf-8",
        )
        if os.geteuid() == 0:
            for path in (name, file):
                shutil.chown(path, _USER)
        running = Pooler(file, port)
        running.start()
        try:
            yield running
        finally:
            running.kill()
