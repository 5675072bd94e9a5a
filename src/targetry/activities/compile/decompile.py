"""Decompiler: from an artifact to the files that compile to it.

The result is compiled again and compared with the artifact, location by location. Rules of a
location that differ are kept in the artifact's own form, so that the whole is equal.
"""

from __future__ import annotations

import heapq
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any, Final, Literal, NamedTuple

import msgspec

from targetry.activities.compile.activity_set import ActivitySet, DefinitionSource, is_file_reference
from targetry.activities.compile.compiler import compile_activities
from targetry.activities.compile.rule_parts import ParsedRule, parse_rule, same_json
from targetry.activities.expressions import print_expression
from targetry.activities.model.definitions import (
    CONTENTS,
    ActivityDefinition,
    Analytics,
    AudienceDefinition,
    Environment,
    ExperienceDefinition,
    MetricDefinition,
    OfferDefinition,
    Places,
    Verbatim,
    WorkspaceSettings,
)
from targetry.activities.model.lock_file import Lock
from targetry.device.artifact import DEFAULT_GLOBAL_MBOX

Kind = Literal["mboxes", "views"]
Place = tuple[Kind, str]
_KINDS: Final[tuple[Kind, ...]] = ("mboxes", "views")
_PRODUCTION: Final = "production"
_NO_CLIENT: Final = "unknown"
_HIGHEST_PRIORITY: Final = 999
_FIRST_OPTION: Final = 2
_ACTIVITY: Final = re.compile(r"activities\[(\d+)\]")


class Decompiled(NamedTuple):
    """Files of an artifact.

    Attributes:
        settings: The content of `targetry.yaml`.
        activities: The activities.
        verbatim: The locations, as `mboxes` or `views` and name, whose rules stay as they are.
    """

    settings: WorkspaceSettings
    activities: list[ActivityDefinition]
    verbatim: list[Place]


def decompile(artifact: Mapping[str, Any]) -> Decompiled:
    """Return files that compile to an artifact.

    Args:
        artifact: The document; `rules` is a map of the expected form.
    """
    return _Decompiler(artifact).decompile()


class _Decompiler:
    def __init__(self, artifact: Mapping[str, Any]) -> None:
        self._artifact = artifact
        name = artifact.get("globalMbox")
        self._global_mbox = name if isinstance(name, str) else DEFAULT_GLOBAL_MBOX
        rules = artifact.get("rules") or {}
        self._rules: dict[Place, list[Any]] = {
            (kind, place): found for kind in _KINDS for place, found in (rules.get(kind) or {}).items()
        }
        self._parsed: dict[Place, list[ParsedRule]] = {}
        self._verbatim: set[Place] = set()
        for place, found in self._rules.items():
            parsed = [parse_rule(*place, rule) for rule in found]
            self._parsed[place] = [one for one in parsed if one is not None]
            if len(self._parsed[place]) < len(found) or not found:
                self._verbatim.add(place)

    def decompile(self) -> Decompiled:
        while True:
            tokens = self._property_names()
            activities, audiences = self._activities(tokens)
            settings = self._settings(audiences, tokens)
            wrong = self._different_places(settings, activities) - self._verbatim
            if not wrong:
                break
            self._verbatim |= wrong
        settings = self._with_other_fields(settings, activities)
        return Decompiled(settings, activities, sorted(self._verbatim))

    def _different_places(
        self, settings: WorkspaceSettings, activities: list[ActivityDefinition]
    ) -> set[Place]:
        """Return the locations whose rules are not those of the artifact."""
        compiled, faulty = _compile(settings, activities)
        if compiled is None:
            places = {place for index in faulty for place in _places(activities[index], self._global_mbox)}
            return places or set(self._rules)
        rules = compiled["rules"]
        return {
            place
            for place, found in self._rules.items()
            if not same_json(rules[place[0]].get(place[1]), found)
        }

    def _settings(
        self, audiences: dict[str, str | AudienceDefinition], tokens: dict[str, str]
    ) -> WorkspaceSettings:
        artifact = self._artifact
        meta = artifact.get("meta")
        meta = meta if isinstance(meta, dict) else {}
        client, environment = meta.get("clientCode"), meta.get("environment")
        environment = environment if isinstance(environment, str) and environment else _PRODUCTION
        return WorkspaceSettings(
            client=client if isinstance(client, str) and client else _NO_CLIENT,
            environments={} if environment == _PRODUCTION else {environment: Environment()},
            global_mbox=self._global_mbox,
            response_tokens=_texts(artifact.get("responseTokens")),
            properties={name: token for token, name in tokens.items()},
            audiences=audiences,
            remote=Places(
                mboxes=_texts(artifact.get("remoteMboxes")), views=_texts(artifact.get("remoteViews"))
            ),
            verbatim=[
                Verbatim(kind=place[0], name=place[1], rules=found)
                for place, found in self._rules.items()
                if place in self._verbatim
            ],
        )

    def _with_other_fields(
        self, settings: WorkspaceSettings, activities: list[ActivityDefinition]
    ) -> WorkspaceSettings:
        """Return settings that compile to all fields of the artifact."""
        actual = self._artifact
        geo = actual.get("geoTargetingEnabled")
        compiled, _ = _compile(settings, activities)
        assert compiled is not None  # the locations have been compared
        if isinstance(geo, bool) and geo != compiled["geoTargetingEnabled"]:
            settings = msgspec.structs.replace(settings, geo=geo)
        local = Places(
            mboxes=sorted(set(_texts(actual.get("localMboxes"))) - set(compiled["localMboxes"])),
            views=sorted(set(_texts(actual.get("localViews"))) - set(compiled["localViews"])),
        )
        settings = msgspec.structs.replace(settings, local=local)
        compiled, _ = _compile(settings, activities)
        assert compiled is not None
        meta = actual.get("meta")
        others = {
            name: value
            for name, value in actual.items()
            if name not in ("rules", "meta") and not (name in compiled and same_json(compiled[name], value))
        }
        omitted = [name for name in compiled if name not in actual]
        if isinstance(meta, dict):
            made = compiled["meta"]
            more = {
                key: value for key, value in meta.items() if not (key in made and same_json(made[key], value))
            }
            others |= {"meta": more} if more else {}
            omitted += [f"meta.{key}" for key in made if key not in meta]
        if not same_json(compiled["rules"], actual.get("rules")):  # it has other kinds of locations
            others["rules"] = actual.get("rules")
        return msgspec.structs.replace(settings, artifact=others, omit=omitted)

    def _property_names(self) -> dict[str, str]:
        """Return names for the tokens of properties."""
        used = dict.fromkeys(
            token
            for place, found in self._parsed.items()
            if place not in self._verbatim
            for one in found
            for token in one.properties or ()
        )
        return {token: f"property_{number}" for number, token in enumerate(used, 1)}

    def _activities(
        self, tokens: dict[str, str]
    ) -> tuple[list[ActivityDefinition], dict[str, str | AudienceDefinition]]:
        groups: dict[int, list[ParsedRule]] = defaultdict(list)
        orders: list[list[int]] = []
        for place, found in self._parsed.items():
            if place in self._verbatim:
                continue
            orders.append(list(dict.fromkeys(one.activity_id for one in found)))
            for one in found:
                groups[one.activity_id].append(one)
        names = _AudienceNames(one for found in groups.values() for one in found)
        keys: set[str] = set()
        made = []
        for id, priority in _priorities(list(groups), orders).items():
            rules = groups[id]
            key = _unique(_slug(rules[0].activity_name, f"activity-{id}"), keys)
            made.append(self._activity(key, id, priority, rules, names, tokens))
        return made, names.definitions

    def _activity(
        self,
        key: str,
        id: int,
        priority: int,
        rules: list[ParsedRule],
        names: _AudienceNames,
        tokens: dict[str, str],
    ) -> ActivityDefinition:
        first = rules[0]
        offers = [_Offer(found) for found in _merged_windows(rules)]
        experiences: dict[int, list[_Offer]] = defaultdict(list)
        for offer in offers:
            experiences[offer.rule.experience_id].append(offer)
        common = _common_suffix([offer.rule.parts for offer in offers])
        metrics = _same([offer.rule.metrics for offer in offers])
        is_split = all(offer.windows is not None for offer in offers)
        types = {
            "ab": "ab" if is_split else "=ab",
            "landing": "xt" if not any(o.windows for o in offers) else "=landing",
        }
        numbers = _Numbers()
        keys: set[str] = set()
        return ActivityDefinition(
            key=key,
            id=id,
            name=first.activity_name,
            type=types.get(first.activity_type, f"={first.activity_type}"),
            priority=priority or None,
            audience=names.texts(common),
            properties=None if first.properties is None else [tokens[one] for one in first.properties],
            metrics=_metrics(metrics) or None,
            analytics=None if first.analytics is None else Analytics(payload=first.analytics),
            experiences=[
                self._experience(number, experience, found, common, metrics is not None, names, numbers, keys)
                for number, (experience, found) in enumerate(experiences.items())
            ],
        )

    def _experience(
        self,
        number: int,
        id: int,
        offers: list[_Offer],
        outer: list[Any],
        has_metrics: bool,
        names: _AudienceNames,
        numbers: _Numbers,
        keys: set[str],
    ) -> ExperienceDefinition:
        inner = [offer.rule.parts[: len(offer.rule.parts) - len(outer)] for offer in offers]
        common = _common_suffix(inner)
        metrics = None if has_metrics else _same([offer.rule.metrics for offer in offers])
        name = offers[0].rule.experience_name
        key = _unique(_slug(name, f"experience-{id}"), keys)
        return ExperienceDefinition(
            key=key,
            id=None if id == number else id,
            name=None if name == key else name,
            windows=offers[0].windows,
            audience=names.texts(common),
            metrics=None if metrics is None else _metrics(metrics),
            offers=[
                self._offer(
                    offer.rule,
                    parts[: len(parts) - len(common)],
                    [*parts[: len(parts) - len(common)], *common, *outer],
                    None if has_metrics or metrics is not None else _metrics(offer.rule.metrics),
                    names,
                    numbers,
                )
                for offer, parts in zip(offers, inner, strict=True)
            ],
        )

    def _offer(
        self,
        rule: ParsedRule,
        own: list[Any],
        parts: list[Any],
        metrics: list[MetricDefinition] | None,
        names: _AudienceNames,
        numbers: _Numbers,
    ) -> OfferDefinition:
        meta = rule.meta
        place: dict[str, Any] = {"mbox": rule.place}
        type, is_numbered = "mbox", False
        if rule.kind == "views":
            place, type, is_numbered = {"view": rule.place}, "view", True
        elif rule.place == self._global_mbox and meta["location.type"] == "view":
            place, type, is_numbered = {"page_load": meta["location.id"]}, "view", True
        if "page_load" not in place and meta["location.id"]:
            place["location_id"] = meta["location.id"]
        content = _content(rule.options)
        has_content = "options" in content or any(name in content for name in CONTENTS)
        rule_key = f"{rule.activity_id}-{meta['location.id']}" if is_numbered else f"{rule.activity_id}"
        ids = meta["audience.ids"]
        return OfferDefinition(
            **place,
            **content,
            **numbers.options(meta, has_content),
            id=meta.get("offer.id"),
            name=meta.get("offer.name"),
            audience=names.texts(own),
            metrics=metrics,
            rule_key=None if rule.rule_key == rule_key else rule.rule_key,
            audience_ids=None if ids == names.ids(parts) else ids,
            location_type=None if meta["location.type"] == type else meta["location.type"],
        )


class _Offer:
    """Rules of one offer, which differ in their windows."""

    def __init__(self, rules: list[ParsedRule]) -> None:
        self.rule = rules[0]
        self.windows = [one.window for one in rules if one.window is not None] or None


class _Numbers:
    """Running numbers of the offers of an activity, as the compiler counts them."""

    def __init__(self) -> None:
        self._next = _FIRST_OPTION

    def options(self, meta: dict[str, Any], has_content: bool) -> dict[str, Any]:
        """Return the fields of an offer whose option has other ids than the compiler gives."""
        expected: Any = 0
        if has_content:
            expected, self._next = self._next, self._next + 1
        found = {}
        id, name = meta.get("option.id"), meta.get("option.name")
        if not same_json(id, expected):
            found["option_id"] = id
        if name != (f"Offer{id}" if has_content and id is not None else None):
            found["option_name"] = name
        return found


class _AudienceNames:
    """Names of the audiences whose ids the artifact says."""

    def __init__(self, rules: Iterable[ParsedRule]) -> None:
        self._ids: dict[str, int] = {}
        pairs = [(list(map(print_expression, one.parts)), one.meta["audience.ids"]) for one in rules]
        for parts, ids in sorted(pairs, key=lambda pair: len(pair[0])):
            if len(parts) == len(ids) == len(set(parts)) == len(set(ids)):
                for order in (ids, ids[::-1]):
                    taken = {id: text for text, id in self._ids.items()}
                    if all(
                        self._ids.get(text, id) == id and taken.get(id, text) == text
                        for text, id in zip(parts, order, strict=True)
                    ):
                        self._ids |= zip(parts, order, strict=True)
                        break
        self._names = {text: f"audience_{number}" for number, text in enumerate(self._ids, 1)}

    @property
    def definitions(self) -> dict[str, str | AudienceDefinition]:
        """The named audiences."""
        return {
            name: AudienceDefinition(where=text, id=self._ids[text]) for text, name in self._names.items()
        }

    def texts(self, parts: list[Any]) -> list[str] | str:
        """Return the value of an `audience`: names and expressions."""
        texts = [self._names.get(text, text) for text in map(print_expression, parts)]
        return texts[0] if len(texts) == 1 else texts

    def ids(self, parts: list[Any]) -> list[int]:
        """Return the ids that the compiler gives to parts of a condition."""
        found = [self._ids[text] for text in map(print_expression, parts) if text in self._ids]
        return list(dict.fromkeys(found))


def _compile(
    settings: WorkspaceSettings, activities: list[ActivityDefinition]
) -> tuple[dict[str, Any] | None, set[int]]:
    """Return the artifact, or None and the indexes of the activities that cannot be compiled."""
    sources = [DefinitionSource("", None, f"activities[{index}]") for index in range(len(activities))]
    result = compile_activities(ActivitySet(settings, activities, sources=sources), Lock())
    if result.findings:
        found = [_ACTIVITY.match(one.path) for one in result.findings]
        return None, {int(one[1]) for one in found if one is not None}
    return next(iter(result.artifacts.values())), set()


def _places(activity: ActivityDefinition, global_mbox: str) -> Iterator[Place]:
    for experience in activity.experiences:
        for offer in experience.offers:
            if offer.view is not None:
                yield "views", offer.view
            else:
                yield "mboxes", global_mbox if offer.mbox is None else offer.mbox


def _priorities(ids: list[int], orders: list[list[int]]) -> dict[int, int]:
    """Return the priorities of activities, the first first, that give their orders at locations."""
    after: dict[int, set[int]] = {id: set() for id in ids}
    before: dict[int, int] = dict.fromkeys(ids, 0)
    for order in orders:
        for one, other in pairwise(order):
            if other not in after[one]:
                after[one].add(other)
                before[other] += 1
    ready = [id for id, count in before.items() if count == 0]
    heapq.heapify(ready)
    sorted_ids: list[int] = []
    waiting = dict.fromkeys(ids)
    while waiting:
        id = heapq.heappop(ready) if ready else next(iter(waiting))  # else the orders contradict
        if id not in waiting:
            continue
        del waiting[id]
        sorted_ids.append(id)
        for other in after[id]:
            before[other] -= 1
            if before[other] == 0:
                heapq.heappush(ready, other)
    priorities: dict[int, int] = {}
    priority = 0
    for id, following in zip(sorted_ids[::-1], [None, *sorted_ids[::-1]], strict=False):
        if following is not None and id > following:
            priority = min(priority + 1, _HIGHEST_PRIORITY)
        priorities[id] = priority
    return dict(reversed(priorities.items()))


def _merged_windows(rules: list[ParsedRule]) -> list[list[ParsedRule]]:
    """Return rules that differ only in their windows together."""
    found: list[list[ParsedRule]] = []
    for rule in rules:
        last = found[-1][0] if found else None
        if last is not None and rule.window is not None and last.window is not None and rule.is_twin(last):
            found[-1].append(rule)
        else:
            found.append([rule])
    return found


def _common_suffix(lists: list[list[Any]]) -> list[Any]:
    found: list[Any] = []
    for parts in zip(*(one[::-1] for one in lists), strict=False):
        if not all(same_json(part, parts[0]) for part in parts):
            break
        found.insert(0, parts[0])
    return found


def _same(values: list[Any]) -> Any:
    """Return the value that all are, None if they differ."""
    return values[0] if all(same_json(one, values[0]) for one in values) else None


def _metrics(metrics: list[dict[str, Any]] | None) -> list[MetricDefinition]:
    return [
        MetricDefinition(type=one["type"], selector=one.get("selector"), token=one["eventToken"])
        for one in metrics or ()
    ]


def _content(options: list[Any]) -> dict[str, Any]:
    """Return the fields of an offer for the options of a rule."""
    option = options[0] if len(options) == 1 else None
    if isinstance(option, dict) and option.keys() <= {"type", "content", "eventToken"}:
        token = {"token": option.get("eventToken")}
        if not (token["token"] is None and "eventToken" in option):
            if "type" not in option and "content" not in option:
                return token
            if _is_content(option):
                return {option["type"]: option["content"], **token}
    return {"options": options}


def _is_content(option: dict[str, Any]) -> bool:
    if option.get("type") not in CONTENTS or "content" not in option:
        return False
    type, content = option["type"], option["content"]
    if type == "json":
        return not is_file_reference(content)
    if type == "actions":
        return isinstance(content, list) and all(isinstance(one, dict) for one in content)
    return isinstance(content, str)


def _texts(value: Any) -> list[str]:
    return value if isinstance(value, list) and all(isinstance(one, str) for one in value) else []


def _slug(name: str, default: str) -> str:
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60].strip("-")
    return slug or default


def _unique(key: str, taken: set[str]) -> str:
    found, number = key, 1
    while found in taken:
        number += 1
        found = f"{key}-{number}"
    taken.add(found)
    return found
