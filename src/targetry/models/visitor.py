"""Who the visitor is."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from .base import Model
from .constraint import Text50, Text128
from .enums import AuthenticatedStateValue


class CustomerId(Model):
    """An id of the customer's own systems. All three are required; `integration_code` is the data source's alias."""

    id: Text128 | None = None
    integration_code: Text50 | None = None
    authenticated_state: AuthenticatedStateValue | None = None


class VisitorId(Model):
    """`tnt_id` is Target's own id; of an answer it may end with the profile's location, `.CC_NN`."""

    tnt_id: Text128 | None = None
    third_party_id: Text128 | None = None
    marketing_cloud_visitor_id: Text128 | None = None
    customer_ids: Annotated[list[CustomerId], Meta(max_length=50)] | None = None
