"""What a request asks for that cannot be decided here (spec/decisioning.md §8)."""

from __future__ import annotations

import msgspec

from targetry.models import DeliveryRequest, MboxRequest, RequestDetails, ViewRequest

from .ruleset import RuleSet


class RemoteDependency(msgspec.Struct, frozen=True, gc=False):
    """The locations that the Delivery API has to decide, in the order in which they are asked for."""

    mboxes: list[str]
    views: list[str]


def remote_dependency(rules: RuleSet, request: DeliveryRequest) -> RemoteDependency:
    """Name the requested locations with activities that are remote, or that the artifact does not know."""
    mboxes: list[str] = []
    views: list[str] = []
    if (prefetch := request.prefetch) is not None:
        _add_remote_mboxes(rules, prefetch.mboxes, prefetch.page_load, mboxes)
        if prefetch.views:
            views = _remote_views(rules, prefetch.views)
    if (execute := request.execute) is not None:
        _add_remote_mboxes(rules, execute.mboxes, execute.page_load, mboxes)
    return RemoteDependency(mboxes, views)


def _add_remote_mboxes(
    rules: RuleSet, mboxes: list[MboxRequest] | None, page_load: RequestDetails | None, remote: list[str]
) -> None:
    for mbox in mboxes or ():
        name = mbox.name
        if name not in rules.decided_mboxes and name and name not in remote:
            remote.append(name)
    if page_load is not None:  # D-11
        name = rules.global_mbox
        if name not in rules.decided_mboxes and name not in remote:
            remote.append(name)


def _remote_views(rules: RuleSet, views: list[ViewRequest]) -> list[str]:
    remote, local = rules.remote_views, rules.local_views
    named = [view.name for view in views if view.name]
    every = remote if len(named) < len(views) else ()  # D-38: a view without a name means all of them
    return list(dict.fromkeys([*every, *(name for name in named if name in remote or name not in local)]))
