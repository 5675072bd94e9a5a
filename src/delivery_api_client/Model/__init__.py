"""Models of the Delivery API, each in its own module, too (`….Model.mbox_request`)."""

from delivery_api_client.Model import (
    action as action,
)
from delivery_api_client.Model import (
    address as address,
)
from delivery_api_client.Model import (
    analytics_payload as analytics_payload,
)
from delivery_api_client.Model import (
    analytics_request as analytics_request,
)
from delivery_api_client.Model import (
    analytics_response as analytics_response,
)
from delivery_api_client.Model import (
    application as application,
)
from delivery_api_client.Model import (
    audience_manager as audience_manager,
)
from delivery_api_client.Model import (
    authenticated_state as authenticated_state,
)
from delivery_api_client.Model import (
    browser as browser,
)
from delivery_api_client.Model import (
    channel_type as channel_type,
)
from delivery_api_client.Model import (
    client_hints as client_hints,
)
from delivery_api_client.Model import (
    context as context,
)
from delivery_api_client.Model import (
    customer_id as customer_id,
)
from delivery_api_client.Model import (
    decisioning_method as decisioning_method,
)
from delivery_api_client.Model import (
    delivery_request as delivery_request,
)
from delivery_api_client.Model import (
    delivery_response as delivery_response,
)
from delivery_api_client.Model import (
    device_type as device_type,
)
from delivery_api_client.Model import (
    execute_request as execute_request,
)
from delivery_api_client.Model import (
    execute_response as execute_response,
)
from delivery_api_client.Model import (
    execution_mode as execution_mode,
)
from delivery_api_client.Model import (
    experience_cloud as experience_cloud,
)
from delivery_api_client.Model import (
    geo as geo,
)
from delivery_api_client.Model import (
    logging_type as logging_type,
)
from delivery_api_client.Model import (
    mbox_request as mbox_request,
)
from delivery_api_client.Model import (
    mbox_request_all_of as mbox_request_all_of,
)
from delivery_api_client.Model import (
    mbox_response as mbox_response,
)
from delivery_api_client.Model import (
    metric as metric,
)
from delivery_api_client.Model import (
    metric_type as metric_type,
)
from delivery_api_client.Model import (
    mobile_platform as mobile_platform,
)
from delivery_api_client.Model import (
    mobile_platform_type as mobile_platform_type,
)
from delivery_api_client.Model import (
    model_property as model_property,
)
from delivery_api_client.Model import (
    notification as notification,
)
from delivery_api_client.Model import (
    notification_all_of as notification_all_of,
)
from delivery_api_client.Model import (
    notification_mbox as notification_mbox,
)
from delivery_api_client.Model import (
    notification_page_load as notification_page_load,
)
from delivery_api_client.Model import (
    notification_response as notification_response,
)
from delivery_api_client.Model import (
    notification_view as notification_view,
)
from delivery_api_client.Model import (
    option as option,
)
from delivery_api_client.Model import (
    option_type as option_type,
)
from delivery_api_client.Model import (
    order as order,
)
from delivery_api_client.Model import (
    page_load_response as page_load_response,
)
from delivery_api_client.Model import (
    prefetch_mbox_response as prefetch_mbox_response,
)
from delivery_api_client.Model import (
    prefetch_mbox_response_all_of as prefetch_mbox_response_all_of,
)
from delivery_api_client.Model import (
    prefetch_request as prefetch_request,
)
from delivery_api_client.Model import (
    prefetch_response as prefetch_response,
)
from delivery_api_client.Model import (
    preview as preview,
)
from delivery_api_client.Model import (
    product as product,
)
from delivery_api_client.Model import (
    qa_mode as qa_mode,
)
from delivery_api_client.Model import (
    qa_mode_preview_index as qa_mode_preview_index,
)
from delivery_api_client.Model import (
    request_details as request_details,
)
from delivery_api_client.Model import (
    screen as screen,
)
from delivery_api_client.Model import (
    screen_orientation_type as screen_orientation_type,
)
from delivery_api_client.Model import (
    telemetry as telemetry,
)
from delivery_api_client.Model import (
    telemetry_entry as telemetry_entry,
)
from delivery_api_client.Model import (
    telemetry_features as telemetry_features,
)
from delivery_api_client.Model import (
    telemetry_request as telemetry_request,
)
from delivery_api_client.Model import (
    trace as trace,
)
from delivery_api_client.Model import (
    unexpected_error as unexpected_error,
)
from delivery_api_client.Model import (
    view as view,
)
from delivery_api_client.Model import (
    view_request as view_request,
)
from delivery_api_client.Model import (
    view_request_all_of as view_request_all_of,
)
from delivery_api_client.Model import (
    visitor_id as visitor_id,
)
from delivery_api_client.Model import (
    window as window,
)
from targetry.models import (
    Action,
    Address,
    AnalyticsPayload,
    AnalyticsRequest,
    AnalyticsResponse,
    Application,
    AudienceManager,
    AuthenticatedState,
    Browser,
    ChannelType,
    ClientHints,
    Context,
    CustomerId,
    DecisioningMethod,
    DeliveryRequest,
    DeliveryResponse,
    DeviceType,
    ExecuteRequest,
    ExecuteResponse,
    ExecutionMode,
    ExperienceCloud,
    Geo,
    LoggingType,
    MboxRequest,
    MboxRequestAllOf,
    MboxResponse,
    Metric,
    MetricType,
    MobilePlatform,
    MobilePlatformType,
    ModelProperty,
    Notification,
    NotificationAllOf,
    NotificationMbox,
    NotificationPageLoad,
    NotificationResponse,
    NotificationView,
    Option,
    OptionType,
    Order,
    PageLoadResponse,
    PrefetchMboxResponse,
    PrefetchMboxResponseAllOf,
    PrefetchRequest,
    PrefetchResponse,
    Preview,
    Product,
    QAMode,
    QAModePreviewIndex,
    RequestDetails,
    Screen,
    ScreenOrientationType,
    Telemetry,
    TelemetryEntry,
    TelemetryFeatures,
    TelemetryRequest,
    Trace,
    UnexpectedError,
    View,
    ViewRequest,
    ViewRequestAllOf,
    VisitorId,
    Window,
)

__all__ = [
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
]
