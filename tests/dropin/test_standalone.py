"""`target_decisioning_engine`: decisions on device without a client."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from delivery_api_client import (
    ChannelType,
    Context,
    DeliveryRequest,
    DeliveryResponse,
    ExecuteRequest,
    MboxRequest,
    PrefetchRequest,
    RequestDetails,
    VisitorId,
)
from dropin.shop import ARTIFACT_PATH, CLIENT, ORGANIZATION, Shop
from servers.faulty import HANG, answer, json_answer
from target_decisioning_engine import TargetDecisioningEngine
from target_decisioning_engine.messages import MESSAGES
from target_decisioning_engine.types.decision_provider_response import DecisionProviderResponse
from target_decisioning_engine.types.decisioning_config import DecisioningConfig
from target_decisioning_engine.types.target_delivery_request import TargetDeliveryRequest
from target_python_sdk import TargetClient
from targetry import ArtifactError, NotReadyError, OptionError, samples

NOT_AVAILABLE = r"^The decisioning artifact is not available$"
LONG = 10  # seconds to wait for something that is sure to come
Closing = Callable[[Any], Any]


def hero(tnt_id: str = "visitor-1", *names: str) -> DeliveryRequest:
    mboxes = [MboxRequest(name=name, index=n) for n, name in enumerate(names or ("hero",), 1)]
    return DeliveryRequest(
        id=VisitorId(tnt_id=tnt_id),
        context=Context(channel=ChannelType.WEB),
        execute=ExecuteRequest(mboxes=mboxes),
    )


def config(**fields: Any) -> DecisioningConfig:
    given = {"artifact_payload": samples.shop(), "polling_interval": 0, **fields}
    return DecisioningConfig(client=CLIENT, organization_id=ORGANIZATION, **given)


def engine(**fields: Any) -> TargetDecisioningEngine:
    started = TargetDecisioningEngine(config(**fields))
    started.initialize()
    return started


def test_repr_of_config_shows_no_secrets() -> None:
    shown = repr(config(artifact_location="https://me:hush@cdn.example/rules.json?sig=t0ken"))
    assert "artifact_location='https://***@cdn.example/rules.json'" in shown
    assert "hush" not in shown
    assert "t0ken" not in shown
    assert "hero" not in shown  # nor the payload


def test_request_is_decided(closing: Closing) -> None:
    decided = closing(engine()).get_offers(TargetDeliveryRequest(request=hero(), session_id="s1"))
    assert isinstance(decided, DecisionProviderResponse)
    assert isinstance(decided, DeliveryResponse)
    assert (decided.status, decided.client) == (200, CLIENT)
    assert (decided.remote_mboxes, decided.remote_views) == ([], [])
    assert decided.execute is not None
    assert decided.execute.mboxes is not None
    assert decided.execute.mboxes[0].options


def test_remote_locations_are_listed(closing: Closing) -> None:
    ready = closing(engine())
    request = hero("visitor-1", "hero", "recommendations")
    decided = ready.get_offers(TargetDeliveryRequest(request))
    assert (decided.status, decided.remote_mboxes) == (206, ["recommendations"])
    assert ready.has_remote_dependency(request) == {
        "remote_needed": True,
        "remote_mboxes": ["recommendations"],
        "remote_views": [],
    }


def test_engine_decides_as_a_client_does(closing: Closing) -> None:
    options = {"client": CLIENT, "organization_id": ORGANIZATION, "decisioning_method": "on-device"}
    options |= {"artifact_payload": samples.shop(), "polling_interval": 0, "telemetry_enabled": False}
    client = closing(TargetClient.create(options, send_notification_func=lambda impression: None))
    ready = closing(engine())
    for n in range(20):
        request = hero(f"visitor-{n}", "hero", "checkout-flags")
        request.request_id = "1"
        request.prefetch = PrefetchRequest(page_load=RequestDetails())
        decided = ready.get_offers(TargetDeliveryRequest(request)).to_dict()
        assert (decided.pop("remote_mboxes"), decided.pop("remote_views")) == ([], [])
        assert decided == client.get_offers({"request": request})["response"].to_dict()


def test_callers_request_is_untouched(closing: Closing) -> None:
    request = DeliveryRequest(execute=ExecuteRequest(mboxes=[MboxRequest(name="hero")]))
    before = copy.deepcopy(request)
    closing(engine()).get_offers(TargetDeliveryRequest(request))
    assert request == before


def test_options_of_the_visitor_are_used(closing: Closing) -> None:
    cookie = "PC#cookie-visitor.35_0#4102444800"
    request = DeliveryRequest(execute=ExecuteRequest(mboxes=[MboxRequest(name="hero")]))
    decided = closing(engine()).get_offers(TargetDeliveryRequest(request, target_cookie=cookie))
    assert decided.id is not None
    assert decided.id.tnt_id == "cookie-visitor.35_0"


def test_no_decision_before_there_is_an_artifact() -> None:
    idle = TargetDecisioningEngine(config())
    idle.stop_polling()
    assert not idle.is_ready()
    assert idle.get_raw_artifact() is None
    with pytest.raises(NotReadyError, match=NOT_AVAILABLE):
        idle.get_offers(TargetDeliveryRequest(hero()))
    with pytest.raises(NotReadyError, match=NOT_AVAILABLE):
        idle.has_remote_dependency(hero())


def test_artifact_is_downloaded(shop: Shop, closing: Closing) -> None:
    ready = closing(engine(artifact_payload=None, artifact_location=shop.artifact_url))
    assert ready.is_ready()
    assert ready.get_raw_artifact() == samples.shop()
    ready.initialize()
    assert [received.path for received in shop.requests] == [ARTIFACT_PATH]


def test_start_without_artifact_raises_and_recovers_later(shop: Shop, closing: Closing) -> None:
    shop.on(ARTIFACT_PATH, answer(500), json_answer(samples.shop()))
    arrived = threading.Event()

    def emitter(name: str, payload: object) -> None:
        if name == "artifact_download_succeeded":
            arrived.set()

    idle = closing(
        TargetDecisioningEngine(
            config(
                artifact_payload=None,
                artifact_location=shop.artifact_url,
                event_emitter=emitter,
                maximum_wait_ready=1,
            )
        )
    )
    with pytest.raises(NotReadyError, match=NOT_AVAILABLE):
        idle.initialize()
    assert arrived.wait(LONG)
    assert idle.is_ready()
    assert idle.get_offers(TargetDeliveryRequest(hero())).status == 200


def test_artifact_that_cannot_be_used_raises() -> None:
    with pytest.raises(ArtifactError):
        engine(artifact_payload={"version": "9.0"})


def test_event_emitter_gets_names_and_payloads(shop: Shop, closing: Closing) -> None:
    emitted: list[tuple[str, dict[str, Any]]] = []
    closing(
        engine(
            artifact_payload=None,
            artifact_location=shop.artifact_url,
            event_emitter=lambda name, payload: emitted.append((name, payload)),
        )
    )
    names = [name for name, _ in emitted]
    assert names == ["artifact_download_succeeded", "geo_location_updated"]
    payload = emitted[0][1]
    assert payload == {"artifact_location": shop.artifact_url, "artifact_payload": samples.shop()}
    assert type(payload) is dict


def test_emitter_that_cannot_be_called_becomes_one_that_does_nothing() -> None:
    emitter = config(event_emitter="none").event_emitter
    assert emitter is not None
    emitter("artifact_download_succeeded", {})


def test_impressions_are_handed_to_the_function_in_another_thread(closing: Closing) -> None:
    emitted: list[tuple[dict[str, Any], str]] = []
    done = threading.Event()

    def function(impression: dict[str, Any]) -> None:
        emitted.append((impression, threading.current_thread().name))
        done.set()

    ready = closing(engine(send_notification_func=function))
    visitor = AnEcidVisitor()
    decided = ready.get_offers(TargetDeliveryRequest(hero(), visitor=visitor))
    assert done.wait(LONG)
    impression, thread = emitted[0]
    assert set(impression) == {"request", "visitor"}
    assert impression["visitor"] is visitor
    assert impression["request"].id == decided.id
    assert impression["request"].notifications[0].mbox.name == "hero"
    assert thread != threading.current_thread().name


def test_slow_or_failing_impression_function_delays_no_decision(
    closing: Closing,
) -> None:
    go_on, emitted = threading.Event(), []

    def function(impression: dict[str, Any]) -> None:
        assert go_on.wait(LONG)
        emitted.append(impression["request"].id.tnt_id)
        if len(emitted) == 2:
            raise RuntimeError("the second one")

    ready = closing(engine(send_notification_func=function))
    for n in range(4):
        ready.get_offers(TargetDeliveryRequest(hero(f"visitor-{n}")))
    go_on.set()
    ready.close(LONG)
    assert emitted == [f"visitor-{n}" for n in range(4)]


def test_close_does_not_wait_for_a_function_without_end(closing: Closing) -> None:
    go_on = threading.Event()
    stuck = engine(send_notification_func=lambda impression: go_on.wait(LONG))
    for _ in range(3):
        stuck.get_offers(TargetDeliveryRequest(hero()))
    stuck.close(0.05)
    stuck.close(0.05)
    assert not go_on.is_set()
    go_on.set()


def test_engine_without_a_function_drops_impressions(shop: Shop, closing: Closing) -> None:
    ready = closing(engine(artifact_payload=None, artifact_location=shop.artifact_url))
    ready.get_offers(TargetDeliveryRequest(hero()))
    ready.close()
    assert [received.path for received in shop.requests] == [ARTIFACT_PATH]


def test_polling_can_be_stopped(shop: Shop, closing: Closing) -> None:
    shop.on(ARTIFACT_PATH, json_answer(samples.shop()), HANG)
    ready = closing(
        engine(artifact_payload=None, artifact_location=shop.artifact_url, polling_interval=300_000)
    )
    ready.stop_polling()
    assert ready.is_ready()
    assert len(shop.requests) == 1


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"polling_interval": -1}, "polling_interval"),
        ({"send_notification_func": "print"}, "send_notification_func"),
        ({"artifact_location": 5}, "artifact_location"),
    ],
)
def test_wrong_config_raises_with_its_field(fields: dict[str, Any], path: str) -> None:
    with pytest.raises(OptionError) as caught:
        engine(**fields)
    assert caught.value.path == path


def test_request_of_another_type_raises(closing: Closing) -> None:
    with pytest.raises(OptionError, match="target_options: must be a TargetDeliveryRequest, not dict"):
        closing(engine()).get_offers({"request": hero()})


PROGRAM = """
import os, threading
from delivery_api_client import DeliveryRequest, ExecuteRequest, MboxRequest, VisitorId
from target_decisioning_engine import DecisioningConfig, TargetDecisioningEngine
from target_decisioning_engine.types.target_delivery_request import TargetDeliveryRequest
from targetry import samples

def function(impression):
    wait()
    print(impression["request"].id.tnt_id, flush=True)

def decide(visitor):
    mboxes = [MboxRequest(name="hero")]
    request = DeliveryRequest(id=VisitorId(tnt_id=visitor), execute=ExecuteRequest(mboxes=mboxes))
    engine.get_offers(TargetDeliveryRequest(request))

engine = TargetDecisioningEngine(DecisioningConfig(
    "acme", "1@AdobeOrg", artifact_payload=samples.shop(), artifact_location="http://127.0.0.1:9/",
    send_notification_func=function))
engine.initialize()
"""


def run(*lines: str) -> list[str]:
    """Return the output of `PROGRAM` with more lines."""
    code = "\n".join((PROGRAM, *lines))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.stderr, done.returncode) == ("", 0)
    return done.stdout.split()


def test_program_that_ends_sends_waiting_impressions_without_delay() -> None:
    slow = "wait = lambda: threading.Event().wait(0.05)"
    assert run(slow, *(f"decide('v{n}')" for n in range(3))) == ["v0", "v1", "v2"]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_forked_child_sends_only_its_own_impressions() -> None:
    printed = run(
        "go_on = threading.Event()",
        "wait = go_on.wait",
        "decide('parent-1')",
        "decide('parent-2')",
        "child = os.fork()",
        "if not child: wait = lambda: None; decide('child'); engine.close(); os._exit(0)",
        "os.waitpid(child, 0)",
        "go_on.set()",
    )
    assert printed == ["child", "parent-1", "parent-2"]


class AnEcidVisitor:
    """Visitor with the methods that 1.1.0 calls."""

    def get_visitor_values(self) -> dict[str, str]:
        return {"MCMID": "12345678901234567890123456789012345678"}

    def get_state(self) -> dict[str, Any]:
        return {ORGANIZATION: {"sdid": {"supplementalDataIDCurrent": "0" * 16 + "-" + "1" * 16}}}

    def get_supplemental_data_id(self, consumer_id: str | None) -> str:
        return "0" * 16 + "-" + "1" * 16


def test_artifact_of_an_engine_is_that_in_use(closing: Closing) -> None:
    made = closing(TargetDecisioningEngine(config()))
    assert made.artifact is None
    made.initialize()
    assert made.artifact == made.get_raw_artifact()
    assert made.artifact["version"]


@pytest.mark.parametrize(
    ("part", "text"),
    [
        ({"execute": ExecuteRequest()}, "Either pageLoad or mboxes is required in execute"),
        ({"execute": ExecuteRequest(mboxes=[])}, "Either pageLoad or mboxes is required in execute"),
        ({"prefetch": PrefetchRequest()}, "Either views, pageLoad or mboxes is required in prefetch"),
    ],
    ids=["execute", "empty list", "prefetch"],
)
def test_engine_rejects_an_empty_part(closing: Closing, part: dict[str, Any], text: str) -> None:
    request = DeliveryRequest(context=Context(channel=ChannelType.WEB), **part)
    with pytest.raises(OptionError, match=f"^{text}$"):
        closing(engine()).get_offers(TargetDeliveryRequest(request))


def test_texts_of_an_engine_are_found_by_key() -> None:
    unsupported = MESSAGES["ARTIFACT_VERSION_UNSUPPORTED"]("2.0.0", 1)
    with pytest.raises(ArtifactError) as caught:
        engine(artifact_payload={**samples.shop(), "version": "2.0.0"})
    assert str(caught.value) == unsupported
    assert MESSAGES["ARTIFACT_NOT_AVAILABLE"] == "The decisioning artifact is not available"
    assert MESSAGES["ARTIFACT_FETCH_ERROR"]("x") == "Failed to retrieve artifact: x"
    assert MESSAGES["ERROR_MAX_RETRY"](3, "x") == "Unable to retrieve artifact after 3 retries: x"
    assert MESSAGES["INVALID_ENVIRONMENT"]("dev", "production") == (
        "'dev' is not a valid target environment, defaulting to 'production'."
    )


def test_configs_and_requests_compare_by_identity() -> None:
    pairs = [(config(), config()), (TargetDeliveryRequest(hero()), TargetDeliveryRequest(hero()))]
    for one, other in pairs:
        assert one == one
        assert one != other
        assert len({one, other}) == 2
