"""Counting of a ledger's events into its kept sums, many events by a few statements.

To record an event only inserts its row in `new_event`. That table stays small, so a commit writes
few pages; the indexes of `event` have a page for almost each event of a commit. The transaction
that counts events moves them to `event`. `counted` holds the number (`seq`) of the last counted
one, and the same transaction moves it on, so each event is counted once, whichever process does it
and whenever a process is killed.

Counting an event a second time would change its impressions only, which are added up; each other
step keeps the earliest or the latest event. Removals use that to count the remaining events of a
visitor again. The steps:

- Impressions and clicks change the row of their visitor and activity in `participation`.
- An order becomes a row of `purchase` in each activity that it counts for; of orders with one id
  the earliest. `moved` holds the purchases that are new (+1) or replaced (-1).
- `contribution` holds what the affected visitors add to the sums, before (-1) and after (+1). A
  cohort is the visitors of one experience whose first impression is on one UTC day, and not older
  than the activity's current shares (`entered`) or older; `segment_sum` divides a cohort by each
  fact of the first impression.
- Orders of a visitor who enters an activity later count for it, too. The transaction that counts
  the impression counts a few of them; of the visitors in `entering` they are counted in pieces.
- The events of the visitors in `recounting` are counted again in pieces, and then those of the
  order ids in `recount`: without a visitor's purchase, the same order of another one can count. New
  events wait for these pieces.

Rows that are no events are not counted. No statement fails on a value that another program has
written: amounts that cannot be added exactly count as unusable.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple, TypeVar

from targetry.ledger.event import MAX_ORDER_TOTAL
from targetry.ledger.schema import (
    ADD_TO_SEGMENTS,
    COHORT_SUMS,
    DAY_MS,
    HAS_CONVERTED,
    HAS_SEGMENT,
    IS_IMPRESSION,
    IS_OUTSIDE,
    MICROS,
    is_event,
)

T = TypeVar("T")

CHUNK: Final = 1_000
"""Events that one transaction counts while others may wait to record; it takes some 10 ms."""

EARLIER: Final = 100
"""Earlier orders of a visitor up to which an impression counts them in its own transaction."""

PIECE: Final = 2_000
"""Events of a visitor or of an order id that one transaction counts; it takes some 25 ms."""

_COUNTED: Final = "id, kind, visitor, activity_id, experience_id, timestamp_ms, order_id, order_total, facts"
_PURCHASE: Final = "activity_id, order_key, at_ms, event_id, visitor, is_bound, units, micros, unusable"
_MONEY: Final = ("units", "micros", "unusable")
_CONTRIBUTION: Final = (
    "experience_id, first_ms, entered, converted, outside, switched, orders, units, micros, unusable, facts"
)

_TEMPORARY: Final = (
    f"CREATE TEMP TABLE IF NOT EXISTS counting ({_COUNTED})",
    "CREATE TEMP TABLE IF NOT EXISTS affected (visitor PRIMARY KEY) WITHOUT ROWID",
    "CREATE TEMP TABLE IF NOT EXISTS entry (visitor, activity_id)",
    f"""
    CREATE TEMP TABLE IF NOT EXISTS contribution (
        sign INTEGER, visitor, activity_id, {_CONTRIBUTION}, PRIMARY KEY (visitor, activity_id, sign)
    ) WITHOUT ROWID
    """,
    f"CREATE TEMP TABLE IF NOT EXISTS made ({_PURCHASE}, PRIMARY KEY (activity_id, order_key)) WITHOUT ROWID",
    f"CREATE TEMP TABLE IF NOT EXISTS moved (sign INTEGER, {_PURCHASE})",
)
_EMPTY: Final = tuple(
    f"DELETE FROM temp.{name}" for name in ("counting", "affected", "entry", "contribution", "made", "moved")
)


def _counting(condition: str) -> str:
    """Return the statement that selects the events to count."""
    return f"INSERT INTO temp.counting SELECT {_COUNTED} FROM event WHERE {condition} AND {is_event()}"


def _contributions(sign: int, visitors: str) -> str:
    """Return the statement for what the visitors of a table add to the sums."""
    return f"""
    INSERT INTO temp.contribution (sign, visitor, activity_id, {_CONTRIBUTION})
    SELECT {sign}, visitor, activity_id, experience_id, first_ms, ifnull(first_ms >= ifnull(shares_since_ms, 0), 0),
        {HAS_CONVERTED.format(row="")}, {IS_OUTSIDE.format(row="")}, switched, orders, units, micros, unusable, facts
    FROM {visitors} CROSS JOIN participation USING (visitor) LEFT JOIN activity ON activity.id = activity_id
    """


_USABLE: Final = f"(typeof(order_total) IN ('real', 'integer') AND abs(order_total) <= {MAX_ORDER_TOTAL})"
_AMOUNT: Final = f"CASE WHEN {_USABLE} THEN CAST(round(order_total * {MICROS}.0) AS INTEGER) ELSE 0 END"


def _purchases(activity_id: str, is_bound: int, source: str, condition: str) -> str:
    """Return the statement that makes purchases of the orders of a source, of each the earliest."""
    return f"""
    INSERT INTO temp.made ({_PURCHASE})
    SELECT {activity_id}, CASE WHEN order_id != '' THEN 'order ' || order_id ELSE 'event ' || id END,
        timestamp_ms, id, one.visitor, {is_bound}, ({_AMOUNT}) / {MICROS}, ({_AMOUNT}) % {MICROS},
        order_total IS NOT NULL AND NOT {_USABLE}
    FROM {source} WHERE {condition}
    ON CONFLICT (activity_id, order_key) DO UPDATE SET
        at_ms = excluded.at_ms, event_id = excluded.event_id, visitor = excluded.visitor, is_bound = excluded.is_bound,
        units = excluded.units, micros = excluded.micros, unusable = excluded.unusable
    WHERE (excluded.at_ms, excluded.event_id) < (at_ms, event_id)
    """


def _orders(factor: str) -> str:
    """Return the SQL for the number of purchases and their sums, each multiplied by a factor."""
    values = ("1", *(f"purchase.{name}" for name in _MONEY))
    return ", ".join(f"CAST(total({value} * {factor}) AS INTEGER)" for value in values)


def _plus(*names: str) -> str:
    return ", ".join(f"{name} = {name} + excluded.{name}" for name in names)


_IMPRESSIONS: Final = f"""
    INSERT INTO impression_sum (activity_id, experience_id, impressions)
    SELECT activity_id, experience_id, count(*) FROM event
    WHERE seq > :start AND seq <= :end AND {IS_IMPRESSION} AND {is_event()} GROUP BY 1, 2
    ON CONFLICT (activity_id, experience_id) DO UPDATE SET impressions = impressions + excluded.impressions
"""
# Most events are later impressions of the same experience, which change no other sum.
_NEXT_EVENTS: Final = _counting(
    f"""
    seq > :start AND seq <= :end AND NOT ({IS_IMPRESSION} AND EXISTS (
        SELECT 1 FROM participation AS own WHERE own.visitor = event.visitor AND own.activity_id = event.activity_id
            AND (own.first_ms, own.first_id) <= (event.timestamp_ms, event.id)
            AND (own.switched OR own.experience_id = event.experience_id)
    ))
    """
)
_IS_EARLIER: Final = "(first_ms IS NULL OR (excluded.first_ms, excluded.first_id) < (first_ms, first_id))"
_IS_ANOTHER: Final = "(experience_id IS NOT NULL AND experience_id != excluded.experience_id)"
_HAS_PAIR: Final = (
    "FROM temp.contribution AS old WHERE old.visitor = own.visitor AND old.activity_id = own.activity_id"
)
_CONTRIBUTIONS_BEFORE: Final = _contributions(-1, "temp.affected")
_AFFECT: Final = (
    "INSERT OR IGNORE INTO temp.affected SELECT visitor FROM temp.counting",
    _CONTRIBUTIONS_BEFORE,
)
_COUNT: Final = (
    # Sorted, so that neighbors are on one page.
    f"""
    INSERT INTO participation (visitor, activity_id, experience_id, first_ms, first_id, facts)
    SELECT visitor, activity_id, experience_id, timestamp_ms, id, CASE WHEN json_valid(facts) THEN facts END FROM temp.counting WHERE {IS_IMPRESSION}
    ORDER BY visitor, activity_id
    ON CONFLICT (visitor, activity_id) DO UPDATE SET
        switched = switched OR {_IS_ANOTHER},
        experience_id = CASE WHEN {_IS_EARLIER} THEN excluded.experience_id ELSE experience_id END,
        first_ms = CASE WHEN {_IS_EARLIER} THEN excluded.first_ms ELSE first_ms END,
        first_id = CASE WHEN {_IS_EARLIER} THEN excluded.first_id ELSE first_id END,
        facts = CASE WHEN {_IS_EARLIER} THEN excluded.facts ELSE facts END
    WHERE {_IS_EARLIER} OR ({_IS_ANOTHER} AND NOT switched)
    """,
    """
    INSERT INTO participation (visitor, activity_id, last_click_ms)
    SELECT visitor, activity_id, max(timestamp_ms) FROM temp.counting
    WHERE kind = 'click' AND activity_id != '' GROUP BY 1, 2
    ON CONFLICT (visitor, activity_id) DO UPDATE SET last_click_ms = excluded.last_click_ms
    WHERE last_click_ms IS NULL OR last_click_ms < excluded.last_click_ms
    """,
    """
    INSERT OR IGNORE INTO participation (visitor, activity_id)
    SELECT visitor, activity_id FROM temp.counting WHERE kind = 'order' AND activity_id != ''
    """,
    # Counted purchases between the new and the old first impression become part of the sums.
    f"""
    INSERT INTO participation (visitor, activity_id, orders, units, micros, unusable)
    SELECT own.visitor, own.activity_id, {_orders("1")}
    FROM temp.contribution AS old CROSS JOIN participation AS own USING (visitor, activity_id)
        CROSS JOIN purchase ON purchase.visitor = own.visitor AND purchase.activity_id = own.activity_id
            AND at_ms >= own.first_ms AND (old.first_ms IS NULL OR at_ms < old.first_ms)
    WHERE old.first_ms IS NOT own.first_ms GROUP BY 1, 2
    ON CONFLICT (visitor, activity_id) DO UPDATE SET {_plus("orders", *_MONEY)}
    """,
    _purchases("one.activity_id", 1, "temp.counting AS one", "kind = 'order' AND activity_id != ''"),
    _purchases(
        "own.activity_id",
        0,
        "temp.counting AS one CROSS JOIN participation AS own ON own.visitor = one.visitor",
        "kind = 'order' AND one.activity_id = '' AND own.experience_id IS NOT NULL",
    ),
    # Earlier orders of visitors who enter an activity now. With many, they are counted later.
    f"""
    INSERT INTO temp.entry SELECT own.visitor, own.activity_id
    FROM temp.affected CROSS JOIN participation AS own ON own.visitor = affected.visitor
    WHERE own.experience_id IS NOT NULL AND NOT EXISTS (SELECT 1 {_HAS_PAIR} AND old.experience_id IS NOT NULL)
        AND EXISTS (SELECT 1 FROM event AS one WHERE one.visitor = own.visitor AND one.kind = 'order')
    """,
    """
    INSERT OR IGNORE INTO entering SELECT own.visitor, own.activity_id, 0 FROM temp.entry AS own WHERE EXISTS (
        SELECT 1 FROM event AS one WHERE one.visitor = own.visitor AND one.kind = 'order' LIMIT 1 OFFSET :earlier
    )
    """,
    "DELETE FROM temp.entry WHERE (visitor, activity_id) IN (SELECT visitor, activity_id FROM entering)",
    _purchases(
        "own.activity_id",
        0,
        "temp.entry AS own CROSS JOIN event AS one ON one.visitor = own.visitor AND one.kind = 'order'",
        f"one.activity_id = '' AND {is_event('one.')}",
    ),
)
_COUNT_MADE: Final = (
    """
    DELETE FROM temp.made WHERE EXISTS (
        SELECT 1 FROM purchase AS old WHERE old.activity_id = made.activity_id AND old.order_key = made.order_key
            AND (old.at_ms, old.event_id) <= (made.at_ms, made.event_id)
    )
    """,
    f"""
    INSERT INTO temp.moved SELECT -1, {", ".join(f"old.{name}" for name in _PURCHASE.split(", "))}
    FROM temp.made CROSS JOIN purchase AS old USING (activity_id, order_key)
    """,
    # A visitor without an event in `counting` loses an order to one who ordered earlier.
    _contributions(
        -1,
        "(SELECT DISTINCT visitor FROM temp.moved WHERE visitor NOT IN (SELECT visitor FROM temp.affected))",
    ),
    "INSERT OR IGNORE INTO temp.affected SELECT visitor FROM temp.moved",
    f"INSERT INTO temp.moved SELECT 1, {_PURCHASE} FROM temp.made",
    f"INSERT OR REPLACE INTO purchase ({_PURCHASE}) SELECT {_PURCHASE} FROM temp.made",
    f"""
    INSERT INTO participation (visitor, activity_id, bound_orders, last_order_ms, orders, units, micros, unusable)
    SELECT own.visitor, own.activity_id, sum(sign * is_bound), (
            SELECT max(at_ms) FROM main.purchase AS one WHERE one.visitor = own.visitor AND one.activity_id = own.activity_id
        ), {_orders("sign * ifnull(at_ms >= first_ms, 0)")}
    FROM temp.moved AS purchase CROSS JOIN participation AS own USING (visitor, activity_id) WHERE true GROUP BY 1, 2
    ON CONFLICT (visitor, activity_id) DO UPDATE SET
        last_order_ms = excluded.last_order_ms, {_plus("bound_orders", "orders", *_MONEY)}
    """,
    _contributions(1, "temp.affected"),
)
_PIECE: Final = """
    SELECT max(seq), count(*) FROM (
        SELECT seq FROM event WHERE visitor = ? AND kind = 'order' AND seq > ? AND seq <= (SELECT seq FROM counted)
        ORDER BY seq LIMIT ?
    )
"""
_PIECE_PURCHASES: Final = _purchases(
    ":activity",
    0,
    "event AS one",
    "one.visitor = :visitor AND kind = 'order' AND one.activity_id = '' AND seq > :start AND seq <= :end "
    f"AND {is_event('one.')}",
)
_PIECE_OF_KIND: Final = """
    SELECT max(seq), count(*) FROM (
        SELECT seq FROM event WHERE visitor = ? AND kind = ? AND seq > ? ORDER BY seq LIMIT ?
    )
"""
_PIECE_OF_ORDER: Final = """
    SELECT max(seq), count(*) FROM (SELECT seq FROM event WHERE order_id = ? AND seq > ? ORDER BY seq LIMIT ?)
"""
_PURCHASES: Final = (
    "SELECT activity_id, order_key, event_id FROM purchase WHERE visitor = :visitor LIMIT :most"
)
# Of a text, `substr` ends at a NUL.
_ORDER_ID: Final = "CAST(substr(CAST(order_key AS BLOB), 7) AS TEXT)"
_QUEUE_ORDERS: Final = f"""
    INSERT OR REPLACE INTO recount SELECT DISTINCT {_ORDER_ID}, 0 FROM ({_PURCHASES}) AS bought
    WHERE order_key LIKE 'order %' AND EXISTS (
        SELECT 1 FROM event WHERE order_id = {_ORDER_ID} AND id != bought.event_id
    )
"""
_REMOVE_PURCHASES: Final = f"""
    DELETE FROM purchase WHERE (activity_id, order_key) IN (SELECT activity_id, order_key FROM ({_PURCHASES}))
"""
_CHANGES: Final = "sum(sign) AS visitors, sum(sign * converted) AS conversions, " + ", ".join(
    f"CAST(total(sign * {name}) AS INTEGER) AS {name}" for name in ("orders", *_MONEY)
)
_HAS_CHANGED: Final = f"({', '.join(COHORT_SUMS)}) IS NOT ({', '.join('0' for _ in COHORT_SUMS)})"
_ADD_TO_SUMS: Final = (
    f"""
    INSERT INTO cohort_sum (activity_id, experience_id, day, entered, {", ".join(COHORT_SUMS)})
    SELECT * FROM (
        SELECT activity_id, experience_id, first_ms / {DAY_MS}, entered, {_CHANGES}
        FROM temp.contribution WHERE experience_id IS NOT NULL GROUP BY 1, 2, 3, 4
    ) WHERE {_HAS_CHANGED}
    ON CONFLICT (activity_id, experience_id, day, entered) DO UPDATE SET {_plus(*COHORT_SUMS)}
    """,
    f"""
    {ADD_TO_SEGMENTS}
    SELECT * FROM (
        SELECT one.key, CAST(one.value AS TEXT), activity_id, experience_id, first_ms / {DAY_MS}, entered, {_CHANGES}
        FROM temp.contribution, json_each(facts) AS one
        WHERE experience_id IS NOT NULL AND facts IS NOT NULL AND {HAS_SEGMENT} GROUP BY 1, 2, 3, 4, 5, 6
    ) WHERE {_HAS_CHANGED}
    ON CONFLICT (name, value, activity_id, experience_id, day, entered) DO UPDATE SET {_plus(*COHORT_SUMS)}
    """,
    f"""
    INSERT INTO activity_sum (activity_id, switched, outside)
    SELECT * FROM (
        SELECT activity_id, sum(sign * switched) AS switched, sum(sign * outside) AS outside
        FROM temp.contribution GROUP BY 1
    ) WHERE switched != 0 OR outside != 0
    ON CONFLICT (activity_id) DO UPDATE SET {_plus("switched", "outside")}
    """,
)
_STORED: Final = (
    "id, kind, visitor, activity_id, experience_id, location, token, timestamp_ms, session_id, order_id, order_total, "
    "recorded_ms, facts"
)
_LAST_TO_MOVE: Final = """
    SELECT max(seq), max(seq) = (SELECT max(seq) FROM new_event)
    FROM (SELECT seq FROM new_event ORDER BY seq LIMIT ?)
"""
# Another version of Targetry can have recorded an event with the same id.
_MOVE: Final = (
    f"INSERT OR IGNORE INTO event ({_STORED}) SELECT {_STORED} FROM new_event WHERE seq <= ? ORDER BY seq"
)
_REMOVE_MOVED: Final = "DELETE FROM new_event WHERE seq <= ?"
# Frees the pages of the table without reading a row.
_REMOVE_ALL_NEW: Final = "DELETE FROM new_event"
_COUNTED_SEQ: Final = "SELECT seq FROM counted"
_LAST_SEQ: Final = "SELECT ifnull(max(seq), 0) FROM event"
_NEXT: Final = "SELECT max(seq), count(*) FROM (SELECT seq FROM event WHERE seq > ? ORDER BY seq LIMIT ?)"


def uncounted(connection: sqlite3.Connection) -> int:
    """Return the number of events that are not in the sums, about. Raises `sqlite3.Error`."""
    (last,) = connection.execute(_LAST_SEQ).fetchone()
    (counted,) = connection.execute(_COUNTED_SEQ).fetchone()
    waiting = sum(
        int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
        for table in ("new_event", *_PIECES)
    )
    return max(0, int(last - counted)) + waiting


def count_chunk(connection: sqlite3.Connection, most: int = CHUNK) -> int:
    """Count the events that come next, or earlier orders; return their number, 0 if none is left.

    Args:
        connection: A connection in a transaction that can write.
        most: The largest number of events to count.

    Raises:
        sqlite3.Error: A statement failed; the transaction has to be rolled back.
    """
    if pieces := _count_piece(connection):
        return pieces
    _move(connection, most)
    (counted,) = connection.execute(_COUNTED_SEQ).fetchone()
    end, number = connection.execute(_NEXT, (counted, most)).fetchone()
    if not number:
        return 0
    _start(connection)
    for statement in (_IMPRESSIONS, _NEXT_EVENTS):
        connection.execute(statement, {"start": counted, "end": end})
    _run(connection, (*_AFFECT, *_COUNT, *_COUNT_MADE, *_ADD_TO_SUMS))
    connection.execute("UPDATE counted SET seq = ?", (end,))
    return int(number)


def _move(connection: sqlite3.Connection, most: int) -> None:
    """Move new events to `event`, where they get a `seq` above those of all others."""
    last, is_all = connection.execute(_LAST_TO_MOVE, (most,)).fetchone()
    if last is None:
        return
    connection.execute(_MOVE, (last,))
    if is_all:
        connection.execute(_REMOVE_ALL_NEW)
    else:
        connection.execute(_REMOVE_MOVED, (last,))


def commit_chunk(connection: sqlite3.Connection, most: int = CHUNK) -> int:
    """Count events as `count_chunk` does, in a transaction of its own; return their number.

    The transaction does not wait for the disk: a machine that crashes leaves the events uncounted.

    Args:
        connection: A connection in autocommit mode.
        most: The largest number of events to count.

    Raises:
        sqlite3.Error: The file cannot be written. Nothing is counted.
    """
    (sync,) = connection.execute("PRAGMA synchronous").fetchone()
    connection.execute("PRAGMA synchronous = NORMAL")
    try:
        with connection:  # rolls back after an error
            connection.execute("BEGIN IMMEDIATE")
            return count_chunk(connection, most)
    finally:
        connection.execute(f"PRAGMA synchronous = {sync}")


def recount_visitors(
    connection: sqlite3.Connection, visitors: Sequence[object], change: Callable[[], T]
) -> T:
    """Change the events of visitors, and count those again that remain.

    Args:
        connection: A connection in a transaction that can write.
        visitors: The visitors.
        change: Changes their events; its result is returned.

    Raises:
        sqlite3.Error: A statement failed; the transaction has to be rolled back.
    """
    _start(connection)
    connection.executemany("INSERT OR IGNORE INTO temp.affected VALUES (?)", [(one,) for one in visitors])
    connection.execute(_CONTRIBUTIONS_BEFORE)
    for table in ("participation", "purchase"):
        connection.execute(f"DELETE FROM {table} WHERE visitor IN (SELECT visitor FROM temp.affected)")
    result = change()
    connection.execute(_counting("visitor IN (SELECT visitor FROM temp.affected)"))
    _run(connection, (*_COUNT, *_COUNT_MADE, *_ADD_TO_SUMS))
    connection.execute("DELETE FROM entering WHERE visitor IN (SELECT visitor FROM temp.affected)")
    return result


def remove_piece(
    connection: sqlite3.Connection, visitor: object, place: Place, condition: str, limit: object
) -> tuple[int, Place | None]:
    """Remove events of a visitor with many of them; the rest is counted again in pieces, later.

    Args:
        connection: A connection in a transaction that can write.
        visitor: The visitor.
        place: Where the previous call ended, at first `START`.
        condition: SQL condition for the events to remove, with a parameter.
        limit: The parameter.

    Returns:
        The number of removed events, and where to go on; None at the end.

    Raises:
        sqlite3.Error: A statement failed; the transaction has to be rolled back.
    """
    found = _next_piece(connection, visitor, place)
    if found is None:
        return 0, None
    among = f"visitor = ? AND kind = ? AND seq > ? AND seq <= ? AND {condition}"
    values = (visitor, found.kind, found.after, found.end, limit)
    removed = connection.execute(f"DELETE FROM event WHERE {among}", values).rowcount
    if removed:
        connection.execute("INSERT OR REPLACE INTO recounting VALUES (?, NULL, 0)", (visitor,))
    return removed, Place(found.kind, found.end)


class Place(NamedTuple):
    """Place among the events of a visitor, which are sorted by kind and `seq`."""

    kind: str
    after: int


START: Final = Place("", 0)


class _Piece(NamedTuple):
    kind: str
    after: int
    end: int
    number: int


def _next_piece(connection: sqlite3.Connection, visitor: object, place: Place) -> _Piece | None:
    kind: str | None = place.kind
    after = place.after
    while kind is not None:
        end, number = connection.execute(_PIECE_OF_KIND, (visitor, kind, after, PIECE)).fetchone()
        if number:
            return _Piece(kind, after, end, number)
        (kind,) = connection.execute(
            "SELECT min(kind) FROM event WHERE visitor = ? AND kind > ?", (visitor, kind)
        ).fetchone()
        after = 0
    return None


def _count_piece(connection: sqlite3.Connection) -> int:
    """Count a piece of what is too much for one transaction; return the number of its events."""
    for table, count in _PIECES.items():
        while row := connection.execute(f"SELECT * FROM {table} LIMIT 1").fetchone():
            if number := count(connection, *row):
                return number
    return 0


def _recount_visitor(connection: sqlite3.Connection, visitor: str, kind: str | None, done: int) -> int:
    """Count events of a visitor again, after the earlier counts are removed, also in pieces."""
    if kind is None:
        _leave_out(connection, visitor)
        purchases = {"visitor": visitor, "most": PIECE}
        connection.execute(_QUEUE_ORDERS, purchases)
        removed = connection.execute(_REMOVE_PURCHASES, purchases).rowcount
        if removed:
            return removed
    piece = _next_piece(connection, visitor, START if kind is None else Place(kind, done))
    if piece is None:
        connection.execute("DELETE FROM recounting WHERE visitor = ?", (visitor,))
        return 0
    _start(connection)
    connection.execute(
        _counting("visitor = ? AND kind = ? AND seq > ? AND seq <= ?"),
        (visitor, piece.kind, piece.after, piece.end),
    )
    _run(connection, (*_AFFECT, *_COUNT, *_COUNT_MADE, *_ADD_TO_SUMS))
    connection.execute(
        "UPDATE recounting SET kind = ?, done_seq = ? WHERE visitor = ?", (piece.kind, piece.end, visitor)
    )
    return piece.number


def _leave_out(connection: sqlite3.Connection, visitor: str) -> None:
    """Take a visitor out of all sums but that of impressions."""
    _start(connection)
    connection.execute("INSERT INTO temp.affected VALUES (?)", (visitor,))
    connection.execute(_CONTRIBUTIONS_BEFORE)
    connection.execute("DELETE FROM participation WHERE visitor = ?", (visitor,))
    connection.execute("DELETE FROM entering WHERE visitor = ?", (visitor,))
    _run(connection, _ADD_TO_SUMS)


def _recount_order(connection: sqlite3.Connection, order_id: str, done: int) -> int:
    """Count orders of an id again."""
    end, number = connection.execute(_PIECE_OF_ORDER, (order_id, done, PIECE)).fetchone()
    if not number:
        connection.execute("DELETE FROM recount WHERE order_id = ?", (order_id,))
        return 0
    _start(connection)
    connection.execute(
        _counting("kind = 'order' AND order_id = ? AND seq > ? AND seq <= ?"), (order_id, done, end)
    )
    _run(connection, (*_AFFECT, *_COUNT, *_COUNT_MADE, *_ADD_TO_SUMS))
    connection.execute("UPDATE recount SET done_seq = ? WHERE order_id = ?", (end, order_id))
    return int(number)


def _count_earlier_orders(connection: sqlite3.Connection, visitor: str, activity_id: str, start: int) -> int:
    """Count orders that a visitor made before entering an activity."""
    end, number = connection.execute(_PIECE, (visitor, start, PIECE)).fetchone()
    key = (visitor, activity_id)
    if not number:
        connection.execute("DELETE FROM entering WHERE visitor = ? AND activity_id = ?", key)
        return 0
    _start(connection)
    connection.execute("INSERT INTO temp.affected VALUES (?)", (visitor,))
    connection.execute(_CONTRIBUTIONS_BEFORE)
    values = {"activity": activity_id, "visitor": visitor, "start": start, "end": end}
    connection.execute(_PIECE_PURCHASES, values)
    _run(connection, (*_COUNT_MADE, *_ADD_TO_SUMS))
    connection.execute("UPDATE entering SET done_seq = ? WHERE visitor = ? AND activity_id = ?", (end, *key))
    return int(number)


_PIECES: Final[dict[str, Callable[..., int]]] = {
    "recounting": _recount_visitor,
    "recount": _recount_order,
    "entering": _count_earlier_orders,
}
"""Functions by the table whose rows they count; each returns 0 when a row is done."""


def _start(connection: sqlite3.Connection) -> None:
    """Empty the temporary tables, which are made by the first call of a connection."""
    _run(connection, (*_TEMPORARY, *_EMPTY))


def _run(connection: sqlite3.Connection, statements: Iterable[str]) -> None:
    for statement in statements:
        connection.execute(statement, {"earlier": EARLIER})
