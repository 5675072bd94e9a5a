"""Every official import path leads to the object of ours, a checker sees what it is, and nothing is done there."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import targetry
import targetry.models

SRC = Path(targetry.__file__).parent.parent
PACKAGES = ("target_python_sdk", "target_tools", "target_decisioning_engine", "delivery_api_client")

# official module → official names, each with the place of ours
NAMES = {
    "target_python_sdk": {
        "TargetClient": "targetry:TargetClient",
        "AttributesProvider": "targetry:AttributesProvider",
        "CLIENT_READY": "targetry.events:CLIENT_READY",
        "DecisioningConfig": "targetry.standalone:DecisioningConfig",
        "DecisioningMethod": "targetry:DecisioningMethod",
        "EMPTY_REQUEST": "targetry.official.requests:EMPTY_REQUEST",
        "EventProvider": "targetry.official.events:EventProvider",
        "MESSAGES": "targetry.messages:MESSAGES",
        "TargetDecisioningEngine": "targetry.standalone:TargetDecisioningEngine",
    },
    "target_python_sdk.cookies": {
        "TARGET_COOKIE": "targetry.delivery.cookies:TARGET_COOKIE",
        "SESSION_ID_COOKIE": "targetry.delivery.cookies:SESSION_ID_COOKIE",
        "DEVICE_ID_COOKIE": "targetry.delivery.cookies:DEVICE_ID_COOKIE",
        "LOCATION_HINT_COOKIE": "targetry.delivery.cookies:LOCATION_HINT_COOKIE",
        "create_target_cookie": "targetry.official.cookies:create_target_cookie",
        "parse_cookies": "targetry.official.cookies:parse_cookies",
    },
    "target_python_sdk.messages": {"MESSAGES": "targetry.messages:MESSAGES"},
    "target_python_sdk.types.target_delivery_response": {
        "TargetDeliveryResponse": "targetry:TargetDeliveryResponse"
    },
    "target_tools.attributes_provider": {"AttributesProvider": "targetry:AttributesProvider"},
    "target_tools.constants": {
        "DEFAULT_GLOBAL_MBOX": "targetry.device.artifact:DEFAULT_GLOBAL_MBOX",
        "EMPTY_REQUEST": "targetry.official.requests:EMPTY_REQUEST",
    },
    "target_tools.enums": {"DecisioningMethod": "targetry:DecisioningMethod"},
    "target_tools.event_provider": {"EventProvider": "targetry.official.events:EventProvider"},
    "target_tools.logger": {
        "LOGGER_NAME": "targetry.logs:LOGGER_NAME",
        "get_logger": "targetry.official.events:get_logger",
    },
    "target_tools.messages": {
        "DECISIONING_ENGINE_NOT_READY": "targetry.messages:DECISIONING_ENGINE_NOT_READY",
        "attribute_not_exist": "targetry.messages:attribute_not_exist",
        "property_token_mismatch": "targetry.messages:property_token_mismatch",
    },
    "target_tools.utils": {
        "add_mboxes_to_request": "targetry.official.requests:add_mboxes_to_request",
        "create_uuid": "targetry.ids:new_id",
        "get_epoch_time": "targetry.official.values:get_epoch_time",
        "get_epoch_time_milliseconds": "targetry.official.values:get_epoch_time_milliseconds",
        "to_dict": "targetry.official.values:to_dict",
    },
    "target_decisioning_engine": {
        "DecisioningConfig": "targetry.standalone:DecisioningConfig",
        "TargetDecisioningEngine": "targetry.standalone:TargetDecisioningEngine",
    },
    "target_decisioning_engine.events": {
        "ARTIFACT_DOWNLOAD_FAILED": "targetry.events:ARTIFACT_DOWNLOAD_FAILED",
        "ARTIFACT_DOWNLOAD_SUCCEEDED": "targetry.events:ARTIFACT_DOWNLOAD_SUCCEEDED",
        "GEO_LOCATION_UPDATED": "targetry.events:GEO_LOCATION_UPDATED",
    },
    "target_decisioning_engine.types.decisioning_config": {
        "DecisioningConfig": "targetry.standalone:DecisioningConfig"
    },
    "target_decisioning_engine.types.target_delivery_request": {
        "TargetDeliveryRequest": "targetry.standalone:TargetDeliveryRequest"
    },
    "target_decisioning_engine.types.decision_provider_response": {
        "DecisionProviderResponse": "targetry.standalone:DecisionProviderResponse"
    },
    "target_decisioning_engine.types.decisioning_artifact": {
        "DecisioningArtifact": "targetry.official.documents:DecisioningArtifact",
        "DecisioningArtifactMeta": "targetry.official.documents:DecisioningArtifactMeta",
        "DecisioningArtifactRules": "targetry.official.documents:DecisioningArtifactRules",
        "Rule": "targetry.official.documents:Rule",
        "RuleMeta": "targetry.official.documents:RuleMeta",
    },
    "target_decisioning_engine.types.decisioning_context": {
        "DecisioningContext": "targetry.official.documents:DecisioningContext",
        "GeoContext": "targetry.official.documents:GeoContext",
        "PageContext": "targetry.official.documents:PageContext",
        "TimingContext": "targetry.official.documents:TimingContext",
        "UserContext": "targetry.official.documents:UserContext",
    },
    "delivery_api_client": {
        "ApiClient": "targetry.official.api_client:ApiClient",
        "ApiException": "targetry:ApiException",
        "ApiKeyError": "targetry.official.api_errors:ApiKeyError",
        "ApiTypeError": "targetry.official.api_errors:ApiTypeError",
        "ApiValueError": "targetry.official.api_errors:ApiValueError",
        "Configuration": "targetry.official.api_client:Configuration",
        "DeliveryApi": "targetry.official.api_client:DeliveryApi",
        "OpenApiException": "targetry:OpenApiException",
    },
    "delivery_api_client.api": {"DeliveryApi": "targetry.official.api_client:DeliveryApi"},
    "delivery_api_client.api.delivery_api": {"DeliveryApi": "targetry.official.api_client:DeliveryApi"},
    "delivery_api_client.api_client": {"ApiClient": "targetry.official.api_client:ApiClient"},
    "delivery_api_client.configuration": {"Configuration": "targetry.official.api_client:Configuration"},
    "delivery_api_client.exceptions": {
        "ApiException": "targetry:ApiException",
        "ApiKeyError": "targetry.official.api_errors:ApiKeyError",
        "ApiTypeError": "targetry.official.api_errors:ApiTypeError",
        "ApiValueError": "targetry.official.api_errors:ApiValueError",
        "OpenApiException": "targetry:OpenApiException",
    },
}

# values that are the official package's alone
CONSTANTS = {
    "target_python_sdk": {
        "CLIENT_READY_DELAY": 0.1,
        "DEFAULT_TIMEOUT": 3000,
        "DEFAULT_OPTS": {"internal": True, "decisioning_method": "server-side"},
    },
    "target_tools.constants": {
        "DEFAULT_NUM_FETCH_RETRIES": 10,
        "DEFAULT_MAXIMUM_WAIT_READY": -1,
        "EMPTY_STRING": "",
        "ENVIRONMENT_DEV": "development",
        "ENVIRONMENT_PROD": "production",
        "ENVIRONMENT_STAGE": "staging",
        "MILLISECONDS_IN_SECOND": 1000,
        "POSSIBLE_ENVIRONMENTS": ["production", "staging", "development"],
        "REQUEST_TYPES": ["prefetch", "execute"],
    },
}

# module below delivery_api_client.Model → the class it holds
MODELS = {
    "action": "Action",
    "address": "Address",
    "analytics_payload": "AnalyticsPayload",
    "analytics_request": "AnalyticsRequest",
    "analytics_response": "AnalyticsResponse",
    "application": "Application",
    "audience_manager": "AudienceManager",
    "authenticated_state": "AuthenticatedState",
    "browser": "Browser",
    "channel_type": "ChannelType",
    "client_hints": "ClientHints",
    "context": "Context",
    "customer_id": "CustomerId",
    "decisioning_method": "DecisioningMethod",
    "delivery_request": "DeliveryRequest",
    "delivery_response": "DeliveryResponse",
    "device_type": "DeviceType",
    "execute_request": "ExecuteRequest",
    "execute_response": "ExecuteResponse",
    "execution_mode": "ExecutionMode",
    "experience_cloud": "ExperienceCloud",
    "geo": "Geo",
    "logging_type": "LoggingType",
    "mbox_request": "MboxRequest",
    "mbox_request_all_of": "MboxRequestAllOf",
    "mbox_response": "MboxResponse",
    "metric": "Metric",
    "metric_type": "MetricType",
    "mobile_platform": "MobilePlatform",
    "mobile_platform_type": "MobilePlatformType",
    "model_property": "ModelProperty",
    "notification": "Notification",
    "notification_all_of": "NotificationAllOf",
    "notification_mbox": "NotificationMbox",
    "notification_page_load": "NotificationPageLoad",
    "notification_response": "NotificationResponse",
    "notification_view": "NotificationView",
    "option": "Option",
    "option_type": "OptionType",
    "order": "Order",
    "page_load_response": "PageLoadResponse",
    "prefetch_mbox_response": "PrefetchMboxResponse",
    "prefetch_mbox_response_all_of": "PrefetchMboxResponseAllOf",
    "prefetch_request": "PrefetchRequest",
    "prefetch_response": "PrefetchResponse",
    "preview": "Preview",
    "product": "Product",
    "qa_mode": "QAMode",
    "qa_mode_preview_index": "QAModePreviewIndex",
    "request_details": "RequestDetails",
    "screen": "Screen",
    "screen_orientation_type": "ScreenOrientationType",
    "telemetry": "Telemetry",
    "telemetry_entry": "TelemetryEntry",
    "telemetry_features": "TelemetryFeatures",
    "telemetry_request": "TelemetryRequest",
    "trace": "Trace",
    "unexpected_error": "UnexpectedError",
    "view": "View",
    "view_request": "ViewRequest",
    "view_request_all_of": "ViewRequestAllOf",
    "visitor_id": "VisitorId",
    "window": "Window",
}
NEWER_THAN_OFFICIAL = {"ClientHints", "ExecutionMode", "TelemetryRequest"}
OURS_ALONE = {"ABTOrder", "ConstraintError", "Model", "snapshot"}


def modules() -> list[str]:
    """Every module of the four packages, found on disk."""
    paths = [path for package in PACKAGES for path in sorted((SRC / package).rglob("*.py"))]
    names = (".".join(path.relative_to(SRC).with_suffix("").parts) for path in paths)
    return [name.removesuffix(".__init__") for name in names]


@pytest.mark.parametrize("module", NAMES)
def test_an_official_name_is_the_object_of_ours(module: str) -> None:
    official = importlib.import_module(module)
    for name, place in NAMES[module].items():
        ours, _, attribute = place.partition(":")
        assert getattr(official, name) is getattr(importlib.import_module(ours), attribute), name


@pytest.mark.parametrize("module", CONSTANTS)
def test_an_official_constant_has_its_value(module: str) -> None:
    official = importlib.import_module(module)
    assert {name: getattr(official, name) for name in CONSTANTS[module]} == CONSTANTS[module]


@pytest.mark.parametrize("module", MODELS)
def test_a_model_is_in_its_module_and_in_both_packages(module: str) -> None:
    name = MODELS[module]
    ours = getattr(targetry.models, name)
    for place in (f"delivery_api_client.Model.{module}", "delivery_api_client.Model", "delivery_api_client"):
        assert getattr(importlib.import_module(place), name) is ours, place


def test_every_model_is_in_the_table() -> None:
    assert len(MODELS) == 60 + len(NEWER_THAN_OFFICIAL)
    assert set(MODELS.values()) == set(targetry.models.__all__) - OURS_ALONE


def test_every_module_is_in_a_table() -> None:
    tables = {*NAMES, *(f"delivery_api_client.Model.{module}" for module in MODELS)}
    bare = {"target_python_sdk.types", "target_tools", "target_decisioning_engine.types"}
    assert set(modules()) == tables | bare | {"delivery_api_client.Model"}


@pytest.mark.parametrize("package", PACKAGES)
def test_a_star_import_brings_the_official_names(package: str) -> None:
    brought: dict[str, object] = {}
    exec(f"from {package} import *", brought)  # noqa: S102  a star import cannot be written in a function
    assert {name for name in NAMES.get(package, {}) if not name.startswith("_")} <= set(brought)


@pytest.mark.parametrize("module", modules())
def test_there_is_no_logic_under_an_official_name(module: str) -> None:
    file = importlib.import_module(module).__file__
    assert file is not None
    statements = ast.parse(Path(file).read_text("utf-8")).body
    allowed = ast.Import | ast.ImportFrom | ast.Assign | ast.AugAssign
    assert [ast.unparse(each) for each in statements[1:] if not isinstance(each, allowed)] == []
    assert isinstance(statements[0], ast.Expr), "a docstring"


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_tells_checkers_that_it_is_typed(package: str) -> None:
    assert (SRC / package / "py.typed").is_file()


def test_importing_all_of_them_warns_of_nothing() -> None:
    code = "\n".join(f"import {module}" for module in modules())
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
