"""Records of a ledger: events, and descriptions of the activities they belong to."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Final, Literal

import msgspec

from targetry.errors import OptionError

MAX_ID_LENGTH: Final = 250
"""Largest length of an id in characters; PostgreSQL indexes at most some 2,700 bytes."""

_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID_LENGTH)]
# Two of them are in the key of a segment, with the name and the value of a fact.
_ActivityId = Annotated[str, msgspec.Meta(max_length=MAX_ID_LENGTH // 2)]
_Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]

MAX_ORDER_TOTAL: Final = 1_000_000_000_000
"""Largest order total, in the order's currency, that the edge accepts and sums include."""

MAX_FACTS: Final = 10
MAX_FACT_LENGTH: Final = 100
"""Largest length of a fact's value in characters."""

NEW: Final = "new"
"""Name of the segments of new and returning visitors, which a ledger knows of its events."""

_FactName = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=r"^[\w.-]+\Z")]
_FactValue = Annotated[str, msgspec.Meta(max_length=MAX_FACT_LENGTH, pattern=r"^[^\x00]*\Z")]

Kind = Literal["impression", "display", "click", "order"]


class LedgerEvent(msgspec.Struct, frozen=True):
    """One event of a visitor. `id` is an idempotency key: events with one id are the same event.

    Ids have at most 250 characters, those of activities and experiences 125.

    An `impression` is content returned to an execute request; `display` and `click` are
    notifications. An `order` belongs to one activity or, if `activity_id` is empty, to every
    activity of the visitor. Both ids are empty for an event of an unknown activity. `order_total`
    has no currency. `facts` name the segments of the visitor, such as `{"browser": "chrome"}`;
    those of the first impression of an activity count.
    """

    id: _Id
    kind: Kind
    visitor: _Id
    activity_id: _ActivityId
    experience_id: _ActivityId
    location: str
    token: str
    timestamp_ms: _Milliseconds
    session_id: str
    order_id: Annotated[str, msgspec.Meta(max_length=MAX_ID_LENGTH)] | None = None
    order_total: float | None = None
    facts: Annotated[dict[_FactName, _FactValue], msgspec.Meta(max_length=MAX_FACTS)] | None = None


class ExperienceDescription(msgspec.Struct, frozen=True):
    """Description of an experience.

    `share` is the percentage of the activity's visitors that the artifact allocates to it; None in
    an activity without a split.
    """

    id: str
    name: str | None = None
    share: float | None = None


class ActivityDescription(msgspec.Struct, frozen=True):
    """Description of an activity. The first experience is the control.

    `type` is `ab` or `landing` (experience targeting). `shares_since_ms` is the time when a ledger
    found the shares changed (epoch ms), 0 if it never did.
    """

    id: str
    name: str | None = None
    type: str | None = None
    experiences: tuple[ExperienceDescription, ...] = ()
    shares_since_ms: int = 0


class FirstImpression(msgspec.Struct, frozen=True):
    """First impression of a visitor in an activity, which decides where the visitor counts."""

    visitor: str
    timestamp_ms: int
    activity_id: str
    experience_id: str
    location: str


Row = tuple[Any, ...]
"""Fields of an event, in the order of `LedgerEvent`."""

_as_tuple: Final = msgspec.structs.astuple
_FIELDS: Final = msgspec.structs.fields(LedgerEvent)
# Decoding the fields of an event takes two thirds of the time of decoding the event.
_ROWS: Final = msgspec.json.Decoder(list[tuple[tuple(field.type for field in _FIELDS)]])  # type: ignore[misc]
_COLUMN: Final = re.compile(r"(?<=\])\[(\d+)\]")
_FACTS: Final = msgspec.json.Decoder(dict[str, str])


def id_sort_key(text: str) -> tuple[int, str]:
    """Return a sort key of ids: numbers of at most 18 digits first, by their value, then others."""
    is_number = text.isascii() and text.isdigit() and len(text) <= 18
    return (int(text), "") if is_number else (10**18, text)


def event_rows(events: Sequence[LedgerEvent]) -> list[Row]:
    """Return the rows of events, as `event_row` does; all their fields can be stored.

    Raises:
        OptionError: A field has the wrong type or range; the error has its path.
    """
    try:
        for position, event in enumerate(events):
            if event.order_total is not None and not _is_json_number(event.order_total):
                raise OptionError(f"events[{position}].order_total", "must be a finite number")
            if isinstance(event.facts, dict) and NEW in event.facts:
                reason = f"must not have the name {NEW!r}, which a report has for new and returning visitors"
                raise OptionError(f"events[{position}].facts", reason)
        rows = _ROWS.decode(msgspec.json.encode([_as_tuple(event) for event in events]))
    except UnicodeEncodeError as error:
        raise OptionError("events", f"a text is not Unicode: {error.reason}") from error
    except msgspec.ValidationError as error:
        reason, _, place = str(error).partition(" - at ")
        path = place.removeprefix("`key` in ").strip("`$")
        raise OptionError(f"events{_COLUMN.sub(_field_name, path, 1)}", reason) from error
    except (TypeError, OverflowError, msgspec.DecodeError) as error:
        raise OptionError("events", str(error)) from error
    return [row if row[-1] is None else _with_json_facts(row) for row in rows]


def check_texts(path: str, texts: Iterable[object]) -> None:
    """Check that a ledger can hold each of the texts.

    Raises:
        OptionError: They are one text, or one of them is no text or not Unicode; the error has its
            path.
    """
    if isinstance(texts, str):
        raise OptionError(path, "must be a sequence of texts, not a str")
    for position, text in enumerate(texts):
        if not isinstance(text, str):
            raise OptionError(f"{path}[{position}]", f"must be a str, not {type(text).__name__}")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise OptionError(f"{path}[{position}]", f"is not Unicode: {error.reason}") from error


def event_row(event: LedgerEvent) -> Row:
    """Return the fields of an event as a database stores them: its facts are JSON."""
    row = _as_tuple(event)
    return row if event.facts is None else _with_json_facts(row)


def event_of_row(row: Sequence[Any]) -> LedgerEvent:
    """Return the event of a row that `event_row` made; facts that are no JSON are left out."""
    if row[-1] is None:
        return LedgerEvent(*row)
    try:
        facts = _FACTS.decode(row[-1])
    except (msgspec.DecodeError, UnicodeEncodeError):
        facts = None
    return LedgerEvent(*(*row[:-1], facts))


def _with_json_facts(row: Row) -> Row:
    return (*row[:-1], msgspec.json.encode(row[-1]).decode())


def _field_name(column: re.Match[str]) -> str:
    return f".{_FIELDS[int(column[1])].name}"


def _is_json_number(total: object) -> bool:
    """Return False for a number that JSON cannot represent; the decoder checks other types."""
    return not isinstance(total, int | float) or abs(total) <= sys.float_info.max
