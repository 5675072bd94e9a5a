"""Requests, response headers and clients for tests of visits, without a framework."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from targetry import AsyncTargetClient, TargetClient, samples
from targetry.testing import HttpRequest, HttpResponse, answer
from targetry.web.bound import AsyncBoundTarget, BoundTarget
from targetry.web.options import web_settings
from targetry.web.request import READ_HEADERS
from targetry.web.visit import Visit, Visits

ORGANIZATION = "0123456789ABCDEF01234567@AdobeOrg"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


class FakeRequest:
    """Request with the given headers, each a text or a list of texts."""

    is_secure = True

    def __init__(
        self,
        headers: dict[str, str | list[str]] | None = None,
        *,
        url: str = "https://www.shop.example.co.uk/sale?page=2",
        host: str = "www.shop.example.co.uk",
        peer: str | None = "203.0.113.7",
    ) -> None:
        given = headers or {}
        assert given.keys() <= READ_HEADERS
        self.headers = {name: [one] if isinstance(one, str) else one for name, one in given.items()}
        self.url, self.host, self.peer = url, host, peer

    @property
    def original(self) -> FakeRequest:
        return self


class FakeHeaders:
    """Headers of a response."""

    def __init__(self) -> None:
        self.items: list[tuple[str, str]] = []

    def add(self, name: str, value: str) -> None:
        self.items.append((name, value))

    def vary(self, name: str) -> None:
        self.items.append(("Vary", name))

    def cookies(self) -> dict[str, str]:
        """Return the cookies that are set, by name: value and attributes."""
        pairs = (value.partition("=") for name, value in self.items if name == "Set-Cookie")
        return {name: rest for name, _, rest in pairs}


class Reports(list[Any]):
    """Impressions that a client has handed over, as the requests that report them."""

    def __call__(self, impression: dict[str, Any]) -> None:
        self.append(impression["request"])

    @property
    def mboxes(self) -> list[str]:
        return [one.mbox.name for request in self for one in request.notifications]


def decides_mboxes(request: HttpRequest) -> HttpResponse:
    """Answer as the Delivery API: every mbox of the request gets content that names it."""
    asked = msgspec.json.decode(request.body)
    parts: dict[str, Any] = {}
    for part in ("execute", "prefetch"):
        mboxes = asked.get(part, {}).get("mboxes", [])
        if mboxes:
            parts[part] = {
                "mboxes": [
                    {
                        "index": n,
                        "name": one["name"],
                        "options": [{"type": "html", "content": f"{one['name']} by API"}],
                    }
                    for n, one in enumerate(mboxes)
                ]
            }
    tnt_id = (asked.get("id") or {}).get("tntId", "made-by-api")
    ids = {"tntId": tnt_id if "." in tnt_id else f"{tnt_id}.35_0"}
    return answer({"status": 200, "id": ids, "edgeHost": "mboxedge35.tt.omtrdc.net", **parts})


def options(**more: Any) -> dict[str, Any]:
    """Return options of an on-device client of the sample shop, which sends nothing."""
    return {
        "client": "acme",
        "organization_id": ORGANIZATION,
        "decisioning_method": "on-device",
        "artifact_payload": samples.shop(),
        "polling_interval": 0,
        "send_notification_func": lambda impression: None,
        "telemetry_enabled": False,
        **more,
    }


class Page:
    """One request to a page: its visit, its target with blocking calls, and the response."""

    def __init__(self, client: Any, request: FakeRequest | None = None, **web: Any) -> None:
        self.visit = Visit(Visits(client, web_settings(web)), request or FakeRequest())
        self.target: Any
        self.headers = FakeHeaders()
        self.target = BoundTarget(self.visit)

    def respond(self, status: int = 200) -> FakeHeaders:
        """Start the response."""
        self.target.respond(self.headers)
        self.visit.settle(status)
        return self.headers


class AsyncPage(Page):
    """The same with `AsyncTargetClient`; each call runs a loop of its own."""

    def __init__(self, client: Any, request: FakeRequest | None = None, **web: Any) -> None:
        super().__init__(client, request, **web)
        self.target = Awaiting(AsyncBoundTarget(self.visit))


class Awaiting:
    """Target whose calls are awaited here."""

    def __init__(self, target: AsyncBoundTarget) -> None:
        self._target = target

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._target, name)
        if not callable(member):
            return member

        def call(*args: Any, **keywords: Any) -> Any:
            result = member(*args, **keywords)
            return asyncio.run(_awaited(result)) if hasattr(result, "__await__") else result

        return call


async def _awaited(result: Any) -> Any:
    return await result


def blocking_client(**more: Any) -> TargetClient:
    return TargetClient.create(**options(**more))


def async_client(**more: Any) -> AsyncTargetClient:
    async def create() -> AsyncTargetClient:
        return await AsyncTargetClient.create(**options(**more))

    return asyncio.run(create())
