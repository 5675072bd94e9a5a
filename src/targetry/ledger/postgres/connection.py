"""Connections to a ledger in PostgreSQL: time limits, and translation of errors.

Each wait is bounded: for the connection, for a statement, and for a server that does not answer.

A connection pooler takes no options with a connection, so a statement sets them. It has to be in
session mode, or other programs would get them, too.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from targetry._runtime.lazy_import import importing_extra
from targetry.errors import OptionError
from targetry.ledger.errors import FULL, LOCKED, READ_ONLY, UNUSABLE, LedgerError
from targetry.ledger.postgres.answer_limit import AnswerLimit

SCHEMES: Final = ("postgresql://", "postgres://")
"""Beginnings of an address of a ledger in PostgreSQL."""

UNREACHABLE: Final = "unreachable"
_CONNECT_TIMEOUT_S: Final = 5
_POOL_TIMEOUT_S: Final = 10.0  # of a first connection, which a pooler opens then
_STATEMENT_TIMEOUT_MS: Final = 10_000
_LOCK_TIMEOUT_MS: Final = 5_000
_IDLE_S: Final = 10
_NO_OPTIONS: Final = "unsupported startup parameter"  # message of PgBouncer
# SQLSTATE → reason
_REASONS: Final = {"53100": FULL, "53200": FULL, "25006": READ_ONLY, "55P03": LOCKED, "40P01": LOCKED}


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
    _check_pooler(address)
    connection = psycopg.connect(address, autocommit=True)
    try:
        with _pool_limit(connection, address):
            connection.execute("; ".join(f"SET {name} = {value}" for name, value in settings.items()))
    except BaseException:
        connection.close()
        raise
    return connection


@cache
def _check_pooler(address: str) -> None:
    """Check that a pooler gives each connection a server's process of its own.

    Raises:
        LedgerError: It is not in session mode, or has too few connections.
        psycopg.Error: The server cannot be reached.
    """
    import psycopg

    processes = set()
    with contextlib.ExitStack() as stack:
        for _ in range(2):
            connection = psycopg.connect(address, autocommit=True)
            stack.enter_context(contextlib.closing(connection))
            with _pool_limit(connection, address):
                processes.add(connection.execute("SELECT pg_backend_pid()").fetchone())
    if len(processes) == 1:
        raise LedgerError(
            UNUSABLE,
            f"the ledger {ledger_name(address)}: the connection pooler is not in session mode, so settings and locks "
            "of the ledger would reach other programs; set pool_mode = session for it, or connect to the server itself",
        )


@contextlib.contextmanager
def _pool_limit(connection: Any, address: str) -> Iterator[None]:
    """Limit the wait for a connection of a pooler, which it gives with the first statement."""
    from psycopg import OperationalError

    limit = AnswerLimit(_POOL_TIMEOUT_S)
    limit.watch(connection)
    try:
        yield
    except OperationalError as error:
        if not limit.has_expired:
            raise
        raise LedgerError(
            UNREACHABLE,
            f"the ledger {ledger_name(address)}: the connection pooler gives no connection within "
            f"{limit.timeout_s:g} s; let it open at least four for each edge",
        ) from error
    finally:
        limit.end()
        limit.release()


def ledger_name(url: str) -> str:
    """Return the server and the database of an address, without its password."""
    with importing_extra("postgres"):
        from psycopg import conninfo
    parts = conninfo.conninfo_to_dict(url)
    return f"{parts.get('host') or 'localhost'}:{parts.get('port') or 5432}/{parts.get('dbname') or ''}"


def translate(url: str, error: BaseException) -> LedgerError:
    """Return an error of `psycopg` or of the system as a `LedgerError`."""
    if isinstance(error, LedgerError):
        return type(error)(error.reason, error.text)
    state = getattr(error, "sqlstate", None)
    reason = _REASONS.get(state or "", UNUSABLE)
    if state is None or state[:2] in ("08", "57"):  # no connection, or the server is ending
        reason = UNREACHABLE
    primary = getattr(getattr(error, "diag", None), "message_primary", None)  # without the statement
    detail = " ".join(str(primary or error).split()) or type(error).__name__
    return LedgerError(reason, f"the ledger {ledger_name(url)}: {detail}")


@contextlib.contextmanager
def translated(url: str) -> Iterator[None]:
    """Raise errors of `psycopg` as `LedgerError`."""
    with importing_extra("postgres"):
        import psycopg
    try:
        yield
    except (psycopg.Error, OSError) as error:
        raise translate(url, error) from error
