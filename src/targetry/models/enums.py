"""Enums of fields with a fixed set of values.

Members are strings in every respect: `ChannelType.WEB == "web"`, and they print, hash and serialize
as it. `<Enum>Value` is the annotation of a request field: the member or its plain string, one of
the listed ones.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from msgspec import Meta


class AuthenticatedState(StrEnum):
    """State of a customer id's authentication."""

    UNKNOWN = "unknown"
    AUTHENTICATED = "authenticated"
    LOGGED_OUT = "logged_out"


class ChannelType(StrEnum):
    """Channel of a request."""

    MOBILE = "mobile"
    WEB = "web"


class DecisioningMethod(StrEnum):
    """Side that decides."""

    SERVER_SIDE = "server-side"
    ON_DEVICE = "on-device"
    HYBRID = "hybrid"


class DeviceType(StrEnum):
    """Kind of a mobile device."""

    PHONE = "phone"
    TABLET = "tablet"


class ExecutionMode(StrEnum):
    """Telemetry: where a request was decided."""

    EDGE = "edge"
    LOCAL = "local"


class LoggingType(StrEnum):
    """Side that sends hits to Adobe Analytics."""

    SERVER_SIDE = "server_side"
    CLIENT_SIDE = "client_side"


class MetricType(StrEnum):
    """Kind of a notification or metric."""

    CLICK = "click"
    DISPLAY = "display"


class MobilePlatformType(StrEnum):
    """Platform of a mobile device."""

    ANDROID = "android"
    IOS = "ios"


class OptionType(StrEnum):
    """Kind of an offer."""

    HTML = "html"
    JSON = "json"
    REDIRECT = "redirect"
    DYNAMIC = "dynamic"
    ACTIONS = "actions"


class ScreenOrientationType(StrEnum):
    """Orientation of the device's screen."""

    PORTRAIT = "portrait"
    LANDSCAPE = "landscape"


if TYPE_CHECKING:
    AuthenticatedStateValue: TypeAlias = (
        AuthenticatedState | Literal["unknown", "authenticated", "logged_out"]
    )
    ChannelTypeValue: TypeAlias = ChannelType | Literal["mobile", "web"]
    DecisioningMethodValue: TypeAlias = DecisioningMethod | Literal["server-side", "on-device", "hybrid"]
    DeviceTypeValue: TypeAlias = DeviceType | Literal["phone", "tablet"]
    ExecutionModeValue: TypeAlias = ExecutionMode | Literal["edge", "local"]
    LoggingTypeValue: TypeAlias = LoggingType | Literal["server_side", "client_side"]
    MetricTypeValue: TypeAlias = MetricType | Literal["click", "display"]
    MobilePlatformTypeValue: TypeAlias = MobilePlatformType | Literal["android", "ios"]
    ScreenOrientationTypeValue: TypeAlias = ScreenOrientationType | Literal["portrait", "landscape"]

    # Fields of responses: a server can send values that this version does not know.
    ResponseMetricType: TypeAlias = MetricType | str
    ResponseOptionType: TypeAlias = OptionType | str
else:

    def _one_of(enum: type[StrEnum]) -> Any:
        # msgspec does not join an enum with a literal of strings, so at run time a field has the
        # plain strings only.
        return Annotated[Literal[*(member.value for member in enum)], Meta(extra={"type": enum.__name__})]

    AuthenticatedStateValue = _one_of(AuthenticatedState)
    ChannelTypeValue = _one_of(ChannelType)
    DecisioningMethodValue = _one_of(DecisioningMethod)
    DeviceTypeValue = _one_of(DeviceType)
    ExecutionModeValue = _one_of(ExecutionMode)
    LoggingTypeValue = _one_of(LoggingType)
    MetricTypeValue = _one_of(MetricType)
    MobilePlatformTypeValue = _one_of(MobilePlatformType)
    ScreenOrientationTypeValue = _one_of(ScreenOrientationType)

    ResponseMetricType = Annotated[str, Meta(extra={"type": "MetricType"})]
    ResponseOptionType = Annotated[str, Meta(extra={"type": "OptionType"})]
