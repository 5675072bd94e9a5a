"""Context of the checks: activities with parsed audiences and the places of their offers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cached_property
from typing import Any, NamedTuple

from targetry.activities.compile.activity_set import ActivitySet, texts_of
from targetry.activities.compile.audiences import AudienceTable, ScheduleError, schedule_conditions
from targetry.activities.compile.compiler import Compilation
from targetry.activities.compile.layout import Window
from targetry.activities.expressions import ExpressionError
from targetry.activities.expressions.parser import ParsedExpression, parse_with_marks
from targetry.activities.expressions.solver import Proposition
from targetry.activities.lint.catalog import RULES
from targetry.activities.model.definitions import (
    ActivityDefinition,
    Audiences,
    ExperienceDefinition,
    OfferDefinition,
)
from targetry.activities.model.finding import Finding, Level
from targetry.activities.model.lock_file import Lock


class AudienceText(NamedTuple):
    """An expression in the files. `is_name`: it is the name of an audience as a whole."""

    path: str
    text: str
    parsed: ParsedExpression
    is_name: bool


class Placement(NamedTuple):
    """An offer at its place, with the audience of its rule.

    `own` are the conditions by the paths of their `audience` or `schedule`, the innermost first.
    `audience` is all of them as one; the window is not part of it.
    """

    activity_index: int
    activity: ActivityDefinition
    number: int
    experience: ExperienceDefinition
    offer: OfferDefinition
    path: str
    own: list[tuple[str, list[Any]]]
    windows: list[Window] | None
    audience: Proposition

    @property
    def place(self) -> tuple[str, str, int]:
        """Field, name and number of the place."""
        offer = self.offer
        if offer.mbox is not None:
            return "mbox", offer.mbox, offer.location_id
        if offer.view is not None:
            return "view", offer.view, offer.location_id
        return "page_load", "", offer.page_load or 0


class LintContext:
    """Input of a check.

    Attributes:
        activities: The activities.
        compilation: Result of their compilation.
        lock: The lock of the folder, None without one.
        now_ms: Time of the check, epoch milliseconds.
        unused_files: Files below `offers/` to which no offer refers.
    """

    def __init__(
        self,
        activities: ActivitySet,
        compilation: Compilation,
        lock: Lock | None,
        now_ms: int,
        unused_files: list[str],
    ) -> None:
        self.activities = activities
        self.settings = activities.settings
        self.compilation = compilation
        self.lock = lock
        self.now_ms = now_ms
        self.unused_files = unused_files
        self.audiences = AudienceTable(activities)
        self._propositions: dict[str, Proposition] = {}

    def finding(
        self,
        code: str,
        path: str,
        message: str,
        hint: str | None = None,
        *,
        at: tuple[int, int] | None = None,
        level: Level | None = None,
    ) -> Finding:
        """Return a finding; `at` is line and column in the text at the path."""
        line, column = at or (1, 1)
        return self.activities.finding(
            code,
            path,
            message,
            level=level or RULES[code].level,
            hint=hint,
            line=line,
            column=column,
            in_text=at is not None,
        )

    @cached_property
    def live(self) -> list[tuple[int, ActivityDefinition]]:
        """Live activities with their indexes."""
        return [(index, one) for index, one in enumerate(self.activities.activities) if one.state == "live"]

    @cached_property
    def texts(self) -> list[AudienceText]:
        """All expressions that can be parsed."""
        return list(self._texts())

    def _texts(self) -> Iterator[AudienceText]:
        for path, text in self._written():
            try:
                if text in self.settings.audiences and not path.startswith("audiences."):
                    yield AudienceText(path, text, ParsedExpression(self.audiences[text], {}), True)
                else:
                    yield AudienceText(path, text, parse_with_marks(text, self.audiences), False)
            except ExpressionError:  # a finding of the compilation
                continue

    def _written(self) -> Iterator[tuple[str, str]]:
        for name, definition in self.settings.audiences.items():
            if isinstance(definition, str):
                yield f"audiences.{name}", definition
            else:
                yield f"audiences.{name}.where", definition.where
        for path, value in self._audience_values():
            yield from ((f"{path}{inner}", text) for inner, text in texts_of(value))

    def _audience_values(self) -> Iterator[tuple[str, Audiences]]:
        for index, activity in enumerate(self.activities.activities):
            path = f"activities[{index}]"
            yield f"{path}.audience", activity.audience
            for number, experience in enumerate(activity.experiences):
                inner = f"{path}.experiences[{number}]"
                yield f"{inner}.audience", experience.audience
                for place, offer in enumerate(experience.offers):
                    yield f"{inner}.offers[{place}].audience", offer.audience

    @cached_property
    def placements(self) -> list[Placement]:
        """Offers of the live activities, in the order in which their rules are tried."""
        found = [one for index, activity in self.live for one in self._placements(index, activity)]
        return sorted(found, key=lambda one: self._order(one.activity))

    def _order(self, activity: ActivityDefinition) -> tuple[int, int]:
        return -self.priority(activity), self.compilation.layout.activities[activity.key].id

    def priority(self, activity: ActivityDefinition) -> int:
        """Return the priority of an activity."""
        return self.settings.defaults.priority if activity.priority is None else activity.priority

    def _placements(self, index: int, activity: ActivityDefinition) -> Iterator[Placement]:
        layout = self.compilation.layout.activities.get(activity.key)
        if layout is None:
            return
        path = f"activities[{index}]"
        schedule = self._schedule(activity)
        common = [(f"{path}.audience", activity.audience)]
        for number, experience in enumerate(activity.experiences):
            inner = f"{path}.experiences[{number}]"
            windows = None if layout.windows is None else layout.windows.get(experience.key, [])
            for place, offer in enumerate(experience.offers):
                if len(offer.places) != 1:
                    continue
                at = f"{inner}.offers[{place}]"
                values = [
                    (f"{at}.audience", offer.audience),
                    (f"{inner}.audience", experience.audience),
                    *common,
                ]
                own = [(where, self._conditions(where, value)) for where, value in values]
                own.append((f"{path}.schedule", schedule))
                audience = self._proposition([one for _, conditions in own for one in conditions])
                parts = [one for one in own if one[1]]
                yield Placement(index, activity, number, experience, offer, at, parts, windows, audience)

    def _conditions(self, path: str, value: Audiences) -> list[Any]:
        """Return the conditions of an `audience` value; False for one with a mistake."""
        return [self._logic.get(f"{path}{inner}", False) for inner, _ in texts_of(value)]

    def _proposition(self, conditions: list[Any]) -> Proposition:
        """Return the conjunction of conditions; equal ones are one object."""
        condition = {"and": [True, *conditions]}
        return self._propositions.setdefault(json.dumps(condition), Proposition(condition))

    @cached_property
    def _logic(self) -> dict[str, Any]:
        return {one.path: one.parsed.logic for one in self.texts}

    @staticmethod
    def _schedule(activity: ActivityDefinition) -> list[Any]:
        if activity.schedule is None:
            return []
        try:
            return schedule_conditions(activity.schedule)
        except ScheduleError:
            return []
