"""Facts of a request that conditions read, computed at the first access.

`RequestFacts` are shared by all locations of a request: the clock, the browser, the geo location,
the visitor's allocation in each activity. `Facts` belong to one location (mbox, view, page load)
and add its address and parameters. Compiled conditions read them as attributes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar, overload

import msgspec

from targetry.device.logic.allocation import bucket
from targetry.device.logic.javascript import EvaluationError
from targetry.device.logic.url import UrlParts, parse_url
from targetry.device.logic.user_agent import UserAgentInfo, parse_user_agent
from targetry.models import Context, Geo, MboxRequest, RequestDetails, ViewRequest, VisitorId

Details = MboxRequest | ViewRequest | RequestDetails

WORK_PER_LOCATION = 200_000  # steps of loops, which real artifacts hardly have
WORK_PER_REQUEST = 1_000_000  # of all locations together
TOO_MUCH_WORK = "more work than a decision may cost"
_DAY = 86_400_000
_EPOCH_WEEKDAY = 3  # 1970-01-01 was a Thursday, the fourth day of an ISO week

T = TypeVar("T")

LOCALE = "en"
_NO_CONTEXT = Context()
_NO_DETAILS = RequestDetails()


class Lazy(Generic[T]):
    """A fact that is computed at the first access.

    Without a lock, as one thread uses a request's facts.
    """

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
        setattr(instance, self._name, value)  # faster than through `__dict__`
        return value


class RuleFailure(NamedTuple):
    """A rule of an activity that was skipped because its condition could not be evaluated."""

    activity_id: str
    error: Exception

    @property
    def reason(self) -> str:
        """The cause without a visitor's data, which messages of other libraries can contain."""
        return str(self.error) if isinstance(self.error, EvaluationError) else type(self.error).__name__


def rule_failure(activity_id: str, error: Exception) -> RuleFailure:
    """Return the failure without the traceback, which refers to the whole decision."""
    return RuleFailure(activity_id, error.with_traceback(None))


class RequestFacts(msgspec.Struct, dict=True, eq=False):
    """The facts that all locations of one request share.

    `client_code` and `visitor` are parts of the bucketing key; `now_ms` is the time of the
    decision. `failures` collects rules that could not be evaluated, `allocations` caches the
    allocations by activity.
    """

    context: Context
    visitor: str
    client_code: str
    now_ms: int
    failures: list[RuleFailure] = []
    allocations: dict[str, float] = {}
    work_left: int = WORK_PER_REQUEST

    def allocation(self, activity_id: str) -> float:
        """Return the visitor's allocation in an activity, 0.00 to 99.99."""
        value = self.allocations.get(activity_id)
        return self.allocate(activity_id) if value is None else value

    def allocate(self, activity_id: str) -> float:
        """Compute the visitor's allocation in an activity that is not in `allocations`."""
        value = self.allocations[activity_id] = bucket(self.client_code, activity_id, self.visitor) / 100
        return value

    @Lazy
    def user(self) -> UserAgentInfo:
        """Return browser, version and platform, from the user agent and the client hints."""
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
        """Return the geo location as rules name its parts."""
        return geo_facts(self.context.geo)

    @Lazy
    def page(self) -> UrlParts:
        """Return the URL of the request's context."""
        address = self.context.address
        return parse_url(address.url if address is not None else None)

    @Lazy
    def referring(self) -> UrlParts:
        """Return the referring URL of the request's context."""
        address = self.context.address
        return parse_url(address.referring_url if address is not None else None)

    @Lazy
    def current_time(self) -> str:
        """`HHmm`, UTC."""
        return time_of_day(self.now_ms)

    @Lazy
    def current_day(self) -> int:
        """ISO weekday, UTC: 1 is Monday."""
        return weekday(self.now_ms)


class Facts(msgspec.Struct, dict=True, eq=False):
    """The facts of one location of a request; `name` is that of the mbox or view.

    A page load has the name of the global mbox.
    """

    request: RequestFacts
    details: Details
    name: str | None
    work_left: int = WORK_PER_LOCATION

    @property
    def now_ms(self) -> int:
        """Time of the decision, epoch milliseconds."""
        return self.request.now_ms

    @property
    def current_time(self) -> str:
        """`HHmm`, UTC."""
        return self.request.current_time

    @property
    def current_day(self) -> int:
        """ISO weekday, UTC: 1 is Monday."""
        return self.request.current_day

    @property
    def failures(self) -> Sequence[RuleFailure]:
        """Rules that could not be evaluated."""
        return self.request.failures

    def record_failure(self, activity_id: str, error: Exception) -> None:
        """Record a rule's failure."""
        self.request.failures.append(rule_failure(activity_id, error))

    def spend(self, steps: int) -> None:
        """Count steps of a loop.

        Raise `EvaluationError` beyond the limit of location or request.
        """
        self.work_left -= steps
        self.request.work_left -= steps
        if self.work_left < 0 or self.request.work_left < 0:
            raise EvaluationError(TOO_MUCH_WORK)

    @Lazy
    def page(self) -> UrlParts:
        """Return the URL of the location's address, else of the request's context."""
        address = self.details.address
        return self.request.page if address is None else parse_url(address.url)

    @Lazy
    def referring(self) -> UrlParts:
        """Return the referring URL of the location's address, else of the request's context."""
        address = self.details.address
        if address is None or address.referring_url is None:
            return self.request.referring
        return parse_url(address.referring_url)

    @Lazy
    def mbox(self) -> dict[str, Any]:
        """Return the location's parameters as rules name them."""
        return parameter_facts(self.details.parameters or {})

    def as_dict(self, allocation: float | None) -> dict[str, Any]:
        """Return the rule context.

        The data of a `var` with a computed path, and a part of a trace.
        """
        request, user = self.request, self.request.user
        context: dict[str, Any] = {
            "current_timestamp": self.now_ms,
            "current_time": self.current_time,
            "current_day": self.current_day,
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


def facts_of_values(now_ms: int, request: Mapping[str, Any], location: Mapping[str, Any]) -> Facts:
    """Return facts whose values are known, for conditions that read no others.

    Args:
        now_ms: Epoch, ms.
        request: Attributes of `RequestFacts`, such as `geo`.
        location: Attributes of `Facts`, such as `page`.
    """
    shared = RequestFacts(_NO_CONTEXT, "", "", now_ms)
    for name, value in request.items():
        setattr(shared, name, value)
    facts = Facts(shared, _NO_DETAILS, None)
    for name, value in location.items():
        setattr(facts, name, value)
    return facts


def time_of_day(now_ms: int) -> str:
    """Return the time of epoch milliseconds as `HHmm`, UTC."""
    minutes = now_ms // 60_000 % 1440
    return f"{minutes // 60:02d}{minutes % 60:02d}"


def weekday(now_ms: int) -> int:
    """Return the ISO weekday of epoch milliseconds, UTC: 1 is Monday."""
    return (now_ms // _DAY + _EPOCH_WEEKDAY) % 7 + 1


def bucketing_id(visitor_id: VisitorId | None) -> str:
    """Return the id for bucketing: ECID, tntId without its profile location, or third-party id."""
    if visitor_id is None:
        return ""
    if visitor_id.marketing_cloud_visitor_id:
        return visitor_id.marketing_cloud_visitor_id
    tnt_id = visitor_id.tnt_id
    if tnt_id and (bare := tnt_id.partition(".")[0]):
        return bare
    return visitor_id.third_party_id or ""


def geo_facts(geo: Geo | None) -> dict[str, Any]:
    """Return the geo location as rules name it, with country, region and city in capitals."""
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
    """Return parameters as rules name them.

    Dotted names become nested objects, and each text has a lower-case twin `<name>_lc`.
    """
    facts = parameters.copy()
    for name in parameters:
        if "." in name:
            return _nested_facts(parameters)
        value = facts[name]  # perhaps a twin already
        if type(value) is str:
            facts[name + "_lc"] = value.lower()
    return facts


def _nested_facts(parameters: dict[str, Any]) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for name, value in parameters.items():
        if "." in name and _is_dotted(name):
            _nest(facts, name.split("."), value)
        elif type(facts.get(name)) is not dict:  # nested objects win over plain values
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
    """Add lower-case twins level by level.

    Without recursion, as a name can have thousands of dots.
    """
    levels = [facts]
    while levels:
        level = levels.pop()
        for name in list(level):
            value = level[name]  # perhaps a twin already
            if type(value) is str:
                level[name + "_lc"] = value.lower()
            elif type(value) is dict:
                levels.append(value)


def _copied(facts: dict[str, Any]) -> dict[str, Any]:
    return {name: _copied(value) if type(value) is dict else value for name, value in facts.items()}
