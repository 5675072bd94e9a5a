"""The Delivery API, typed: requests, answers and their words (spec/models.md)."""

from __future__ import annotations

import msgspec

from .base import Model
from .composition import (
    MboxRequestAllOf,
    NotificationAllOf,
    PrefetchMboxResponseAllOf,
    ViewRequestAllOf,
)
from .constraint import ConstraintError
from .context import (
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
from .details import (
    ABTOrder,
    Order,
    Product,
    RequestDetails,
)
from .enums import (
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
from .notification import (
    Notification,
    NotificationMbox,
    NotificationPageLoad,
    NotificationView,
)
from .request import (
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
from .response import (
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
from .snapshot import snapshot
from .telemetry import (
    Telemetry,
    TelemetryEntry,
    TelemetryFeatures,
    TelemetryRequest,
)
from .visitor import (
    CustomerId,
    VisitorId,
)

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

# msgspec fills a class's table when the class is first read. Other threads, and a child forked meanwhile, would read by a
# table that is half full, and crash. So all of them are filled while this is imported, which is done by one thread.
for _model in [value for value in globals().values() if isinstance(value, type) and issubclass(value, Model)]:
    msgspec.json.Decoder(_model)
del _model
