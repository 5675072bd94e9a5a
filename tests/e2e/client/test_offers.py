"""Content of a result for each decisioning method, client, and mode of a request."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from e2e.client.any_client import AnyClient, Blocking, Looped
from e2e.client.conftest import reach
from e2e.client.target import Target, artifact
from targetry import (
    DeliveryRequest,
    ExecuteRequest,
    MboxRequest,
    PrefetchRequest,
    RequestDetails,
    ViewRequest,
)

TITLES = {
    "on-device": {"hero": "first", "page": "page", "home": "view", "nowhere": "default"},
    "hybrid": {"hero": "first", "page": "page", "home": "view", "nowhere": "default"},
    "server-side": {
        "hero": "remote hero",
        "page": "remote page",
        "home": "remote home",
        "nowhere": "remote nowhere",
    },
}
DEFAULT = {"title": "default"}


def requests(method: str) -> tuple[DeliveryRequest, DeliveryRequest]:
    names = ["hero"] if method == "hybrid" else ["hero", "nowhere"]  # an unknown mbox is remote
    mboxes = [MboxRequest(name=name) for name in names]
    execute = ExecuteRequest(mboxes=mboxes, page_load=RequestDetails())
    views = [ViewRequest(name="home")]
    prefetch = PrefetchRequest(mboxes=mboxes, page_load=RequestDetails(), views=views)
    return DeliveryRequest(execute=execute), DeliveryRequest(prefetch=prefetch)


@pytest.mark.parametrize("make", [Blocking, Looped], ids=["sync", "asyncio"])
@pytest.mark.parametrize("method", TITLES)
def test_content_is_read_the_same_way_for_each_method(method: str, make: Callable[..., AnyClient]) -> None:
    titles = TITLES[method]
    with Target() as target:
        options = {
            "artifact_payload": artifact(),
            "polling_interval": 0,
            "send_notification_func": lambda report: None,
        }
        any_client = make(**reach(target), **options, decisioning_method=method)
        try:
            executed, prefetched = [any_client.get_offers(request=request) for request in requests(method)]
        finally:
            any_client.finish()
    for offers in (executed, prefetched):
        assert offers.content("hero", default=DEFAULT)["title"] == titles["hero"]
        assert offers.content("nowhere", default=DEFAULT)["title"] == titles["nowhere"]
        assert offers.page_load.content["title"] == titles["page"]
        assert offers.mbox("hero").type == "json"
    assert prefetched.view("home").content["title"] == titles["home"]
    assert not executed.view("home")
    activity = executed.mbox("hero").activity
    assert activity is not None
    assert (activity.id, activity.name) == ((None, "hero") if method == "server-side" else (1, None))
