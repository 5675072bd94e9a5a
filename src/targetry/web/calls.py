"""Requests and results of calls that are made for the visitor of a web request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec.structs import replace

from targetry.attributes import with_mboxes
from targetry.delivery.envelope import TargetDeliveryResponse
from targetry.errors import OptionError
from targetry.models import (
    ConstraintError,
    DecisioningMethod,
    DeliveryRequest,
    DeliveryResponse,
    ExecuteResponse,
    MboxResponse,
    PageLoadResponse,
    PrefetchMboxResponse,
    PrefetchRequest,
    PrefetchResponse,
    View,
    VisitorId,
)
from targetry.models.snapshot import snapshot
from targetry.web.consent import Consent
from targetry.web.visit import Visit

_OF_A_VISITOR: Final = ("visitor", "visitor_cookie", "customer_ids")
_OF_A_SESSION: Final = ("target_cookie", "session_id")
_OF_THE_CONTEXT: Final = ("channel", "user_agent", "address", "client_hints", "browser", "geo")


def own_request(
    request: DeliveryRequest | Mapping[str, Any] | None, mboxes: Sequence[str]
) -> DeliveryRequest:
    """Return a copy of the caller's request that also asks for some mboxes.

    Raises:
        OptionError: A field is wrong; it has the field's path.
    """
    if request is None:
        return with_mboxes(None, mboxes)
    try:
        copy = snapshot(request, wire=False, either_name=True)
    except ConstraintError as error:
        raise OptionError(error.path, error.reason) from error
    return with_mboxes(copy, mboxes) if mboxes else copy


def call_options(visit: Visit, request: DeliveryRequest, more: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a call for the visitor: what the caller left out is filled in.

    Args:
        visit: The visitor, whose consent is settled and not denied.
        request: A request of our own, which is changed.
        more: The caller's other options.
    """
    options = {**more, "request": request}
    ids = visit.ids
    given_ids = replace(request.id) if request.id is not None else VisitorId()
    if all(more.get(name) is None for name in _OF_A_SESSION):
        options["session_id"] = ids.session_id
        given_ids.tnt_id = given_ids.tnt_id or ids.tnt_id
        if more.get("target_location_hint") is None:
            options["target_location_hint"] = ids.cluster
    given_ids.marketing_cloud_visitor_id = given_ids.marketing_cloud_visitor_id or ids.ecid
    request.id = given_ids
    if all(more.get(name) is None for name in _OF_A_VISITOR):
        options["visitor"] = visit.visitor
    _fill_context(visit, request)
    if visit.parameters:
        _add_parameters(request, visit.parameters)
    if visit.consent is Consent.ANONYMOUS:
        request.notifications = None
        if visit.visits.services.method is not DecisioningMethod.ON_DEVICE:
            _prefetch_all(request)
    return options


def keeps_ids(more: Mapping[str, Any]) -> bool:
    """Return whether a call is for the visit's own ids, so that its cookies are the visit's."""
    return all(more.get(name) is None for name in _OF_A_SESSION)


def empty_result(visit: Visit, request: DeliveryRequest) -> TargetDeliveryResponse:
    """Return the result of a call that was not made: no offer and no id is in it."""
    response = DeliveryResponse(status=200, client=visit.visits.services.client_code)
    if (execute := request.execute) is not None:
        response.execute = ExecuteResponse(
            page_load=None if execute.page_load is None else PageLoadResponse(),
            mboxes=[MboxResponse(index=one.index, name=one.name) for one in execute.mboxes or ()] or None,
        )
    if (prefetch := request.prefetch) is not None:
        response.prefetch = PrefetchResponse(
            page_load=None if prefetch.page_load is None else PageLoadResponse(),
            mboxes=[PrefetchMboxResponse(index=one.index, name=one.name) for one in prefetch.mboxes or ()]
            or None,
            views=[View(name=one.name, key=one.key) for one in prefetch.views or ()] or None,
        )
    meta = {
        "decisioning_method": str(visit.visits.services.method),
        "remote_mboxes": [],
        "remote_views": [],
    }
    return TargetDeliveryResponse(request=request, response=response, meta=meta, visitor_state=None)


def event_context(visit: Visit) -> dict[str, Any]:
    """Return the visitor as the evaluation context of a flag or of a tracking event."""
    ids, customer_ids = visit.ids, visit.customer_ids
    context: dict[str, Any] = {
        "context": visit.context(to_api=True),
        "sessionId": ids.session_id,
        "tntId": ids.tnt_id,
        "marketingCloudVisitorId": ids.ecid,
        "customerIds": customer_ids,
    }
    return {name: value for name, value in context.items() if value is not None}


def _fill_context(visit: Visit, request: DeliveryRequest) -> None:
    to_api = visit.visits.services.method is DecisioningMethod.SERVER_SIDE
    known = visit.context(to_api=to_api)
    if request.context is None:
        request.context = known  # the client works with a copy
        return
    for name in _OF_THE_CONTEXT:
        if getattr(request.context, name) is None:
            setattr(request.context, name, getattr(known, name))


def _add_parameters(request: DeliveryRequest, parameters: dict[str, Any]) -> None:
    for part in (request.execute, request.prefetch):
        if part is not None:
            views = part.views if isinstance(part, PrefetchRequest) else None
            for details in (part.page_load, *(part.mboxes or ()), *(views or ())):
                if details is not None:
                    details.parameters = {**parameters, **(details.parameters or {})}


def _prefetch_all(request: DeliveryRequest) -> None:
    """Move `execute` to `prefetch`, which the Delivery API counts no impression for."""
    execute = request.execute
    if execute is None:
        return
    prefetch = request.prefetch or PrefetchRequest()
    prefetch.page_load = prefetch.page_load or execute.page_load
    prefetch.mboxes = [*(prefetch.mboxes or ()), *(execute.mboxes or ())] or None
    request.execute, request.prefetch = None, prefetch
