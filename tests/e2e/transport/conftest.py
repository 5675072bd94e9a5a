"""Fixtures: servers and transports that are closed at the end of the test."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any, Final

import pytest

from servers.certificates import Authority
from servers.clients import Blocking, Client, Connect, Looped, Serve, UvLooped
from servers.faulty import Behaviour, FaultyServer

_CLIENTS: Final = {"blocking": Blocking, "asyncio": Looped}
_WITH_UVLOOP: Final = ("test_attribution", "test_faults", "test_proxies", "test_tls")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test of a transport with both, and where event loops differ, with uvloop too."""
    if "connect" not in metafunc.fixturenames:
        return
    clients: dict[str, type] = dict(_CLIENTS)
    if metafunc.module.__name__.rpartition(".")[2] in _WITH_UVLOOP and find_spec("uvloop") is not None:
        clients["uvloop"] = UvLooped
    metafunc.parametrize("connect", clients.values(), ids=clients, indirect=True)


@pytest.fixture
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
