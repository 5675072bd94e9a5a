"""Shop in Flask as written for `target-python-sdk` 1.1.0, with official import names only."""

from __future__ import annotations

from typing import Any

from flask import Flask, Response, jsonify, request

from delivery_api_client import (
    Address,
    ApiException,
    ChannelType,
    Context,
    DeliveryRequest,
    ExecuteRequest,
    MboxRequest,
    MetricType,
    Notification,
    NotificationMbox,
    PrefetchRequest,
)
from target_python_sdk import TargetClient
from target_python_sdk.cookies import LOCATION_HINT_COOKIE, TARGET_COOKIE
from target_tools.utils import create_uuid, get_epoch_time_milliseconds

FALLBACK = "<h1>Welcome</h1>"


def create_app(options: dict[str, Any]) -> Flask:
    app = Flask(__name__)
    target_client = TargetClient.create(options)
    app.extensions["target"] = target_client

    @app.get("/")
    def home() -> Response:
        execute = ExecuteRequest(mboxes=[MboxRequest(name="hero", index=1)])
        try:
            offers = target_client.get_offers(call(DeliveryRequest(context=context(), execute=execute)))
        except ApiException:
            return Response(FALLBACK)
        contents = [
            option.content for mbox in offers["response"].execute.mboxes for option in mbox.options or []
        ]
        return with_cookies(Response("".join(contents) or FALLBACK), offers)

    @app.get("/flags")
    def flags() -> Response:
        attributes = target_client.get_attributes(
            ["checkout-flags"], call(DeliveryRequest(context=context()))
        )
        shown = jsonify(attributes.as_object("checkout-flags"))
        return with_cookies(shown, attributes.get_response())

    @app.get("/later")
    def later() -> Response:
        prefetch = PrefetchRequest(mboxes=[MboxRequest(name="hero", index=1)])
        offers = target_client.get_offers(call(DeliveryRequest(context=context(), prefetch=prefetch)))
        mbox = offers["response"].prefetch.mboxes[0]
        tokens = [option.event_token for option in mbox.options]
        return with_cookies(jsonify({"tokens": tokens, "state": mbox.state}), offers)

    @app.post("/clicked")
    def clicked() -> Response:
        notification = Notification(
            id=create_uuid(),
            type=MetricType.CLICK,
            timestamp=get_epoch_time_milliseconds(),
            tokens=request.json["tokens"],
            mbox=NotificationMbox(name="hero", state=request.json.get("state")),
        )
        delivery_request = DeliveryRequest(context=context(), notifications=[notification])
        result = target_client.send_notifications(call(delivery_request))
        return with_cookies(jsonify({"status": result["response"].status}), result)

    return app


def context() -> Context:
    return Context(
        channel=ChannelType.WEB,
        address=Address(url=request.url, referring_url=request.referrer),
        user_agent=request.headers.get("User-Agent"),
    )


def call(delivery_request: DeliveryRequest) -> dict[str, Any]:
    return {
        "request": delivery_request,
        "target_cookie": request.cookies.get(TARGET_COOKIE),
        "target_location_hint": request.cookies.get(LOCATION_HINT_COOKIE),
    }


def with_cookies(response: Response, result: dict[str, Any]) -> Response:
    for name in ("target_cookie", "target_location_hint_cookie"):
        cookie = result.get(name)
        if cookie:
            response.set_cookie(cookie["name"], cookie["value"], max_age=cookie["maxAge"])
    return response
