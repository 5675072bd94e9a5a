"""Connections to a ledger in PostgreSQL: time limits, and translation of errors.

Each wait is bounded: for the connection, for a statement, and for a server that does not answer.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Final

from targetry._runtime.lazy_import import importing_extra
from targetry.errors import OptionError
from targetry.ledger.errors import FULL, LOCKED, READ_ONLY, UNUSABLE, LedgerError

SCHEMES: Final = ("postgresql://", "postgres://")
"""Beginnings of an address of a ledger in PostgreSQL."""

UNREACHABLE: Final = "unreachable"
_CONNECT_TIMEOUT_S: Final = 5
_STATEMENT_TIMEOUT_MS: Final = 10_000
_LOCK_TIMEOUT_MS: Final = 5_000
_IDLE_S: Final = 10
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
        psycopg.Error: The server cannot be reached.
    """
    with importing_extra("postgres"):
        import psycopg
        from psycopg import conninfo
    # Compiling a statement takes seconds, and longer than the statement: its cost is overestimated.
    limits = f"-c jit=off -c lock_timeout={_LOCK_TIMEOUT_MS}"
    # The database or the role can have limits, which are for other programs.
    if reads:
        limits += " -c statement_timeout=0 -c idle_in_transaction_session_timeout=0"
    else:
        limits += "".join(
            f" -c {name}={_STATEMENT_TIMEOUT_MS}"
            for name in ("statement_timeout", "idle_in_transaction_session_timeout")
        )
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
    options = f"{limits} {given.get('options') or ''}".strip()
    # Otherwise texts of a database without an encoding are bytes.
    merged = conninfo.make_conninfo(
        "", **{**defaults, **given, "options": options, "client_encoding": "UTF8"}
    )
    return psycopg.connect(merged, autocommit=True)


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
