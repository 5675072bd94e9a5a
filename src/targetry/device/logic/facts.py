"""What rules may ask about a request, computed when the first rule asks (spec/decisioning.md §4).

`RequestFacts` are the same for every location of a request: the clock, the browser, the place, the visitor's
allocation in each activity. `Facts` belong to one location (mbox, view, pageLoad) and add its address
and parameters; compiled conditions read them by attribute.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar, overload

import msgspec

from targetry.device.logic.allocation import bucket
from targetry.device.logic.javascript import EvaluationError
from targetry.device.logic.url import UrlParts, parse_url
from targetry.device.logic.user_agent import UserAgentInfo, parse_user_agent
from targetry.models import Context, Geo, MboxRequest, RequestDetails, ViewRequest, VisitorId

Details = MboxRequest | ViewRequest | RequestDetails

_WORK_PER_LOCATION = 200_000  # steps of loops; a condition of a real artifact takes none
_WORK_PER_REQUEST = 1_000_000  # of all locations together
_DAY = 86_400_000
_EPOCH_WEEKDAY = 3  # 1970-01-01 was a Thursday, the fourth day of an ISO week

T = TypeVar("T")

LOCALE = "en"


class Lazy(Generic[T]):
    """A fact that is computed once, when asked for; no lock, as two threads never share a request's facts."""

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self._compute = compute

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Lazy[T]: ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object | None, owner: type) -> T | Lazy[T]:
        if instance is None:
            return self
        value = self._compute(instance)
        setattr(instance, self._name, value)  # by way of `__dict__` it would cost more
        return value


class RuleFailure(NamedTuple):
    """A rule of an activity that could not be evaluated, and so was skipped (D-18)."""

    activity_id: str
    error: Exception

    @property
    def reason(self) -> str:
        """Why, without a visitor's data: messages of errors other than ours may quote it."""
        return str(self.error) if isinstance(self.error, EvaluationError) else type(self.error).__name__


class RequestFacts(msgspec.Struct, dict=True, eq=False):
    """The facts that all locations of one request share.

    `client_code` and `visitor` are parts of the bucketing key, `now_ms` is the clock to decide by. `failures` collects
    what went wrong with rules, `allocations` keeps those that were asked for by activity.
    """

    context: Context
    visitor: str
    client_code: str
    now_ms: int
    failures: list[RuleFailure] = []
    allocations: dict[str, float] = {}
    work_left: int = _WORK_PER_REQUEST

    def record_failure(self, activity_id: str, error: Exception) -> None:
        """Note what went wrong with a rule; without the traceback, which holds all that the decision held."""
        self.failures.append(RuleFailure(activity_id, error.with_traceback(None)))

    def allocation(self, activity_id: str) -> float:
        """Where the visitor falls in an activity, 0.00 to 99.99."""
        value = self.allocations.get(activity_id)
        if value is None:
            value = self.allocations[activity_id] = bucket(self.client_code, activity_id, self.visitor) / 100
        return value

    @Lazy
    def user(self) -> UserAgentInfo:
        context = self.context
        hints = context.client_hints
        if hints is None:
            return parse_user_agent(context.user_agent)
        return parse_user_agent(
            context.user_agent,
            hints.platform,
            hints.browser_ua_with_full_version,
            hints.browser_ua_with_major_version,
        )

    @Lazy
    def geo(self) -> dict[str, Any]:
        return geo_facts(self.context.geo)

    @Lazy
    def page(self) -> UrlParts:
        address = self.context.address
        return parse_url(address.url if address is not None else None)

    @Lazy
    def referring(self) -> UrlParts:
        address = self.context.address
        return parse_url(address.referring_url if address is not None else None)

    @Lazy
    def current_time(self) -> str:
        """`HHmm`, UTC."""
        minutes = self.now_ms // 60_000 % 1440
        return f"{minutes // 60:02d}{minutes % 60:02d}"

    @Lazy
    def current_day(self) -> int:
        """ISO weekday, UTC: 1 is Monday."""
        return (self.now_ms // _DAY + _EPOCH_WEEKDAY) % 7 + 1


class Facts(msgspec.Struct, dict=True, eq=False):
    """The facts of one location of a request; `name` is the mbox's, the global mbox's for a pageLoad.

    `answers`: what each audience met so far has answered here, as activities share them.
    """

    request: RequestFacts
    details: Details
    name: str | None
    answers: dict[Any, bool] = {}
    work_left: int = _WORK_PER_LOCATION

    def spend(self, steps: int) -> None:
        """Pay for the work of a loop; raises `EvaluationError` when the location's or the request's share is used up."""
        self.work_left -= steps
        self.request.work_left -= steps
        if self.work_left < 0 or self.request.work_left < 0:
            raise EvaluationError("more work than a decision may cost")

    @Lazy
    def page(self) -> UrlParts:
        address = self.details.address
        return self.request.page if address is None else parse_url(address.url)

    @Lazy
    def referring(self) -> UrlParts:
        address = self.details.address
        if address is None or address.referring_url is None:  # D-17
            return self.request.referring
        return parse_url(address.referring_url)

    @Lazy
    def mbox(self) -> dict[str, Any]:
        return parameter_facts(self.details.parameters or {})

    def as_dict(self, allocation: float | None) -> dict[str, Any]:
        """The rule context as a whole: the data of a `var` without a known path, and a part of the trace."""
        request, user = self.request, self.request.user
        context: dict[str, Any] = {
            "current_timestamp": request.now_ms,
            "current_time": request.current_time,
            "current_day": request.current_day,
            "user": {
                "browserType": user.browser,
                "platform": user.platform,
                "locale": LOCALE,
                "browserVersion": user.version,
            },
            "page": self.page.as_dict(),
            "referring": self.referring.as_dict(),
            "geo": dict(request.geo),
            "mbox": _copied(self.mbox),
        }
        if allocation is not None:
            context["allocation"] = allocation
        return context


def bucketing_id(visitor_id: VisitorId | None) -> str:
    """The id that a visitor is bucketed by: ECID, tntId without its location suffix, third-party id (§6)."""
    if visitor_id is None:
        return ""
    if visitor_id.marketing_cloud_visitor_id:
        return visitor_id.marketing_cloud_visitor_id
    tnt_id = visitor_id.tnt_id
    if tnt_id and (bare := tnt_id.partition(".")[0]):
        return bare
    return visitor_id.third_party_id or ""


def geo_facts(geo: Geo | None) -> dict[str, Any]:
    """The place as rules name it: country, region and city in capitals, as in artifacts (D-14)."""
    if geo is None:
        return {}
    facts: dict[str, Any] = {}
    for name, value in (("country", geo.country_code), ("region", geo.state_code), ("city", geo.city)):
        if value is not None:
            facts[name] = value.upper()
    if geo.latitude is not None:
        facts["latitude"] = geo.latitude
    if geo.longitude is not None:
        facts["longitude"] = geo.longitude
    return facts


def parameter_facts(parameters: dict[str, Any]) -> dict[str, Any]:
    """Parameters as rules name them (§4.3): dotted names nested, each text with a lower-case twin `_lc`."""
    facts = parameters.copy()
    for name in parameters:
        if "." in name:
            return _nested_facts(parameters)
        value = facts[name]  # which may be a twin by now: a name that ends in `_lc` is lower-cased once more
        if type(value) is str:
            facts[name + "_lc"] = value.lower()
    return facts


def _nested_facts(parameters: dict[str, Any]) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for name, value in parameters.items():
        if "." in name and _is_dotted(name):
            _nest(facts, name.split("."), value)
        elif type(facts.get(name)) is not dict:  # nested wins over a plain value of the same name (D-48)
            facts[name] = value
    _add_twins(facts)
    return facts


def _is_dotted(name: str) -> bool:
    return ".." not in name and name[0] != "." and name[-1] != "."


def _nest(facts: dict[str, Any], names: list[str], value: Any) -> None:
    for name in names[:-1]:
        inner = facts.get(name)
        if type(inner) is not dict:
            inner = facts[name] = {}
        facts = inner
    if type(facts.get(names[-1])) is not dict:
        facts[names[-1]] = value


def _add_twins(facts: dict[str, Any]) -> None:
    """Level by level, without recursion: a name may have thousands of dots."""
    levels = [facts]
    while levels:
        level = levels.pop()
        for name in list(level):
            value = level[name]  # or a twin, as above
            if type(value) is str:
                level[name + "_lc"] = value.lower()
            elif type(value) is dict:
                levels.append(value)


def _copied(facts: dict[str, Any]) -> dict[str, Any]:
    return {name: _copied(value) if type(value) is dict else value for name, value in facts.items()}
