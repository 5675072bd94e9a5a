"""What is asked for a location, and what was bought there: `RequestDetails`, `Order`, `Product`."""

from __future__ import annotations

from datetime import datetime

from targetry.models.accepted import ABSENT, Id128, Id250, Ids, Integer64, LocalId, NonNegative
from targetry.models.base import Model
from targetry.models.constraint import Int64, Parameters
from targetry.models.context import Address


class Order(Model):
    id: Id250 = ABSENT
    total: NonNegative = ABSENT
    purchased_product_ids: Ids = ABSENT
    time: datetime | None = None
    experience_local_id: LocalId = ABSENT
    duplicate: bool | None = None
    outlier: bool | None = None


class ABTOrder(Model):
    """Declared by the OpenAPI document, used by none of its operations."""

    id: Id250 = ABSENT
    decision_stack_id: Integer64 = ABSENT
    total: NonNegative = ABSENT
    time: datetime | None = None
    product_ids: list[Int64] | None = None


class Product(Model):
    id: Id128 = ABSENT
    category_id: Id128 = ABSENT


class Details(Model):
    """The common part of every location; never used by itself, so that no location is an instance of another."""

    address: Address | None = None
    parameters: Parameters | None = None
    profile_parameters: Parameters | None = None
    order: Order | None = None
    product: Product | None = None


class RequestDetails(Details):
    """Parameters are at most 50, names have 1 to 128 characters and are not blank, values have up to 5000."""
