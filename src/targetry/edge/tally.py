"""Counting: from events to visitors, conversions and orders of each experience.

A visitor belongs to the experience of his first impression, whatever he sees later: so the split stays as random as it was.
An impression is content given (`impression`) or displayed (`display`). He converts with a click or an order at or after
his first impression of the activity; several are one conversion.

An order counts once for an activity, by its order id: a confirmation page that is loaded again is no second order. One that
belongs to no activity counts for every activity that its visitor had been in, as an order in Target does.

Events may come in any order, and the result is the same to the last digit.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping

from .event import MAX_ORDER_TOTAL, Event

_Key = tuple[str, str]  # activity, visitor
_Moment = tuple[int, str]  # time and, to settle ties, event id


class ExperienceCount:
    """`entered`: those of the visitors who came since the moment that the caller named."""

    def __init__(self) -> None:
        self.visitors = self.entered = self.impressions = self.conversions = self.orders = 0
        self.unusable_totals = 0
        self.totals: list[float] = []

    @property
    def revenue(self) -> float:
        """Exact, and so the same in whatever order the totals are summed."""
        return math.fsum(self.totals)


class ActivityCount:
    """`switched`: visitors who saw more than one experience. `outside`: visitors who clicked or ordered, but not after an
    impression, and so did not convert."""

    def __init__(self) -> None:
        self.experiences: defaultdict[str, ExperienceCount] = defaultdict(ExperienceCount)
        self.switched = self.outside = 0


class _Course:
    """One visitor in one activity."""

    __slots__ = ("converted", "experience_id", "first", "switched")

    def __init__(self, first: _Moment, experience_id: str) -> None:
        self.first = first
        self.experience_id = experience_id
        self.switched = False
        self.converted = False

    def meet(self, moment: _Moment, experience_id: str) -> None:
        self.switched |= experience_id != self.experience_id
        if moment < self.first:
            self.first, self.experience_id = moment, experience_id


def tally(events: Iterable[Event], since_ms: Mapping[str, int] | None = None) -> dict[str, ActivityCount]:
    """Counts by activity id. `since_ms` names the moment of `ExperienceCount.entered` for activities; default: all."""
    counting = _Tally()
    for event in events:
        counting.add(event)
    return counting.counts(since_ms or {})


class _Tally:
    def __init__(self) -> None:
        self._activities: defaultdict[str, ActivityCount] = defaultdict(ActivityCount)
        self._courses: dict[_Key, _Course] = {}
        self._visits: defaultdict[str, list[str]] = defaultdict(list)  # visitor → activities
        self._clicks: dict[_Key, int] = {}  # the time of the last
        self._orders: list[Event] = []

    def add(self, event: Event) -> None:
        if event.kind == "order":
            self._orders.append(event)
        elif not event.activity_id:
            return
        elif event.kind == "click":
            key = (event.activity_id, event.visitor)
            self._clicks[key] = max(event.timestamp_ms, self._clicks.get(key, 0))
        elif event.experience_id:
            self._add_impression(event)

    def counts(self, since_ms: Mapping[str, int]) -> dict[str, ActivityCount]:
        outside = self._convert_clicks() | self._convert_orders()
        for key in outside:
            course = self._courses.get(key)
            self._activities[key[0]].outside += course is None or not course.converted
        for (activity_id, _), course in self._courses.items():
            activity = self._activities[activity_id]
            activity.switched += course.switched
            count = activity.experiences[course.experience_id]
            count.visitors += 1
            count.entered += course.first[0] >= since_ms.get(activity_id, 0)
            count.conversions += course.converted
        return dict(self._activities)

    def _add_impression(self, event: Event) -> None:
        activity_id, moment = event.activity_id, (event.timestamp_ms, event.id)
        self._activities[activity_id].experiences[event.experience_id].impressions += 1
        course = self._courses.get((activity_id, event.visitor))
        if course is None:
            self._courses[activity_id, event.visitor] = _Course(moment, event.experience_id)
            self._visits[event.visitor].append(activity_id)
        else:
            course.meet(moment, event.experience_id)

    def _convert_clicks(self) -> set[_Key]:
        """Mark who converted; those who clicked too early, or outside of the activity, come back."""
        return {key for key, last_ms in self._clicks.items() if not self._convert(key, last_ms)}

    def _convert_orders(self) -> set[_Key]:
        """As `_convert_clicks`. Of orders with one order id the earliest counts."""
        outside: set[_Key] = set()
        known: set[_Key] = set()  # activity, order id
        for order in sorted(self._orders, key=lambda event: (event.timestamp_ms, event.id)):
            for activity_id in (
                [order.activity_id] if order.activity_id else self._visits.get(order.visitor, ())
            ):
                if order.order_id:
                    if (activity_id, order.order_id) in known:
                        continue
                    known.add((activity_id, order.order_id))
                key = (activity_id, order.visitor)
                if self._convert(key, order.timestamp_ms):
                    self._add_order(key, order.order_total)
                elif order.activity_id:
                    outside.add(key)
        return outside

    def _convert(self, key: _Key, at_ms: int) -> bool:
        course = self._courses.get(key)
        if course is None or at_ms < course.first[0]:
            return False
        course.converted = True
        return True

    def _add_order(self, key: _Key, total: float | None) -> None:
        count = self._activities[key[0]].experiences[self._courses[key].experience_id]
        count.orders += 1
        if total is None:
            return
        if isinstance(total, int | float) and abs(total) <= MAX_ORDER_TOTAL:
            count.totals.append(total)
        else:
            count.unusable_totals += 1
