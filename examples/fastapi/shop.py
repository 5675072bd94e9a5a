"""A small shop on FastAPI; Adobe Target decides its home page and its checkout."""

from __future__ import annotations

import os
from typing import Annotated, Literal

from fastapi import BackgroundTasks, FastAPI, Form
from fastapi.requests import HTTPConnection
from fastapi.responses import HTMLResponse, RedirectResponse

from targetry import ClientOptions, samples
from targetry.contrib.fastapi import AsyncBoundTarget, Consent, SyncTarget, Target, TargetMiddleware

CHOICES = {"all": Consent.GRANTED, "necessary": Consent.ANONYMOUS}
CHOICE_SECONDS = 180 * 24 * 3600
PAGE = """<!doctype html>
<title>Shop</title>
<main>{hero}</main>
<form method="post" action="/orders"><button name="product" value="p1">Buy</button></form>
<form method="post" action="/consent">
  Cookies:
  <button name="choice" value="all">all</button>
  <button name="choice" value="necessary">necessary</button>
  <button name="choice" value="none">none</button>
</form>
"""


def client_options() -> ClientOptions:
    """Return options of a client: of the sample rules, or of an edge that `TARGET_EDGE` names."""
    options: ClientOptions = {
        "client": "acme",
        "organization_id": "0123456789ABCDEF01234567@AdobeOrg",
        "decisioning_method": "on-device",
    }
    edge = os.environ.get("TARGET_EDGE")
    if edge is None:
        return {
            **options,
            "artifact_payload": samples.shop(),
            "polling_interval": 0,
            "send_notification_func": lambda impression: None,
        }
    return {**options, "server_domain": edge, "cdn_base_path": f"http://{edge}", "secure": False}


def consent(connection: HTTPConnection) -> Consent:
    """Return what the visitor has chosen; denied until there is a choice."""
    return CHOICES.get(connection.cookies.get("choice", ""), Consent.DENIED)


app = FastAPI()
app.add_middleware(TargetMiddleware, client=client_options(), consent=consent)


@app.get("/", response_class=HTMLResponse)
async def home(target: Target) -> str:
    """Show the home page."""
    return PAGE.format(hero=await target.offer("hero", default="<h1>Welcome</h1>"))


@app.get("/checkout")
def checkout(target: SyncTarget) -> dict[str, bool]:
    """Return how the checkout works for this visitor; this endpoint runs in a thread."""
    return {"one_click": target.flag("checkout-flags:oneClick", False)}


async def report(target: AsyncBoundTarget, product: str) -> None:
    """Report an order, after the response was sent."""
    await target.track("orderConfirm", 59.9, orderId=f"order-{product}", purchasedProductIds=[product])


@app.post("/orders")
async def order(product: Annotated[str, Form()], target: Target, tasks: BackgroundTasks) -> RedirectResponse:
    """Take an order."""
    target.remember()  # cookies are headers, and the task runs after them
    tasks.add_task(report, target, product)
    return RedirectResponse("/", status_code=303)


@app.post("/consent")
async def choose(choice: Annotated[Literal["all", "necessary", "none"], Form()]) -> RedirectResponse:
    """Keep the visitor's choice."""
    response = RedirectResponse("/", status_code=303)
    response.set_cookie("choice", choice, max_age=CHOICE_SECONDS, samesite="lax", httponly=True)
    return response
