"""Typed models of the Delivery API: requests, responses and enums."""

from __future__ import annotations

import msgspec

from targetry.models.base import Model
from targetry.models.composition import (
    MboxRequestAllOf,
    NotificationAllOf,
    PrefetchMboxResponseAllOf,
    ViewRequestAllOf,
)
from targetry.models.constraint import ConstraintError
from targetry.models.context import (
    Address,
    Application,
    Browser,
    ClientHints,
    Context,
    Geo,
    MobilePlatform,
    Screen,
    Window,
)
from targetry.models.details import ABTOrder, Order, Product, RequestDetails
from targetry.models.enums import (
    AuthenticatedState,
    ChannelType,
    DecisioningMethod,
    DeviceType,
    ExecutionMode,
    LoggingType,
    MetricType,
    MobilePlatformType,
    OptionType,
    ScreenOrientationType,
)
from targetry.models.notification import (
    Notification,
    NotificationMbox,
    NotificationPageLoad,
    NotificationView,
)
from targetry.models.request import (
    AnalyticsRequest,
    AudienceManager,
    DeliveryRequest,
    ExecuteRequest,
    ExperienceCloud,
    MboxRequest,
    ModelProperty,
    PrefetchRequest,
    Preview,
    QAMode,
    QAModePreviewIndex,
    Trace,
    ViewRequest,
)
from targetry.models.response import (
    Action,
    AnalyticsPayload,
    AnalyticsResponse,
    DeliveryResponse,
    ExecuteResponse,
    MboxResponse,
    Metric,
    NotificationResponse,
    Option,
    PageLoadResponse,
    PrefetchMboxResponse,
    PrefetchResponse,
    UnexpectedError,
    View,
)
from targetry.models.snapshot import snapshot
from targetry.models.telemetry import Telemetry, TelemetryEntry, TelemetryFeatures, TelemetryRequest
from targetry.models.visitor import CustomerId, VisitorId

__all__ = [
    "ABTOrder",
    "Action",
    "Address",
    "AnalyticsPayload",
    "AnalyticsRequest",
    "AnalyticsResponse",
    "Application",
    "AudienceManager",
    "AuthenticatedState",
    "Browser",
    "ChannelType",
    "ClientHints",
    "ConstraintError",
    "Context",
    "CustomerId",
    "DecisioningMethod",
    "DeliveryRequest",
    "DeliveryResponse",
    "DeviceType",
    "ExecuteRequest",
    "ExecuteResponse",
    "ExecutionMode",
    "ExperienceCloud",
    "Geo",
    "LoggingType",
    "MboxRequest",
    "MboxRequestAllOf",
    "MboxResponse",
    "Metric",
    "MetricType",
    "MobilePlatform",
    "MobilePlatformType",
    "Model",
    "ModelProperty",
    "Notification",
    "NotificationAllOf",
    "NotificationMbox",
    "NotificationPageLoad",
    "NotificationResponse",
    "NotificationView",
    "Option",
    "OptionType",
    "Order",
    "PageLoadResponse",
    "PrefetchMboxResponse",
    "PrefetchMboxResponseAllOf",
    "PrefetchRequest",
    "PrefetchResponse",
    "Preview",
    "Product",
    "QAMode",
    "QAModePreviewIndex",
    "RequestDetails",
    "Screen",
    "ScreenOrientationType",
    "Telemetry",
    "TelemetryEntry",
    "TelemetryFeatures",
    "TelemetryRequest",
    "Trace",
    "UnexpectedError",
    "View",
    "ViewRequest",
    "ViewRequestAllOf",
    "VisitorId",
    "Window",
    "snapshot",
]

# msgspec fills a class's table when the class is first read. Other threads, and a child forked
# meanwhile, would read by a table that is half full, and crash. So all of them are filled while
# this is imported, which is done by one thread.
for _model in [value for value in globals().values() if isinstance(value, type) and issubclass(value, Model)]:
    msgspec.json.Decoder(_model)
del _model
