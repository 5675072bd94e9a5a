"""Request helpers of the official `target_tools.utils`: names, property, added mboxes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from targetry._runtime.logger import Log
from targetry.attributes import checked_names, with_mboxes
from targetry.errors import OptionError
from targetry.messages import property_token_mismatch
from targetry.models import (
    ChannelType,
    Context,
    DecisioningMethod,
    DeliveryRequest,
    ExecuteRequest,
    ModelProperty,
    PrefetchRequest,
)

EMPTY_REQUEST: Final = DeliveryRequest(context=Context(channel=ChannelType.WEB))
REQUEST_TYPES: Final = ["prefetch", "execute"]
REQUEST_TYPE_MAP: Final = {"execute": ExecuteRequest, "prefetch": PrefetchRequest}
MBOXES: Final = "mboxes"
VIEWS: Final = "views"


def get_names_for_requested(items_key: str, delivery_request: DeliveryRequest) -> set[str]:
    """Return the names of the requested mboxes or views, of execute and prefetch together.

    Args:
        items_key: `mboxes` or `views`.
        delivery_request: The request to read; it is not changed.
    """
    parts = (delivery_request.prefetch, delivery_request.execute)
    items = (item for part in parts for item in getattr(part, items_key, None) or ())
    return {item.name for item in items if item and item.name}


def get_mbox_names(delivery_request: DeliveryRequest) -> set[str]:
    """Return the names of the requested mboxes."""
    return get_names_for_requested(MBOXES, delivery_request)


def get_view_names(delivery_request: DeliveryRequest) -> set[str]:
    """Return the names of the requested views."""
    return get_names_for_requested(VIEWS, delivery_request)


def has_requested(items_key: str, delivery_request: DeliveryRequest | None) -> bool:
    """Return whether a part of the request has `mboxes` or `views`, with or without names."""
    parts = (getattr(delivery_request, name, None) for name in REQUEST_TYPES)
    return any(getattr(part, items_key, None) for part in parts)


def has_requested_views(delivery_request: DeliveryRequest | None) -> bool:
    """Return whether the request has views."""
    return has_requested(VIEWS, delivery_request)


def get_property_token(_property: ModelProperty | None = None) -> str | None:
    """Return the token of a property; None without a property."""
    return _property.token if _property else None


def get_property(config: Mapping[str, Any] | None, request: DeliveryRequest | None) -> ModelProperty | None:
    """Return the request's property, or one with the config's `property_token`; None for neither.

    A request's token that differs from the config's is logged at DEBUG.
    """
    configured = (config or {}).get("property_token")
    requested = get_property_token(request._property) if request else None
    if requested and requested != configured:
        Log().debug("%s", property_token_mismatch(requested, configured))
    token = requested or configured
    return ModelProperty(token=token) if token else None


def requires_decisioning_engine(decisioning_method: str | None) -> bool:
    """Return whether this decisioning method decides on device, wholly or in part."""
    return decisioning_method in (DecisioningMethod.ON_DEVICE, DecisioningMethod.HYBRID)


def decisioning_engine_ready(decisioning_engine: Any) -> Any:
    """Return the engine if it has an artifact, else None."""
    return decisioning_engine if decisioning_engine and decisioning_engine.is_ready() else None


def add_mboxes_to_request(
    mbox_names: Iterable[str], request: DeliveryRequest, request_type: str = "execute"
) -> DeliveryRequest:
    """Add mboxes to `request` itself, except those that it has already, and return it.

    They go into the part that `request_type` names, `execute` or `prefetch`, with indexes that
    continue from the highest there.

    Raises:
        OptionError: A name or the part is wrong.
    """
    names = checked_names(mbox_names)
    if request_type == "execute":
        request.execute = with_mboxes(request, names).execute
    elif request_type == "prefetch":
        request.prefetch = _with_prefetched(request, names)
    else:
        raise OptionError("request_type", "must be one of execute, prefetch")
    return request


def _with_prefetched(request: DeliveryRequest, names: Iterable[str]) -> PrefetchRequest | None:
    prefetch = request.prefetch or PrefetchRequest()
    swapped = DeliveryRequest(
        execute=ExecuteRequest(mboxes=prefetch.mboxes),
        prefetch=PrefetchRequest(mboxes=request.execute.mboxes if request.execute is not None else None),
    )
    added = with_mboxes(swapped, names)
    if added is swapped or added.execute is None:
        return request.prefetch
    return PrefetchRequest(prefetch.views, prefetch.page_load, added.execute.mboxes)
