"""Fixtures: servers and transports that are closed at the end of the test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from servers.certificates import Authority
from servers.clients import Blocking, Client, Connect, Looped, Serve
from servers.faulty import Behaviour, FaultyServer


@pytest.fixture(params=[Blocking, Looped], ids=["blocking", "asyncio"])
def connect(request: pytest.FixtureRequest) -> Iterator[Connect]:
    """Return a factory of transports that by default ignore the environment variables."""
    made: list[Client] = []

    def new(**options: Any) -> Client:
        made.append(request.param(**{"trust_env": False, **options}))
        return made[-1]

    yield new
    for client in made:
        client.finish()


@pytest.fixture
def serve() -> Iterator[Serve]:
    servers: list[FaultyServer] = []

    def new(*behaviours: Behaviour, **options: Any) -> FaultyServer:
        servers.append(FaultyServer(*behaviours, **options))
        return servers[-1]

    yield new
    for server in servers:
        server.stop()


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))
