"""Model of activities as code: workspace, activity, experience and offer.

The YAML files and the Python builder create the same structs. The descriptions of the fields are
those of the JSON Schema and of the reference page.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, get_args

import msgspec
from msgspec import UNSET, Meta, UnsetType

from targetry.device.artifact import DEFAULT_GLOBAL_MBOX

FORMAT_VERSION: Final = 1
RESPONSE_TOKENS: Final = (
    "activity.id",
    "activity.name",
    "experience.id",
    "experience.name",
    "offer.id",
    "offer.name",
    "option.id",
    "option.name",
)

Key = Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9-]*$", max_length=100)]
Percent = Annotated[float, Meta(ge=0, le=100)]
Id = Annotated[int, Meta(ge=0, le=2**53 - 1)]
Audiences = str | list[str]
Window = tuple[Percent, Percent]
MetricName = Literal["conversion", "orders", "revenue", "rpo"]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class _Part(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Base of all parts of the files."""


class FileReference(_Part, frozen=True, kw_only=True):
    """Content that a file of the folder holds."""

    file: Annotated[str, Meta(description="Path of the file, relative to the folder of the activities.")]


class Environment(_Part, frozen=True, kw_only=True):
    """Environment, for which one artifact is compiled."""

    only: Annotated[
        list[Key] | None, Meta(description="Keys of the only activities of this environment.")
    ] = None
    except_: Annotated[
        list[Key], Meta(description="Keys of activities that this environment does not have.")
    ] = msgspec.field(default=[], name="except")
    properties: Annotated[
        dict[str, str], Meta(description="Tokens of properties that differ in this environment, by name.")
    ] = {}


class AudienceDefinition(_Part, frozen=True, kw_only=True):
    """Named audience with an id."""

    where: Annotated[str, Meta(description="Expression.")]
    id: Annotated[Id | None, Meta(description="Id in `audience.ids`. Default: derived from the name.")] = None
    description: Annotated[str, Meta(description="Text for readers of the file.")] = ""


class Member(_Part, frozen=True, kw_only=True):
    """Member of a group."""

    activity: Annotated[Key, Meta(description="Key of the activity.")]
    share: Annotated[Percent, Meta(description="Percentage of all visitors that can see the activity.")]


class GroupDefinition(_Part, frozen=True, kw_only=True):
    """Mutually exclusive activities: a visitor sees at most one of them."""

    members: Annotated[list[Member], Meta(description="The activities, with their shares of the visitors.")]
    id: Annotated[
        Id | None, Meta(description="Activity id of all members. Default: derived from the name.")
    ] = None
    holdout: Annotated[
        Percent, Meta(description="Percentage of visitors who see none of the activities.")
    ] = 0
    record_holdout: Annotated[
        bool,
        Meta(
            description="Whether visitors of the holdout get default content with an event token, so that reports have a row for them."
        ),
    ] = False


class Places(_Part, frozen=True, kw_only=True):
    """Names of locations."""

    mboxes: Annotated[list[str], Meta(description="Names of mboxes.")] = []
    views: Annotated[list[str], Meta(description="Names of views.")] = []


class MetricDefinition(_Part, frozen=True, kw_only=True):
    """Metric of an activity."""

    type: Annotated[str, Meta(description="`click` or `display`.")]
    selector: Annotated[str | None, Meta(description="CSS selector of the element.")] = None
    key: Annotated[
        str | None, Meta(description="Name that distinguishes metrics of equal type and selector.")
    ] = None
    token: Annotated[
        str | None, Meta(description="Event token. Default: derived, one for each experience.")
    ] = None


class PlanDefinition(_Part, frozen=True, kw_only=True):
    """Plan of a test, for its reports."""

    visitors: Annotated[
        Annotated[int, Meta(ge=100, le=2**53 - 1)],
        Meta(
            description="Planned number of visitors of an activity, at which the intervals are tightest. Choose it before the test; `targetry power` computes it."
        ),
    ]


class MetricSettings(_Part, frozen=True, kw_only=True):
    """Settings of a metric of reports."""

    primary: Annotated[
        bool,
        Meta(
            description="Whether it decides activities without a `primary_metric`; at most one does. Default: conversion."
        ),
    ] = False


class AmountSettings(MetricSettings, frozen=True, kw_only=True):
    """Settings of a metric of amounts."""

    cap: Annotated[
        Annotated[float, Meta(gt=0)] | None,
        Meta(description="Amount up to which a visitor's revenue counts. Choose it before the test."),
    ] = None


class ReportMetrics(_Part, frozen=True, kw_only=True):
    """Settings of the metrics of reports."""

    conversion: Annotated[MetricSettings, Meta(description="Conversion rate.")] = MetricSettings()
    orders: Annotated[MetricSettings, Meta(description="Orders per visitor.")] = MetricSettings()
    revenue: Annotated[
        AmountSettings, Meta(description="Revenue per visitor. Its cap is that of revenue per order, too.")
    ] = AmountSettings()
    rpo: Annotated[MetricSettings, Meta(description="Revenue per order.")] = MetricSettings()

    @property
    def primary(self) -> list[MetricName]:
        """The metrics that are marked as primary; at most one is right."""
        return [name for name in get_args(MetricName) if getattr(self, name).primary]


class GuardrailDefinition(_Part, frozen=True, kw_only=True):
    """Metric that no experience must harm."""

    metric: Annotated[MetricName, Meta(description="The metric; `rpo` is revenue per order.")]
    margin: Annotated[
        str,
        Meta(
            pattern=r"^(?!0+(\.0+)?%)[0-9]{1,2}(\.[0-9]+)?%$",
            examples=["2%"],
            description="Percentage by which an experience may lower it at most.",
        ),
    ]

    @property
    def part(self) -> float:
        """The margin as a fraction: 0.02 for `2%`."""
        return float(self.margin.removesuffix("%")) / 100


class Defaults(_Part, frozen=True, kw_only=True):
    """Values for activities that do not have their own."""

    metrics: Annotated[list[MetricDefinition], Meta(description="Metrics.")] = []
    properties: Annotated[list[str] | None, Meta(description="Names or tokens of properties.")] = None
    priority: Annotated[int, Meta(ge=0, le=999, description="Priority.")] = 0


class Verbatim(_Part, frozen=True, kw_only=True):
    """Rules of one location in the artifact's own form."""

    kind: Annotated[Literal["mboxes", "views"], Meta(description="Kind of the location.")]
    name: Annotated[str, Meta(description="Name of the location.")]
    rules: Annotated[
        list[Any],
        Meta(description="The rules. They are tried after those of the activities at the location."),
    ]


class WorkspaceSettings(_Part, frozen=True, kw_only=True):
    """File `targetry.yaml`: what all activities share."""

    client: Annotated[
        str,
        Meta(
            min_length=1,
            description="Client code. Allocations, derived ids and tokens depend on it.",
        ),
    ]
    targetry: Annotated[Literal[1], Meta(description="Version of the file format.")] = 1
    environments: Annotated[
        dict[str, Environment | None],
        Meta(description="Environments by name. Default: `production`, with all activities."),
    ] = {}
    global_mbox: Annotated[str, Meta(description="Name of the mbox of page load.")] = DEFAULT_GLOBAL_MBOX
    geo: Annotated[
        Literal["auto"] | bool,
        Meta(description="Whether places of IP addresses are looked up; `auto`: if an audience names one."),
    ] = "auto"
    response_tokens: Annotated[list[str], Meta(description="Names of the response tokens.")] = msgspec.field(
        default_factory=lambda: list(RESPONSE_TOKENS)
    )
    properties: Annotated[
        dict[str, str], Meta(description="Tokens of properties by the names that activities use.")
    ] = {}
    audiences: Annotated[
        dict[str, str | AudienceDefinition],
        Meta(description="Named audiences, as expressions or with an id."),
    ] = {}
    groups: Annotated[
        dict[Key, GroupDefinition], Meta(description="Mutually exclusive activities by name.")
    ] = {}
    remote: Annotated[Places, Meta(description="Locations that only the Delivery API can decide.")] = Places()
    local: Annotated[
        Places, Meta(description="Locations that are decided on device, besides those of the activities.")
    ] = Places()
    defaults: Annotated[Defaults, Meta(description="Values for activities without their own.")] = Defaults()
    plan: Annotated[
        PlanDefinition | None, Meta(description="Plan of activities without their own, for reports.")
    ] = None
    metrics: Annotated[ReportMetrics, Meta(description="Metrics of reports.")] = ReportMetrics()
    guardrails: Annotated[
        list[GuardrailDefinition],
        Meta(description="Guardrails of activities without their own, for reports."),
    ] = []
    verbatim: Annotated[
        list[Verbatim], Meta(description="Locations whose rules are kept in the artifact's form.")
    ] = []
    artifact: Annotated[
        dict[str, Any],
        Meta(description="Other fields of the artifact, or values that replace compiled ones."),
    ] = {}
    omit: Annotated[list[str], Meta(description="Fields that the artifact does not have.")] = []


class Schedule(_Part, frozen=True, kw_only=True):
    """Time in which an activity runs."""

    from_: Annotated[str | None, Meta(description="First moment, in ISO 8601 with an offset.")] = (
        msgspec.field(default=None, name="from")
    )
    to: Annotated[
        str | None, Meta(description="End in ISO 8601 with an offset; the moment itself is excluded.")
    ] = None
    days: Annotated[list[Weekday], Meta(description="Weekdays, in UTC.")] = []
    hours: Annotated[
        str | None,
        Meta(description="Hours of the day like `09:00-17:00`, in UTC; the end is excluded."),
    ] = None


class Analytics(_Part, frozen=True, kw_only=True):
    """Data for Adobe Analytics."""

    payload: Annotated[dict[str, Any], Meta(description="`pe` and `tnta`.")]


class Generate(_Part, frozen=True, kw_only=True):
    """Hints for the generated Python module."""

    class_: Annotated[str | None, Meta(description="Name of the class of the content.")] = msgspec.field(
        default=None, name="class"
    )
    optional: Annotated[bool, Meta(description="Whether each key of the content can be missing.")] = False


class OfferDefinition(_Part, frozen=True, kw_only=True):
    """Offer of an experience: one place, and at most one content.

    Without content, visitors see the default content of the place.
    """

    mbox: Annotated[str | None, Meta(description="Name of the mbox.")] = None
    page_load: Annotated[Id | None, Meta(description="Number of the location among those of page load.")] = (
        None
    )
    view: Annotated[str | None, Meta(description="Name of the view.")] = None
    location_id: Annotated[Id, Meta(description="Number of the location in an mbox or a view.")] = 0
    html: Annotated[str | FileReference | UnsetType, Meta(description="HTML text.")] = UNSET
    json: Annotated[Any, Meta(description="JSON value. `{file: path}` reads it from a file.")] = UNSET
    redirect: Annotated[str | UnsetType, Meta(description="URL.")] = UNSET
    dynamic: Annotated[str | UnsetType, Meta(description="URL of a dynamic offer.")] = UNSET
    actions: Annotated[
        list[dict[str, Any]] | UnsetType, Meta(description="Actions, as Target's visual composer makes them.")
    ] = UNSET
    audience: Annotated[Audiences, Meta(description="Audience, in addition to the experience's.")] = []
    metrics: Annotated[
        list[MetricDefinition] | None, Meta(description="Metrics, instead of the experience's.")
    ] = None
    id: Annotated[Id | str | None, Meta(description="`offer.id`.")] = None
    name: Annotated[str | None, Meta(description="`offer.name`.")] = None
    token: Annotated[
        str | UnsetType | None, Meta(description="Event token; null for none. Default: derived.")
    ] = UNSET
    option_id: Annotated[
        Id | str | UnsetType | None,
        Meta(description="`option.id`; null for none. Default: a running number."),
    ] = UNSET
    option_name: Annotated[
        str | UnsetType | None, Meta(description="`option.name`; null for none. Default: `Offer` and the id.")
    ] = UNSET
    rule_key: Annotated[
        str | None, Meta(description="Key of the rule. Default: the activity's id and the location's number.")
    ] = None
    audience_ids: Annotated[
        list[int] | None, Meta(description="`audience.ids`. Default: those of the named audiences.")
    ] = None
    location_type: Annotated[str | None, Meta(description="`location.type`. Default: `mbox` or `view`.")] = (
        None
    )
    options: Annotated[
        list[Any] | None, Meta(description="Options in the artifact's form, instead of a content.")
    ] = None

    @property
    def content(self) -> tuple[str, Any] | None:
        """The type of the content and the content; None for default content."""
        return next(((type, value) for type in CONTENTS if (value := getattr(self, type)) is not UNSET), None)

    @property
    def places(self) -> list[str]:
        """The fields that name a place; exactly one is right."""
        return [name for name in PLACES if getattr(self, name) is not None]


CONTENTS: Final = ("html", "json", "redirect", "dynamic", "actions")
PLACES: Final = ("mbox", "page_load", "view")


class ExperienceDefinition(_Part, frozen=True, kw_only=True):
    """Experience of an activity."""

    key: Annotated[Key, Meta(description="Name in the lock, in tests and in code.")]
    id: Annotated[
        Id | None, Meta(description="Default: the place in the list, when it is compiled first.")
    ] = None
    name: Annotated[str | None, Meta(description="Name in reports. Default: the key.")] = None
    share: Annotated[
        Percent | None, Meta(description="Percentage of the activity's visitors; only for `ab`.")
    ] = None
    windows: Annotated[
        list[Window] | None,
        Meta(description="Ranges of allocations in percent, instead of a share. The lock is not used then."),
    ] = None
    control: Annotated[bool, Meta(description="Whether reports compare with it. Default: the first.")] = False
    audience: Annotated[Audiences, Meta(description="Audience, in addition to the activity's.")] = []
    metrics: Annotated[
        list[MetricDefinition] | None, Meta(description="Metrics, instead of the activity's.")
    ] = None
    offers: Annotated[list[OfferDefinition], Meta(description="Offers.")] = []


class ActivityDefinition(_Part, frozen=True, kw_only=True):
    """Activity."""

    key: Annotated[Key, Meta(description="Name in the lock, in tests and in code.")]
    id: Annotated[
        Annotated[int, Meta(ge=1, le=2**53 - 1)] | None,
        Meta(description="Id. Default: derived from client and key."),
    ] = None
    name: Annotated[str | None, Meta(description="Name in reports. Default: the key.")] = None
    description: Annotated[str, Meta(description="Text for readers of the file.")] = ""
    owner: Annotated[str, Meta(description="Person or team.")] = ""
    links: Annotated[list[str], Meta(description="URLs of tickets and documents.")] = []
    renamed_from: Annotated[
        Key | None, Meta(description="Former key, whose id and windows the activity keeps.")
    ] = None
    type: Annotated[
        str,
        Meta(
            pattern="^(ab|xt|=.*)$",
            description="`ab`: visitors are split; `xt`: the first experience whose audience fits. `=text` is any other type.",
        ),
    ] = "ab"
    state: Annotated[
        Literal["live", "paused", "draft"],
        Meta(description="Only live activities are compiled; a paused one keeps its windows."),
    ] = "live"
    priority: Annotated[
        Annotated[int, Meta(ge=0, le=999)] | None,
        Meta(description="Order at a location, the highest first. Default: 0."),
    ] = None
    audience: Annotated[Audiences, Meta(description="Audiences or expressions; all of them must hold.")] = []
    schedule: Annotated[Schedule | None, Meta(description="Time in which it runs.")] = None
    properties: Annotated[
        list[str] | None, Meta(description="Names or tokens of the properties that it is restricted to.")
    ] = None
    traffic: Annotated[Percent, Meta(description="Percentage of visitors who take part; only for `ab`.")] = (
        100
    )
    metrics: Annotated[
        list[MetricDefinition] | None,
        Meta(description="Metrics that Target measures. `primary_metric` is the one that decides."),
    ] = None
    plan: Annotated[
        PlanDefinition | None, Meta(description="Plan of the test, for reports. Default: the workspace's.")
    ] = None
    primary_metric: Annotated[
        MetricName | None,
        Meta(
            description="Metric that decides, for reports; `rpo` is revenue per order. Default: the workspace's."
        ),
    ] = None
    guardrails: Annotated[
        list[GuardrailDefinition] | None,
        Meta(description="Guardrails, for reports. Default: the workspace's."),
    ] = None
    analytics: Annotated[Analytics | None, Meta(description="Data for Adobe Analytics.")] = None
    group: Annotated[Key | None, Meta(description="Group that has the activity as a member.")] = None
    generate: Annotated[Generate | None, Meta(description="Hints for `targetry activities codegen`.")] = None
    experiences: Annotated[list[ExperienceDefinition], Meta(min_length=1, description="Experiences.")]

    @property
    def is_split(self) -> bool:
        """Whether visitors are split among the experiences."""
        return self.type == "ab"


class ActivityFile(_Part, frozen=True, kw_only=True):
    """File with several activities."""

    activities: Annotated[list[ActivityDefinition], Meta(description="The activities.")]
