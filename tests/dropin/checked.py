"""Read by mypy only: under the official names a checker sees the types of ours."""

from __future__ import annotations

from typing import Any, assert_type

from delivery_api_client import (
    ApiClient,
    ApiException,
    Context,
    DeliveryRequest,
    DeliveryResponse,
    MboxRequest,
    Model,
    Option,
)
from delivery_api_client.api.delivery_api import DeliveryApi
from delivery_api_client.exceptions import ApiValueError
from delivery_api_client.Model.mbox_request import MboxRequest as MboxRequestOfItsModule
from target_decisioning_engine import TargetDecisioningEngine
from target_decisioning_engine.types.decision_provider_response import DecisionProviderResponse
from target_decisioning_engine.types.decisioning_config import DecisioningConfig
from target_decisioning_engine.types.target_delivery_request import TargetDeliveryRequest
from target_python_sdk import CLIENT_READY_DELAY, TargetClient
from target_python_sdk.cookies import create_target_cookie, parse_cookies
from target_python_sdk.types.target_delivery_response import TargetDeliveryResponse
from target_tools.attributes_provider import AttributesProvider
from target_tools.enums import DecisioningMethod
from target_tools.utils import create_uuid, get_epoch_time_milliseconds


def clients(options: dict[str, Any]) -> None:
    assert_type(TargetClient.create(**options), TargetClient)
    assert_type(TargetClient.create({"client": "acme", "organization_id": "A@AdobeOrg"}), TargetClient)
    assert_type(CLIENT_READY_DELAY, float)
    assert_type(create_target_cookie(parse_cookies("").values()).max_age, int)
    assert_type((create_uuid(), get_epoch_time_milliseconds()), tuple[str, int])
    assert_type(DecisioningMethod("hybrid"), DecisioningMethod)


def results(result: TargetDeliveryResponse, attributes: AttributesProvider) -> None:
    assert_type(result.response, DeliveryResponse)
    assert_type(attributes.as_object("flags"), dict[str, Any] | None)


def models(request: DeliveryRequest, option: Option) -> None:
    assert_type(request.context, Context | None)
    assert_type(option.event_token, str | None)
    assert_type(MboxRequestOfItsModule(), MboxRequest)
    assert_type(Model.MboxRequest(), MboxRequest)
    MboxRequest(nam="hero")  # type: ignore[call-arg]
    Context(channel="tv")  # type: ignore[arg-type]


def engine(config: DecisioningConfig, request: DeliveryRequest) -> None:
    made = TargetDecisioningEngine(config)
    assert_type(made.get_offers(TargetDeliveryRequest(request)), DecisionProviderResponse)
    DecisioningConfig("acme")  # type: ignore[call-arg]


def api(client: ApiClient, request: DeliveryRequest) -> DeliveryResponse | None:
    try:
        return DeliveryApi(client).execute("1@AdobeOrg", "s", request)
    except ApiValueError:
        return None
    except ApiException as error:
        assert_type(error.status, int)
        return None
