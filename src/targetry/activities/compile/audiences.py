"""Conditions of audiences: named ones, expressions, schedules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final, get_args

from targetry.activities.compile.activity_set import ActivitySet, texts_of
from targetry.activities.expressions import ExpressionError, parse_expression
from targetry.activities.model.definitions import AudienceDefinition, Schedule, Weekday
from targetry.activities.model.finding import Finding
from targetry.activities.model.ids import derived_id

MAX_CONDITION_VALUES: Final = 20_000
_TIMESTAMP: Final = {"var": "current_timestamp"}
_TIME: Final = {"var": "current_time"}
_DAY: Final = {"var": "current_day"}
_DAYS: Final[tuple[Weekday, ...]] = get_args(Weekday)


class AudienceTable(Mapping[str, Any]):
    """Conditions of the named audiences, parsed when they are first used.

    `findings` has the mistakes in their expressions.
    """

    def __init__(self, activities: ActivitySet) -> None:
        self.findings: list[Finding] = []
        self._set = activities
        self._definitions = activities.settings.audiences
        self._conditions: dict[str, Any] = {}
        self._sizes: dict[int, tuple[Any, int]] = {}
        self._open: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return iter(self._definitions)

    def __len__(self) -> int:
        return len(self._definitions)

    def __contains__(self, name: object) -> bool:
        return name in self._definitions

    def __getitem__(self, name: str) -> Any:
        """Return the condition of a named audience; False if it has a mistake.

        Raises:
            KeyError: There is no such audience.
            ExpressionError: The audience refers to itself.
        """
        definition = self._definitions[name]
        if name in self._conditions:
            return self._conditions[name]
        if name in self._open:
            cycle = " → ".join([*self._open[self._open.index(name) :], name])
            raise ExpressionError("TA004", f"the audience {name!r} refers to itself: {cycle}")
        is_text = isinstance(definition, str)
        text = definition if isinstance(definition, str) else definition.where
        self._open.append(name)
        try:
            condition = self.condition(text, f"audiences.{name}" if is_text else f"audiences.{name}.where")
        finally:
            self._open.pop()
        self._conditions[name] = condition
        return condition

    def condition(self, text: str, path: str) -> Any:
        """Return the condition of an expression or of an audience's name; False with a mistake.

        Args:
            text: The expression or the name.
            path: Path of the text, for the finding.
        """
        try:
            if text in self._set.conditions:
                return self._set.conditions[text]
            condition = self[text] if text in self else parse_expression(text, self)
        except ExpressionError as error:
            self.findings.append(
                self._set.finding(
                    error.code,
                    path,
                    error.message,
                    hint=error.hint,
                    line=error.line,
                    column=error.column,
                    in_text=True,
                )
            )
            return False
        if _size(condition, self._sizes) > MAX_CONDITION_VALUES:
            self.findings.append(
                self._set.finding(
                    "TA004", path, f"the audience has more than {MAX_CONDITION_VALUES:,} values"
                )
            )
            return False
        return condition

    def conditions(self, value: str | list[str], path: str) -> list[Any]:
        """Return the conditions of an `audience` value; its path is `path`."""
        return [self.condition(text, f"{path}{inner}") for inner, text in texts_of(value)]

    def ids(self, value: str | list[str]) -> list[int]:
        """Return the ids of the named audiences among the values of an `audience`."""
        client = self._set.settings.client
        return [
            self._id(client, name, self._definitions[name])
            for _, name in texts_of(value)
            if name in self._definitions
        ]

    @staticmethod
    def _id(client: str, name: str, definition: str | AudienceDefinition) -> int:
        explicit = None if isinstance(definition, str) else definition.id
        return derived_id(client, f"audience/{name}") if explicit is None else explicit


def _size(condition: Any, sizes: dict[int, tuple[Any, int]]) -> int:
    """Return the number of values in a condition, parts that audiences share counted each time.

    `sizes` has the lists and maps that were counted, which keeps their ids from being used again.
    """
    if not isinstance(condition, (dict, list)):
        return 1
    if (known := sizes.get(id(condition))) is not None:
        return known[1]
    parts = condition.values() if isinstance(condition, dict) else condition
    size = 1 + sum(_size(part, sizes) for part in parts)
    sizes[id(condition)] = condition, size
    return size


class ScheduleError(Exception):
    """A schedule is not usable; `field` is the wrong one, `hint` describes the remedy."""

    def __init__(self, field: str, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.field = field
        self.hint = hint


def schedule_conditions(schedule: Schedule) -> list[Any]:
    """Return the conditions of a schedule: period, days, hours. Raises `ScheduleError`."""
    conditions: list[Any] = []
    start = None if schedule.from_ is None else _epoch_ms("from", schedule.from_)
    end = None if schedule.to is None else _epoch_ms("to", schedule.to) - 1
    if start is not None and end is not None and start > end:
        raise ScheduleError("to", "the schedule ends before it starts")
    bounds = [*([] if start is None else [start]), _TIMESTAMP, *([] if end is None else [end])]
    if len(bounds) > 1:
        conditions.append({"<=": bounds})
    days = [{"==": [str(_DAYS.index(day) + 1), _DAY]} for day in dict.fromkeys(schedule.days)]
    if days:
        conditions.append(days[0] if len(days) == 1 else {"or": days})
    if schedule.hours is not None:
        conditions.append(_hours(schedule.hours))
    return conditions


def _epoch_ms(field: str, text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ScheduleError(
            field, f"{text!r} is no time in ISO 8601", "write it like 2026-11-27T00:00:00Z"
        ) from None
    if moment.tzinfo is None:
        raise ScheduleError(field, f"the time {text!r} has no offset", "add Z or +01:00")
    try:
        return round(moment.timestamp() * 1000)
    except (OverflowError, ValueError):
        raise ScheduleError(field, f"{text!r} is out of range") from None


def _hours(text: str) -> Any:
    first, dash, last = text.partition("-")
    start, end = _minutes(first.strip()), _minutes(last.strip())
    if not dash or start is None or end is None or start == end or start == 24 * 60:
        raise ScheduleError("hours", f"{text!r} is no range of hours", "write it like 09:00-17:00")
    if start < end:
        return {"<=": [_clock(start), _TIME, _clock(end - 1)]}
    # Over midnight.
    late = {"<=": [_clock(start), _TIME, "2359"]}
    return late if end == 0 else {"or": [late, {"<=": ["0000", _TIME, _clock(end - 1)]}]}


def _minutes(text: str) -> int | None:
    hour, _, minute = text.partition(":")
    if not (len(hour) == len(minute) == 2 and (hour + minute).isdecimal() and text.isascii()):
        return None
    total = int(hour) * 60 + int(minute)
    return total if int(minute) < 60 and total <= 24 * 60 else None


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02d}{minutes % 60:02d}"
