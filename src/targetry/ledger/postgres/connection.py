"""Connections to a ledger in PostgreSQL, with their settings and time limits.

Each wait is bounded: for the connection, for a statement, and for a server that does not answer.

A connection pooler takes no options with a connection, so a statement sets them.
"""

from __future__ import annotations

from typing import Any, Final

from targetry._runtime.lazy_import import importing_extra
from targetry.errors import OptionError
from targetry.ledger.postgres.pooler import check_pooler, pool_limit

SCHEMES: Final = ("postgresql://", "postgres://")
"""Beginnings of an address of a ledger in PostgreSQL."""

_CONNECT_TIMEOUT_S: Final = 5
_STATEMENT_TIMEOUT_MS: Final = 10_000
_LOCK_TIMEOUT_MS: Final = 5_000
_IDLE_S: Final = 10
_NO_OPTIONS: Final = "unsupported startup parameter"  # message of PgBouncer


def connect(url: str, *, reads: bool = False) -> Any:
    """Return a `psycopg` connection in autocommit mode.

    Args:
        url: An address that starts with one of `SCHEMES`.
        reads: Whether statements may take as long as they need, as those of a report.

    Raises:
        OptionError: The address is wrong.
        MissingExtraError: The extra `postgres` is not installed.
        LedgerError: A connection pooler cannot be used.
        psycopg.Error: The server cannot be reached.
    """
    with importing_extra("postgres"):
        import psycopg
        from psycopg import conninfo
    # The database or the role can have limits, which are for other programs.
    timeout_ms = 0 if reads else _STATEMENT_TIMEOUT_MS
    settings: dict[str, int | str] = {
        "jit": "off",  # to compile a statement takes seconds, and longer than the statement
        "lock_timeout": _LOCK_TIMEOUT_MS,
        "statement_timeout": timeout_ms,
        "idle_in_transaction_session_timeout": timeout_ms,
    }
    try:
        given = conninfo.conninfo_to_dict(url)
    except (psycopg.ProgrammingError, UnicodeEncodeError) as error:
        raise OptionError("ledger", f"is not an address of PostgreSQL: {str(error).strip()}") from None
    defaults: dict[str, int | str] = {
        "connect_timeout": _CONNECT_TIMEOUT_S,
        "keepalives_idle": _IDLE_S,
        "keepalives_interval": _IDLE_S // 2,
        "keepalives_count": 2,
        "tcp_user_timeout": _IDLE_S * 1000,
        "application_name": "targetry",
    }
    # Otherwise texts of a database without an encoding are bytes.
    merged = {**defaults, **given, "client_encoding": "UTF8"}
    limits = " ".join(f"-c {name}={value}" for name, value in settings.items())
    options = f"{limits} {given.get('options') or ''}".strip()
    try:
        return psycopg.connect(conninfo.make_conninfo("", **{**merged, "options": options}), autocommit=True)
    except psycopg.OperationalError as error:
        if _NO_OPTIONS not in str(error):
            raise
    address = conninfo.make_conninfo("", **merged)
    check_pooler(address)
    connection = psycopg.connect(address, autocommit=True)
    try:
        with pool_limit(connection, address):
            connection.execute("; ".join(f"SET {name} = {value}" for name, value in settings.items()))
    except BaseException:
        connection.close()
        raise
    return connection
