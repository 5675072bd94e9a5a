"""Official import paths: each leads to an object of Targetry that checkers know."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import targetry
import targetry.models
from support.cases import each_case
from support.slow import slow

SRC = Path(targetry.__file__).parent.parent
PACKAGES = ("target_python_sdk", "target_tools", "target_decisioning_engine", "delivery_api_client")

# official module → official names, each with the place of ours
NAMES = {
    "target_python_sdk": {
        "TargetClient": "targetry:TargetClient",
        "AttributesProvider": "targetry:AttributesProvider",
        "CLIENT_READY": "targetry.events:CLIENT_READY",
        "DecisioningConfig": "targetry.compat.decisioning_engine:DecisioningConfig",
        "DecisioningMethod": "targetry:DecisioningMethod",
        "EMPTY_REQUEST": "targetry.compat.requests:EMPTY_REQUEST",
        "EventProvider": "targetry.compat.events:EventProvider",
        "MESSAGES": "targetry.messages:MESSAGES",
        "TargetDecisioningEngine": "targetry.compat.decisioning_engine:TargetDecisioningEngine",
        "add_mboxes_to_request": "targetry.compat.requests:add_mboxes_to_request",
        "compose_functions": "targetry.compat.functions:compose_functions",
        "get_attributes_callback": "targetry.compat.attributes:get_attributes_callback",
        "get_logger": "targetry.compat.events:get_logger",
        "requires_decisioning_engine": "targetry.compat.requests:requires_decisioning_engine",
    },
    "target_python_sdk.cookies": {
        "TARGET_COOKIE": "targetry.delivery.cookies:TARGET_COOKIE",
        "SESSION_ID_COOKIE": "targetry.delivery.cookies:SESSION_ID_COOKIE",
        "DEVICE_ID_COOKIE": "targetry.delivery.cookies:DEVICE_ID_COOKIE",
        "LOCATION_HINT_COOKIE": "targetry.delivery.cookies:LOCATION_HINT_COOKIE",
        "create_internal_cookie": "targetry.compat.cookies:create_internal_cookie",
        "create_target_cookie": "targetry.compat.cookies:create_target_cookie",
        "deserialize_cookie": "targetry.compat.cookies:deserialize_cookie",
        "get_expires": "targetry.compat.cookies:get_expires",
        "get_internal_cookies": "targetry.compat.cookies:get_internal_cookies",
        "get_max_expires": "targetry.compat.cookies:get_max_expires",
        "parse_cookies": "targetry.compat.cookies:parse_cookies",
        "serialize_cookie": "targetry.compat.cookies:serialize_cookie",
        "get_epoch_time_milliseconds": "targetry.compat.conversions:get_epoch_time_milliseconds",
        "is_int": "targetry.compat.conversions:is_int",
        "parse_int": "targetry.compat.conversions:parse_int",
    },
    "target_python_sdk.messages": {"MESSAGES": "targetry.messages:MESSAGES"},
    "target_python_sdk.types.target_delivery_response": {
        "TargetDeliveryResponse": "targetry:TargetDeliveryResponse"
    },
    "target_tools.attributes_provider": {
        "AttributesProvider": "targetry:AttributesProvider",
        "OptionType": "targetry:OptionType",
        "REQUEST_TYPES": "targetry.compat.requests:REQUEST_TYPES",
        "attribute_not_exist": "targetry.messages:attribute_not_exist",
        "create_indexed": "targetry.compat.attributes:create_indexed",
        "get_attributes_callback": "targetry.compat.attributes:get_attributes_callback",
    },
    "target_tools.constants": {
        "DEFAULT_GLOBAL_MBOX": "targetry.device.artifact:DEFAULT_GLOBAL_MBOX",
        "ChannelType": "targetry:ChannelType",
        "Context": "targetry:Context",
        "DeliveryRequest": "targetry:DeliveryRequest",
        "EMPTY_REQUEST": "targetry.compat.requests:EMPTY_REQUEST",
        "REQUEST_TYPES": "targetry.compat.requests:REQUEST_TYPES",
    },
    "target_tools.enums": {"DecisioningMethod": "targetry:DecisioningMethod"},
    "target_tools.event_provider": {
        "EventProvider": "targetry.compat.events:EventProvider",
        "target_event": "targetry.compat.events:target_event",
    },
    "target_tools.logger": {
        "LOGGER_NAME": "targetry._runtime.logger:LOGGER_NAME",
        "get_logger": "targetry.compat.events:get_logger",
    },
    "target_tools.messages": {
        "DECISIONING_ENGINE_NOT_READY": "targetry.messages:DECISIONING_ENGINE_NOT_READY",
        "attribute_not_exist": "targetry.messages:attribute_not_exist",
        "property_token_mismatch": "targetry.messages:property_token_mismatch",
    },
    "target_tools.utils": {
        "DecisioningMethod": "targetry:DecisioningMethod",
        "ExecuteRequest": "targetry:ExecuteRequest",
        "MboxRequest": "targetry:MboxRequest",
        "PrefetchRequest": "targetry:PrefetchRequest",
        "Property": "targetry:ModelProperty",
        "create_uuid": "targetry._runtime.ids:new_id",
        "get_logger": "targetry.compat.events:get_logger",
        "property_token_mismatch": "targetry.messages:property_token_mismatch",
        "EPOCH_START": "targetry.compat.conversions:EPOCH_START",
        "flatten_list": "targetry.compat.conversions:flatten_list",
        "get_epoch_time": "targetry.compat.conversions:get_epoch_time",
        "get_epoch_time_milliseconds": "targetry.compat.conversions:get_epoch_time_milliseconds",
        "get_timezone_offset": "targetry.compat.conversions:get_timezone_offset",
        "get_value_from_object": "targetry.compat.conversions:get_value_from_object",
        "is_dict": "targetry.compat.conversions:is_dict",
        "is_empty": "targetry.compat.conversions:is_empty",
        "is_int": "targetry.compat.conversions:is_int",
        "is_list": "targetry.compat.conversions:is_list",
        "is_string": "targetry.compat.conversions:is_string",
        "parse_float": "targetry.compat.conversions:parse_float",
        "parse_int": "targetry.compat.conversions:parse_int",
        "remove_empty_values": "targetry.compat.conversions:remove_empty_values",
        "to_dict": "targetry.compat.conversions:to_dict",
        "compose_functions": "targetry.compat.functions:compose_functions",
        "memoize": "targetry.compat.functions:memoize",
        "noop": "targetry.compat.functions:noop",
        "MBOXES": "targetry.compat.requests:MBOXES",
        "REQUEST_TYPES": "targetry.compat.requests:REQUEST_TYPES",
        "REQUEST_TYPE_MAP": "targetry.compat.requests:REQUEST_TYPE_MAP",
        "VIEWS": "targetry.compat.requests:VIEWS",
        "add_mboxes_to_request": "targetry.compat.requests:add_mboxes_to_request",
        "decisioning_engine_ready": "targetry.compat.requests:decisioning_engine_ready",
        "get_mbox_names": "targetry.compat.requests:get_mbox_names",
        "get_names_for_requested": "targetry.compat.requests:get_names_for_requested",
        "get_property": "targetry.compat.requests:get_property",
        "get_property_token": "targetry.compat.requests:get_property_token",
        "get_view_names": "targetry.compat.requests:get_view_names",
        "has_requested": "targetry.compat.requests:has_requested",
        "has_requested_views": "targetry.compat.requests:has_requested_views",
        "requires_decisioning_engine": "targetry.compat.requests:requires_decisioning_engine",
    },
    "target_decisioning_engine": {
        "DecisioningConfig": "targetry.compat.decisioning_engine:DecisioningConfig",
        "MESSAGES": "targetry.compat.engine_messages:MESSAGES",
        "TargetDecisioningEngine": "targetry.compat.decisioning_engine:TargetDecisioningEngine",
    },
    "target_decisioning_engine.messages": {
        "MESSAGES": "targetry.compat.engine_messages:MESSAGES",
        "artifact_fetch_error": "targetry.compat.engine_messages:artifact_fetch_error",
        "artifact_version_unsupported": "targetry.compat.engine_messages:artifact_version_unsupported",
        "error_max_retry": "targetry.compat.engine_messages:error_max_retry",
        "invalid_environment": "targetry.compat.engine_messages:invalid_environment",
    },
    "target_decisioning_engine.events": {
        "ARTIFACT_DOWNLOAD_FAILED": "targetry.events:ARTIFACT_DOWNLOAD_FAILED",
        "ARTIFACT_DOWNLOAD_SUCCEEDED": "targetry.events:ARTIFACT_DOWNLOAD_SUCCEEDED",
        "GEO_LOCATION_UPDATED": "targetry.events:GEO_LOCATION_UPDATED",
    },
    "target_decisioning_engine.types.decisioning_config": {
        "DecisioningConfig": "targetry.compat.decisioning_engine:DecisioningConfig"
    },
    "target_decisioning_engine.types.target_delivery_request": {
        "TargetDeliveryRequest": "targetry.compat.decisioning_engine:TargetDeliveryRequest"
    },
    "target_decisioning_engine.types.decision_provider_response": {
        "DeliveryResponse": "targetry:DeliveryResponse",
        "DecisionProviderResponse": "targetry.compat.decisioning_engine:DecisionProviderResponse",
    },
    "target_decisioning_engine.types.decisioning_artifact": {
        "DecisioningArtifact": "targetry.compat.documents:DecisioningArtifact",
        "DecisioningArtifactMeta": "targetry.compat.documents:DecisioningArtifactMeta",
        "DecisioningArtifactRules": "targetry.compat.documents:DecisioningArtifactRules",
        "Rule": "targetry.compat.documents:Rule",
        "RuleMeta": "targetry.compat.documents:RuleMeta",
    },
    "target_decisioning_engine.types.decisioning_context": {
        "DecisioningContext": "targetry.compat.documents:DecisioningContext",
        "GeoContext": "targetry.compat.documents:GeoContext",
        "PageContext": "targetry.compat.documents:PageContext",
        "TimingContext": "targetry.compat.documents:TimingContext",
        "UserContext": "targetry.compat.documents:UserContext",
    },
    "delivery_api_client": {
        "ApiClient": "targetry.compat.api_client:ApiClient",
        "ApiException": "targetry:ApiException",
        "ApiKeyError": "targetry.compat.api_errors:ApiKeyError",
        "ApiTypeError": "targetry.compat.api_errors:ApiTypeError",
        "ApiValueError": "targetry.compat.api_errors:ApiValueError",
        "Configuration": "targetry.compat.api_client:Configuration",
        "DeliveryApi": "targetry.compat.api_client:DeliveryApi",
        "OpenApiException": "targetry:OpenApiException",
    },
    "delivery_api_client.api": {"DeliveryApi": "targetry.compat.api_client:DeliveryApi"},
    "delivery_api_client.api.delivery_api": {"DeliveryApi": "targetry.compat.api_client:DeliveryApi"},
    "delivery_api_client.api_client": {"ApiClient": "targetry.compat.api_client:ApiClient"},
    "delivery_api_client.configuration": {"Configuration": "targetry.compat.api_client:Configuration"},
    "delivery_api_client.exceptions": {
        "render_path": "targetry.compat.api_errors:render_path",
        "ApiException": "targetry:ApiException",
        "ApiKeyError": "targetry.compat.api_errors:ApiKeyError",
        "ApiTypeError": "targetry.compat.api_errors:ApiTypeError",
        "ApiValueError": "targetry.compat.api_errors:ApiValueError",
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
    "target_tools.utils": {
        "MBOXES": "mboxes",
        "MILLISECONDS_IN_SECOND": 1000,
        "REQUEST_TYPES": ["prefetch", "execute"],
        "SECONDS_IN_MINUTE": 60,
        "VIEWS": "views",
    },
    "target_decisioning_engine": {"SUPPORTED_ARTIFACT_MAJOR_VERSION": 1},
    "target_decisioning_engine.constants": {
        "ACTIVITY_DECISIONING_METHOD": "activity.decisioningMethod",
        "ACTIVITY_ID": "activity.id",
        "ACTIVITY_NAME": "activity.name",
        "ACTIVITY_TYPE": "activity.type",
        "ARTIFACT_FILENAME": "rules.json",
        "AUDIENCE_IDS": "audience.ids",
        "BAD_REQUEST": 400,
        "CAMPAIGN_BUCKET_SALT": "0",
        "CDN_BASE": {
            "production": "assets.adobetarget.com",
            "staging": "assets.staging.adobetarget.com",
            "development": "assets.staging.adobetarget.com",
        },
        "CDN_BASE_DEV": "assets.staging.adobetarget.com",
        "CDN_BASE_PROD": "assets.adobetarget.com",
        "CDN_BASE_STAGE": "assets.staging.adobetarget.com",
        "DEFAULT_POLLING_INTERVAL": 300,
        "EXPERIENCE_ID": "experience.id",
        "EXPERIENCE_NAME": "experience.name",
        "FORBIDDEN": 403,
        "GEO_CITY": "geo.city",
        "GEO_COUNTRY": "geo.country",
        "GEO_LATITUDE": "geo.latitude",
        "GEO_LONGITUDE": "geo.longitude",
        "GEO_STATE": "geo.state",
        "HTTP_GET": "GET",
        "HTTP_HEADER_FORWARDED_FOR": "x-forwarded-for",
        "HTTP_HEADER_GEO_CITY": "x-geo-city",
        "HTTP_HEADER_GEO_COUNTRY": "x-geo-country-code",
        "HTTP_HEADER_GEO_LATITUDE": "x-geo-latitude",
        "HTTP_HEADER_GEO_LONGITUDE": "x-geo-longitude",
        "HTTP_HEADER_GEO_REGION": "x-geo-region-code",
        "LOCATION_ID": "location.id",
        "LOCATION_NAME": "location.name",
        "LOCATION_TYPE": "location.type",
        "LOG_PREFIX": "LD",
        "MINIMUM_POLLING_INTERVAL": 300,
        "NOT_MODIFIED": 304,
        "NUM_FETCH_RETRIES": 10,
        "OFFER_ID": "offer.id",
        "OFFER_NAME": "offer.name",
        "OK": 200,
        "OPTION_ID": "option.id",
        "OPTION_NAME": "option.name",
        "PARTIAL_CONTENT": 206,
        "SUPPORTED_ARTIFACT_MAJOR_VERSION": 1,
        "SUPPORTED_ARTIFACT_OBFUSCATION_VERSION": 1,
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
# packages without names of their own
BARE = {
    "delivery_api_client.Model",
    "target_decisioning_engine.types",
    "target_python_sdk.types",
    "target_tools",
}
NEWER_THAN_OFFICIAL = {"ClientHints", "ExecutionMode", "TelemetryRequest"}
OURS_ALONE = {"ABTOrder", "ConstraintError", "Model", "snapshot"}


def modules() -> list[str]:
    """Every module of the four packages, found on disk."""
    paths = [path for package in PACKAGES for path in sorted((SRC / package).rglob("*.py"))]
    names = (".".join(path.relative_to(SRC).with_suffix("").parts) for path in paths)
    return [name.removesuffix(".__init__") for name in names]


@each_case("module", NAMES)
def test_official_name_is_the_object_of_ours(module: str) -> None:
    official = importlib.import_module(module)
    for name, place in NAMES[module].items():
        ours, _, attribute = place.partition(":")
        assert getattr(official, name) is getattr(importlib.import_module(ours), attribute), name


@each_case("module", CONSTANTS)
def test_official_constant_has_its_value(module: str) -> None:
    official = importlib.import_module(module)
    assert {name: getattr(official, name) for name in CONSTANTS[module]} == CONSTANTS[module]


@each_case("module", MODELS)
def test_model_is_in_its_module_and_in_both_packages(module: str) -> None:
    name = MODELS[module]
    ours = getattr(targetry.models, name)
    for place in (f"delivery_api_client.Model.{module}", "delivery_api_client.Model", "delivery_api_client"):
        assert getattr(importlib.import_module(place), name) is ours, place


def test_every_model_is_in_the_table() -> None:
    assert len(MODELS) == 60 + len(NEWER_THAN_OFFICIAL)
    assert set(MODELS.values()) == set(targetry.models.__all__) - OURS_ALONE


def test_every_module_is_in_a_table() -> None:
    tables = {*NAMES, *(f"delivery_api_client.Model.{module}" for module in MODELS)}
    assert set(modules()) == tables | CONSTANTS.keys() | BARE


@pytest.mark.parametrize("package", [PACKAGES[0], *slow(*PACKAGES[1:])])
def test_importing_a_package_binds_all_its_submodules(package: str) -> None:
    below = [module for module in modules() if module.startswith(f"{package}.")]
    program = "\n".join([f"import {package}", *below])
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_importing_targetry_imports_no_official_name() -> None:
    program = f"import sys, targetry; assert not {set(PACKAGES)!r} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


@each_case("package", PACKAGES)
def test_star_import_brings_the_official_names(package: str) -> None:
    brought: dict[str, object] = {}
    exec(f"from {package} import *", brought)  # noqa: S102  a star import cannot be written in a function
    assert {name for name in NAMES.get(package, {}) if not name.startswith("_")} <= set(brought)


@each_case("module", modules())
def test_there_is_no_logic_under_an_official_name(module: str) -> None:
    file = importlib.import_module(module).__file__
    assert file is not None
    statements = ast.parse(Path(file).read_text("utf-8")).body
    allowed = ast.Import | ast.ImportFrom | ast.Assign | ast.AugAssign
    assert [ast.unparse(each) for each in statements[1:] if not isinstance(each, allowed)] == []
    assert isinstance(statements[0], ast.Expr), "a docstring"


@each_case("package", PACKAGES)
def test_package_is_marked_as_typed(package: str) -> None:
    assert (SRC / package / "py.typed").is_file()


def test_importing_all_of_them_warns_of_nothing() -> None:
    code = "\n".join(f"import {module}" for module in modules())
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
