"""What a request asks for that cannot be decided here (spec/decisioning.md §8)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from targetry.models import DeliveryRequest

from .ruleset import RuleSet


class RemoteDependency(NamedTuple):
    """The locations that the Delivery API has to decide, in the order in which they are asked for."""

    mboxes: list[str]
    views: list[str]


def remote_dependency(rules: RuleSet, request: DeliveryRequest) -> RemoteDependency:
    """Name the requested locations with activities that are remote, or that the artifact does not know."""
    return RemoteDependency(_remote_mboxes(rules, request), _remote_views(rules, request))


def _remote_mboxes(rules: RuleSet, request: DeliveryRequest) -> list[str]:
    remote, local = rules.remote_mboxes, rules.local_mboxes
    return _unique(
        name for name in _requested_mboxes(rules, request) if name in remote or name not in local
    )  # fmt: skip


def _requested_mboxes(rules: RuleSet, request: DeliveryRequest) -> Iterator[str]:
    for part in (request.prefetch, request.execute):
        if part is None:
            continue
        for mbox in part.mboxes or ():
            if mbox.name:
                yield mbox.name
        if part.page_load is not None:  # D-11
            yield rules.global_mbox


def _remote_views(rules: RuleSet, request: DeliveryRequest) -> list[str]:
    views = request.prefetch.views if request.prefetch is not None else None
    if not views:
        return []
    remote, local = rules.remote_views, rules.local_views
    named = [view.name for view in views if view.name]
    every = remote if len(named) < len(views) else ()  # D-38: a view without a name means all of them
    return _unique([*every, *(name for name in named if name in remote or name not in local)])


def _unique(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
