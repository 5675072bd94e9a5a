"""Remote dependency of a request: requested locations that cannot be decided on device."""

from __future__ import annotations

from typing import Final

import msgspec

from targetry.device.ruleset import RuleSet
from targetry.models import DeliveryRequest, ViewRequest


class RemoteDependency(msgspec.Struct, frozen=True, gc=False):
    """The locations that the Delivery API has to decide, in the order of the request."""

    mboxes: list[str]
    views: list[str]


NOTHING_REMOTE: Final = RemoteDependency([], [])
"""The dependency of a request that is decided without the Delivery API."""


def remote_dependency(rules: RuleSet, request: DeliveryRequest) -> RemoteDependency:
    """Return the requested locations that have remote activities or are not in the artifact."""
    mboxes: list[str] = []
    views: list[str] = []
    decided = rules.decidable_mboxes
    for part in (request.prefetch, request.execute):
        if part is None:
            continue
        for mbox in part.mboxes or ():
            name = mbox.name
            if name not in decided and name and name not in mboxes:
                mboxes.append(name)
        if part.page_load is not None:
            name = rules.global_mbox
            if name not in decided and name not in mboxes:
                mboxes.append(name)
    if request.prefetch is not None and request.prefetch.views:
        views = _remote_views(rules, request.prefetch.views)
    return RemoteDependency(mboxes, views)


def _remote_views(rules: RuleSet, views: list[ViewRequest]) -> list[str]:
    remote, local = rules.remote_views, rules.local_views
    named = [view.name for view in views if view.name]
    every = remote if len(named) < len(views) else ()  # a view without a name is every view
    return list(dict.fromkeys([*every, *(name for name in named if name in remote or name not in local)]))
