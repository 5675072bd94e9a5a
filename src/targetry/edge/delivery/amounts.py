"""Upper bound of order totals at the edge's HTTP interface."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from targetry.edge.http.errors import RequestRejected
from targetry.ledger.event import MAX_ORDER_TOTAL
from targetry.models import DeliveryRequest, Order


def check_order_totals(request: DeliveryRequest) -> None:
    """Check that each order total of a request can be added up exactly with millions of others.

    The models have refused negative totals, since the Delivery API has a minimum of 0.

    Raises:
        RequestRejected: 400, with the path of the first total that is too large.
    """
    for path, order in _orders(request):
        if order.total is not None and order.total > MAX_ORDER_TOTAL:
            reason = f"must be at most {MAX_ORDER_TOTAL:,}, not {order.total:g}"
            raise RequestRejected(400, f"request.{path}.order.total: {reason}")


def _orders(request: DeliveryRequest) -> Iterator[tuple[str, Order]]:
    for mode in ("execute", "prefetch"):
        part = getattr(request, mode)
        if part is None:
            continue
        if part.page_load is not None and part.page_load.order is not None:
            yield f"{mode}.pageLoad", part.page_load.order
        yield from _orders_of(f"{mode}.mboxes", part.mboxes)
        yield from _orders_of(f"{mode}.views", getattr(part, "views", None))
    yield from _orders_of("notifications", request.notifications)


def _orders_of(path: str, items: Sequence[object] | None) -> Iterator[tuple[str, Order]]:
    for position, item in enumerate(items or ()):
        order: Order | None = getattr(item, "order", None)
        if order is not None:
            yield f"{path}[{position}]", order
