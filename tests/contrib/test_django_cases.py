"""The table of cases in Django, under WSGI and ASGI, with synchronous and asynchronous views."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from contrib.cases import CASES, Case, check
from contrib.django_sites import MIDDLEWARE, AsyncUrls, DjangoSite, SyncUrls, django_site

SYNC_MIDDLEWARE = "contrib.django_sites.SyncMiddleware"

SITES: dict[str, dict[str, Any]] = {
    "WSGI": {"pages": SyncUrls, "asgi": False},
    "WSGI, async views": {"pages": AsyncUrls, "asgi": False},
    "ASGI": {"pages": SyncUrls, "asgi": True},
    "ASGI, async views": {"pages": AsyncUrls, "asgi": True},
    "ASGI, async views, synchronous middleware": {
        "pages": AsyncUrls,
        "asgi": True,
        "middleware": (MIDDLEWARE, SYNC_MIDDLEWARE),
    },
}


@pytest.fixture(scope="module", params=SITES)
def site(request: pytest.FixtureRequest) -> Iterator[DjangoSite]:
    with django_site(**SITES[request.param]) as site:
        yield site


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_case(site: DjangoSite, case: Case) -> None:
    check(site, case)
