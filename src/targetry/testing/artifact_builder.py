"""Builder of rule artifacts for tests: activities, audiences, experiences and offers.

    document = artifact(
        activity("Hero").ab(A=70, B=30).on("hero", A="<b>a</b>", B={"title": "b"}).click(),
        activity("Gold").xt().when(plan="gold", country="DE").on("hero", "<b>gold</b>"),
    )

The same calls give the same document, to the byte.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from enum import Enum
from functools import partial
from typing import Any, Final, Self

import msgspec
from msgspec import UNSET

from targetry.activities.compile.activity_set import ActivitySet
from targetry.activities.compile.compiler import compile_activities
from targetry.activities.model.definitions import (
    RESPONSE_TOKENS,
    ActivityDefinition,
    ExperienceDefinition,
    MetricDefinition,
    OfferDefinition,
    Places,
    WorkspaceSettings,
)
from targetry.device.artifact import DEFAULT_GLOBAL_MBOX

ParameterValue = str | float | bool
"""Value of an mbox parameter; numbers are compared as JavaScript compares them with text."""


class DefaultContent(Enum):
    """Offer of an experience that shows the page's own content."""

    DEFAULT = "default"


DEFAULT: Final = DefaultContent.DEFAULT

_FIRST_ID: Final = 1000
_GENERATED_AT: Final = "2026-01-01T00:00:00.000Z"
_BROWSERS: Final = {
    name: name for name in ("chrome", "edge", "firefox", "ie", "mobile safari", "safari", "unknown")
}
_PLATFORMS: Final = {
    name.lower(): name for name in ("Android", "iOS", "linux", "mac", "Unix", "unknown", "windows")
}


class _Offers(msgspec.Struct, frozen=True):
    """Offers of one location, by experience."""

    kind: str  # "mboxes" or "views", as in the artifact
    location: str
    by_experience: dict[str, Any]


class _Metric(msgspec.Struct, frozen=True):
    type: str
    selector: str | None
    token: str | None


class ActivityBuilder:
    """Activity of an artifact; each method returns the builder itself."""

    def __init__(self, name: str, *, id: int | None = None, property: str | None = None) -> None:
        """Use `activity`."""
        if not name:
            raise ValueError("activity: the name is empty; give one")
        self._name = name
        self._id = id
        self._property = property
        self._type = "landing"
        self._shares: dict[str, Decimal] = {}
        self._conditions: list[Any] = []
        self._offers: list[_Offers] = []
        self._metrics: list[_Metric] = []
        self._priority = 0

    def ab(self, **shares: float) -> Self:
        """Split visitors among experiences.

        Args:
            shares: The percentage of each experience, in their order; together 100.

        Raises:
            ValueError: The percentages do not add up to 100, or the activity has experiences.
        """
        self._check_experiences()
        self._type = "ab"
        self._shares = {name: Decimal(str(share)) for name, share in shares.items()}
        negative = [name for name, share in self._shares.items() if not share >= 0]
        if negative:
            raise ValueError(f"activity {self._name!r}: the share of {negative[0]} is not a percentage")
        if sum(self._shares.values()) != 100:
            raise ValueError(
                f"activity {self._name!r}: the shares add up to {sum(self._shares.values())} %; they must be 100 %"
            )
        return self

    def xt(self, experience: str = "Experience A") -> Self:
        """Show one experience to all visitors of the audience.

        Args:
            experience: Its name.

        Raises:
            ValueError: The activity has experiences already.
        """
        self._check_experiences()
        self._shares = {experience: Decimal(100)}
        return self

    def when(
        self,
        *,
        browser: str | Sequence[str] = (),
        platform: str | Sequence[str] = (),
        country: str | Sequence[str] = (),
        region: str | Sequence[str] = (),
        city: str | Sequence[str] = (),
        url: str | Sequence[str] = (),
        url_contains: str | Sequence[str] = (),
        domain: str | Sequence[str] = (),
        from_: datetime | None = None,
        to: datetime | None = None,
        parameters: Mapping[str, ParameterValue | Sequence[ParameterValue]] | None = None,
        **named: ParameterValue | Sequence[ParameterValue],
    ) -> Self:
        """Restrict the activity to an audience. All conditions must hold; of a list, any value.

        Args:
            browser: `chrome`, `edge`, `firefox`, `ie`, `mobile safari`, `safari` or `unknown`.
            platform: `Android`, `iOS`, `linux`, `mac`, `Unix`, `windows` or `unknown`.
            country: Country codes of the visitor's place.
            region: Region codes of it.
            city: Cities.
            url: Whole URLs of the page, in any case.
            url_contains: Parts of it, in any case.
            domain: Domains of the page, in any case.
            from_: First moment, with a time zone.
            to: Last moment, with a time zone.
            parameters: Mbox parameters by names that no keyword can have.
            named: Mbox parameters.

        Raises:
            ValueError: A browser or a platform that no visitor has, a time without a time zone, or
                no condition.
        """
        count = len(self._conditions)
        self._any(browser, lambda name: _equal("user.browserType", self._known("browser", _BROWSERS, name)))
        self._any(platform, lambda name: _equal("user.platform", self._known("platform", _PLATFORMS, name)))
        self._any(country, lambda code: _equal("geo.country", code.upper()))
        self._any(region, lambda code: _equal("geo.region", code.upper()))
        self._any(city, lambda name: _equal("geo.city", name.upper()))
        self._any(url, lambda text: _equal("page.url_lc", text.lower()))
        self._any(url_contains, lambda text: {"in": [text.lower(), {"var": "page.url_lc"}]})
        self._any(domain, lambda name: _equal("page.domain_lc", name.lower()))
        if from_ is not None or to is not None:
            self._conditions.append(self._period(from_, to))
        for name, value in [*(parameters or {}).items(), *named.items()]:
            self._any(value, partial(_parameter, name))
        if len(self._conditions) == count:
            raise ValueError(f"activity {self._name!r}: when() has no condition; name at least one")
        return self

    def when_logic(self, condition: Mapping[str, Any] | bool) -> Self:
        """Restrict the activity by JSON Logic, as the artifact has it."""
        self._conditions.append(_json(condition, f"activity {self._name!r}: when_logic"))
        return self

    def on(self, mbox: str, content: Any = None, **by_experience: Any) -> Self:
        """Show offers in an mbox.

        Args:
            mbox: Its name.
            content: The offer of all experiences without one of their own: text for HTML, any other
                JSON value, or `DEFAULT`.
            by_experience: Offers by names of experiences.

        Raises:
            ValueError: An experience without an offer, or content that is no JSON.
            TypeError: An experience that the activity does not have.
        """
        return self._on("mboxes", mbox, content, by_experience)

    def on_view(self, view: str, content: Any = None, **by_experience: Any) -> Self:
        """Show offers in a view of a single page application; otherwise as `on`."""
        return self._on("views", view, content, by_experience)

    def on_page(self, content: Any = None, **by_experience: Any) -> Self:
        """Show offers at page load, which is the global mbox; otherwise as `on`."""
        return self._on("mboxes", "", content, by_experience)

    def click(self, token: str | None = None, *, selector: str | None = None) -> Self:
        """Count clicks.

        Args:
            token: Event token of all experiences; by default each has its own.
            selector: CSS selector of the element.
        """
        return self.metric("click", token, selector=selector)

    def metric(self, type: str, token: str | None = None, *, selector: str | None = None) -> Self:
        """Add a metric of a type such as `click` or `display`; otherwise as `click`."""
        self._metrics.append(_Metric(type, selector, token))
        return self

    def priority(self, value: int) -> Self:
        """Set the order among activities of a location: the highest first, then as listed."""
        self._priority = value
        return self

    def _check_experiences(self) -> None:
        if self._shares:
            raise ValueError(f"activity {self._name!r}: experiences are given twice; call ab() or xt() once")

    def _any(self, given: Any, condition: Callable[[Any], Any]) -> None:
        is_list = isinstance(given, Sequence) and not isinstance(given, str)
        values = list(given) if is_list else [given]
        if values:
            self._conditions.append(_joined("or", [condition(value) for value in values]))

    def _known(self, kind: str, names: Mapping[str, str], value: str) -> str:
        try:
            return names[value.lower()]
        except KeyError:
            known = ", ".join(sorted(names.values()))
            raise ValueError(
                f"activity {self._name!r}: no visitor has the {kind} {value!r}; use one of {known}"
            ) from None

    def _period(self, from_: datetime | None, to: datetime | None) -> Any:
        ends: list[Any] = [{"var": "current_timestamp"}]
        if from_ is not None:
            ends.insert(0, self._epoch_ms("from_", from_))
        if to is not None:
            ends.append(self._epoch_ms("to", to))
        return {"<=": ends}

    def _epoch_ms(self, name: str, moment: datetime) -> int:
        if moment.tzinfo is None:
            raise ValueError(f"activity {self._name!r}: {name} has no time zone; add one, such as UTC")
        return round(moment.timestamp() * 1000)

    def _on(self, kind: str, location: str, content: Any, by_experience: dict[str, Any]) -> Self:
        if not self._shares:
            raise ValueError(f"activity {self._name!r}: it has no experiences; call ab() or xt() before")
        unknown = by_experience.keys() - self._shares.keys()
        if unknown:
            raise TypeError(f"activity {self._name!r}: it has no experience {min(unknown)!r}")
        offers = {}
        for experience in self._shares:
            offer = by_experience.get(experience, content)
            if offer is None:
                raise ValueError(
                    f"activity {self._name!r}: experience {experience!r} has no offer; give one, or DEFAULT"
                )
            offers[experience] = offer if offer is DEFAULT else _json(offer, f"the offer of {experience!r}")
        self._offers.append(_Offers(kind, location, offers))
        return self

    def _definition(
        self, id: int, order: int, contents: dict[str, str], global_mbox: str
    ) -> ActivityDefinition:
        """Return the activity; its JSON offers are added to `contents`."""
        if not self._offers:
            raise ValueError(f"activity {self._name!r}: it has no offers; call on(), on_view() or on_page()")
        is_split, start = self._type == "ab", Decimal(0)
        experiences = []
        for number, (name, share) in enumerate(self._shares.items()):
            window, start = (float(start), float(start + share)), start + share
            experiences.append(
                ExperienceDefinition(
                    key=name,
                    windows=([window] if share else []) if is_split else None,
                    offers=[
                        self._offer(id, number, name, place, contents, global_mbox)
                        for place in range(len(self._offers))
                    ],
                )
            )
        return ActivityDefinition(
            key=str(id),
            id=id,
            name=self._name,
            type="ab" if is_split else "xt",
            priority=order,
            audience=[f"{id}/{number}" for number in range(len(self._conditions))],
            properties=None if self._property is None else [self._property],
            metrics=[
                MetricDefinition(type=one.type, selector=one.selector, token=one.token, key=str(index))
                for index, one in enumerate(self._metrics)
            ],
            experiences=experiences,
        )

    def _offer(
        self, id: int, number: int, experience: str, place: int, contents: dict[str, str], global_mbox: str
    ) -> OfferDefinition:
        offers = self._offers[place]
        content = offers.by_experience[experience]
        location = offers.location or global_mbox
        is_html = isinstance(content, str)
        file = f"{id}/{number}/{place}"
        if content is not DEFAULT and not is_html:
            contents[file] = msgspec.json.encode(content).decode()
        return OfferDefinition(
            mbox=location if offers.kind == "mboxes" else None,
            view=location if offers.kind == "views" else None,
            location_id=place,
            html=content if is_html else UNSET,
            json=UNSET if is_html or content is DEFAULT else {"file": file},
            id=id * 100 + number,
            name=f"/{self._name}/{experience}/{location}",
            option_id=number + 2,
            option_name=f"Offer{number + 2}",
            rule_key=str(id),
        )


def activity(name: str, id: int | None = None, property: str | None = None) -> ActivityBuilder:
    """Start an activity.

    Args:
        name: Its name.
        id: Its id; by default they count from 1000 in the order of `artifact`.
        property: Token of the property that it is restricted to.
    """
    return ActivityBuilder(name, id=id, property=property)


def artifact(
    *activities: ActivityBuilder,
    client: str = "acme",
    remote: Iterable[str] = (),
    remote_views: Iterable[str] = (),
    geo: bool | None = None,
    response_tokens: Iterable[str] = RESPONSE_TOKENS,
    environment: str = "production",
    global_mbox: str = DEFAULT_GLOBAL_MBOX,
) -> dict[str, Any]:
    """Return the rule artifact of activities, for `artifact_payload` or a file.

    Args:
        activities: In the order in which they are tried at a location.
        client: Client code.
        remote: Mboxes that only the Delivery API can decide.
        remote_views: Views of that kind.
        geo: Whether places of IP addresses are looked up; by default where an audience names one.
        response_tokens: Names of the response tokens.
        environment: Target's environment.
        global_mbox: Name of the mbox of page load.

    Raises:
        ValueError: An activity without offers, two of one id, or a share that is too small.
    """
    taken = {one._id for one in activities if one._id is not None}
    free = (id for id in range(_FIRST_ID, _FIRST_ID + 2 * len(activities) + 1) if id not in taken)
    ids: list[int] = [next(free) if one._id is None else one._id for one in activities]
    if len(set(ids)) != len(ids):
        raise ValueError("artifact: two activities have one id; give each its own")
    contents: dict[str, str] = {}
    ordered = sorted(zip(ids, activities, strict=True), key=lambda pair: -pair[1]._priority)
    compilation = compile_activities(
        ActivitySet(
            WorkspaceSettings(
                client=client,
                environments={environment: None},
                global_mbox=global_mbox,
                geo="auto" if geo is None else geo,
                response_tokens=list(response_tokens),
                properties={one._property: one._property for one in activities if one._property is not None},
                remote=Places(mboxes=list(remote), views=list(remote_views)),
            ),
            [one._definition(id, -place, contents, global_mbox) for place, (id, one) in enumerate(ordered)],
            texts=contents,
            conditions={
                f"{id}/{number}": condition
                for id, one in ordered
                for number, condition in enumerate(one._conditions)
            },
        ),
        generated_at=_GENERATED_AT,
    )
    if compilation.findings:
        raise ValueError(f"artifact: {compilation.findings[0].message}")
    return compilation.artifacts[environment]


def _joined(operator: str, conditions: list[Any]) -> Any:
    if len(conditions) < 2:
        return conditions[0] if conditions else True
    return {operator: conditions}


def _equal(fact: str, value: Any) -> Any:
    return {"==": [value, {"var": fact}]}


def _parameter(name: str, value: ParameterValue) -> Any:
    fact = f"mbox.{name}"
    if isinstance(value, bool):  # JavaScript does not equate a boolean with its text
        return {"or": [_equal(fact, value), _equal(fact, str(value).lower())]}
    return _equal(fact, value)


def _json(value: Any, what: str) -> Any:
    """Return a copy of a JSON value."""
    try:
        return msgspec.json.decode(msgspec.json.encode(value))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{what} is not JSON: {error}") from error
