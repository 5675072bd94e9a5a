"""Checked settings of one call, with a copy of its request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import msgspec

from targetry._client.decisions.hook_runner import ObservedCall
from targetry.errors import OptionError
from targetry.hooks import CallKind
from targetry.models import ConstraintError, CustomerId, DecisioningMethod, DeliveryRequest, snapshot
from targetry.visitor import VisitorLike

RequestInput: TypeAlias = DeliveryRequest | Mapping[str, Any]


class CallSettings(msgspec.Struct, eq=False):
    """Checked options of one call. `request` is a copy that the caller does not hold.

    `observed` is the call as hooks see it, None without hooks.
    """

    request: DeliveryRequest
    decisioning_method: DecisioningMethod
    session_id: str | None = None
    target_cookie: str | None = None
    target_location_hint: str | None = None
    consumer_id: str | None = None
    customer_ids: list[CustomerId] | None = None
    visitor: VisitorLike | None = None
    visitor_cookie: str | None = None
    callback: Callable[[Any], Any] | None = None
    err_callback: Callable[[BaseException], Any] | None = None
    kind: CallKind = "get_offers"
    observed: ObservedCall | None = None

    def __repr__(self) -> str:
        """Return the names of the options that were given; their values are a visitor's data."""
        given = [
            name for name in self.__struct_fields__ if name != "kind" and getattr(self, name) is not None
        ]
        return f"CallSettings({', '.join(given)})"


def checked_copy(request: RequestInput, *, wire: bool) -> DeliveryRequest:
    """Return an independent, checked copy of a request.

    Args:
        request: A model, or a mapping with names of the wire or of Python.
        wire: Check the limits of the Delivery API alone, too.

    Raises:
        OptionError: A field is wrong; it has the field's path.
    """
    try:
        return snapshot(request, wire=wire, either_name=True)
    except ConstraintError as error:
        raise OptionError(error.path, error.reason) from error
