"""Segments of visitors: facts of a request that an edge records with impressions.

Only the facts that the operator names are recorded. Their values are bounded in length and number,
so that a parameter with a value for each visitor does not fill the ledger.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from targetry.device.logic.facts import geo_facts
from targetry.device.logic.user_agent import UserAgentInfo, parse_user_agent
from targetry.errors import OptionError
from targetry.ledger.event import MAX_FACT_LENGTH, MAX_FACTS
from targetry.models import DeliveryRequest
from targetry.models.context import ClientHints, Context

MAX_VALUES: Final = 50
OTHER: Final = "other"
"""Value that stands for all values of a segment beyond the first `MAX_VALUES`."""

_PROPERTY: Final = "property"
_PARAMETER: Final = re.compile(r"(mbox|profile)\.[\w.-]{1,100}")
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]+")
_TABLET: Final = re.compile(r"iPad|Tablet|Android(?!.*Mobile)", re.DOTALL)
_MOBILE: Final = re.compile(r"Mobi|iPhone|iPod")


class SegmentReader:
    """Reads the facts that name a visitor's segments from requests.

    Args:
        names: `browser`, `platform`, `device`, `country`, `region`, `city`, `property` (the token
            of the property), `mbox.<parameter>` or `profile.<parameter>`.

    Raises:
        OptionError: A name is unknown, or there are too many.
    """

    def __init__(self, names: Sequence[str]) -> None:
        for position, name in enumerate(names):
            if name not in (*_BUILT_IN, _PROPERTY) and not _PARAMETER.fullmatch(name):
                raise OptionError(
                    f"segments[{position}]",
                    f"must be {', '.join(_BUILT_IN)}, {_PROPERTY}, mbox.<parameter> or profile.<parameter>, not {name!r}",
                )
        if len(names) > MAX_FACTS:
            raise OptionError("segments", f"must have at most {MAX_FACTS} names, not {len(names)}")
        self._names = tuple(dict.fromkeys(names))
        self._values: dict[str, set[str]] = {name: set() for name in self._names}

    @property
    def needs_location(self) -> bool:
        """Whether a fact is part of the visitor's geo location."""
        return not _PLACES.isdisjoint(self._names)

    def facts(self, request: DeliveryRequest) -> dict[str, str] | None:
        """Return the facts of a request that are known, None without any."""
        context = request.context or _NO_CONTEXT
        found = {}
        for name in self._names:
            read = _BUILT_IN.get(name)
            if read is not None:
                value = read(context)
            elif name == _PROPERTY:
                value = (request._property and request._property.token) or ""
            else:
                value = _parameter(request, *name.split(".", 1))
            if value:
                found[name] = self._bounded(name, value)
        return found or None

    def _bounded(self, name: str, value: str) -> str:
        text = _UNPRINTABLE.sub(" ", value)[:MAX_FACT_LENGTH]
        known = self._values[name]
        if text not in known:
            if len(known) >= MAX_VALUES:
                return OTHER
            known.add(text)
        return text


_NO_CONTEXT: Final = Context()
_NO_HINTS: Final = ClientHints()


def _browser(context: Context) -> str:
    return _user(context).browser


def _platform(context: Context) -> str:
    return _user(context).platform


def _user(context: Context) -> UserAgentInfo:
    hints = context.client_hints or _NO_HINTS
    return parse_user_agent(
        context.user_agent,
        hints.platform,
        hints.browser_ua_with_full_version,
        hints.browser_ua_with_major_version,
    )


def _device(context: Context) -> str:
    agent = context.user_agent or ""
    if _TABLET.search(agent):
        return "tablet"
    hints = context.client_hints
    if (hints is not None and hints.mobile) or _MOBILE.search(agent):
        return "mobile"
    return "desktop" if agent or hints is not None else ""


def _place(name: str) -> Callable[[Context], str]:
    def read(context: Context) -> str:
        return str(geo_facts(context.geo).get(name, ""))

    return read


_PLACES: Final = frozenset({"country", "region", "city"})
_BUILT_IN: Final[dict[str, Callable[[Context], str]]] = {
    "browser": _browser,
    "platform": _platform,
    "device": _device,
    **{name: _place(name) for name in ("country", "region", "city")},
}


def _parameter(request: DeliveryRequest, kind: str, name: str) -> str:
    """Return a parameter of the first location of a request that has it, empty if none does."""
    for details in _locations(request):
        parameters = details.parameters if kind == "mbox" else details.profile_parameters
        if parameters and (value := parameters.get(name)) is not None:
            return str(value)
    return ""


def _locations(request: DeliveryRequest) -> Iterator[Any]:
    for part in (request.execute, request.prefetch):
        if part is not None:
            yield from part.mboxes or ()
            if part.page_load is not None:
                yield part.page_load
    if request.prefetch is not None:
        yield from request.prefetch.views or ()
    yield from request.notifications or ()
