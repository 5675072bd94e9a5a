"""Calls of the clients, read by mypy and pyright only: an ignore marks what must fail."""

from __future__ import annotations

from collections.abc import Callable
from multiprocessing.pool import AsyncResult
from pathlib import Path
from typing import Any, TypedDict, assert_type

from targetry import (
    Activity,
    AsyncTargetClient,
    AttributesProvider,
    CallbackOptions,
    ClientOptions,
    CustomerId,
    DecisioningMethod,
    DeliveryRequest,
    DeliveryResponse,
    LocationOffers,
    OfferOptions,
    Option,
    TargetClient,
    TargetDeliveryResponse,
    Visitor,
)
from targetry.hooks import CallEnded, Evaluation, Hook

REQUEST = DeliveryRequest()


class Timing(Hook):
    def after_decision(self, call: CallEnded) -> None:
        assert_type(call.result, TargetDeliveryResponse | None)
        assert_type(call.evaluations, list[Evaluation])
        assert_type([one.variant for one in call.evaluations], list[str | None])


def on_offers(offers: TargetDeliveryResponse) -> None: ...


def on_attributes(attributes: AttributesProvider) -> None: ...


def on_error(error: BaseException) -> None: ...


# create: keywords, a dict, both.
assert_type(TargetClient.create(client="acme", organization_id="A@AdobeOrg"), TargetClient)
assert_type(
    TargetClient.create({"client": "acme", "organization_id": "A@AdobeOrg"}, timeout=500), TargetClient
)
TargetClient.create(
    client="acme",
    organization_id="A@AdobeOrg",
    decisioning_method="on-device",
    timeout=1500.5,
    secure=False,
    environment_id="12",
    artifact_location=Path("rules.json"),
    artifact_payload=b"{}",
    events={"client_ready": lambda: None, "artifact_download_failed": print},
    geo_timeout=None,
    send_notification_func=lambda notification: notification["request"],
    hooks=[Timing()],
)
TargetClient.create(client="acme", organization_id="A@AdobeOrg", hooks=Timing())  # type: ignore[arg-type]
TargetClient.create(decisioning_method=DecisioningMethod.HYBRID)
OPTIONS: ClientOptions = {"client": "acme", "organization_id": "A@AdobeOrg", "polling_interval": 300_000}
TargetClient.create(OPTIONS)
TargetClient.create(**OPTIONS)


class Client(TargetClient):
    pass


assert_type(Client.create(OPTIONS), Client)


def from_settings(settings: dict[str, Any]) -> TargetClient:
    return TargetClient.create(**settings)


TargetClient.create(timeuot=3)  # type: ignore[call-arg]
TargetClient.create({"timeuot": 3})  # type: ignore[arg-type]
TargetClient.create(timeout="3000")  # type: ignore[arg-type]
TargetClient.create({"timeout": "3000"})  # type: ignore[arg-type]
TargetClient.create(decisioning_method="on-devise")  # type: ignore[arg-type]
TargetClient.create(logger="adobe.target")  # type: ignore[arg-type]
TargetClient.create(transport=print)  # type: ignore[arg-type]
TargetClient.create([("client", "acme")])  # type: ignore[arg-type]
misspelt: ClientOptions = {"timeuot": 3}  # type: ignore[typeddict-unknown-key]


def offers(client: TargetClient) -> None:
    assert_type(client.get_offers(request=REQUEST), TargetDeliveryResponse)
    assert_type(client.get_offers({"request": REQUEST, "session_id": "s"}), TargetDeliveryResponse)
    assert_type(
        client.get_offers({"request": REQUEST}, session_id="s", callback=None), TargetDeliveryResponse
    )
    client.get_offers(
        request={"id": {"tnt_id": "t"}}, decisioning_method="hybrid", visitor=Visitor("A@AdobeOrg")
    )
    client.get_offers(request=REQUEST, customer_ids={"crm": "1"})
    client.get_offers(request=REQUEST, customer_ids=[CustomerId("1", "crm", "authenticated")])
    options: OfferOptions = {"request": REQUEST, "target_cookie": "session#s#1"}
    assert_type(client.get_offers(options), TargetDeliveryResponse)

    result = client.get_offers(request=REQUEST)
    assert_type(result.response, DeliveryResponse)
    assert_type(result.response.status, int | None)
    assert_type(result.meta["remote_mboxes"], list[str])
    assert_type(result["response"], Any)

    client.get_offers(decisioning_metod="on-device", request=REQUEST)  # type: ignore[call-overload]
    client.get_offers({"request": REQUEST, "decisioning_metod": "on-device"})  # type: ignore[call-overload]
    client.get_offers(request=5)  # type: ignore[call-overload]
    client.get_offers({"request": 5})  # type: ignore[call-overload]
    client.get_offers(REQUEST)  # type: ignore[call-overload]
    client.get_offers(request=REQUEST, target_cookie=7)  # type: ignore[call-overload]
    client.get_offers(request=REQUEST, err_callback=on_error)  # type: ignore[call-overload]
    str(result.respnse)  # type: ignore[attr-defined]


def callbacks(client: TargetClient, maybe: Callable[[TargetDeliveryResponse], None] | None) -> None:
    pending = client.get_offers(request=REQUEST, callback=on_offers, err_callback=on_error)
    assert_type(pending, AsyncResult[TargetDeliveryResponse])
    assert_type(pending.get(timeout=1), TargetDeliveryResponse)
    assert_type(
        client.get_offers({"request": REQUEST, "callback": on_offers}), AsyncResult[TargetDeliveryResponse]
    )
    assert_type(
        client.get_offers({"request": REQUEST}, callback=on_offers), AsyncResult[TargetDeliveryResponse]
    )
    options: CallbackOptions[TargetDeliveryResponse] = {"request": REQUEST, "callback": on_offers}
    assert_type(client.get_offers(options), AsyncResult[TargetDeliveryResponse])
    assert_type(
        client.get_offers(request=REQUEST, callback=maybe),
        TargetDeliveryResponse | AsyncResult[TargetDeliveryResponse],
    )
    assert_type(
        client.send_notifications(request=REQUEST, callback=on_offers), AsyncResult[TargetDeliveryResponse]
    )
    assert_type(client.get_attributes(["a"], callback=on_attributes), AsyncResult[AttributesProvider])

    client.get_offers(request=REQUEST, callback=on_attributes)  # type: ignore[arg-type]
    client.get_offers(request=REQUEST, callback=5)  # type: ignore[call-overload]
    client.get_attributes(["a"], callback=on_offers)  # type: ignore[arg-type]


def other_calls(client: TargetClient) -> None:
    assert_type(client.get_attributes(["a"]), AttributesProvider)
    assert_type(client.get_attributes(("a", "b"), {"session_id": "s"}), AttributesProvider)
    assert_type(client.get_attributes({"a"}, request=REQUEST), AttributesProvider)
    assert_type(client.send_notifications(request=REQUEST), TargetDeliveryResponse)
    client.get_attributes(["a"], sesion_id="s")  # type: ignore[call-overload]
    client.get_attributes(5)  # type: ignore[call-overload]
    client.send_notifications(request=5)  # type: ignore[call-overload]

    client.close(timeout_s=1.5)
    client.close(timeout=1.5)
    client.close(1.5)
    client.close("1.5")  # type: ignore[arg-type]
    client.close(timeout_ms=1500)  # type: ignore[call-arg]
    assert_type(client.flush(timeout_s=1), bool)
    client.refresh_artifact(True, timeout_s=5)


async def asynchronous() -> None:
    async with await AsyncTargetClient.create(OPTIONS) as client:
        assert_type(client, AsyncTargetClient)
        result = await client.get_offers(request=REQUEST)
        assert_type(result, TargetDeliveryResponse)
        assert_type(result.response, DeliveryResponse)
        assert_type(await client.get_offers({"request": REQUEST, "session_id": "s"}), TargetDeliveryResponse)
        assert_type(await client.get_attributes(["a"]), AttributesProvider)
        assert_type(await client.send_notifications(request=REQUEST), TargetDeliveryResponse)
        await client.flush(timeout_s=1)
        await client.aclose(timeout_s=1)

        await client.get_offers(request=5)  # type: ignore[arg-type]
        await client.get_offers(decisioning_metod="on-device")  # type: ignore[call-arg]
        await client.get_offers(request=REQUEST, callback=on_offers)  # type: ignore[arg-type]
        await client.get_attributes(["a"], {"sesion_id": "s"})  # type: ignore[arg-type]
    await AsyncTargetClient.create(timeuot=3)  # type: ignore[call-arg]
    await AsyncTargetClient.create(timeout="3000")  # type: ignore[arg-type]


class Hero(TypedDict):
    title: str


def explained(client: TargetClient, offers: TargetDeliveryResponse) -> None:
    found = client.explain_request(offers.request)
    assert_type(found.locations[0].is_remote, bool)
    assert_type([one.name for one in found.locations], list[str])
    client.explain_request({"id": {"tntId": "t"}})
    client.explain_request(5)  # type: ignore[arg-type]


def content(offers: TargetDeliveryResponse) -> None:
    assert_type(offers.content("hero"), Any)
    assert_type(offers.content("hero", default={}), Any)
    assert_type(offers.content("hero", "", as_type=str), str)
    assert_type(offers.content("hero", as_type=Hero), Hero | None)
    assert_type(offers.content("hero", default=Hero(title="Hi"), index=2, as_type=Hero), Hero)
    assert_type(offers.mbox("hero"), LocationOffers)
    assert_type(offers.mbox("hero").content_as(Hero), Hero | None)
    assert_type(offers.page_load.options, list[Option])
    assert_type(offers.view("home").response_tokens, dict[str, Any])
    assert_type(offers.mbox("hero").activity, Activity | None)
    assert_type([view.name for view in offers.views], list[str | None])
    offers.content(5)  # type: ignore[call-overload]
    offers.content("hero", index="2")  # type: ignore[call-overload]
    offers.mbox("hero").contents  # type: ignore[attr-defined] # noqa: B018
