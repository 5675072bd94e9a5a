"""Who the visitor is."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from targetry.models.accepted import ABSENT, Id128
from targetry.models.base import Model
from targetry.models.constraint import Text50
from targetry.models.enums import AuthenticatedStateValue


class CustomerId(Model):
    """An id of the customer's own systems. All three are required; `integration_code` is the data source's alias."""

    id: Id128 = ABSENT
    integration_code: Text50 | None = None
    authenticated_state: AuthenticatedStateValue | None = None


class VisitorId(Model):
    """`tnt_id` is Target's own id; of an answer it may end with the profile's location, `.CC_NN`."""

    tnt_id: Id128 = ABSENT
    third_party_id: Id128 = ABSENT
    marketing_cloud_visitor_id: Id128 = ABSENT
    customer_ids: Annotated[list[CustomerId], Meta(max_length=50)] | None = None
