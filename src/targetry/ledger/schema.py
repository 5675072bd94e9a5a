"""Tables of a ledger, and the triggers that keep its sums up to date.

Triggers count each event in the transaction that inserts it, in any program. They have three steps:

- An event changes the row of its visitor and activity in `participation`: first impression, last
  click.
- An order becomes a row of `purchase` in each activity that it counts for; of orders with one id
  the earliest.
- Each change of these rows changes the sums: `cohort_sum` and `activity_sum`. A cohort is the
  visitors of one experience whose first impression is on one UTC day, and not older than the
  activity's current shares (`entered`) or older.

Rows that are no events are not counted. No statement fails on a value that another program has
written: amounts that cannot be added exactly count as unusable.

`counted_event` is a view whose insert triggers count an event that is in the file already.
"""

from __future__ import annotations

from typing import Final

from targetry.ledger.event import MAX_ORDER_TOTAL

FORMAT: Final = 4
SUMS_FORMAT: Final = 3
"""The first format with the sums of `SUMS`."""

APPLICATION: Final = 0x54524759  # distinguishes our files from those of other programs

DAY_MS: Final = 86_400_000

MICROS: Final = 1_000_000
"""Fractions of a currency unit in which totals are added; a sum has `units` and `micros`."""

FIRST_FORMAT: Final = (
    """
    CREATE TABLE event (
        seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, visitor TEXT NOT NULL,
        activity_id TEXT NOT NULL, experience_id TEXT NOT NULL, location TEXT NOT NULL, token TEXT NOT NULL,
        timestamp_ms INTEGER NOT NULL, session_id TEXT NOT NULL, order_id TEXT, order_total REAL
    )
    """,
    """
    CREATE TABLE activity (
        id TEXT PRIMARY KEY NOT NULL, name TEXT, type TEXT, shares_since_ms INTEGER NOT NULL
    )
    """,
    """
    CREATE TABLE experience (
        activity_id TEXT NOT NULL, position INTEGER NOT NULL, id TEXT NOT NULL, name TEXT, share REAL,
        PRIMARY KEY (activity_id, id)
    )
    """,
)
"""Statements for the tables of the first format."""

ADD_RECORDED_MS: Final = (
    "ALTER TABLE event ADD COLUMN recorded_ms INTEGER",
    "CREATE TABLE retention (removed INTEGER NOT NULL)",
    "INSERT INTO retention VALUES (0)",
)
"""Statements for the second format; `recorded_ms` is NULL in rows of the first format."""

ADD_FACTS: Final = "ALTER TABLE event ADD COLUMN facts TEXT"
"""Statement for the fourth format."""

DROP_SUMS: Final = (
    "DROP VIEW counted_event",
    *(
        f"DROP TRIGGER {name}"
        for name in (
            "count_impressions",
            "subtract_impression",
            "count_event",
            "describe_activity",
            "change_shares",
        )
    ),
    *(
        f"DROP TABLE {name}"
        for name in ("participation", "purchase", "experience_sum", "activity_sum", "recount")
    ),
    "DROP INDEX event_of_visitor",
    "DROP INDEX event_of_order",
)
"""Statements that remove the sums of the second format, with the triggers of their tables."""


def is_event(row: str = "", *, has_location: bool = False) -> str:
    """Return the SQL condition for a row that is a valid event; `row` is a prefix like `NEW.`."""
    names = [
        "id",
        "visitor",
        "activity_id",
        "experience_id",
        *(["location", "token", "session_id"] if has_location else []),
    ]
    texts = " AND ".join(f"typeof({row}{name}) = 'text'" for name in names)
    return (
        f"{row}kind IN ('impression', 'display', 'click', 'order') AND {texts}"
        f" AND typeof({row}timestamp_ms) = 'integer' AND {row}timestamp_ms >= 0"
    )


_COUNTED: Final = "id, kind, visitor, activity_id, experience_id, timestamp_ms, order_id, order_total"
COUNT_EVENTS: Final = f"INSERT INTO counted_event ({_COUNTED}) SELECT {_COUNTED} FROM event"
"""Statement that counts events of the file; a condition has to follow."""

_IS_IMPRESSION: Final = "{row}kind IN ('impression', 'display') AND {row}activity_id != '' AND {row}experience_id != '' AND {valid}"


def _is_impression(row: str) -> str:
    return _IS_IMPRESSION.format(row=row, valid=is_event(row))


COUNT_IMPRESSIONS: Final = f"""
    INSERT INTO impression_sum (activity_id, experience_id, impressions)
    SELECT activity_id, experience_id, count(*) FROM event WHERE {_is_impression("")} GROUP BY activity_id, experience_id
    """
"""Statement that counts the impressions of the file, for empty sums."""

_IS_USABLE: Final = f"(typeof({{total}}) IN ('real', 'integer') AND abs({{total}}) <= {MAX_ORDER_TOTAL})"


def _purchase(row: str, activity_id: str) -> str:
    """Return the SQL for the columns of an order's purchase in an activity."""
    total = f"{row}order_total"
    usable = _IS_USABLE.format(total=total)
    micros = f"CASE WHEN {usable} THEN CAST(round({total} * {MICROS}.0) AS INTEGER) ELSE 0 END"
    return (
        f"{activity_id}, CASE WHEN {row}order_id != '' THEN 'order ' || {row}order_id ELSE 'event ' || {row}id END, "
        f"{row}timestamp_ms, {row}id, {row}visitor, {row}activity_id != '', "
        f"({micros}) / {MICROS}, ({micros}) % {MICROS}, {total} IS NOT NULL AND NOT {usable}"
    )


_ADD_PURCHASE: Final = """
    INSERT INTO purchase (activity_id, order_key, at_ms, event_id, visitor, is_bound, units, micros, unusable)
    """
_OR_EARLIER: Final = """
    ON CONFLICT (activity_id, order_key) DO UPDATE SET
        at_ms = excluded.at_ms, event_id = excluded.event_id, visitor = excluded.visitor, is_bound = excluded.is_bound,
        units = excluded.units, micros = excluded.micros, unusable = excluded.unusable
    WHERE (excluded.at_ms, excluded.event_id) < (at_ms, event_id)
    """


def _add_purchases_of_visitor(condition: str) -> str:
    """Return the SQL that counts a visitor's orders without activity for a new activity."""
    return f"""
    {_ADD_PURCHASE}
    SELECT {_purchase("event.", "NEW.activity_id")} FROM event
    WHERE {condition} AND event.visitor = NEW.visitor AND event.kind = 'order' AND event.activity_id = ''
        AND {is_event("event.")}
    {_OR_EARLIER};
    """


_LAST_MS: Final = "max(ifnull({row}last_click_ms, -1), ifnull({row}last_order_ms, -1))"
HAS_CONVERTED: Final = f"({{row}}experience_id IS NOT NULL AND {_LAST_MS} >= {{row}}first_ms)"
"""SQL condition for a participation whose visitor has converted; `row` is a prefix like `NEW.`."""

_IS_OUTSIDE: Final = (
    f"(NOT {HAS_CONVERTED} AND ({{row}}last_click_ms IS NOT NULL OR {{row}}bound_orders > 0))"
)
_HAS_ENTERED: Final = (
    "({row}first_ms >= ifnull((SELECT shares_since_ms FROM activity WHERE id = {row}activity_id), 0))"
)
_COHORT_SUMS: Final = (
    "visitors",
    "conversions",
    "orders",
    "units",
    "micros",
    "unusable",
)


def _contribution(row: str) -> str:
    """Return the SQL for the values of a participation on which the sums depend."""
    return (
        f"{row}experience_id, {row}switched, {row}orders, {row}units, {row}micros, {row}unusable, "
        f"{HAS_CONVERTED.format(row=row)}, {_IS_OUTSIDE.format(row=row)}, {row}first_ms"
    )


def _add_to_sums(row: str, sign: str) -> str:
    """Return the SQL that adds a participation to the sums or subtracts it, in any order."""
    converted, outside = HAS_CONVERTED.format(row=row), _IS_OUTSIDE.format(row=row)
    return f"""
    INSERT INTO cohort_sum (activity_id, experience_id, day, entered, {", ".join(_COHORT_SUMS)})
    SELECT {row}activity_id, {row}experience_id, {row}first_ms / {DAY_MS}, {_HAS_ENTERED.format(row=row)},
        {sign} 1, {sign} {converted}, {sign} {row}orders, {sign} {row}units, {sign} {row}micros, {sign} {row}unusable
    WHERE {row}experience_id IS NOT NULL
    ON CONFLICT (activity_id, experience_id, day, entered) DO UPDATE SET
        {", ".join(f"{name} = {name} + excluded.{name}" for name in _COHORT_SUMS)};
    INSERT INTO activity_sum (activity_id, switched, outside)
    SELECT {row}activity_id, {sign} {row}switched, {sign} {outside} WHERE {row}switched OR {outside}
    ON CONFLICT (activity_id) DO UPDATE SET
        switched = switched + excluded.switched, outside = outside + excluded.outside;
    """


def _add_to_participation(row: str) -> str:
    """Return the SQL that adds a purchase to the participation of its visitor."""
    return f"""
    INSERT INTO participation (visitor, activity_id) SELECT {row}visitor, {row}activity_id WHERE {row}is_bound
    ON CONFLICT (visitor, activity_id) DO NOTHING;
    UPDATE participation SET bound_orders = bound_orders + {row}is_bound,
        last_order_ms = max(ifnull(last_order_ms, -1), {row}at_ms), {_change_of_orders(row, "+")}
    WHERE visitor = {row}visitor AND activity_id = {row}activity_id;
    """


def _subtract_from_participation(row: str) -> str:
    """Return the SQL that undoes `_add_to_participation`."""
    return f"""
    UPDATE participation SET bound_orders = bound_orders - {row}is_bound,
        last_order_ms = (
            SELECT max(at_ms) FROM purchase WHERE visitor = {row}visitor AND activity_id = {row}activity_id
        ), {_change_of_orders(row, "-")}
    WHERE visitor = {row}visitor AND activity_id = {row}activity_id;
    """


def _change_of_orders(row: str, sign: str) -> str:
    """Return the SQL assignments for an order, which counts if it follows the first impression."""
    counts = f"ifnull({row}at_ms >= first_ms, 0)"
    values = {"orders": "1", **{name: f"{row}{name}" for name in ("units", "micros", "unusable")}}
    return ", ".join(f"{name} = {name} {sign} {value} * {counts}" for name, value in values.items())


def _orders_between(first: str, end: str) -> str:
    """Return the SQL assignments for the purchases of a period, open-ended if `end` is NULL."""
    found = (
        f"FROM purchase WHERE visitor = NEW.visitor AND activity_id = NEW.activity_id "
        f"AND at_ms >= {first} AND ({end} IS NULL OR at_ms < {end})"
    )
    sums = {"orders": "count(*)", **{name: f"total({name})" for name in ("units", "micros", "unusable")}}
    return ", ".join(f"{name} = {name} + (SELECT {value} {found})" for name, value in sums.items())


def _recount_cohorts(row: str) -> str:
    """Return the SQL that sums the cohorts of an activity whose shares have changed."""
    return f"""
    DELETE FROM cohort_sum WHERE activity_id = {row}id;
    INSERT INTO cohort_sum (activity_id, experience_id, day, entered, {", ".join(_COHORT_SUMS)})
    SELECT activity_id, experience_id, first_ms / {DAY_MS}, first_ms >= {row}shares_since_ms,
        count(*), sum({HAS_CONVERTED.format(row="")}), sum(orders), total(units), total(micros), sum(unusable)
    FROM participation WHERE activity_id = {row}id AND experience_id IS NOT NULL GROUP BY 1, 2, 3, 4;
    """


_IS_EARLIER: Final = "(first_ms IS NULL OR (excluded.first_ms, excluded.first_id) < (first_ms, first_id))"
_IS_ANOTHER: Final = "(experience_id IS NOT NULL AND experience_id != excluded.experience_id)"

SUMS: Final = (
    """
    CREATE TABLE participation (
        visitor TEXT NOT NULL, activity_id TEXT NOT NULL,
        experience_id TEXT, first_ms INTEGER, first_id TEXT, switched INTEGER NOT NULL DEFAULT 0,
        last_click_ms INTEGER, last_order_ms INTEGER, bound_orders INTEGER NOT NULL DEFAULT 0,
        orders INTEGER NOT NULL DEFAULT 0, units INTEGER NOT NULL DEFAULT 0, micros INTEGER NOT NULL DEFAULT 0,
        unusable INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (visitor, activity_id)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE purchase (
        activity_id TEXT NOT NULL, order_key TEXT NOT NULL, at_ms INTEGER NOT NULL, event_id TEXT NOT NULL,
        visitor TEXT NOT NULL, is_bound INTEGER NOT NULL, units INTEGER NOT NULL, micros INTEGER NOT NULL,
        unusable INTEGER NOT NULL,
        PRIMARY KEY (activity_id, order_key)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX purchase_of_visitor ON purchase (visitor, activity_id, at_ms)",
    """
    CREATE TABLE impression_sum (
        activity_id TEXT NOT NULL, experience_id TEXT NOT NULL, impressions INTEGER NOT NULL,
        PRIMARY KEY (activity_id, experience_id)
    ) WITHOUT ROWID
    """,
    f"""
    CREATE TABLE cohort_sum (
        activity_id TEXT NOT NULL, experience_id TEXT NOT NULL, day INTEGER NOT NULL, entered INTEGER NOT NULL,
        {", ".join(f"{name} INTEGER NOT NULL" for name in _COHORT_SUMS)},
        PRIMARY KEY (activity_id, experience_id, day, entered)
    ) WITHOUT ROWID
    """,
    # Holds all that the variance of orders and revenue needs.
    f"""
    CREATE INDEX buyer ON participation (activity_id, experience_id, first_ms / {DAY_MS}, first_ms, orders, units, micros)
    WHERE orders > 0
    """,
    """
    CREATE TABLE activity_sum (
        activity_id TEXT PRIMARY KEY NOT NULL, switched INTEGER NOT NULL DEFAULT 0, outside INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID
    """,
    "CREATE TABLE recount (order_id TEXT PRIMARY KEY) WITHOUT ROWID",
    "CREATE INDEX event_of_visitor ON event (visitor, kind)",
    "CREATE INDEX event_of_order ON event (order_id) WHERE order_id IS NOT NULL",
    f"CREATE VIEW counted_event AS SELECT {_COUNTED} FROM event",
    f"""
    CREATE TRIGGER count_impression INSTEAD OF INSERT ON counted_event WHEN {_is_impression("NEW.")} BEGIN
        INSERT INTO participation (visitor, activity_id, experience_id, first_ms, first_id)
        VALUES (NEW.visitor, NEW.activity_id, NEW.experience_id, NEW.timestamp_ms, NEW.id)
        ON CONFLICT (visitor, activity_id) DO UPDATE SET
            switched = switched OR {_IS_ANOTHER},
            experience_id = CASE WHEN {_IS_EARLIER} THEN excluded.experience_id ELSE experience_id END,
            first_ms = CASE WHEN {_IS_EARLIER} THEN excluded.first_ms ELSE first_ms END,
            first_id = CASE WHEN {_IS_EARLIER} THEN excluded.first_id ELSE first_id END
        WHERE {_IS_EARLIER} OR ({_IS_ANOTHER} AND NOT switched);
    END
    """,
    f"""
    CREATE TRIGGER count_click INSTEAD OF INSERT ON counted_event
    WHEN NEW.kind = 'click' AND NEW.activity_id != '' AND {is_event("NEW.")} BEGIN
        INSERT INTO participation (visitor, activity_id, last_click_ms)
        VALUES (NEW.visitor, NEW.activity_id, NEW.timestamp_ms)
        ON CONFLICT (visitor, activity_id) DO UPDATE SET last_click_ms = excluded.last_click_ms
        WHERE last_click_ms IS NULL OR last_click_ms < excluded.last_click_ms;
    END
    """,
    f"""
    CREATE TRIGGER count_order INSTEAD OF INSERT ON counted_event
    WHEN NEW.kind = 'order' AND NEW.activity_id = '' AND {is_event("NEW.")} BEGIN
        {_ADD_PURCHASE}
        SELECT {_purchase("NEW.", "participation.activity_id")} FROM participation
        WHERE participation.visitor = NEW.visitor AND participation.experience_id IS NOT NULL
        {_OR_EARLIER};
    END
    """,
    f"""
    CREATE TRIGGER count_bound_order INSTEAD OF INSERT ON counted_event
    WHEN NEW.kind = 'order' AND NEW.activity_id != '' AND {is_event("NEW.")} BEGIN
        {_ADD_PURCHASE} SELECT {_purchase("NEW.", "NEW.activity_id")} WHERE true {_OR_EARLIER};
    END
    """,
    f"""
    CREATE TRIGGER add_participation AFTER INSERT ON participation BEGIN
        {_add_to_sums("NEW.", "+")}
    END
    """,
    f"""
    CREATE TRIGGER change_participation AFTER UPDATE ON participation
    WHEN ({_contribution("OLD.")}) IS NOT ({_contribution("NEW.")}) BEGIN
        {_add_to_sums("OLD.", "-")}
        {_add_to_sums("NEW.", "+")}
    END
    """,
    f"""
    CREATE TRIGGER remove_participation AFTER DELETE ON participation BEGIN
        {_add_to_sums("OLD.", "-")}
    END
    """,
    f"""
    CREATE TRIGGER enter_activity AFTER INSERT ON participation WHEN NEW.experience_id IS NOT NULL BEGIN
        {_add_purchases_of_visitor("true")}
    END
    """,
    # Orders between the new and the old first impression become part of the sums.
    f"""
    CREATE TRIGGER enter_earlier AFTER UPDATE OF first_ms ON participation WHEN OLD.first_ms IS NOT NEW.first_ms BEGIN
        UPDATE participation SET {_orders_between("NEW.first_ms", "OLD.first_ms")}
        WHERE visitor = NEW.visitor AND activity_id = NEW.activity_id;
        {_add_purchases_of_visitor("OLD.experience_id IS NULL")}
    END
    """,
    f"""
    CREATE TRIGGER add_purchase AFTER INSERT ON purchase BEGIN
        {_add_to_participation("NEW.")}
    END
    """,
    f"""
    CREATE TRIGGER change_purchase AFTER UPDATE ON purchase BEGIN
        {_subtract_from_participation("OLD.")}
        {_add_to_participation("NEW.")}
    END
    """,
    f"""
    CREATE TRIGGER remove_purchase AFTER DELETE ON purchase BEGIN
        {_subtract_from_participation("OLD.")}
    END
    """,
    f"""
    CREATE TRIGGER count_impressions AFTER INSERT ON event WHEN {_is_impression("NEW.")} BEGIN
        INSERT INTO impression_sum (activity_id, experience_id, impressions)
        VALUES (NEW.activity_id, NEW.experience_id, 1)
        ON CONFLICT (activity_id, experience_id) DO UPDATE SET impressions = impressions + 1;
    END
    """,
    f"""
    CREATE TRIGGER subtract_impression AFTER DELETE ON event WHEN {_is_impression("OLD.")} BEGIN
        UPDATE impression_sum SET impressions = impressions - 1
        WHERE activity_id = OLD.activity_id AND experience_id = OLD.experience_id;
    END
    """,
    f"""
    CREATE TRIGGER count_event AFTER INSERT ON event BEGIN
        INSERT INTO counted_event ({_COUNTED}) VALUES ({", ".join(f"NEW.{name}" for name in _COUNTED.split(", "))});
    END
    """,
    f"""
    CREATE TRIGGER describe_activity AFTER INSERT ON activity WHEN NEW.shares_since_ms > 0 BEGIN
        {_recount_cohorts("NEW.")}
    END
    """,
    f"""
    CREATE TRIGGER change_shares AFTER UPDATE OF shares_since_ms ON activity
    WHEN OLD.shares_since_ms IS NOT NEW.shares_since_ms BEGIN
        {_recount_cohorts("NEW.")}
    END
    """,
)
"""Statements for the sums, indexes and triggers of the third format."""
