"""The table of cases in Flask, with plain and asynchronous views."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from contrib.cases import CASES, Case, check
from contrib.wsgi_sites import FlaskSite, async_flask_site, flask_site, sync_flask_site

SITES = {"flask": sync_flask_site, "flask, asynchronous views": async_flask_site}


@pytest.fixture(scope="module", params=SITES)
def site(request: pytest.FixtureRequest) -> Iterator[FlaskSite]:
    with flask_site(SITES[request.param]) as site:
        yield site


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_case(site: FlaskSite, case: Case) -> None:
    check(site, case)
