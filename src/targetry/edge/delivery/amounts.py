"""Upper bound of order totals at the edge's HTTP interface."""

from __future__ import annotations

from targetry.edge.http.errors import RequestRejected
from targetry.ledger.event import MAX_ORDER_TOTAL
from targetry.models import Order


def check_order_total(order: Order, path: str) -> None:
    """Check that an order total can be added up exactly with millions of others.

    The models have refused negative totals, since the Delivery API has a minimum of 0.

    Raises:
        RequestRejected: 400, with the path of a total that is too large.
    """
    if order.total is not None and order.total > MAX_ORDER_TOTAL:
        reason = f"must be at most {MAX_ORDER_TOTAL:,}, not {order.total:g}"
        raise RequestRejected(400, f"{path}.order.total: {reason}")
