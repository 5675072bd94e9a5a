"""Ids of a visitor."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from targetry.models.accepted import ABSENT, Id128
from targetry.models.base import Model
from targetry.models.constraint import Text50
from targetry.models.enums import AuthenticatedStateValue


class CustomerId(Model):
    """Id of the customer's own systems. `integration_code` is the alias of the data source."""

    id: Id128 = ABSENT
    integration_code: Text50 | None = None
    authenticated_state: AuthenticatedStateValue | None = None


class VisitorId(Model):
    """Ids of a visitor. In a response `tnt_id` can end with the profile's location, `.CC_NN`."""

    tnt_id: Id128 = ABSENT
    third_party_id: Id128 = ABSENT
    marketing_cloud_visitor_id: Id128 = ABSENT
    customer_ids: Annotated[list[CustomerId], Meta(max_length=50)] | None = None
