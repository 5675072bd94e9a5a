"""Offers of one location in a result: an mbox, the page load or a view."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, TypeAlias, TypeVar, overload

import msgspec

from targetry.models import (
    AnalyticsResponse,
    DeliveryResponse,
    ExecuteResponse,
    MboxResponse,
    Metric,
    Option,
    PageLoadResponse,
    PrefetchMboxResponse,
    PrefetchResponse,
    View,
)
from targetry.models.response import merged_content

T = TypeVar("T")

Reason: TypeAlias = Literal["STATIC", "TARGETING_MATCH", "SPLIT", "DEFAULT", "STALE", "UNKNOWN", "ERROR"]
"""Why a location got its offers, in the words of OpenFeature."""

LocationResponse: TypeAlias = MboxResponse | PrefetchMboxResponse | PageLoadResponse | View


class Activity(msgspec.Struct, frozen=True):
    """Activity that an offer comes from."""

    id: int | str | None = None
    name: str | None = None
    type: str | None = None


class Experience(msgspec.Struct, frozen=True):
    """Experience of an activity that a visitor gets."""

    id: int | str | None = None
    name: str | None = None


class LocationOffers:
    """Offers of one location in a result; true if there are any.

    A location that is not in the response has no responses and no offers. One that is there without
    offers gets default content.

    Attributes:
        name: Name of the mbox or view; None for the page load.
        executed: Parts of the `DeliveryResponse` about the location, in its `execute`.
        prefetched: The same in its `prefetch`.
    """

    __slots__ = ("executed", "name", "prefetched")

    def __init__(
        self,
        name: str | None,
        executed: Sequence[MboxResponse | PageLoadResponse] = (),
        prefetched: Sequence[PrefetchMboxResponse | PageLoadResponse | View] = (),
    ) -> None:
        self.name = name
        self.executed = list(executed)
        self.prefetched = list(prefetched)

    @property
    def options(self) -> list[Option]:
        """Options of the location, executed before prefetched."""
        return _options_of(self.executed) + _options_of(self.prefetched)

    @property
    def content(self) -> Any:
        """Content of the offers: HTML, a URL, JSON, or a list of actions; None for default content.

        The objects of several JSON offers are merged as for `get_attributes`: later keys win, and
        those of `execute` over those of `prefetch`. Of several other offers the first counts.
        """
        executed = _options_of(self.executed)
        content = merged_content(_options_of(self.prefetched) + executed, None)
        return executed[0].content if executed and not isinstance(content, dict) else content

    @overload
    def content_as(self, as_type: type[T], default: T) -> T: ...
    @overload
    def content_as(self, as_type: type[T], default: None = None) -> T | None: ...
    def content_as(self, as_type: type[T], default: T | None = None) -> T | None:
        """Return the content in a type, or `default` if there is none or it does not fit.

        Args:
            as_type: Type of the result: `str`, `dict`, `list[str]`, a dataclass, a `TypedDict`, a
                `msgspec.Struct`, or any other that `msgspec.convert` takes.
            default: Returned as it is.
        """
        content = self.content
        if content is None:
            return default
        try:
            return msgspec.convert(content, as_type)
        except msgspec.ValidationError:
            return default

    @property
    def type(self) -> str | None:
        """Type of the first option: `html`, `json`, `redirect`, `dynamic` or `actions`."""
        options = self.options
        return options[0].type if options else None

    @property
    def response_tokens(self) -> dict[str, Any]:
        """Response tokens of the first option; empty if the account has switched none on."""
        options = self.options
        return (options[0].response_tokens or {}) if options else {}

    @property
    def event_tokens(self) -> list[str]:
        """Event tokens of prefetched options, for the notification of their display."""
        return [option.event_token for option in self.options if option.event_token]

    @property
    def activity(self) -> Activity | None:
        """Activity of the first option; None without the token `activity.id` or `activity.name`."""
        tokens = self.response_tokens
        activity = Activity(
            tokens.get("activity.id"), tokens.get("activity.name"), tokens.get("activity.type")
        )
        return None if activity == Activity() else activity

    @property
    def experience(self) -> Experience | None:
        """Experience of the first option; None without `experience.id` or `experience.name`."""
        tokens = self.response_tokens
        experience = Experience(tokens.get("experience.id"), tokens.get("experience.name"))
        return None if experience == Experience() else experience

    @property
    def metrics(self) -> list[Metric]:
        """Click metrics, each with the event token of its notification."""
        return [metric for one in self._responses for metric in one.metrics or ()]

    @property
    def analytics(self) -> AnalyticsResponse | None:
        """Payload to forward to Adobe Analytics, of the first response that has one."""
        return next((one.analytics for one in self._responses if one.analytics is not None), None)

    @property
    def _responses(self) -> list[LocationResponse]:
        return [*self.executed, *self.prefetched]

    def __bool__(self) -> bool:
        return any(one.options for one in self._responses)

    def __repr__(self) -> str:
        return f"LocationOffers({self.name!r}, {len(self.options)} options)"


class OfferReader:
    """Reader of the locations of a response."""

    __slots__ = ("_executed", "_prefetched")

    def __init__(self, response: DeliveryResponse | None) -> None:
        response = response or DeliveryResponse()
        self._executed = response.execute or ExecuteResponse()
        self._prefetched = response.prefetch or PrefetchResponse()

    def mbox(self, name: str, index: int | None) -> LocationOffers:
        """Return the offers of the mboxes of a name, or of the one with an index."""
        executed = [one for one in self._executed.mboxes or () if one.name == name]
        prefetched = [one for one in self._prefetched.mboxes or () if one.name == name]
        if index is not None:
            executed = [one for one in executed if one.index == index]
            prefetched = [one for one in prefetched if one.index == index]
        return LocationOffers(name, executed, prefetched)

    def mboxes(self) -> list[LocationOffers]:
        """Return the offers of each mbox name, executed before prefetched."""
        responses = [*(self._executed.mboxes or ()), *(self._prefetched.mboxes or ())]
        return [self.mbox(name, None) for name in dict.fromkeys(one.name for one in responses) if name]

    def page_load(self) -> LocationOffers:
        """Return the offers of the page load."""
        executed, prefetched = self._executed.page_load, self._prefetched.page_load
        return LocationOffers(
            None, [] if executed is None else [executed], [] if prefetched is None else [prefetched]
        )

    def view(self, name: str) -> LocationOffers:
        """Return the offers of a view; views are prefetched only."""
        views = [one for one in self._prefetched.views or () if one.name == name]
        return LocationOffers(name, prefetched=views)

    def views(self) -> list[LocationOffers]:
        """Return the offers of each view."""
        names = dict.fromkeys(one.name for one in self._prefetched.views or ())
        return [self.view(name) for name in names if name]


def _options_of(responses: Iterable[LocationResponse]) -> list[Option]:
    return [option for one in responses for option in one.options or ()]
