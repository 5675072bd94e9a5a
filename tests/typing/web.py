"""Targets of web requests, read by mypy and pyright only: an ignore marks what must fail."""

from __future__ import annotations

from typing import Any, assert_type

from django.http import HttpRequest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request

from targetry import AsyncTargetClient, AttributesProvider, TargetClient, TargetDeliveryResponse
from targetry.contrib import current_target, django
from targetry.contrib.asgi import AsgiTarget
from targetry.contrib.fastapi import SyncTarget, Target
from targetry.contrib.starlette import TargetMiddleware, get_sync_target, get_target
from targetry.web.bound import AsyncBoundTarget, BoundTarget
from targetry.web.consent import Consent
from targetry.web.options import WebOptions

app = FastAPI()


def consent(connection: HTTPConnection) -> Consent:
    return Consent.ANONYMOUS


app.add_middleware(TargetMiddleware, client={"client": "a", "organization_id": "b"}, consent=consent)
app.add_middleware(TargetMiddleware, client={"client": "a"}, cookies="often")  # type: ignore[arg-type]
Starlette().add_middleware(TargetMiddleware)  # type: ignore[call-arg]
AsgiTarget(app, {"client": "a", "organization_id": "b"}, exclude=["/static/"])
OPTIONS: WebOptions = {"cookies": "used", "ip": False, "trusted_proxies": ["10.0.0.0/8"]}


@app.get("/")
async def page(target: Target, request: Request) -> None:
    assert_type(target, AsyncBoundTarget)
    assert_type(get_target(request), AsyncBoundTarget)
    assert_type(await target.flag("new-checkout", False), bool)
    assert_type(await target.flag("new-checkout", None), Any)
    assert_type(await target.offers("hero", "banner", plan="gold"), dict[str, Any])
    assert_type(await target.track("signup", 9.5, orderId="1"), bool)
    assert_type(await target.get_offers(mboxes=["hero"]), TargetDeliveryResponse)
    assert_type(await target.get_attributes(["hero"]), AttributesProvider)
    assert_type(target.tnt_id, str | None)
    assert_type(target.dump(), dict[str, str])
    target.offer("hero") + "x"  # type: ignore[operator]


@app.get("/sync")
def sync_page(target: SyncTarget, request: Request) -> None:
    assert_type(target, BoundTarget)
    assert_type(get_sync_target(request), BoundTarget)
    assert_type(target.flag("new-checkout", 5), int)
    assert_type(target.get_offers(mboxes=["hero"]).content("hero", ""), Any)


def django_view(request: HttpRequest) -> None:
    assert_type(django.get_target(request), AsyncBoundTarget)
    assert_type(django.get_sync_target(request), BoundTarget)
    assert_type(django.target(request), dict[str, BoundTarget])


def task(client: TargetClient, other: AsyncTargetClient, dumped: dict[str, str]) -> None:
    assert_type(client.visit(dumped), BoundTarget)
    assert_type(other.visit(dumped), AsyncBoundTarget)
    assert_type(current_target(), BoundTarget | AsyncBoundTarget | None)
