"""Tables of a ledger in SQLite, and the statements that lead from each format to the next.

`counting` keeps the sums up to date in `participation`, `purchase`, `impression_sum`, `cohort_sum`,
`segment_sum` and `activity_sum`. Triggers count what rarely happens: the removal of an event, and
shares that change.
"""

from __future__ import annotations

from typing import Final

FORMAT: Final = 6
SUMS_FORMAT: Final = 3
"""The first format with the sums of `SUMS`; its triggers counted each event."""

FACTS_FORMAT: Final = 4
"""The first format whose events have facts."""

COUNTED_FORMAT: Final = 5
"""The first format whose events are counted after they are recorded."""

NEW_EVENTS_FORMAT: Final = 6
"""The first format with a table for events that are not counted yet."""

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


IS_IMPRESSION: Final = "kind IN ('impression', 'display') AND activity_id != '' AND experience_id != ''"
"""SQL condition for an event that is an impression of an activity."""

_LAST_MS: Final = "max(ifnull({row}last_click_ms, -1), ifnull({row}last_order_ms, -1))"
HAS_CONVERTED: Final = f"({{row}}experience_id IS NOT NULL AND {_LAST_MS} >= {{row}}first_ms)"
"""SQL condition for a participation whose visitor has converted; `row` is a prefix like `NEW.`."""

IS_OUTSIDE: Final = f"(NOT {HAS_CONVERTED} AND ({{row}}last_click_ms IS NOT NULL OR {{row}}bound_orders > 0))"
"""SQL condition for a participation whose visitor has acted, but not after an impression."""

COHORT_SUMS: Final = (
    "visitors",
    "conversions",
    "orders",
    "units",
    "micros",
    "unusable",
)
"""Sums of each cohort: the columns of `cohort_sum` after its key."""


# Sums the cohorts of an activity whose shares have changed.
_RECOUNT_COHORTS: Final = f"""
    DELETE FROM cohort_sum WHERE activity_id = NEW.id;
    INSERT INTO cohort_sum (activity_id, experience_id, day, entered, {", ".join(COHORT_SUMS)})
    SELECT activity_id, experience_id, first_ms / {DAY_MS}, first_ms >= NEW.shares_since_ms,
        count(*), sum({HAS_CONVERTED.format(row="")}), sum(orders), total(units), total(micros), sum(unusable)
    FROM participation WHERE activity_id = NEW.id AND experience_id IS NOT NULL GROUP BY 1, 2, 3, 4;
"""

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
        {", ".join(f"{name} INTEGER NOT NULL" for name in COHORT_SUMS)},
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
    f"""
    CREATE TRIGGER describe_activity AFTER INSERT ON activity WHEN NEW.shares_since_ms > 0 BEGIN
        {_RECOUNT_COHORTS}
    END
    """,
    f"""
    CREATE TRIGGER change_shares AFTER UPDATE OF shares_since_ms ON activity
    WHEN OLD.shares_since_ms IS NOT NEW.shares_since_ms BEGIN
        {_RECOUNT_COHORTS}
    END
    """,
)
"""Statements for the sums of the third format, with the triggers that are still in use."""

DROP_TRIGGERS: Final = (
    "DROP VIEW counted_event",
    *(
        f"DROP TRIGGER {name}"
        for name in (
            "add_participation",
            "change_participation",
            "remove_participation",
            "enter_activity",
            "enter_earlier",
            "add_purchase",
            "change_purchase",
            "remove_purchase",
            "count_impressions",
            "subtract_impression",
            "count_event",
        )
    ),
)
"""Statements that remove the triggers of the third format that counted each event."""

_SEGMENT_KEY: Final = "name, value, activity_id, experience_id, day, entered"
ADD_TO_SEGMENTS: Final = f"INSERT INTO segment_sum ({_SEGMENT_KEY}, {', '.join(COHORT_SUMS)})"
"""Beginning of a statement that adds to the sums of segments."""

HAS_SEGMENT: Final = "one.value IS NOT NULL AND one.value != ''"
"""SQL condition for a row `one` of `json_each` that names a segment."""

_SUM_SEGMENTS: Final = f"""
    {ADD_TO_SEGMENTS}
    SELECT one.key, CAST(one.value AS TEXT), activity_id, experience_id, first_ms / {DAY_MS},
        first_ms >= ifnull(shares_since_ms, 0), count(*), sum({HAS_CONVERTED.format(row="")}), sum(orders), total(units),
        total(micros), sum(unusable)
    FROM participation LEFT JOIN activity ON activity.id = activity_id, json_each(facts) AS one
    WHERE {{condition}} AND experience_id IS NOT NULL AND facts IS NOT NULL AND {HAS_SEGMENT} GROUP BY 1, 2, 3, 4, 5, 6
"""
SUM_ALL_SEGMENTS: Final = (
    "UPDATE participation SET facts = (SELECT CASE WHEN json_valid(facts) THEN facts END FROM event WHERE id = first_id)",
    _SUM_SEGMENTS.format(condition="true"),
)
"""Statements that sum the segments of a file whose events have facts."""


def _recount_segments(event: str) -> str:
    """Return the statement for the trigger that sums the segments when shares have changed."""
    return f"""
    CREATE TRIGGER recount_segments_after_{event.lower().partition(" ")[0]} AFTER {event} ON activity BEGIN
        DELETE FROM segment_sum WHERE activity_id = NEW.id;
        {_SUM_SEGMENTS.format(condition="activity_id = NEW.id")};
    END
    """


ADD_COUNTED: Final = (
    "CREATE TABLE counted (seq INTEGER NOT NULL)",
    # The facts of the first impression, as JSON.
    "ALTER TABLE participation ADD COLUMN facts TEXT",
    "DROP INDEX buyer",
    # Holds all that the variance of orders and revenue needs, also by segment.
    f"""
    CREATE INDEX buyer ON participation (
        activity_id, experience_id, first_ms / {DAY_MS}, first_ms, orders, units, micros, facts
    ) WHERE orders > 0
    """,
    f"""
    CREATE TABLE segment_sum (
        name TEXT NOT NULL, value TEXT NOT NULL, activity_id TEXT NOT NULL, experience_id TEXT NOT NULL,
        day INTEGER NOT NULL, entered INTEGER NOT NULL, {", ".join(f"{name} INTEGER NOT NULL" for name in COHORT_SUMS)},
        PRIMARY KEY ({_SEGMENT_KEY})
    ) WITHOUT ROWID
    """,
    # Visitors who entered an activity, of whose earlier orders some are not counted yet.
    """
    CREATE TABLE entering (
        visitor TEXT NOT NULL, activity_id TEXT NOT NULL, done_seq INTEGER NOT NULL, PRIMARY KEY (visitor, activity_id)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX segment_of_activity ON segment_sum (activity_id)",
    _recount_segments("INSERT"),
    _recount_segments("UPDATE OF shares_since_ms"),
    # A new event can get the number of a removed one, if that was the last.
    f"""
    CREATE TRIGGER remove_event AFTER DELETE ON event BEGIN
        UPDATE impression_sum SET impressions = impressions - 1
        WHERE OLD.seq <= (SELECT seq FROM counted) AND {is_event("OLD.")} AND OLD.kind IN ('impression', 'display')
            AND activity_id = OLD.activity_id AND experience_id = OLD.experience_id;
        UPDATE counted SET seq = ifnull((SELECT max(seq) FROM event), 0)
        WHERE seq > ifnull((SELECT max(seq) FROM event), 0);
    END
    """,
)
"""Statements for the fifth format; `counted` gets the number of the last counted event."""

ADD_NEW_EVENTS: Final = (
    """
    CREATE TABLE new_event (
        seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, visitor TEXT NOT NULL,
        activity_id TEXT NOT NULL, experience_id TEXT NOT NULL, location TEXT NOT NULL, token TEXT NOT NULL,
        timestamp_ms INTEGER NOT NULL, session_id TEXT NOT NULL, order_id TEXT, order_total REAL, recorded_ms INTEGER,
        facts TEXT
    )
    """,
    "ALTER TABLE recount ADD COLUMN done_seq INTEGER NOT NULL DEFAULT 0",
    # Visitors whose events are counted again; `kind` is NULL until the earlier counts are removed.
    "CREATE TABLE recounting (visitor TEXT PRIMARY KEY NOT NULL, kind TEXT, done_seq INTEGER NOT NULL) WITHOUT ROWID",
)
"""Statements for the sixth format: `new_event` has the events that are not counted yet."""
