"""What is asked for a location, and what was bought there: `RequestDetails`, `Order`, `Product`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta

from .base import Model
from .constraint import Int64, NonNegative, Parameters, Text128, Text250
from .context import Address


class Order(Model):
    id: Text250 | None = None
    total: NonNegative | None = None
    purchased_product_ids: list[str] | None = None
    time: datetime | None = None
    experience_local_id: Annotated[int, Meta(ge=0, le=2147483647)] | None = None
    duplicate: bool | None = None
    outlier: bool | None = None


class ABTOrder(Model):
    """Declared by the OpenAPI document, used by none of its operations."""

    id: Text250 | None = None
    decision_stack_id: Int64 | None = None
    total: NonNegative | None = None
    time: datetime | None = None
    product_ids: list[Int64] | None = None


class Product(Model):
    id: Text128 | None = None
    category_id: Text128 | None = None


class Details(Model):
    """The common part of every location; never used by itself, so that no location is an instance of another."""

    address: Address | None = None
    parameters: Parameters | None = None
    profile_parameters: Parameters | None = None
    order: Order | None = None
    product: Product | None = None


class RequestDetails(Details):
    """Parameters are at most 50, names have 1 to 128 characters and are not blank, values have up to 5000."""
