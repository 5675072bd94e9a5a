"""Requests of single rows, for what columns cannot decide and for checks of a row."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from targetry.batch.engine.columns import DEGREES, IDS, PLACE_TEXTS
from targetry.batch.engine.locations import Requested
from targetry.batch.engine.rows import Rows
from targetry.device.logic.facts import Facts, RequestFacts, bucketing_id
from targetry.device.matching import all_matches, first_match
from targetry.device.ruleset import CompiledRule
from targetry.models import (
    Address,
    ChannelType,
    ClientHints,
    Context,
    DeliveryRequest,
    ExecuteRequest,
    Geo,
    MboxRequest,
    ModelProperty,
    PrefetchRequest,
    RequestDetails,
    ViewRequest,
    VisitorId,
)

Found = tuple[list[CompiledRule], bool]
"""The rules of a location that match, and whether a split without a visitor id ended it."""


class NoVisitorIdError(Exception):
    """A split needs the id of a visitor who has none."""


class _UnidentifiedFacts(RequestFacts):
    """Facts of a visitor without an id, whose allocation is unknown."""

    def allocate(self, activity_id: str) -> float:
        raise NoVisitorIdError


class RowRequests:
    """The rows of a batch as requests for all locations.

    Args:
        rows: The batch, which keeps this object and is not kept by it: a cycle would hold each
            batch until the garbage collector runs.
        requested: The locations.
        token: The property token of all rows, unless the table has a column of them.
        is_prefetch: The mode of mboxes and page load.
    """

    def __init__(
        self, rows: Rows, requested: Sequence[Requested], token: str | None, is_prefetch: bool
    ) -> None:
        self._rows = weakref.proxy(rows)
        self._requested = requested
        self._token = token
        self._is_prefetch = is_prefetch

    @cached_property
    def _values(self) -> dict[str, list[Any]]:
        rows = self._rows
        found: dict[str, list[Any]] = {}
        for role, position in rows.layout.roles.items():
            if role in DEGREES:
                column = rows.array(("number", role))
            elif role == "time":
                continue
            else:
                column = rows.batch.column(position)
            found[role] = column.to_pylist()
        return found

    @cached_property
    def _parameters(self) -> list[tuple[str, list[Any]]]:
        rows = self._rows
        return [(one.name, rows.parameter(one).to_pylist()) for one in rows.layout.parameters]

    @cached_property
    def _addresses(self) -> dict[str, list[Any]]:
        rows = self._rows
        return {name: rows.batch.column(place).to_pylist() for name, place in rows.layout.addresses.items()}

    @cached_property
    def tokens(self) -> list[str | None]:
        """The property token of each row."""
        position = self._rows.layout.property_token
        if position is None:
            return [self._token] * self._rows.count
        tokens: list[str | None] = self._rows.batch.column(position).to_pylist()
        return [token or self._token for token in tokens]

    def _value(self, role: str, row: int) -> Any:
        values = self._values.get(role)
        return None if values is None else values[row]

    def parameters(self, row: int) -> dict[str, Any]:
        """Return the parameters of a row; null is absent."""
        return {name: values[row] for name, values in self._parameters if values[row] is not None}

    def parameter_values(self, name: str) -> list[Any]:
        """Return the values of a parameter that the table has, in all rows."""
        return next(values for known, values in self._parameters if known == name)

    def geo(self, row: int) -> Geo | None:
        """Return the place of a row."""
        given = {role: self._value(role, row) for role in (*PLACE_TEXTS, *DEGREES)}
        return Geo(**given) if any(value is not None for value in given.values()) else None

    def details(self, requested: Requested, row: int) -> MboxRequest | ViewRequest | RequestDetails:
        """Return a location as a part of the request of a row."""
        own = self._addresses.get(requested.name) if requested.name is not None else None
        address = Address(url=own[row]) if own is not None and own[row] is not None else None
        parameters = self.parameters(row) or None
        if requested.kind == "mbox":
            return MboxRequest(
                index=requested.index, name=requested.name, parameters=parameters, address=address
            )
        if requested.kind == "view":
            return ViewRequest(name=requested.name, parameters=parameters, address=address)
        return RequestDetails(parameters=parameters, address=address)

    def request(self, row: int) -> DeliveryRequest:
        """Return the request of a row."""
        made: dict[str, list[Any]] = {"mbox": [], "view": [], "pageLoad": []}
        for one in self._requested:
            made[one.kind].append(self.details(one, row))
        page_load = next(iter(made["pageLoad"]), None)
        mboxes = made["mbox"] or None
        execute = prefetch = None
        if self._is_prefetch or made["view"]:
            prefetch = PrefetchRequest(views=made["view"] or None)
        if self._is_prefetch:
            assert prefetch is not None
            prefetch.mboxes, prefetch.page_load = mboxes, page_load
        elif mboxes or page_load is not None:
            execute = ExecuteRequest(mboxes=mboxes, page_load=page_load)
        token = self.tokens[row]
        return DeliveryRequest(
            id=VisitorId(**{role: self._value(role, row) for role in IDS}),
            context=self.context(row),
            _property=None if token is None else ModelProperty(token=token),
            execute=execute,
            prefetch=prefetch,
        )

    def context(self, row: int) -> Context:
        """Return the context of the request of a row."""
        hints = {
            "platform": self._value("client_hints_platform", row),
            "browser_ua_with_full_version": self._value("client_hints_full", row),
            "browser_ua_with_major_version": self._value("client_hints_major", row),
        }
        url, referring_url = self._value("url", row), self._value("referring_url", row)
        return Context(
            channel=ChannelType.WEB,
            address=Address(url=url, referring_url=referring_url),
            geo=self.geo(row),
            user_agent=self._value("user_agent", row),
            client_hints=ClientHints(**hints) if any(value is not None for value in hints.values()) else None,
        )

    def facts(self, row: int, client: str) -> RequestFacts:
        """Return the facts of the request of a row."""
        visitor = bucketing_id(VisitorId(**{role: self._value(role, row) for role in IDS}))
        kind = RequestFacts if visitor else _UnidentifiedFacts
        return kind(self.context(row), visitor, client, int(self._rows.now_ms[row]))

    def location_facts(self, row: int, requested: Requested, request: RequestFacts) -> Facts:
        """Return the facts of a location."""
        return Facts(request, self.details(requested, row), requested.facts_name)

    def decide(self, row: int, client: str, chosen: Sequence[Requested]) -> tuple[list[Found], RequestFacts]:
        """Return the matches of some locations by the scalar engine, and its facts."""
        request = self.facts(row, client)
        return [self._matches(row, one, request) for one in chosen], request

    def _matches(self, row: int, requested: Requested, request: RequestFacts) -> Found:
        runs = requested.location.runs(self.tokens[row])
        facts = self.location_facts(row, requested, request)
        found: list[CompiledRule] = []
        try:
            if requested.takes_all:
                for rule in all_matches(runs, facts):
                    found.append(rule)  # noqa: PERF402  the ones before an exception count
            elif (first := first_match(runs, facts)) is not None:
                found.append(first)
        except NoVisitorIdError:
            return found, True
        return found, False
