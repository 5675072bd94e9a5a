"""Compiler of a set of activities to rule artifacts, one for each environment.

The same files and the same lock give the same bytes. An activity's rules stand in the order of its
experiences, their offers, and their windows; activities by priority, the highest first, then by id.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import UNSET

from targetry.activities.compile.activity_set import ActivitySet, is_file_reference
from targetry.activities.compile.audiences import AudienceTable, ScheduleError, schedule_conditions
from targetry.activities.compile.layout import ActivityLayout, Layout, Window, lay_out
from targetry.activities.model.definitions import (
    ActivityDefinition,
    Environment,
    ExperienceDefinition,
    FileReference,
    MetricDefinition,
    OfferDefinition,
)
from targetry.activities.model.finding import Finding
from targetry.activities.model.ids import derived_id, metric_token, option_token
from targetry.activities.model.lock_file import Lock
from targetry.activities.model.shapes import did_you_mean

DEFAULT_ENVIRONMENT: Final = "production"
_VERSION: Final = "1.0.0"
_ALLOCATION: Final = {"var": "allocation"}
_TYPES: Final = {"ab": "ab", "xt": "landing"}
_TOKEN: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_FIRST_OPTION: Final = 2


class Compilation(NamedTuple):
    """Result of `compile_activities`.

    Attributes:
        artifacts: The artifacts by environment; none if there are errors.
        lock: The lock that has the ids and windows of the artifacts.
        findings: Mistakes, errors only.
        layout: Ids and windows by the keys of the activities.
    """

    artifacts: dict[str, dict[str, Any]]
    lock: Lock
    findings: list[Finding]
    layout: Layout


def compile_activities(
    activities: ActivitySet,
    lock: Lock | None = None,
    *,
    relayout: Iterable[str] = (),
    generated_at: str | None = None,
) -> Compilation:
    """Compile activities for all their environments.

    Args:
        activities: The activities.
        lock: The lock of an earlier compilation; without it windows are laid out afresh.
        relayout: Keys of activities and names of groups whose windows are laid out afresh.
        generated_at: `meta.generatedAt`, left out by default.
    """
    findings: list[Finding] = []
    layout = lay_out(activities, lock, findings, relayout=relayout)
    compiler = _Compiler(activities, layout, findings)
    compiled = [*compiler.compile_activities()]
    compiler.check_ids()
    compiler.check_primary_metric()
    findings += compiler.audiences.findings
    environments = activities.settings.environments or {DEFAULT_ENVIRONMENT: None}
    artifacts = {}
    for name, environment in environments.items():
        artifacts[name] = compiler.artifact(name, environment or Environment(), compiled, generated_at)
    unique = list(dict.fromkeys(findings))
    return Compilation({} if unique else artifacts, layout.lock, unique, layout)


def artifact_bytes(artifact: dict[str, Any]) -> bytes:
    """Return the text of an artifact: compact JSON in UTF-8 with a line end."""
    text = json.dumps(artifact, ensure_ascii=False, separators=(",", ":"))
    return f"{text}\n".encode()


class _Rule(NamedTuple):
    kind: str  # "mboxes" or "views"
    place: str
    rule: dict[str, Any]


class _CompiledActivity(NamedTuple):
    key: str
    order: tuple[int, int, str]
    properties: list[str] | None
    rules: list[_Rule]


class _Place(NamedTuple):
    """Location of an offer."""

    kind: str
    name: str
    type: str
    id: int
    is_numbered: bool


class _Compiler:
    def __init__(self, activities: ActivitySet, layout: Layout, findings: list[Finding]) -> None:
        self.audiences = AudienceTable(activities)
        self._set = activities
        self._settings = activities.settings
        self._layout = layout
        self._findings = findings

    def compile_activities(self) -> Iterator[_CompiledActivity]:
        """Yield the live activities with their rules, and the holdouts that are recorded."""
        for name in self._settings.audiences:
            self.audiences.get(name)
        members: dict[str, _CompiledActivity] = {}
        for index, activity in enumerate(self._set.activities):
            compiled = _ActivityCompiler(self, index, activity)
            rules = compiled.rules() if activity.key in self._layout.activities else []
            if activity.state == "live":
                priority = (
                    self._settings.defaults.priority if activity.priority is None else activity.priority
                )
                id = self._layout.activities[activity.key].id
                order = (-priority, id, activity.key)
                found = _CompiledActivity(activity.key, order, compiled.properties, rules)
                members[activity.key] = found
                yield found
        for name, group in self._settings.groups.items():
            if group.record_holdout and group.holdout:
                yield self._holdout(
                    name, [members[m.activity] for m in group.members if m.activity in members]
                )

    def _holdout(self, name: str, members: list[_CompiledActivity]) -> _CompiledActivity:
        """Return default content for the holdout of a group, at all places of its members."""
        id, windows = self._layout.holdouts[name]
        used = [
            one for member in members for one in self._layout.activities[member.key].experience_ids.values()
        ]
        experience = max(used, default=-1) + 1
        places = dict.fromkeys(
            (kind, place, rule["meta"]["location.type"], rule["meta"]["location.id"])
            for member in members
            for kind, place, rule in member.rules
        )
        rules = []
        for kind, place, type, number in places:
            at = f"{self._settings.client}/{id}/{experience}/{kind}/{place}/{number}"
            rule: dict[str, Any] = {
                "ruleKey": f"{id}-holdout" if type == "mbox" else f"{id}-holdout-{number}",
                "activityId": id,
                "meta": {
                    "activity.id": id,
                    "activity.name": name,
                    "activity.type": "ab",
                    "experience.id": experience,
                    "experience.name": "Holdout",
                    "location.name": place,
                    "location.type": type,
                    "location.id": number,
                    "audience.ids": [],
                    "option.id": 0,
                },
                "condition": None,
                "consequence": {"name": place, "options": [{"eventToken": option_token(at)}], "metrics": []},
            }
            rules += [
                _Rule(kind, place, {**rule, "condition": condition}) for condition in _conditions(windows, [])
            ]
        return _CompiledActivity("", (0, id, ""), None, rules)

    def error(self, code: str, path: str, message: str, hint: str | None = None) -> None:
        """Add an error."""
        self._findings.append(self._set.finding(code, path, message, hint=hint))

    def check_ids(self) -> None:
        """Add errors for equal keys and ids."""
        keys = Counter(one.key for one in self._set.activities)
        owners: dict[int, str] = {}
        groups = {m.activity: name for name, group in self._settings.groups.items() for m in group.members}
        for index, activity in enumerate(self._set.activities):
            path = f"activities[{index}]"
            if keys[activity.key] > 1:
                self.error("TA003", f"{path}.key", f"two activities have the key {activity.key!r}")
                continue
            layout = self._layout.activities.get(activity.key)
            if layout is None:
                continue
            owner = groups.get(activity.key, activity.key)
            if owners.setdefault(layout.id, owner) != owner:
                self.error(
                    "TA003",
                    path,
                    f"{activity.key!r} and {owners[layout.id]!r} have the id {layout.id}",
                    "give one an id",
                )
            self._check_experiences(path, activity, layout)

    def check_primary_metric(self) -> None:
        """Add errors for all primary metrics but the first."""
        primary = self._settings.metrics.primary
        for name in primary[1:]:
            message = f"{primary[0]!r} and {name!r} are both primary, but one metric decides"
            self.error("TA118", f"metrics.{name}.primary", message, "give an activity a `primary_metric`")

    def _check_experiences(self, path: str, activity: ActivityDefinition, layout: ActivityLayout) -> None:
        keys = Counter(one.key for one in activity.experiences)
        ids = Counter(layout.experience_ids.values())
        for number, one in enumerate(activity.experiences):
            where = f"{path}.experiences[{number}]"
            if keys[one.key] > 1:
                self.error("TA003", f"{where}.key", f"two experiences have the key {one.key!r}")
            elif ids[layout.experience_ids[one.key]] > 1:
                self.error("TA003", where, f"two experiences have the id {layout.experience_ids[one.key]}")

    def artifact(
        self, name: str, environment: Environment, compiled: list[_CompiledActivity], generated_at: str | None
    ) -> dict[str, Any]:
        """Return the artifact of an environment."""
        self._check_environment(name, environment)
        settings = self._settings
        rules: dict[str, dict[str, list[Any]]] = {"mboxes": {}, "views": {}}
        for activity in sorted(compiled, key=lambda one: one.order):
            is_chosen = environment.only is None or not activity.key or activity.key in environment.only
            if activity.key in environment.except_ or not is_chosen:
                continue
            tokens = self._property_tokens(activity.properties, environment)
            for kind, place, rule in activity.rules:
                rules[kind].setdefault(place, []).append(
                    rule if tokens is None else rule | {"propertyTokens": tokens}
                )
        for verbatim in settings.verbatim:
            rules[verbatim.kind].setdefault(verbatim.name, []).extend(verbatim.rules)
        meta = {"clientCode": settings.client, "environment": name}
        if generated_at is not None:
            meta["generatedAt"] = generated_at
        artifact: dict[str, Any] = {
            "version": _VERSION,
            "meta": meta,
            "globalMbox": settings.global_mbox,
            "geoTargetingEnabled": _names_geo(rules) if settings.geo == "auto" else settings.geo,
            "responseTokens": list(settings.response_tokens),
            "remoteMboxes": list(settings.remote.mboxes),
            "remoteViews": list(settings.remote.views),
            "localMboxes": sorted({*rules["mboxes"], *settings.local.mboxes}),
            "localViews": sorted({*rules["views"], *settings.local.views}),
            "rules": rules,
        }
        return _with_other_fields(artifact, settings.artifact, settings.omit)

    def _check_environment(self, name: str, environment: Environment) -> None:
        known = {one.key for one in self._set.activities}
        lists = {"only": environment.only or [], "except": environment.except_}
        for field, keys in lists.items():
            for index, key in enumerate(keys):
                if key not in known:
                    self.error(
                        "TA004",
                        f"environments.{name}.{field}[{index}]",
                        f"there is no activity {key!r}",
                        did_you_mean(key, known),
                    )

    def _property_tokens(self, names: list[str] | None, environment: Environment) -> list[str] | None:
        if names is None:
            return None
        known = self._settings.properties | environment.properties
        return [known.get(name, name) for name in names]

    def check_properties(self, names: list[str], path: str) -> None:
        """Add errors for names of properties that are not defined."""
        for index, name in enumerate(names):
            if name not in self._settings.properties and _TOKEN.fullmatch(name) is None:
                self.error(
                    "TA004",
                    f"{path}[{index}]",
                    f"there is no property {name!r}",
                    did_you_mean(name, self._settings.properties),
                )

    @property
    def activity_set(self) -> ActivitySet:
        """The activities."""
        return self._set

    @property
    def layout(self) -> Layout:
        """Ids and windows."""
        return self._layout


class _ActivityCompiler:
    """Compiler of one activity; `properties` are those of its rules."""

    def __init__(self, compiler: _Compiler, index: int, activity: ActivityDefinition) -> None:
        self._compiler = compiler
        self._set = compiler.activity_set
        self._settings = self._set.settings
        self._activity = activity
        self._path = f"activities[{index}]"
        self._next_option = _FIRST_OPTION
        self._tokens: Counter[str] = Counter()
        own = activity.properties
        self.properties = self._settings.defaults.properties if own is None else own
        if own is not None:
            compiler.check_properties(own, f"{self._path}.properties")

    def rules(self) -> list[_Rule]:
        """Return the rules in order, and add errors to the compiler's."""
        activity, audiences = self._activity, self._compiler.audiences
        layout = self._compiler.layout.activities[activity.key]
        own = audiences.conditions(activity.audience, f"{self._path}.audience") + self._schedule()
        own_ids = audiences.ids(activity.audience)
        found: list[_Rule] = []
        for number, experience in enumerate(activity.experiences):
            path = f"{self._path}.experiences[{number}]"
            windows = None if layout.windows is None else layout.windows.get(experience.key)
            conditions = audiences.conditions(experience.audience, f"{path}.audience") + own
            ids = audiences.ids(experience.audience) + own_ids
            for place, offer in enumerate(experience.offers):
                at = f"{path}.offers[{place}]"
                narrower = audiences.conditions(offer.audience, f"{at}.audience") + conditions
                made = self._offer(layout, experience, offer, audiences.ids(offer.audience) + ids, at)
                if made is None:
                    continue
                kind, name, rule = made
                found += [
                    _Rule(kind, name, {**rule, "condition": condition})
                    for condition in _conditions(windows, narrower)
                ]
        return found

    def _schedule(self) -> list[Any]:
        if self._activity.schedule is None:
            return []
        try:
            return schedule_conditions(self._activity.schedule)
        except ScheduleError as error:
            path = f"{self._path}.schedule.{error.field}"
            self._compiler.error("TA114", path, str(error), error.hint)
            return []

    def _offer(
        self,
        layout: ActivityLayout,
        experience: ExperienceDefinition,
        offer: OfferDefinition,
        audience_ids: list[int],
        path: str,
    ) -> _Rule | None:
        """Return the rule of an offer, its condition still missing."""
        place = self._place(offer, path)
        if place is None:
            return None
        id = layout.id
        at = f"{self._settings.client}/{id}/{layout.experience_ids[experience.key]}/{place.kind}/{place.name}/{place.id}"
        self._tokens[at] += 1
        if self._tokens[at] > 1:
            at = f"{at}/{self._tokens[at]}"
        consequence: dict[str, Any] = {
            "name": place.name,
            "options": self._options(offer, at, path),
            "metrics": [self._metric(metric, at) for metric in self._metrics(experience, offer)],
        }
        if self._activity.analytics is not None:
            consequence["analytics"] = {"payload": self._activity.analytics.payload}
        rule = {
            "ruleKey": self._rule_key(id, place) if offer.rule_key is None else offer.rule_key,
            "activityId": id,
            "meta": self._meta(layout, experience, offer, place, audience_ids),
            "condition": None,  # keeps the order of the keys
            "consequence": consequence,
        }
        return _Rule(place.kind, place.name, rule)

    def _place(self, offer: OfferDefinition, path: str) -> _Place | None:
        if len(offer.places) != 1:
            message = "an offer has one of mbox, page_load and view"
            self._compiler.error("TA002", path, message)
            return None
        if offer.mbox is not None:
            return _Place("mboxes", offer.mbox, offer.location_type or "mbox", offer.location_id, False)
        if offer.view is not None:
            return _Place("views", offer.view, offer.location_type or "view", offer.location_id, True)
        name = self._settings.global_mbox
        return _Place("mboxes", name, offer.location_type or "view", offer.page_load or 0, True)

    def _rule_key(self, id: int, place: _Place) -> str:
        member = f"-{self._activity.key}" if self._is_member else ""
        return f"{id}{member}-{place.id}" if place.is_numbered else f"{id}{member}"

    @property
    def _is_member(self) -> bool:
        groups = self._settings.groups.values()
        return any(one.activity == self._activity.key for group in groups for one in group.members)

    def _options(self, offer: OfferDefinition, at: str, path: str) -> list[Any]:
        contents = [
            name
            for name in ("html", "json", "redirect", "dynamic", "actions")
            if getattr(offer, name) is not UNSET
        ]
        if len(contents) + (offer.options is not None) > 1:
            self._compiler.error("TA002", path, "an offer has at most one content")
        if offer.options is not None:
            return offer.options
        token = option_token(at) if offer.token is UNSET else offer.token
        option: dict[str, Any] = {} if not contents else {"type": contents[0]}
        if token is not None:
            option["eventToken"] = token
        if contents:
            option["content"] = self._content(getattr(offer, contents[0]), f"{path}.{contents[0]}")
        return [option]

    def _content(self, value: Any, path: str) -> Any:
        name = (
            value.file
            if isinstance(value, FileReference)
            else value["file"]
            if is_file_reference(value)
            else None
        )
        if name is None:
            return value
        text = self._set.texts.get(name)
        if text is None:  # loading has reported it, unless there are no files
            if self._set.settings_source.document is None:
                self._compiler.error("TA005", path, f"the file {name!r} cannot be read without a folder")
            return None
        return text if isinstance(value, FileReference) else msgspec.json.decode(text)

    def _metrics(self, experience: ExperienceDefinition, offer: OfferDefinition) -> list[MetricDefinition]:
        for metrics in (offer.metrics, experience.metrics, self._activity.metrics):
            if metrics is not None:
                return metrics
        return self._settings.defaults.metrics

    @staticmethod
    def _metric(metric: MetricDefinition, at: str) -> dict[str, Any]:
        name = f"{metric.type}/{metric.key if metric.key is not None else metric.selector or ''}"
        token = metric_token(at, name) if metric.token is None else metric.token
        selector = {} if metric.selector is None else {"selector": metric.selector}
        return {"eventToken": token, **selector, "type": metric.type}

    def _meta(
        self,
        layout: ActivityLayout,
        experience: ExperienceDefinition,
        offer: OfferDefinition,
        place: _Place,
        audience_ids: list[int],
    ) -> dict[str, Any]:
        activity = self._activity
        meta: dict[str, Any] = {
            "activity.id": layout.id,
            "activity.name": activity.key if activity.name is None else activity.name,
            "activity.type": _TYPES.get(activity.type, activity.type.removeprefix("=")),
            "experience.id": layout.experience_ids[experience.key],
            "experience.name": experience.key if experience.name is None else experience.name,
            "location.name": place.name,
            "location.type": place.type,
            "location.id": place.id,
            "audience.ids": list(dict.fromkeys(audience_ids))
            if offer.audience_ids is None
            else offer.audience_ids,
        }
        if self._is_member:
            meta["activity.member"] = activity.key
        return meta | self._offer_meta(offer)

    def _offer_meta(self, offer: OfferDefinition) -> dict[str, Any]:
        has_content = offer.options is not None or offer.content is not None
        id: int | None = None
        if has_content:
            id, self._next_option = self._next_option, self._next_option + 1
        option_id = (id or 0) if offer.option_id is UNSET else offer.option_id
        option_name = offer.option_name
        if option_name is UNSET:
            option_name = f"Offer{option_id}" if has_content and option_id is not None else None
        offer_id = offer.id
        if offer_id is None and (file := _file_of(offer)) is not None:
            offer_id = derived_id(self._settings.client, f"offer/{file}")
        fields = {
            "offer.id": offer_id,
            "offer.name": offer.name,
            "option.id": option_id,
            "option.name": option_name,
        }
        return {name: value for name, value in fields.items() if value is not None}


def _file_of(offer: OfferDefinition) -> str | None:
    if isinstance(offer.html, FileReference):
        return offer.html.file
    return str(offer.json["file"]) if is_file_reference(offer.json) else None


def _conditions(windows: list[Window] | None, audiences: list[Any]) -> Iterator[Any]:
    """Yield the condition of each window, or the only one."""
    for window in [None] if windows is None else windows:
        parts = [*([] if window is None else [window_condition(*window)]), *audiences]
        yield True if not parts else parts[0] if len(parts) == 1 else {"and": parts}


def window_condition(low: float, high: float) -> dict[str, Any]:
    """Return the condition of a window, in percent; the first one is closed at 0."""
    lower = {"<": [_number(low), _ALLOCATION]} if low else {"<=": [0, _ALLOCATION]}
    return {"and": [lower, {">=": [_number(high), _ALLOCATION]}]}


def _number(value: float) -> int | float:
    return int(value) if value == int(value) else value


def _names_geo(rules: dict[str, dict[str, list[Any]]]) -> bool:
    """Return whether a condition of a rule has a variable of the visitor's place."""
    conditions = [
        rule.get("condition")
        for places in rules.values()
        for found in places.values()
        for rule in found
        if isinstance(rule, dict)
    ]
    return '{"var":"geo.' in json.dumps(conditions, separators=(",", ":"))


def _with_other_fields(
    artifact: dict[str, Any], others: dict[str, Any], omitted: list[str]
) -> dict[str, Any]:
    meta = others.get("meta")
    artifact |= {name: value for name, value in others.items() if name != "meta"}
    if isinstance(meta, dict):
        artifact["meta"] |= meta
    for name in omitted:
        whole, _, part = name.partition(".")
        if not part:
            artifact.pop(whole, None)
        elif isinstance(artifact.get(whole), dict):
            artifact[whole].pop(part, None)
    return artifact
