"""Scenarios of OpenFeature's provider TCK with OpenFeature's OFREP client, at an edge."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.provider import AbstractProvider
from pytest_bdd import scenarios

from support.edge_sockets import open_edge
from support.openfeature_tck import TCK, World, canonical_flags, rules_of
from targetry.edge.ofrep.settings import ofrep_settings

if not TCK.is_dir():
    pytest.skip("the data of OpenFeature's provider TCK is not here", allow_module_level=True)

scenarios(str(TCK / "gherkin"))


class OfrepWorld(World):
    def __init__(self, url: str) -> None:
        super().__init__(is_async=False)
        self._url = url

    def make_provider(self, ready_timeout: float) -> AbstractProvider:
        return OFREPProvider(self._url)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    settings = ofrep_settings(targeting_key_parameter="targetingKey")
    with open_edge(artifact=rules_of(canonical_flags()), ofrep=settings) as here:
        yield f"http://127.0.0.1:{here.port}/acme"


@pytest.fixture
def undeclared(undeclared: dict[str, str]) -> dict[str, str]:
    return {
        **undeclared,
        "events": "the client emits no events",
        "numeric-coercion": "the client takes integers for integers only, and floats for floats",
        "unavailable": "the client does not connect before the first evaluation",
    }


@pytest.fixture
def world(url: str, request: pytest.FixtureRequest) -> Iterator[World]:
    if "boolean-flag-Integer" in request.node.name:
        request.applymarker(pytest.mark.xfail(reason="the client takes True for an integer"))
    world = OfrepWorld(url)
    yield world
    assert isinstance(world.provider, OFREPProvider)
    world.provider.session.close()
    world.stop()
