"""A small shop on Flask; Adobe Target decides its home page, its feed and its checkout."""

from __future__ import annotations

import os
from collections.abc import Iterator

from flask import Blueprint, Flask, Request, abort, redirect, request, stream_with_context
from werkzeug.wrappers import Response

from targetry import ClientOptions, samples
from targetry.contrib.flask import Consent, Target, target

CHOICES = {"all": Consent.GRANTED, "necessary": Consent.ANONYMOUS, "none": Consent.DENIED}
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


def consent(request: Request) -> Consent:
    """Return what the visitor has chosen; denied until there is a choice."""
    return CHOICES.get(request.cookies.get("choice", ""), Consent.DENIED)


pages = Blueprint("pages", __name__)
extension = Target(consent=consent, exclude=["/static/"])


def create_app() -> Flask:
    """Return the application; its configuration names the client."""
    app = Flask(__name__)
    app.config["TARGETRY_CLIENT"] = client_options()
    extension.init_app(app)
    app.register_blueprint(pages)
    return app


@pages.get("/")
def home() -> str:
    """Show the home page."""
    return PAGE.format(hero=target.offer("hero", default="<h1>Welcome</h1>"))


@pages.get("/feed")
def feed() -> Response:
    """Show the home page as a stream: the visitor is remembered before it starts."""
    target.remember()

    def parts() -> Iterator[str]:
        yield "<!doctype html><title>Shop</title>"
        yield target.offer("hero", default="<h1>Welcome</h1>")

    return Response(stream_with_context(parts()), mimetype="text/html")


@pages.get("/checkout")
def checkout() -> dict[str, bool]:
    """Return how the checkout works for this visitor."""
    return {"one_click": target.flag("checkout-flags:oneClick", False)}


@pages.post("/orders")
def order() -> Response:
    """Take an order."""
    product = request.form["product"]
    target.track("orderConfirm", 59.9, orderId=f"order-{product}", purchasedProductIds=[product])
    return redirect("/", 303)


@pages.post("/consent")
def choose() -> Response:
    """Keep the visitor's choice."""
    choice = request.form["choice"]
    if choice not in CHOICES:
        abort(400)
    response = redirect("/", 303)
    response.set_cookie("choice", choice, max_age=CHOICE_SECONDS, samesite="Lax", httponly=True)
    return response


app = create_app()
