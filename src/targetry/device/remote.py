"""What a request asks for that cannot be decided here (spec/decisioning.md §8)."""

from __future__ import annotations

import msgspec

from targetry.device.ruleset import RuleSet
from targetry.models import DeliveryRequest, ViewRequest


class RemoteDependency(msgspec.Struct, frozen=True, gc=False):
    """The locations that the Delivery API has to decide, in the order in which they are asked for."""

    mboxes: list[str]
    views: list[str]


def remote_dependency(rules: RuleSet, request: DeliveryRequest) -> RemoteDependency:
    """Name the requested locations with activities that are remote, or that the artifact does not know."""
    mboxes: list[str] = []
    views: list[str] = []
    decided = rules.decided_mboxes
    for part in (request.prefetch, request.execute):
        if part is None:
            continue
        for mbox in part.mboxes or ():
            name = mbox.name
            if name not in decided and name and name not in mboxes:
                mboxes.append(name)
        if part.page_load is not None:  # D-11
            name = rules.global_mbox
            if name not in decided and name not in mboxes:
                mboxes.append(name)
    if request.prefetch is not None and request.prefetch.views:
        views = _remote_views(rules, request.prefetch.views)
    return RemoteDependency(mboxes, views)


def _remote_views(rules: RuleSet, views: list[ViewRequest]) -> list[str]:
    remote, local = rules.remote_views, rules.local_views
    named = [view.name for view in views if view.name]
    every = remote if len(named) < len(views) else ()  # D-38: a view without a name means all of them
    return list(dict.fromkeys([*every, *(name for name in named if name in remote or name not in local)]))
