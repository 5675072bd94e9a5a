"""Upper bound of order totals at the edge's HTTP interface."""

from __future__ import annotations

from collections.abc import Sequence

from targetry.edge.http.errors import RequestRejected
from targetry.ledger.event import MAX_ORDER_TOTAL
from targetry.models import DeliveryRequest, MboxRequest, Order, ViewRequest


def check_order_totals(request: DeliveryRequest) -> None:
    """Check that each order total of a request can be added up exactly with millions of others.

    The models have refused negative totals, since the Delivery API has a minimum of 0.

    Raises:
        RequestRejected: 400, with the path of the first total that is too large.
    """
    for mode, part in (("execute", request.execute), ("prefetch", request.prefetch)):
        if part is not None:
            if part.page_load is not None and part.page_load.order is not None:
                _check(part.page_load.order, f"{mode}.pageLoad")
            _check_each(part.mboxes, mode, "mboxes")
    if request.prefetch is not None:
        _check_each(request.prefetch.views, "prefetch", "views")
    for position, notification in enumerate(request.notifications or ()):
        if notification.order is not None:
            _check(notification.order, f"notifications[{position}]")


def _check_each(
    locations: Sequence[MboxRequest] | Sequence[ViewRequest] | None, mode: str, kind: str
) -> None:
    for position, location in enumerate(locations or ()):
        if location.order is not None:
            _check(location.order, f"{mode}.{kind}[{position}]")


def _check(order: Order, path: str) -> None:
    if order.total is not None and order.total > MAX_ORDER_TOTAL:
        reason = f"must be at most {MAX_ORDER_TOTAL:,}, not {order.total:g}"
        raise RequestRejected(400, f"request.{path}.order.total: {reason}")
