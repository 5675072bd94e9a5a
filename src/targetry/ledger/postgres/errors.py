"""Errors of PostgreSQL, translated to those of a ledger."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Final

from targetry._runtime.lazy_import import importing_extra
from targetry.ledger.errors import FULL, LOCKED, READ_ONLY, UNUSABLE, LedgerError

UNREACHABLE: Final = "unreachable"
"""Reason of errors without a connection to the server."""

# SQLSTATE → reason
_REASONS: Final = {"53100": FULL, "53200": FULL, "25006": READ_ONLY, "55P03": LOCKED, "40P01": LOCKED}


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
