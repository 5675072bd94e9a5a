"""`DeliveryRequest` and its parts."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, field

from targetry.models.accepted import ABSENT, Id, Id128, Integer32, Integer64, Ordinal
from targetry.models.base import Model
from targetry.models.constraint import Int64, Text128, Text512
from targetry.models.context import Context
from targetry.models.details import Details, RequestDetails
from targetry.models.enums import LoggingTypeValue
from targetry.models.notification import Notification
from targetry.models.telemetry import Telemetry
from targetry.models.visitor import VisitorId


class MboxRequest(Details):
    """Mbox to decide. `index` ties the response to the request; the default is the position."""

    index: Integer32 = ABSENT
    name: str | None = None


class ViewRequest(Details):
    """View to decide. Without a `name`, every view is asked for."""

    name: Text128 | None = None
    key: Text512 | None = None


class ExecuteRequest(Model):
    """Locations that are decided and counted as impressions at once."""

    page_load: RequestDetails | None = None
    mboxes: list[MboxRequest] | None = None


class PrefetchRequest(Model):
    """Locations that are decided now, and counted when a notification reports their display."""

    views: list[ViewRequest] | None = None
    page_load: RequestDetails | None = None
    mboxes: list[MboxRequest] | None = None


class ModelProperty(Model):
    """Property (`at_property`) that limits the activities. `token` is required."""

    token: Id = ABSENT


class Trace(Model):
    """Request for a trace. `authorization_token`, from the Target UI, is required on the wire."""

    authorization_token: Id = ABSENT
    usage: dict[str, str] | None = None


class QAModePreviewIndex(Model):
    """Activity and experience to preview; both count from 1."""

    activity_index: Ordinal = ABSENT
    experience_index: Ordinal = ABSENT


class QAMode(Model):
    """Preview of activities before they are live."""

    token: Id = ABSENT
    listed_activities_only: bool | None = None
    evaluate_as_true_audience_ids: list[Int64] | None = None
    evaluate_as_false_audience_ids: list[Int64] | None = None
    preview_indexes: list[QAModePreviewIndex] | None = None


class Preview(Model):
    """Preview link of the Target UI."""

    token: Id = ABSENT


class AudienceManager(Model):
    """Audience Manager. `location_hint` is the DCS region."""

    location_hint: Ordinal = ABSENT
    blob: Annotated[str, Meta(min_length=1, max_length=1024)] | None = None


class AnalyticsRequest(Model):
    """Analytics. The tracking servers are domains without a scheme."""

    supplemental_data_id: Annotated[str, Meta(min_length=33, max_length=33)] | None = None
    logging: LoggingTypeValue | None = None
    tracking_server: str | None = None
    tracking_server_secure: str | None = None


class ExperienceCloud(Model):
    """Ids of Adobe's other products."""

    audience_manager: AudienceManager | None = None
    analytics: AnalyticsRequest | None = None


class DeliveryRequest(Model):
    """Request for offers, or report of notifications.

    Without `context` the SDK sends one with the channel web. A second request with the same
    `impression_id` counts no second impression.
    """

    request_id: Id128 = ABSENT
    impression_id: Id128 = ABSENT
    id: VisitorId | None = None
    environment_id: Integer64 = ABSENT
    _property: ModelProperty | None = field(default=None, name="property")
    trace: Trace | None = None
    context: Context | None = None
    experience_cloud: ExperienceCloud | None = None
    execute: ExecuteRequest | None = None
    prefetch: PrefetchRequest | None = None
    telemetry: Telemetry | None = None
    notifications: list[Notification] | None = None
    qa_mode: QAMode | None = None
    preview: Preview | None = None
