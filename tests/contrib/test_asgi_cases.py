"""The table of cases in Starlette and FastAPI, with endpoints in the loop and in threads."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from contrib.asgi_sites import (
    AsgiSite,
    asgi_site,
    fastapi_site,
    starlette_site,
    sync_fastapi_site,
    sync_starlette_site,
)
from contrib.cases import CASES, Case, check

SITES = {
    "starlette": starlette_site,
    "starlette, threads": sync_starlette_site,
    "fastapi": fastapi_site,
    "fastapi, threads": sync_fastapi_site,
}


@pytest.fixture(scope="module", params=SITES)
def site(request: pytest.FixtureRequest) -> Iterator[AsgiSite]:
    with asgi_site(SITES[request.param]) as site:
        yield site


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_case(site: AsgiSite, case: Case) -> None:
    check(site, case)
