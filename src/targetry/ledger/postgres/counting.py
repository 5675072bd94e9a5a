"""Counting of the events of a ledger in PostgreSQL into its kept sums.

Edges only insert events: a trigger queues the numbers of new events, and the visitors and order ids
of removed ones. One process at a time counts what is queued, a few thousand events in a transaction
and one statement for each step. So edges never wait for each other's sums.

The queues make each step exact: an event leaves its queue in the transaction that counts it. Most
steps can be repeated without an effect, because they keep the earliest or the latest event; only
impressions are added up.

A removed event takes its purchase away and leaves the others of its visitor. The earlier orders of
a visitor who enters an activity count for it, too, and those of a visitor whose impressions are
removed do not any more; a removed order lets another order of the same id count. If they are many,
they are queued again in pieces, which new events do not wait for: each transaction counts new
events and one piece.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from targetry.ledger.database import Progress, no_progress
from targetry.ledger.event import MAX_ORDER_TOTAL
from targetry.ledger.schema import DAY_MS, MICROS

FORMAT: Final = 5
"""Format of the tables that these statements fill."""

LOCK: Final = 0x54524761
"""Key of the advisory lock of the process that counts or removes events."""

PIECES_FORMAT: Final = 5
"""The first format that queues pieces."""

_CHUNK: Final = 20_000  # new events
MOST_AT_ONCE: Final = 1_000
"""Orders of a visitor or of an id up to which one transaction counts them again."""

PIECE: Final = 5_000
"""Orders of a piece, and removed visitors and order ids that one transaction counts again."""

_FIELDS: Final = "id, kind, visitor, activity_id, experience_id, timestamp_ms, order_id, order_total, facts"
IS_IMPRESSION: Final = "kind IN ('impression', 'display') AND activity_id <> '' AND experience_id <> ''"
"""SQL condition for an event that is an impression of an activity."""

_ORDER_KEY: Final = "CASE WHEN order_id <> '' THEN 'order ' || order_id ELSE 'event ' || id END"
_USABLE: Final = f"(order_total IS NOT NULL AND abs(order_total) <= {MAX_ORDER_TOTAL})"
_AMOUNT: Final = (
    f"CASE WHEN {_USABLE} THEN round((order_total * {MICROS})::numeric)::bigint ELSE 0 END AS micros, "
    f"order_total IS NOT NULL AND NOT {_USABLE} AS unusable"
)
_BOUGHT: Final = """
    max(at_ms) FILTER (WHERE is_bound OR part.experience_id IS NOT NULL) AS last_ms,
    count(*) FILTER (WHERE is_bound) AS bound, count(*) FILTER (WHERE at_ms >= part.first_ms) AS orders,
    coalesce(sum(bought.micros) FILTER (WHERE at_ms >= part.first_ms), 0) AS micros,
    count(*) FILTER (WHERE at_ms >= part.first_ms AND bought.unusable) AS unusable
"""
SUMS: Final = ("visitors", "conversions", "orders", "micros", "unusable")
"""Sums of each cohort and segment: the columns of their tables after the key."""

COHORT_KEY: Final = "activity_id, experience_id, day, entered"
SEGMENT_KEY: Final = f"name, value, {COHORT_KEY}"
HAS_CONVERTED: Final = (
    "coalesce(experience_id IS NOT NULL AND greatest(last_click_ms, last_order_ms) >= first_ms, false)"
)
"""SQL for whether the visitor of a row of `targetry_participation` has converted."""

_CONTRIBUTION: Final = f"""
    SELECT visitor, activity_id, experience_id, first_ms, first_ms / {DAY_MS} AS day, first_ms >= coalesce(since_ms, 0) AS entered,
        {HAS_CONVERTED} AS converted, orders, micros, unusable, switched, facts,
        NOT {HAS_CONVERTED} AND (last_click_ms IS NOT NULL OR bound_orders > 0) AS outside
    FROM targetry_participation LEFT JOIN targetry_counted USING (activity_id)
"""
_SUM: Final = "count(*), count(*) FILTER (WHERE converted), sum(orders), sum(micros), sum(unusable)"
_SUM_COHORTS: Final = f"""
    INSERT INTO targetry_cohort_sum ({COHORT_KEY}, {", ".join(SUMS)})
    SELECT {COHORT_KEY}, {_SUM}
    FROM ({_CONTRIBUTION} WHERE activity_id = %s AND experience_id IS NOT NULL) AS one GROUP BY 1, 2, 3, 4
"""
# Other programs can write facts that are no object.
_EACH_SEGMENT: Final = """
    CROSS JOIN LATERAL jsonb_each_text(CASE WHEN jsonb_typeof(facts) = 'object' THEN facts END) AS segment (name, value)
    WHERE value <> '' AND experience_id IS NOT NULL
"""
SUM_SEGMENTS: Final = f"""
    INSERT INTO targetry_segment_sum ({SEGMENT_KEY}, {", ".join(SUMS)})
    SELECT {SEGMENT_KEY}, {_SUM}
    FROM ({_CONTRIBUTION} WHERE {{condition}}) AS one {_EACH_SEGMENT} GROUP BY 1, 2, 3, 4, 5, 6
"""
"""Statement that sums the segments of the activities that meet a condition."""

_CHANGED_SHARES: Final = """
    SELECT id, shares_since_ms FROM targetry_activity LEFT JOIN targetry_counted ON activity_id = id
    WHERE shares_since_ms <> coalesce(since_ms, 0)
"""
_IS_EARLIER: Final = (
    "(own.first_ms IS NULL OR (excluded.first_ms, excluded.first_id) < (own.first_ms, own.first_id))"
)
_PURCHASE_COLUMNS: Final = "activity_id, order_key, at_ms, event_id, visitor, is_bound, micros, unusable"

# With OFFSET, each is found by the index; for a join the planner reads the whole table.
_PURCHASES_OF_KEY: Final = """
    SELECT activity_id, at_ms, event_id, visitor, is_bound FROM targetry_purchase AS one WHERE one.order_key = bought.order_key
"""
_HAS_EVENT: Final = "EXISTS (SELECT 1 FROM targetry_event WHERE targetry_event.id = old.event_id OFFSET 0)"
_REMOVED_VISITORS: Final = "(SELECT DISTINCT visitor FROM removed WHERE visitor IS NOT NULL)"
_EARLIER_ORDERS: Final = (
    "FROM targetry_event WHERE visitor = entering.visitor AND kind = 'order' AND activity_id = ''"
)
_START: Final = """
    CREATE TEMP TABLE fresh (seq bigint) ON COMMIT DROP;
    CREATE TEMP TABLE again (seq bigint) ON COMMIT DROP;
    CREATE TEMP TABLE removed (visitor text COLLATE "C", order_id text COLLATE "C") ON COMMIT DROP
"""
_TAKE: Final = (
    f"""
    WITH taken AS (
        DELETE FROM targetry_uncounted WHERE seq IN (
            SELECT seq FROM targetry_uncounted ORDER BY seq LIMIT {_CHUNK}
        ) RETURNING seq
    ) INSERT INTO fresh SELECT seq FROM taken
    """,
    f"""
    WITH taken AS (
        DELETE FROM targetry_recount
        WHERE ctid = ANY (ARRAY(SELECT ctid FROM targetry_recount WHERE seqs IS NULL LIMIT {PIECE}))
        RETURNING visitor, order_id
    ) INSERT INTO removed SELECT visitor, order_id FROM taken
    """,
    """
    WITH taken AS (
        DELETE FROM targetry_recount
        WHERE ctid = ANY (ARRAY(SELECT ctid FROM targetry_recount WHERE seqs IS NOT NULL LIMIT 1)) RETURNING seqs
    ) INSERT INTO again SELECT unnest(seqs) FROM taken
    """,
)
"""Statements that take a chunk from each queue, and a piece."""


def _add(kind: str, key: str, source: str) -> str:
    """Return the statement that adds what has changed to the sums of cohorts or segments."""
    return f"""
    INSERT INTO targetry_{kind}_sum AS own ({key}, {", ".join(SUMS)})
    SELECT * FROM (
        SELECT {key}, sum(sign) AS visitors, sum(sign * converted::int) AS conversions,
            sum(sign * orders) AS orders, sum(sign * micros) AS micros, sum(sign * unusable) AS unusable
        FROM change {source} GROUP BY {key}
    ) AS one WHERE ({", ".join(SUMS)}) IS DISTINCT FROM (0, 0, 0, 0, 0)
    ON CONFLICT ({key}) DO UPDATE SET {", ".join(f"{name} = own.{name} + excluded.{name}" for name in SUMS)}
    """


def _queue_pieces(source: str) -> str:
    """Return the statement that queues events in pieces; its result is their number."""
    return f"""
    WITH queued AS (
        INSERT INTO targetry_recount (seqs) SELECT array_agg(seq) FROM (
            SELECT seq, (row_number() OVER (ORDER BY seq) - 1) / {PIECE} AS piece FROM {source}
        ) AS one GROUP BY piece ORDER BY piece RETURNING cardinality(seqs) AS number
    ) SELECT coalesce(sum(number), 0) FROM queued
    """


_ORDERS_OF_ID: Final = "FROM targetry_event WHERE order_id = bought.order_id AND kind = 'order'"
_QUEUE_SHARED_ORDERS: Final = _queue_pieces(
    f"bought CROSS JOIN LATERAL (SELECT seq {_ORDERS_OF_ID} OFFSET 0) AS one WHERE has_many"
)
_QUEUE_EARLIER_ORDERS: Final = _queue_pieces(
    f"entering CROSS JOIN LATERAL (SELECT seq {_EARLIER_ORDERS} OFFSET 0) AS one WHERE has_many"
)
_QUEUE_ORDERS_OF_LEAVING: Final = _queue_pieces(
    "(SELECT DISTINCT visitor FROM leaving) AS entering "
    f"CROSS JOIN LATERAL (SELECT seq {_EARLIER_ORDERS} OFFSET 0) AS one"
)
_QUEUE_OTHERS_OF_STALE: Final = f"""
    WITH lost AS (
        DELETE FROM targetry_purchase AS own USING stale
        WHERE own.order_key = stale.order_key AND own.activity_id = stale.activity_id
        RETURNING own.event_id, substr(own.order_key, 7) AS order_id, starts_with(own.order_key, 'order ') AS has_id
    ), queued AS (
        INSERT INTO targetry_recount (order_id) SELECT DISTINCT order_id FROM lost AS bought
        WHERE has_id AND EXISTS (SELECT 1 {_ORDERS_OF_ID} AND id <> event_id OFFSET 0) RETURNING 1
    ) SELECT count(*) FROM queued
"""
_QUEUING: Final = (
    _QUEUE_SHARED_ORDERS,
    _QUEUE_EARLIER_ORDERS,
    _QUEUE_ORDERS_OF_LEAVING,
    _QUEUE_OTHERS_OF_STALE,
)
_STEPS: Final = (
    # New events, orders with the ids of removed ones, and those events of visitors with removed
    # events that decide: the first impression of each experience, and the last click.
    f"""
    CREATE TEMP TABLE bought ON COMMIT DROP AS
        SELECT order_id, EXISTS (SELECT 1 {_ORDERS_OF_ID} OFFSET {MOST_AT_ONCE}) AS has_many
        FROM (SELECT DISTINCT order_id FROM removed WHERE order_id IS NOT NULL) AS bought;
    INSERT INTO again SELECT one.seq FROM {_REMOVED_VISITORS} AS gone CROSS JOIN LATERAL (
        (SELECT DISTINCT ON (activity_id, experience_id) seq FROM targetry_event
        WHERE visitor = gone.visitor AND {IS_IMPRESSION} ORDER BY activity_id, experience_id, timestamp_ms, id)
        UNION ALL
        (SELECT DISTINCT ON (activity_id) seq FROM targetry_event
        WHERE visitor = gone.visitor AND kind = 'click' ORDER BY activity_id, timestamp_ms DESC)
        OFFSET 0
    ) AS one;
    INSERT INTO again SELECT one.seq FROM bought CROSS JOIN LATERAL (SELECT seq {_ORDERS_OF_ID} OFFSET 0) AS one
        WHERE NOT has_many;
    CREATE TEMP TABLE counting ON COMMIT DROP AS
        SELECT {_FIELDS} FROM targetry_event WHERE seq IN (SELECT seq FROM fresh UNION SELECT seq FROM again);
    """,
    _QUEUE_SHARED_ORDERS,
    f"""
    WITH gone AS (DELETE FROM targetry_impression_sum RETURNING *)
    INSERT INTO targetry_impression_sum SELECT activity_id, experience_id, sum(impressions) FROM (
        SELECT * FROM gone
        UNION ALL SELECT activity_id, experience_id, 1 FROM fresh CROSS JOIN LATERAL (
            SELECT kind, activity_id, experience_id FROM targetry_event WHERE targetry_event.seq = fresh.seq OFFSET 0
        ) AS new WHERE {IS_IMPRESSION}
    ) AS one GROUP BY 1, 2 HAVING sum(impressions) <> 0
    """,
    # Earlier orders of visitors who enter an activity now; many of them are queued.
    f"""
    CREATE TEMP TABLE entering ON COMMIT DROP AS
        SELECT visitor, EXISTS (SELECT 1 {_EARLIER_ORDERS} OFFSET {MOST_AT_ONCE}) AS has_many FROM (
            SELECT DISTINCT visitor FROM (SELECT visitor, activity_id FROM counting WHERE {IS_IMPRESSION}) AS seen
            LEFT JOIN targetry_participation USING (visitor, activity_id) WHERE experience_id IS NULL
        ) AS entering;
    INSERT INTO counting SELECT one.* FROM entering CROSS JOIN LATERAL (
        SELECT {_FIELDS} {_EARLIER_ORDERS} OFFSET 0
    ) AS one WHERE NOT has_many;
    """,
    _QUEUE_EARLIER_ORDERS,
    # Purchases whose events are removed.
    f"""
    CREATE TEMP TABLE gone ON COMMIT DROP AS
        SELECT old.* FROM (SELECT DISTINCT 'order ' || order_id AS order_key FROM removed) AS bought CROSS JOIN LATERAL (
            SELECT activity_id, order_key, event_id, visitor FROM targetry_purchase AS one
            WHERE one.order_key = bought.order_key OFFSET 0
        ) AS old WHERE NOT {_HAS_EVENT}
        UNION ALL SELECT old.* FROM {_REMOVED_VISITORS} AS bought CROSS JOIN LATERAL (
            SELECT activity_id, order_key, event_id, visitor FROM targetry_purchase AS one
            WHERE one.visitor = bought.visitor AND starts_with(order_key, 'event ') OFFSET 0
        ) AS old WHERE NOT {_HAS_EVENT};
    CREATE TEMP TABLE buying ON COMMIT DROP AS
        SELECT visitor FROM counting WHERE kind = 'order'
        UNION SELECT visitor FROM removed WHERE visitor IS NOT NULL
        UNION SELECT visitor FROM gone
        UNION SELECT one.visitor FROM (SELECT {_ORDER_KEY} AS order_key FROM counting WHERE kind = 'order') AS bought
            CROSS JOIN LATERAL ({_PURCHASES_OF_KEY} OFFSET 0) AS one;
    CREATE TEMP TABLE earlier ON COMMIT DROP AS {_CONTRIBUTION}
        WHERE visitor IN (SELECT visitor FROM counting UNION SELECT visitor FROM buying);
    DELETE FROM targetry_purchase AS own USING gone
    WHERE own.order_key = gone.order_key AND own.activity_id = gone.activity_id;
    UPDATE targetry_participation AS own SET
        experience_id = NULL, first_ms = NULL, first_id = NULL, switched = false, last_click_ms = NULL, facts = NULL
    FROM {_REMOVED_VISITORS} AS one WHERE own.visitor = one.visitor;
    """,
    f"""
    INSERT INTO targetry_participation AS own (visitor, activity_id, experience_id, first_ms, first_id, switched, facts)
    SELECT visitor, activity_id, (array_agg(experience_id ORDER BY timestamp_ms, id))[1], min(timestamp_ms),
        (array_agg(id ORDER BY timestamp_ms, id))[1], min(experience_id) <> max(experience_id),
        (array_agg(facts ORDER BY timestamp_ms, id))[1]
    FROM counting WHERE {IS_IMPRESSION} GROUP BY 1, 2
    ON CONFLICT (visitor, activity_id) DO UPDATE SET
        switched = own.switched OR excluded.switched OR coalesce(own.experience_id <> excluded.experience_id, false),
        experience_id = CASE WHEN {_IS_EARLIER} THEN excluded.experience_id ELSE own.experience_id END,
        first_ms = CASE WHEN {_IS_EARLIER} THEN excluded.first_ms ELSE own.first_ms END,
        first_id = CASE WHEN {_IS_EARLIER} THEN excluded.first_id ELSE own.first_id END,
        facts = CASE WHEN {_IS_EARLIER} THEN excluded.facts ELSE own.facts END
    WHERE {_IS_EARLIER} OR NOT own.switched AND (excluded.switched OR own.experience_id <> excluded.experience_id);
    INSERT INTO targetry_participation AS own (visitor, activity_id, last_click_ms)
    SELECT visitor, activity_id, max(timestamp_ms) FROM counting WHERE kind = 'click' AND activity_id <> '' GROUP BY 1, 2
    ON CONFLICT (visitor, activity_id) DO UPDATE SET last_click_ms = excluded.last_click_ms
    WHERE own.last_click_ms IS NULL OR own.last_click_ms < excluded.last_click_ms;
    """,
    # Orders without an activity no longer count for an activity whose impressions are removed. They
    # are queued; the transaction that counts them removes their purchases, and queues the ids that
    # other orders have, which can count instead.
    f"""
    CREATE TEMP TABLE leaving ON COMMIT DROP AS
        SELECT visitor, activity_id FROM earlier JOIN {_REMOVED_VISITORS} AS one USING (visitor)
        WHERE experience_id IS NOT NULL
        EXCEPT SELECT visitor, activity_id FROM targetry_participation JOIN {_REMOVED_VISITORS} AS one USING (visitor)
        WHERE experience_id IS NOT NULL;
    """,
    _QUEUE_ORDERS_OF_LEAVING,
    f"""
    CREATE TEMP TABLE stale ON COMMIT DROP AS
        SELECT old.activity_id, bought.order_key FROM (
            SELECT DISTINCT visitor, {_ORDER_KEY} AS order_key FROM counting WHERE kind = 'order' AND activity_id = ''
        ) AS bought CROSS JOIN LATERAL ({_PURCHASES_OF_KEY} OFFSET 0) AS old
        WHERE old.visitor = bought.visitor AND NOT is_bound AND NOT EXISTS (
            SELECT 1 FROM targetry_participation AS part WHERE part.visitor = bought.visitor
                AND part.activity_id = old.activity_id AND experience_id IS NOT NULL OFFSET 0
        )
    """,
    _QUEUE_OTHERS_OF_STALE,
    # The purchases that are new, and the visitors who lose one to an earlier order of the same id.
    f"""
    CREATE TEMP TABLE made ON COMMIT DROP AS SELECT DISTINCT ON (activity_id, order_key) * FROM (
        SELECT activity_id, {_ORDER_KEY} AS order_key, timestamp_ms AS at_ms, id AS event_id, visitor, true AS is_bound,
            {_AMOUNT}
        FROM counting WHERE kind = 'order' AND activity_id <> ''
        UNION ALL
        SELECT part.activity_id, {_ORDER_KEY}, timestamp_ms, id, visitor, false, {_AMOUNT}
        FROM counting JOIN targetry_participation AS part USING (visitor)
        WHERE kind = 'order' AND counting.activity_id = '' AND part.experience_id IS NOT NULL
    ) AS made ORDER BY activity_id, order_key, at_ms, event_id;
    CREATE TEMP TABLE known ON COMMIT DROP AS
        SELECT order_key, old.activity_id, old.visitor, (old.at_ms, old.event_id) <= (bought.at_ms, bought.event_id) AS is_earlier
        FROM made AS bought CROSS JOIN LATERAL (
            {_PURCHASES_OF_KEY} AND one.activity_id = bought.activity_id OFFSET 0
        ) AS old;
    DELETE FROM made USING known
    WHERE is_earlier AND known.order_key = made.order_key AND known.activity_id = made.activity_id;
    CREATE TEMP TABLE affected ON COMMIT DROP AS SELECT visitor, activity_id FROM known WHERE NOT is_earlier
        UNION ALL SELECT visitor, activity_id FROM gone;
    INSERT INTO targetry_purchase AS own ({_PURCHASE_COLUMNS}) SELECT {_PURCHASE_COLUMNS} FROM made
    ON CONFLICT (order_key, activity_id) DO UPDATE SET
        at_ms = excluded.at_ms, event_id = excluded.event_id, visitor = excluded.visitor,
        is_bound = excluded.is_bound, micros = excluded.micros, unusable = excluded.unusable;
    INSERT INTO targetry_participation (visitor, activity_id)
    SELECT DISTINCT visitor, activity_id FROM counting WHERE kind = 'order' AND activity_id <> ''
    ON CONFLICT (visitor, activity_id) DO NOTHING;
    INSERT INTO affected SELECT part.visitor, part.activity_id
        FROM targetry_participation AS part LEFT JOIN earlier USING (visitor, activity_id)
        WHERE part.visitor IN (SELECT visitor FROM removed)
            OR part.visitor IN (SELECT visitor FROM counting) AND part.first_ms IS DISTINCT FROM earlier.first_ms;
    """,
    # All purchases of a visitor who lost one or has another first impression; otherwise the new.
    f"""
    UPDATE targetry_participation AS own SET
        last_order_ms = found.last_ms, bound_orders = found.bound, orders = found.orders, micros = found.micros,
        unusable = found.unusable
    FROM (
        SELECT part.visitor, part.activity_id, made.*
        FROM (SELECT DISTINCT * FROM affected) AS one JOIN targetry_participation AS part USING (visitor, activity_id)
        CROSS JOIN LATERAL (
            SELECT {_BOUGHT} FROM targetry_purchase AS bought
            WHERE bought.visitor = part.visitor AND bought.activity_id = part.activity_id
        ) AS made
    ) AS found
    WHERE own.visitor = found.visitor AND own.activity_id = found.activity_id
        AND (own.last_order_ms, own.bound_orders, own.orders, own.micros, own.unusable)
            IS DISTINCT FROM (found.last_ms, found.bound, found.orders, found.micros, found.unusable);
    UPDATE targetry_participation AS own SET
        last_order_ms = greatest(own.last_order_ms, found.last_ms), bound_orders = own.bound_orders + found.bound,
        orders = own.orders + found.orders, micros = own.micros + found.micros,
        unusable = own.unusable + found.unusable
    FROM (
        SELECT part.visitor, part.activity_id, {_BOUGHT}
        FROM made AS bought JOIN targetry_participation AS part USING (visitor, activity_id)
        LEFT JOIN (SELECT DISTINCT *, true AS is_affected FROM affected) AS one USING (visitor, activity_id)
        WHERE is_affected IS NULL GROUP BY 1, 2
    ) AS found
    WHERE own.visitor = found.visitor AND own.activity_id = found.activity_id;
    DELETE FROM targetry_participation AS own
    USING (SELECT visitor FROM removed UNION SELECT visitor FROM gone) AS one WHERE own.visitor = one.visitor
        AND experience_id IS NULL AND last_click_ms IS NULL AND last_order_ms IS NULL AND bound_orders = 0
    """,
    f"""
    CREATE TEMP TABLE change ON COMMIT DROP AS
        SELECT 1 AS sign, * FROM ({_CONTRIBUTION}
            WHERE visitor IN (SELECT visitor FROM counting UNION SELECT visitor FROM buying)) AS later
        UNION ALL SELECT -1, * FROM earlier;
    {_add("cohort", COHORT_KEY, "WHERE experience_id IS NOT NULL")};
    {_add("segment", SEGMENT_KEY, _EACH_SEGMENT)};
    INSERT INTO targetry_activity_sum AS own (activity_id, switched, outside)
    SELECT * FROM (
        SELECT activity_id, sum(sign * switched::int) AS switched, sum(sign * outside::int) AS outside FROM change GROUP BY 1
    ) AS one WHERE switched <> 0 OR outside <> 0
    ON CONFLICT (activity_id) DO UPDATE SET
        switched = own.switched + excluded.switched, outside = own.outside + excluded.outside;
    """,
)
"""Statements that count what was taken. An event that is counted twice changes nothing."""


def count_events(
    connection: Any, *, progress: Progress = no_progress, is_stopped: Callable[[], bool] = lambda: False
) -> int:
    """Count the events that are queued now; return the number of counted and recounted ones.

    Args:
        connection: A connection in autocommit mode.
        progress: Called after each transaction with the number of counted events and of all.
        is_stopped: Called after each transaction; True ends the counting early.

    Raises:
        psycopg.Error: A statement failed. Completed transactions stand.
    """
    waiting = waiting_events(connection)
    done = 0
    while done < waiting and not is_stopped():
        counted, queued = _count_chunk(connection)
        if not counted:
            break
        done, waiting = done + counted, waiting + queued
        progress(min(done, waiting), waiting)
    _count_changed_shares(connection)
    return done


def waiting_events(connection: Any, version: int = FORMAT) -> int:
    """Return the number of events, visitors and orders to count.

    Args:
        connection: A connection to the ledger.
        version: The format of its tables.

    Raises:
        psycopg.Error: The tables cannot be read.
    """
    entries = "coalesce(sum(coalesce(cardinality(seqs), 1)), 0)" if version >= PIECES_FORMAT else "count(*)"
    query = f"SELECT (SELECT count(*) FROM targetry_uncounted) + (SELECT {entries} FROM targetry_recount)"
    return int(connection.execute(query).fetchone()[0])


def _count_chunk(connection: Any) -> tuple[int, int]:
    """Return the number of queue entries that are counted, and of those that this queued."""
    queued = 0
    with connection.transaction():
        if not _lock(connection):
            return 0, 0
        connection.execute(_START)
        taken = sum(int(connection.execute(statement).rowcount) for statement in _TAKE)
        for statement in _STEPS if taken else ():
            rows = connection.execute(statement)
            queued += int(rows.fetchone()[0]) if statement in _QUEUING else 0
    return taken, queued


def _lock(connection: Any) -> bool:
    """Lock the sums; return whether the tables have still this format.

    A later version can have upgraded them while this process runs, and has sums of its own.
    """
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
    (version,) = connection.execute("SELECT format FROM targetry_ledger").fetchone()
    return bool(version == FORMAT)


def _count_changed_shares(connection: Any) -> None:
    """Sum the cohorts and segments of activities whose shares have changed."""
    if not connection.execute(_CHANGED_SHARES).fetchall():
        return
    with connection.transaction():
        if not _lock(connection):
            return
        for activity_id, since in connection.execute(_CHANGED_SHARES).fetchall():
            connection.execute(
                "INSERT INTO targetry_counted VALUES (%s, %s) ON CONFLICT (activity_id) DO UPDATE SET since_ms = excluded.since_ms",
                (activity_id, since),
            )
            for kind, statement in (
                ("cohort", _SUM_COHORTS),
                ("segment", SUM_SEGMENTS.format(condition="activity_id = %s")),
            ):
                connection.execute(f"DELETE FROM targetry_{kind}_sum WHERE activity_id = %s", (activity_id,))
                connection.execute(statement, (activity_id,))
