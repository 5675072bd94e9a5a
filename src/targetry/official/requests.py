"""Additions to a caller's request, as the official `target_tools.utils` makes them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from targetry.attributes import checked_names, with_mboxes
from targetry.errors import OptionError
from targetry.models import ChannelType, Context, DeliveryRequest, ExecuteRequest, PrefetchRequest

EMPTY_REQUEST: Final = DeliveryRequest(context=Context(channel=ChannelType.WEB))


def add_mboxes_to_request(
    mbox_names: Iterable[str], request: DeliveryRequest, request_type: str = "execute"
) -> DeliveryRequest:
    """Have `request` itself ask for these mboxes, unless it does already, and return it.

    They go into the part that `request_type` names, `execute` or `prefetch`, with indexes that go on from the highest
    there. Raises `OptionError`.
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
