from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import psycopg
import pytest

from support.postgres import PostgresServer, postgres_server

_numbers = count()


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    """Run a server for the tests that leave it running."""
    with postgres_server() as running:
        yield running


@pytest.fixture
def url(server: PostgresServer) -> str:
    """Return the address of an empty database."""
    name = f"test{next(_numbers)}"
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return server.url.removesuffix("postgres") + name
