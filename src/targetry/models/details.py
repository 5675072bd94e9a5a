"""Details of a location, and purchases there: `RequestDetails`, `Order`, `Product`."""

from __future__ import annotations

from datetime import datetime

from targetry.models.accepted import ABSENT, Id128, Id250, Ids, Integer64, LocalId, NonNegative
from targetry.models.base import Model
from targetry.models.constraint import Int64, Parameters
from targetry.models.context import Address


class Order(Model):
    """Purchase."""

    id: Id250 = ABSENT
    total: NonNegative = ABSENT
    purchased_product_ids: Ids = ABSENT
    time: datetime | None = None
    experience_local_id: LocalId = ABSENT
    duplicate: bool | None = None
    outlier: bool | None = None


class ABTOrder(Model):
    """Schema of the OpenAPI document that no operation uses."""

    id: Id250 = ABSENT
    decision_stack_id: Integer64 = ABSENT
    total: NonNegative = ABSENT
    time: datetime | None = None
    product_ids: list[Int64] | None = None


class Product(Model):
    """Product that the location is about."""

    id: Id128 = ABSENT
    category_id: Id128 = ABSENT


class Details(Model):
    """Common fields of all locations; a base class, so that no location is another's instance."""

    address: Address | None = None
    parameters: Parameters | None = None
    profile_parameters: Parameters | None = None
    order: Order | None = None
    product: Product | None = None


class RequestDetails(Details):
    """Page load. There are at most 50 parameters.

    Names have 1 to 128 characters and are not blank, values have up to 5000.
    """
