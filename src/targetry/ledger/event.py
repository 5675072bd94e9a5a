"""What the ledger keeps: events, and the names of the activities and experiences that they belong to."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Final, Literal

import msgspec

from targetry.errors import OptionError

_Id = Annotated[str, msgspec.Meta(min_length=1)]
_Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]

MAX_ORDER_TOTAL: Final = 1_000_000_000_000
"""The largest order total, in the currency of the order, that the edge accepts and a report adds up."""

Kind = Literal["impression", "display", "click", "order"]


class Event(msgspec.Struct, frozen=True):
    """One thing that happened. `id` makes it unique: an event with an id that was seen before is the same event.

    `impression` is content given to an execute request, `display` and `click` are notifications; an `order` may belong
    to one activity, or, with an empty `activity_id`, to every activity that the visitor had been in. Where it is not known
    to what an event belongs, `activity_id` and `experience_id` are empty. `order_total` has no currency.
    """

    id: _Id
    kind: Kind
    visitor: _Id
    activity_id: str
    experience_id: str
    location: str
    token: str
    timestamp_ms: _Milliseconds
    session_id: str
    order_id: str | None = None
    order_total: float | None = None


class Experience(msgspec.Struct, frozen=True):
    """`share`: percent of the activity's visitors who shall get it; None where no split decides."""

    id: str
    name: str | None = None
    share: float | None = None


class Activity(msgspec.Struct, frozen=True):
    """`type` is `ab` or `landing` (experience targeting). The first experience is the control.

    `shares_since_ms`: since when the shares are what they are, as far as the ledger knows.
    """

    id: str
    name: str | None = None
    type: str | None = None
    experiences: tuple[Experience, ...] = ()
    shares_since_ms: int = 0


_EVENTS: Final = msgspec.json.Decoder(list[Event])


def checked(events: Sequence[Event]) -> list[Event]:
    """The events, each field of its type and such that it can be stored. Raises `OptionError` with the field's path."""
    try:
        for position, event in enumerate(events):
            if not _is_json_number(event.order_total):
                raise OptionError(f"events[{position}].order_total", "must be a finite number")
        return _EVENTS.decode(msgspec.json.encode(list(events)))
    except UnicodeEncodeError as error:
        raise OptionError("events", f"a text is not Unicode: {error.reason}") from error
    except msgspec.ValidationError as error:
        reason, _, path = str(error).partition(" - at `$")
        raise OptionError(f"events{path.rstrip('`')}", reason) from error
    except (TypeError, OverflowError, msgspec.DecodeError) as error:
        raise OptionError("events", str(error)) from error


def _is_json_number(total: object) -> bool:
    """Return False for a number that JSON cannot hold; other types are left to the decoder."""
    return not isinstance(total, int | float) or abs(total) <= sys.float_info.max
