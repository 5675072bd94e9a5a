"""Programs as the documentation of `target-python-sdk` 1.1.0 writes them run unchanged."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Callable
from multiprocessing.pool import AsyncResult
from typing import Any

import pytest

from delivery_api_client import (
    Address,
    ApiException,
    AuthenticatedState,
    ChannelType,
    Context,
    CustomerId,
    DeliveryRequest,
    DeliveryResponse,
    ExecuteRequest,
    MboxRequest,
    MetricType,
    ModelProperty,
    Notification,
    NotificationMbox,
    OptionType,
    PrefetchRequest,
    ViewRequest,
    VisitorId,
)
from delivery_api_client.exceptions import OpenApiException
from delivery_api_client.Model.mbox_request import MboxRequest as TheSameMboxRequest
from dropin.shop import ARTIFACT_PATH, CLIENT, ORGANIZATION, TNT_ID, Shop
from servers.faulty import html_answer
from target_python_sdk import TargetClient
from target_python_sdk.cookies import LOCATION_HINT_COOKIE, TARGET_COOKIE, parse_cookies
from target_python_sdk.messages import MESSAGES
from target_python_sdk.types.target_delivery_response import TargetDeliveryResponse
from target_tools.attributes_provider import AttributesProvider
from target_tools.enums import DecisioningMethod
from target_tools.utils import create_uuid, get_epoch_time_milliseconds, to_dict
from targetry import TargetryWarning, samples
from targetry.testing import FakeTransport, answer

LONG = 10  # seconds to wait for something that is sure to come
Closing = Callable[[Any], Any]


def hero_request() -> DeliveryRequest:
    context = Context(channel=ChannelType.WEB, address=Address(url="http://shop.example/"))
    return DeliveryRequest(
        context=context, execute=ExecuteRequest(mboxes=[MboxRequest(name="hero", index=1)])
    )


# get_offers in three modes


def test_offers_are_requested_and_read(shop: Shop, closing: Closing) -> None:
    target_client = closing(TargetClient.create(shop.options))
    result = target_client.get_offers({"request": hero_request(), "session_id": "s1"})
    assert isinstance(result, dict)
    assert isinstance(result, TargetDeliveryResponse)
    response = result["response"]
    assert isinstance(response, DeliveryResponse)
    assert (response.status, response.id.tnt_id) == (200, TNT_ID)
    for mbox in response.execute.mboxes:
        for option in mbox.options:
            assert (mbox.name, option.type, option.content) == ("hero", OptionType.HTML, "<b>hero</b>")
    assert result["response_tokens"] == [{"offer.name": "offer of hero"}]
    assert result["meta"]["decisioning_method"] == "server-side"
    assert "trace" not in result
    assert result.get("analytics_details") is None


def test_request_can_omit_the_context(shop: Shop, closing: Closing) -> None:
    target_client = closing(TargetClient.create(shop.options))
    prefetch = PrefetchRequest(mboxes=[MboxRequest(name="home"), MboxRequest(name="product1")])
    result = target_client.get_offers({"request": DeliveryRequest(prefetch=prefetch)})
    assert [mbox.name for mbox in result["response"].prefetch.mboxes] == ["home", "product1"]


def test_decision_on_device_needs_no_further_request(shop: Shop, closing: Closing) -> None:
    options = {**shop.options, "decisioning_method": "on-device", "artifact_payload": samples.shop()}
    target_client = closing(TargetClient.create({**options, "polling_interval": 0}))
    result = target_client.get_offers({"request": hero_request()})
    assert result["meta"] == {"decisioning_method": "on-device", "remote_mboxes": [], "remote_views": []}
    assert result["response"].execute.mboxes[0].options[0].content.startswith("<section")
    assert target_client.decisioning_engine.is_ready()
    assert target_client.decisioning_engine.get_raw_artifact() == samples.shop()
    target_client.decisioning_engine.stop_polling()


def test_hybrid_calls_the_server_only_if_needed(shop: Shop, closing: Closing) -> None:
    options = {**shop.options, "decisioning_method": "hybrid", "artifact_location": shop.artifact_url}
    target_client = closing(TargetClient.create(options))
    local = target_client.get_offers({"request": hero_request()})
    remote_mbox = MboxRequest(name="recommendations", index=1)
    request = DeliveryRequest(context=Context(channel="web"), execute=ExecuteRequest(mboxes=[remote_mbox]))
    remote = target_client.get_offers({"request": request})
    assert local["meta"]["decisioning_method"] == "on-device"
    assert remote["meta"] == {
        "decisioning_method": "server-side",
        "remote_mboxes": ["recommendations"],
        "remote_views": [],
    }


@pytest.mark.parametrize(
    "method", ["on-device", DecisioningMethod.ON_DEVICE, DecisioningMethod.ON_DEVICE.value]
)
def test_method_is_chosen_for_one_call(shop: Shop, closing: Closing, method: str) -> None:
    options = {**shop.options, "decisioning_method": "hybrid", "artifact_location": shop.artifact_url}
    target_client = closing(TargetClient.create(options))
    result = target_client.get_offers({"request": hero_request(), "decisioning_method": method})
    assert result["meta"]["decisioning_method"] == "on-device"


# the visitor


def test_cookies_round_trip_through_a_web_framework(closing: Closing) -> None:
    answered = {"status": 200, "id": {"tntId": "d3f1.35_0"}, "edgeHost": "mboxedge35.tt.omtrdc.net"}
    transport = FakeTransport(by=lambda request: answer(answered))
    options = {"client": CLIENT, "organization_id": ORGANIZATION, "transport": transport}
    target_client = closing(TargetClient.create(options))
    first = target_client.get_offers({"request": hero_request(), "session_id": "s1"})
    set_cookies = [first["target_cookie"], first["target_location_hint_cookie"]]
    assert [cookie["maxAge"] for cookie in set_cookies] == [63_244_800, 1_860]
    assert [cookie["max_age"] for cookie in set_cookies] == [63_244_800, 1_860]
    browser = {cookie["name"]: cookie["value"] for cookie in set_cookies}
    parts = parse_cookies(browser["mbox"])
    assert (parts["session"]["value"], parts["PC"]["value"]) == ("s1", "d3f1.35_0")
    second = target_client.get_offers(
        {
            "request": hero_request(),
            "target_cookie": browser.get(TARGET_COOKIE),
            "target_location_hint": browser.get(LOCATION_HINT_COOKIE),
        }
    )
    asked = transport.requests[1]
    assert asked.url.startswith("https://mboxedge35.tt.omtrdc.net/rest/v1/delivery?")
    assert "sessionId=s1" in asked.url
    assert json.loads(asked.body or b"")["id"] == {"tntId": "d3f1.35_0"}
    assert second["target_location_hint_cookie"]["value"] == "35"


def test_customer_ids_go_with_the_request(shop: Shop, closing: Closing) -> None:
    target_client = closing(TargetClient.create(shop.options))
    crm = CustomerId(id="4711", integration_code="crm", authenticated_state=AuthenticatedState.AUTHENTICATED)
    request = hero_request()
    request.id = VisitorId(third_party_id="tp", customer_ids=[crm])
    target_client.get_offers({"request": request})
    sent = {"id": "4711", "integrationCode": "crm", "authenticatedState": "authenticated"}
    assert shop.deliveries[0].json()["id"] == {"thirdPartyId": "tp", "customerIds": [sent]}


class EcidVisitor:
    """Of the application's own making, with the methods that 1.1.0 calls."""

    sdid = "5D37D1B6A8D0B8C1-0F3A4B5C6D7E8F90"

    def __init__(self) -> None:
        self.consumers: list[str | None] = []

    def get_visitor_values(self) -> dict[str, str]:
        return {"MCMID": "82145712", "MCAAMLH": "9", "MCAAMB": "blob"}

    def get_state(self) -> dict[str, Any]:
        return {
            ORGANIZATION: {
                "customer_ids": {"crm": {"id": "4711", "auth_state": "1"}},
                "sdid": {"supplemental_data_id_current": self.sdid},
            }
        }

    def get_supplemental_data_id(self, consumer_id: str | None) -> str:
        self.consumers.append(consumer_id)
        return self.sdid


def test_visitor_object_of_the_caller_is_used(shop: Shop, closing: Closing) -> None:
    target_client = closing(TargetClient.create(shop.options))
    visitor = EcidVisitor()
    result = target_client.get_offers(
        {"request": hero_request(), "visitor": visitor, "consumer_id": "hero-page"}
    )
    sent = shop.deliveries[0].json()
    assert sent["id"]["marketingCloudVisitorId"] == "82145712"
    assert sent["id"]["customerIds"][0]["authenticatedState"] == "authenticated"
    assert sent["experienceCloud"]["analytics"]["supplementalDataId"] == visitor.sdid
    assert sent["experienceCloud"]["audienceManager"] == {"locationHint": 9, "blob": "blob"}
    assert visitor.consumers == ["hero-page"]
    assert result["visitor_state"] == visitor.get_state()


def test_without_a_visitor_its_state_is_there_and_none(shop: Shop, closing: Closing) -> None:
    result = closing(TargetClient.create(shop.options)).get_offers({"request": hero_request()})
    assert result["visitor_state"] is None


# notifications and attributes


def test_shown_prefetched_content_is_notified(shop: Shop, closing: Closing) -> None:
    target_client = closing(TargetClient.create(shop.options))
    session_id = create_uuid()
    prefetch = PrefetchRequest(mboxes=[MboxRequest(name="home", index=1), MboxRequest(name="cart", index=2)])
    request = DeliveryRequest(context=Context(channel=ChannelType.WEB), prefetch=prefetch)
    prefetched = target_client.get_offers({"request": request, "session_id": session_id})
    notifications = [
        Notification(
            id=create_uuid(),
            type=MetricType.DISPLAY,
            timestamp=get_epoch_time_milliseconds(),
            mbox=NotificationMbox(name=mbox.name, state=mbox.state),
            tokens=[option.event_token for option in mbox.options],
        )
        for mbox in prefetched["response"].prefetch.mboxes
    ]
    request = DeliveryRequest(context=Context(channel=ChannelType.WEB), notifications=notifications)
    result = target_client.send_notifications({"request": request, "session_id": session_id})
    sent = shop.deliveries[1].json()["notifications"]
    assert [each["tokens"] for each in sent] == [["token of home"], ["token of cart"]]
    assert [each["mbox"]["state"] for each in sent] == ["state of home", "state of cart"]
    assert [each.id for each in result["response"].notifications] == [each.id for each in notifications]


def test_attributes_are_read_by_name(shop: Shop, closing: Closing) -> None:
    target_client = closing(TargetClient.create(shop.options))
    attributes = target_client.get_attributes(["ui-flags", "price-flags"])
    assert isinstance(attributes, AttributesProvider)
    assert attributes.get_value("ui-flags", "enabled") is True
    assert attributes.as_object("price-flags") == {"for": "price-flags", "enabled": True}
    assert set(attributes.as_object()) == {"ui-flags", "price-flags"}
    assert attributes.get_response()["response"].status == 200
    with pytest.raises(Exception, match=r"^Attribute 'x' does not exist for mbox 'ui-flags'$"):
        attributes.get_value("ui-flags", "x")


def test_attributes_are_added_to_a_request(shop: Shop, closing: Closing) -> None:
    target_client = closing(TargetClient.create(shop.options))
    options = {"request": hero_request(), "session_id": "s1"}
    attributes = target_client.get_attributes(["ui-flags"], options)
    assert attributes.get_value("ui-flags", "for") == "ui-flags"
    assert [mbox["name"] for mbox in shop.deliveries[0].json()["execute"]["mboxes"]] == ["hero", "ui-flags"]


# asynchronous calls


def test_callback_gets_the_result(shop: Shop, closing: Closing) -> None:
    target_client = closing(TargetClient.create(shop.options))
    results: list[Any] = []
    done = threading.Event()

    def callback(result: Any) -> None:
        results.append(result)
        done.set()

    pending = target_client.get_offers(
        {"request": hero_request(), "callback": callback, "err_callback": results.append}
    )
    assert isinstance(pending, AsyncResult)
    assert done.wait(LONG)
    assert results[0]["response"].execute.mboxes[0].name == "hero"
    # 1.1.0 gives the bare DeliveryResponse here
    assert pending.get(LONG).execute.mboxes[0].options[0].content == "<b>hero</b>"
    assert pending.successful()


def test_error_callback_is_given_the_exception(shop: Shop, closing: Closing) -> None:
    target_client = closing(TargetClient.create(shop.options))
    shop.script(html_answer(500))
    errors: list[Exception] = []
    done = threading.Event()

    def err_callback(error: Exception) -> None:
        errors.append(error)
        done.set()

    target_client.get_offers(
        {"request": hero_request(), "callback": errors.append, "err_callback": err_callback}
    )
    assert done.wait(LONG)
    assert isinstance(errors[0], ApiException)
    assert errors[0].status == 500


def test_attributes_and_notifications_have_callbacks_too(shop: Shop, closing: Closing) -> None:
    target_client = closing(TargetClient.create(shop.options))
    results: list[Any] = []
    pending = target_client.get_attributes(
        ["ui-flags"], {"request": hero_request(), "callback": results.append}
    )
    pending.wait(LONG)
    assert results[0].get_value("ui-flags", "enabled") is True
    notification = Notification(
        id="n1", type=MetricType.CLICK, timestamp=1, tokens=["t"], mbox=NotificationMbox(name="hero")
    )
    request = DeliveryRequest(context=Context(channel="web"), notifications=[notification])
    pending = target_client.send_notifications({"request": request, "callback": results.append})
    pending.wait(LONG)
    assert results[1]["response"].notifications[0].id == "n1"


def test_call_is_awaited_in_a_thread(shop: Shop, closing: Closing) -> None:
    target_client = closing(TargetClient.create(shop.options))

    async def both() -> list[Any]:
        call = {"request": hero_request()}
        return await asyncio.gather(
            asyncio.to_thread(target_client.get_offers, call),
            asyncio.to_thread(target_client.get_offers, call),
        )

    assert [result["response"].status for result in asyncio.run(both())] == [200, 200]


# events, logging and errors


def test_events_reach_handlers_with_and_without_a_parameter(shop: Shop, closing: Closing) -> None:
    reported: list[str] = []
    ready = threading.Event()

    def client_ready_callback() -> None:
        result = target_client.get_offers({"request": hero_request()})
        reported.append(result["meta"]["decisioning_method"])
        ready.set()

    def artifact_download_succeeded(event: Any) -> None:
        reported.append(f"{event.type} from {event.artifact_location}")
        reported.append(event["artifact_payload"]["version"])

    def artifact_download_failed(event: Any) -> None:
        reported.append(f"{event.artifact_location}: {event.error}")

    target_client = closing(
        TargetClient.create(
            {
                **shop.on_device,
                "events": {
                    "client_ready": client_ready_callback,
                    "artifact_download_succeeded": artifact_download_succeeded,
                    "artifact_download_failed": artifact_download_failed,
                },
            }
        )
    )
    assert ready.wait(LONG)
    assert reported == [f"artifact_download_succeeded from {shop.artifact_url}", "1.0.0", "on-device"]


def test_create_requests_only_the_artifact(shop: Shop, closing: Closing) -> None:
    closing(TargetClient.create(shop.on_device))
    assert [received.path for received in shop.requests] == [ARTIFACT_PATH]


def test_failed_download_emits_an_event_and_returns_the_client(shop: Shop, closing: Closing) -> None:
    shop.on(ARTIFACT_PATH, html_answer(403))
    failures: list[Any] = []
    options = {**shop.on_device, "events": {"artifact_download_failed": failures.append}}
    target_client = closing(TargetClient.create(options))
    assert failures[0]["artifact_location"] == shop.artifact_url
    assert "On-Device-Decisioning being disabled" in str(failures[0]["error"])
    with pytest.raises(Exception, match=r"^Unable to fulfill request; decisioning engine not ready\.$"):
        target_client.get_offers({"request": hero_request()})


def test_logger_option_gets_the_messages(shop: Shop, closing: Closing) -> None:
    class OwnLogger:
        def __init__(self) -> None:
            self.lines: list[str] = []

        def debug(self, message: str) -> None:
            self.lines.append(message)

        def error(self, message: str) -> None:
            self.lines.append(message)

    logger = OwnLogger()
    target_client = closing(TargetClient.create({**shop.options, "logger": logger}))
    target_client.get_offers({"request": hero_request()})
    assert any(line.startswith("Request sent") for line in logger.lines)
    assert any(line.startswith("Response received") for line in logger.lines)
    assert target_client.logger is logger


def test_without_a_logger_it_is_adobe_target(shop: Shop, closing: Closing) -> None:
    assert closing(TargetClient.create(shop.options)).logger is logging.getLogger("adobe.target")


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda client: TargetClient.create(None), "Options are required"),
        (lambda client: TargetClient.create({"client": "acme"}), "Organization Id is required"),
        (lambda client: TargetClient({}), MESSAGES["PRIVATE_CONSTRUCTOR"]),
        (lambda client: client.get_offers({}), MESSAGES["OPTIONS_REQUIRED"]),
        (lambda client: client.get_offers({"request": None}), MESSAGES["REQUEST_REQUIRED"]),
        (
            lambda client: client.get_offers({"request": DeliveryRequest(execute=ExecuteRequest())}),
            MESSAGES["EXECUTE_FIELDS_REQUIRED"],
        ),
        (
            lambda client: client.send_notifications({"request": hero_request()}),
            MESSAGES["NOTIFICATIONS_REQUIRED"],
        ),
        (
            lambda client: client.get_offers({"request": hero_request(), "callback": 5}),
            MESSAGES["INVALID_CALLBACK"],
        ),
    ],
)
def test_invalid_argument_raises_with_the_official_text(
    shop: Shop, closing: Closing, call: Callable[[Any], Any], text: str
) -> None:
    target_client = closing(TargetClient.create(shop.options))
    with pytest.raises(Exception) as caught:  # noqa: PT011  all that 1.1.0 promises
        call(target_client)
    assert str(caught.value) == text


def test_error_of_the_api_is_caught_by_its_official_name(shop: Shop, closing: Closing) -> None:
    shop.script(html_answer(400))
    target_client = closing(TargetClient.create(shop.options))
    with pytest.raises(OpenApiException) as caught:
        target_client.get_offers({"request": hero_request()})
    error: Any = caught.value
    assert (error.status, error.reason) == (400, "Reason")
    assert "Sorry" in error.body
    assert str(error).startswith("(400)\nReason: Reason\nHTTP response headers:")


# models


def test_request_is_built_with_keywords_and_changed_afterwards() -> None:
    request = DeliveryRequest(
        context=Context(channel="web"),
        _property=ModelProperty(token="t"),
        prefetch=PrefetchRequest(views=[ViewRequest()]),
    )
    request.execute = ExecuteRequest(mboxes=[])
    request.execute.mboxes.append(TheSameMboxRequest(name="hero", index=1))
    assert request.to_dict()["_property"] == {"token": "t"}
    assert to_dict(request)["execute"]["mboxes"][0]["name"] == "hero"
    assert "'name': 'hero'" in request.to_str()
    assert request == DeliveryRequest(
        context=Context(channel=ChannelType.WEB),
        _property=ModelProperty(token="t"),
        execute=ExecuteRequest(mboxes=[MboxRequest(name="hero", index=1)]),
        prefetch=PrefetchRequest(views=[ViewRequest()]),
    )


def test_enum_members_are_strings() -> None:
    assert ChannelType.WEB == "web"
    assert f"{MetricType.DISPLAY}" == "display"
    assert {OptionType.JSON: 1}["json"] == 1


# what 1.1.0 takes without a word


def test_unknown_options_are_accepted(shop: Shop, closing: Closing) -> None:
    with pytest.warns(TargetryWarning, match="unknown option 'log_level'"):
        target_client = closing(TargetClient.create({**shop.options, "log_level": "debug"}))
    assert target_client.get_offers({"request": hero_request()})["response"].status == 200


def test_obsolete_options_are_accepted_silently(shop: Shop, closing: Closing) -> None:
    odd = {"polling_interval": 300_000, "maximum_wait_ready": -1, "internal": True, "artifact_payload": None}
    closing(TargetClient.create({**shop.on_device, **odd}))


def test_dict_of_options_is_reusable(shop: Shop, closing: Closing) -> None:
    options = shop.options
    before = dict(options)
    closing(TargetClient.create(options))
    target_client = closing(TargetClient.create(options))
    call: dict[str, Any] = {"request": hero_request(), "callback": lambda attributes: None}
    for _ in range(2):
        target_client.get_attributes(["ui-flags"], call).get(LONG)
    assert options == before
    assert set(call) == {"request", "callback"}


def test_server_side_client_has_no_engine(shop: Shop, closing: Closing) -> None:
    assert closing(TargetClient.create(shop.options)).decisioning_engine is None


def test_program_without_close_ends_and_sends_its_impressions(shop: Shop) -> None:
    program = f"""
from target_python_sdk import TargetClient
from delivery_api_client import Context, DeliveryRequest, ExecuteRequest, MboxRequest

client = TargetClient.create({shop.on_device!r})
execute = ExecuteRequest(mboxes=[MboxRequest(name="hero", index=1)])
print(client.get_offers({{"request": DeliveryRequest(context=Context(channel="web"), execute=execute)}})["meta"])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert "on-device" in done.stdout
    assert [each.json()["notifications"][0]["type"] for each in shop.deliveries] == ["display"]
