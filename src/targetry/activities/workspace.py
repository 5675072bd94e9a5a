"""Builder of activities in Python: the model of the files, with type checking.

workspace = Workspace(
"acme",
ab(
"hero",
experience("everyday", offer(mbox="hero", html="<h1>Every day</h1>"), share=50),
experience("sale", offer(mbox="hero", html="<h1>Sale</h1>"), share=50),
audience='geo.country == "US"',
),
)
artifact = workspace.compile()
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict, Unpack

from msgspec import UNSET, UnsetType

from targetry.activities.compile.activity_set import ActivitySet, DefinitionSource
from targetry.activities.compile.compiler import DEFAULT_ENVIRONMENT, Compilation, compile_activities
from targetry.activities.compile.loading import LoadedFolder
from targetry.activities.expressions.builder import Audience
from targetry.activities.expressions.printer import print_expression
from targetry.activities.lint.checker import check_loaded
from targetry.activities.model.definitions import (
    ActivityDefinition,
    AudienceDefinition,
    Defaults,
    Environment,
    ExperienceDefinition,
    GroupDefinition,
    GuardrailDefinition,
    MetricDefinition,
    MetricName,
    OfferDefinition,
    Places,
    PlanDefinition,
    ReportMetrics,
    Schedule,
    WorkspaceSettings,
)
from targetry.activities.model.documents import documents, plain
from targetry.activities.model.finding import Finding
from targetry.activities.model.lock_file import Lock
from targetry.activities.model.shapes import shape_errors
from targetry.errors import TargetError


class ActivitiesError(TargetError):
    """Activities cannot be compiled; the text has one mistake on each line.

    Attributes:
        findings: The mistakes.
    """

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__("\n".join(f"{one.path}: {one.message}" for one in findings))
        self.findings = list(findings)


class Workspace:
    """Activities with their settings.

    Args:
        client: Client code. Allocations, derived ids and tokens depend on it.
        activities: The activities, of `ab` and `xt`.
        audiences: Named audiences: expressions, conditions in Python, or definitions with an id.
        properties: Tokens of properties by name.
        groups: Mutually exclusive activities by name.
        environments: Environments by name. Default: production.
        defaults: Values for activities without their own.
        remote: Locations that only the Delivery API can decide.
        geo: Whether places of IP addresses are looked up; `auto`: if an audience names one.
        plan: Plan of activities without their own, for reports.
        metrics: Metrics of reports, of which at most one is primary.
        guardrails: Guardrails of activities without their own, for reports.
    """

    def __init__(
        self,
        client: str,
        *activities: ActivityDefinition,
        audiences: Mapping[str, Audience | AudienceDefinition | str] | None = None,
        properties: Mapping[str, str] | None = None,
        groups: Mapping[str, GroupDefinition] | None = None,
        environments: Mapping[str, Environment | None] | None = None,
        defaults: Defaults | None = None,
        remote: Places | None = None,
        geo: Literal["auto"] | bool = "auto",
        plan: PlanDefinition | None = None,
        metrics: ReportMetrics | None = None,
        guardrails: Sequence[GuardrailDefinition] = (),
    ) -> None:
        self.settings = WorkspaceSettings(
            client=client,
            audiences={
                name: print_expression(one.logic) if isinstance(one, Audience) else one
                for name, one in (audiences or {}).items()
            },
            properties=dict(properties or {}),
            groups=dict(groups or {}),
            environments=dict(environments or {}),
            defaults=defaults or Defaults(),
            remote=remote or Places(),
            geo=geo,
            plan=plan,
            metrics=metrics or ReportMetrics(),
            guardrails=list(guardrails),
        )
        self.activities = list(activities)

    def compile(self, environment: str | None = None, *, lock: Lock | None = None) -> dict[str, Any]:
        """Return the artifact, for `artifact_payload` or a file.

        Args:
            environment: The environment. Default: production, or the first.
            lock: Ids and windows of an earlier compilation, which are kept.

        Raises:
            ActivitiesError: The activities have mistakes.
            KeyError: There is no such environment.
        """
        result = self._compiled(lock)
        first = next(iter(result.artifacts))
        return result.artifacts[
            environment or (DEFAULT_ENVIRONMENT if DEFAULT_ENVIRONMENT in result.artifacts else first)
        ]

    def lock(self, previous: Lock | None = None) -> Lock:
        """Return the ids and windows, for the next `compile`.

        Args:
            previous: Ids and windows of an earlier compilation, which are kept.

        Raises:
            ActivitiesError: The activities have mistakes.
        """
        return self._compiled(previous).lock

    def check(self, now_ms: int, *, lock: Lock | None = None) -> list[Finding]:
        """Return the findings of all rules of `targetry activities check`.

        Args:
            now_ms: Time of the check, epoch milliseconds.
            lock: The lock, for the rules about it.
        """
        wrong = self._wrong_shapes()
        return wrong or check_loaded(LoadedFolder(self._set(), [], {}, lock), now_ms)

    def to_yaml(self) -> dict[str, str]:
        """Return the texts of the files that are equal to this workspace, by name."""
        return documents(self.settings, self.activities)

    def _compiled(self, lock: Lock | None) -> Compilation:
        findings = self._wrong_shapes()
        result = compile_activities(self._set(), lock) if not findings else None
        if result is None or result.findings:
            raise ActivitiesError(findings if result is None else result.findings)
        return result

    def _wrong_shapes(self) -> list[Finding]:
        """Return the differences from the model, which constructors do not check."""
        parts: list[tuple[str, Any]] = [("", self.settings)]
        parts += [(f"activities[{index}]", one) for index, one in enumerate(self.activities)]
        return [
            Finding(
                code="TA002", level="error", message=error.message, hint=error.hint, file="", path=error.path
            )
            for path, part in parts
            for error in shape_errors(plain(part), type(part), path)
        ]

    def _set(self) -> ActivitySet:
        sources = [
            DefinitionSource("", None, f"activities[{index}]") for index in range(len(self.activities))
        ]
        return ActivitySet(self.settings, self.activities, sources=sources)


class ActivityOptions(TypedDict, total=False):
    """Keywords of `ab` and `xt`.

    Attributes:
        name: Name in reports. Default: the key.
        id: Id. Default: derived from client and key.
        audience: Names of audiences, expressions or conditions in Python; all of them must hold.
        priority: Order at a location, 0 to 999, the highest first.
        schedule: Time in which it runs.
        properties: Names or tokens of the properties that it is restricted to.
        metrics: Metrics, of `metric`.
        group: Group that has it as a member.
        plan: Plan of the test, for reports. Default: the workspace's.
        primary_metric: Metric that decides, for reports; `rpo` is revenue per order. Default: the
            workspace's.
        guardrails: Guardrails, for reports. Default: the workspace's.
    """

    name: str | None
    id: int | None
    audience: Audience | str | Sequence[Audience | str]
    priority: int | None
    schedule: Schedule | None
    properties: Sequence[str] | None
    metrics: Sequence[MetricDefinition] | None
    group: str | None
    plan: PlanDefinition | None
    primary_metric: MetricName | None
    guardrails: Sequence[GuardrailDefinition] | None


def ab(
    key: str,
    *experiences: ExperienceDefinition,
    traffic: float = 100,
    **options: Unpack[ActivityOptions],
) -> ActivityDefinition:
    """Return an activity that splits its visitors among experiences with shares.

    Args:
        key: Name in the lock, in tests and in code.
        experiences: The experiences, of `experience`.
        traffic: Percentage of visitors who take part.
        **options: The other keywords, described by `ActivityOptions`.
    """
    return _activity("ab", key, experiences, traffic, options)


def xt(
    key: str, *experiences: ExperienceDefinition, **options: Unpack[ActivityOptions]
) -> ActivityDefinition:
    """Return an activity that shows the first experience whose audience fits.

    Args:
        key: Name in the lock, in tests and in code.
        experiences: The experiences, of `experience`; they have no shares.
        **options: The other keywords, described by `ActivityOptions`.
    """
    return _activity("xt", key, experiences, 100, options)


def _activity(
    type: str,
    key: str,
    experiences: Sequence[ExperienceDefinition],
    traffic: float,
    options: ActivityOptions,
) -> ActivityDefinition:
    given: dict[str, Any] = dict(options)
    given["audience"] = _audience(given.get("audience", ()))
    for name in ("properties", "metrics", "guardrails"):
        given[name] = _list(given.get(name))
    return ActivityDefinition(key=key, type=type, experiences=list(experiences), traffic=traffic, **given)


def experience(
    key: str,
    *offers: OfferDefinition,
    share: float | None = None,
    name: str | None = None,
    audience: Audience | str | Sequence[Audience | str] = (),
    metrics: Sequence[MetricDefinition] | None = None,
) -> ExperienceDefinition:
    """Return an experience.

    Args:
        key: Name in the lock, in tests and in code.
        offers: The offers, of `offer`.
        share: Percentage of the activity's visitors, in an `ab`.
        name: Name in reports. Default: the key.
        audience: Audience, in addition to the activity's.
        metrics: Metrics, instead of the activity's.
    """
    return ExperienceDefinition(
        key=key,
        offers=list(offers),
        share=share,
        name=name,
        audience=_audience(audience),
        metrics=_list(metrics),
    )


def offer(
    *,
    mbox: str | None = None,
    page_load: int | None = None,
    view: str | None = None,
    html: str | UnsetType = UNSET,
    json: Any = UNSET,
    redirect: str | UnsetType = UNSET,
    actions: Sequence[dict[str, Any]] | UnsetType = UNSET,
    audience: Audience | str | Sequence[Audience | str] = (),
) -> OfferDefinition:
    """Return an offer: one place, and at most one content.

    Args:
        mbox: Name of the mbox.
        page_load: Number of the location among those of page load.
        view: Name of the view.
        html: HTML text.
        json: JSON value.
        redirect: URL.
        actions: Actions of the visual composer.
        audience: Audience, in addition to the experience's.
    """
    return OfferDefinition(
        mbox=mbox,
        page_load=page_load,
        view=view,
        html=html,
        json=json,
        redirect=redirect,
        actions=actions if isinstance(actions, UnsetType) else list(actions),
        audience=_audience(audience),
    )


def metric(type: str = "click", *, selector: str | None = None, key: str | None = None) -> MetricDefinition:
    """Return a metric.

    Args:
        type: `click` or `display`.
        selector: CSS selector of the element.
        key: Name that distinguishes metrics of equal type and selector.
    """
    return MetricDefinition(type=type, selector=selector, key=key)


def _audience(value: Audience | str | Sequence[Audience | str]) -> str | list[str]:
    if isinstance(value, Audience):
        return print_expression(value.logic)
    if isinstance(value, str):
        return value
    return [one if isinstance(one, str) else print_expression(one.logic) for one in value]


def _list(values: Sequence[Any] | None) -> list[Any] | None:
    return None if values is None else list(values)
