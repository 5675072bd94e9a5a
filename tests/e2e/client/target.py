"""Fake of Adobe's services on a loopback port: the Delivery API, the CDN, geo lookups.

`on` changes the behavior of a path. A request for an unknown path, as from a client that uses the
server as its proxy, gets a response of the Delivery API.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from servers.faulty import FaultyServer, Received, Steps, answer, json_answer

CLIENT = "acme"
ORGANIZATION = "0DD934B85278256B0A490D44@AdobeOrg"
DELIVERY = "/rest/v1/delivery"
ARTIFACT = f"/{CLIENT}/production/v1/rules.json"
GEO = "/v1/geo"
TNT_ID = "8f9b2c.35_0"
EDGE_HOST = "mboxedge35.tt.omtrdc.net"
PLACE = {
    "x-geo-city": "ROME",
    "x-geo-country-code": "IT",
    "x-geo-latitude": "41.9",
    "x-geo-longitude": "12.5",
}


def rule(
    location: str, content: Any, *, condition: Any = True, activity: int = 1, kind: str = "mbox"
) -> dict[str, Any]:
    return {
        "ruleKey": str(activity),
        "activityId": activity,
        "meta": {
            "activity.id": activity,
            "activity.type": "landing",
            "experience.id": 0,
            "location.type": kind,
        },
        "condition": condition,
        "consequence": {
            "name": location,
            "options": [{"type": "json", "content": content, "eventToken": f"token-{location}-{activity}"}],
            "metrics": [],
        },
    }


def artifact(
    title: str = "first", *, generated_at: str = "2026-01-01T00:00:00Z", **changes: Any
) -> dict[str, Any]:
    """Return an artifact that decides `hero` for all visitors and `roman` for Rome.

    The mbox `far` and the view `map` are remote.
    """
    roman = {"==": [{"var": "geo.city"}, "ROME"]}
    return {
        "version": "1.0.0",
        "meta": {"clientCode": CLIENT, "environment": "production", "generatedAt": generated_at},
        "globalMbox": "target-global-mbox",
        "geoTargetingEnabled": False,
        "responseTokens": ["activity.id"],
        "remoteMboxes": ["far"],
        "localMboxes": ["hero", "roman", "target-global-mbox"],
        "remoteViews": ["map"],
        "localViews": ["home"],
        "rules": {
            "mboxes": {
                "hero": [rule("hero", {"title": title})],
                "roman": [rule("roman", {"title": "ave"}, condition=roman, activity=2)],
                "target-global-mbox": [rule("target-global-mbox", {"title": "page"}, activity=3)],
            },
            "views": {"home": [rule("home", {"title": "view"}, activity=4, kind="view")]},
        },
        **changes,
    }


def artifact_answer(
    document: Mapping[str, Any], headers: Mapping[str, str] | None = None
) -> Callable[[Received], Steps]:
    """Return a response with the artifact, or a 304 for its `ETag`."""
    body = json.dumps(document).encode()
    etag = f'"{hashlib.sha256(body).hexdigest()[:8]}"'

    def give(received: Received) -> Steps:
        if received.headers.get("if-none-match") == etag:
            return answer(304, headers={"ETag": etag})
        return answer(200, body, {"ETag": etag, "Content-Type": "application/json", **(headers or {})})

    return give


def offers(received: Received) -> Steps:
    """Return a response of the Delivery API: an offer named after each location of the request."""
    return json_answer(response_to(received.json()))


def response_to(asked: Mapping[str, Any]) -> dict[str, Any]:
    response: dict[str, Any] = {
        "status": 200,
        "requestId": asked["requestId"],
        "client": CLIENT,
        "id": {"tntId": asked.get("id", {}).get("tntId") or TNT_ID},
        "edgeHost": EDGE_HOST,
    }
    for part in ("execute", "prefetch"):
        if part in asked:
            response[part] = _offered(asked[part])
    if "notifications" in asked:
        response["notifications"] = [{"id": one["id"]} for one in asked["notifications"]]
    return response


def _offered(part: Mapping[str, Any]) -> dict[str, Any]:
    given: dict[str, Any] = {}
    if "pageLoad" in part:
        given["pageLoad"] = {"options": [_option("page")]}
    for kind in ("mboxes", "views"):
        if kind in part:
            given[kind] = [{**one, "options": [_option(one.get("name", "every view"))]} for one in part[kind]]
    return given


def _option(name: str) -> dict[str, Any]:
    return {"type": "json", "content": {"title": f"remote {name}"}, "responseTokens": {"activity.name": name}}


class Target(FaultyServer):
    def __init__(self, **options: Any) -> None:
        super().__init__(offers, **options)
        self.on(DELIVERY, offers)
        self.on(ARTIFACT, artifact_answer(artifact()))
        self.on(GEO, json_answer(PLACE))

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def requests_to(self, path: str = DELIVERY) -> list[Received]:
        return [received for received in self.requests if received.path == path]

    @property
    def bodies(self) -> list[dict[str, Any]]:
        """Return the bodies of the Delivery API requests."""
        return [received.json() for received in self.requests_to()]

    @property
    def notifications(self) -> list[dict[str, Any]]:
        return [one for body in self.bodies for one in body.get("notifications", ())]

    def forget(self) -> None:
        """Discard recorded requests and threads of closed connections, for long runs."""
        self.requests.clear()
        self._threads[:] = [thread for thread in self._threads if thread.is_alive()]

    def wait_for(self, count: int, path: str = DELIVERY) -> None:
        self.wait_until(lambda: len(self.requests_to(path)) >= count)


def query_of(received: Received) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(received.target).query).items()}
