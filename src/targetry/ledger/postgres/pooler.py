"""Checks of a connection pooler in front of a ledger in PostgreSQL.

It has to be in session mode, or other programs would get the settings and locks of a ledger.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from targetry.ledger.errors import UNUSABLE, LedgerError
from targetry.ledger.postgres.answer_limit import AnswerLimit
from targetry.ledger.postgres.errors import UNREACHABLE, ledger_name

_POOL_TIMEOUT_S: Final = 10.0  # of a first connection, which a pooler opens then


@cache
def check_pooler(address: str) -> None:
    """Check that a pooler gives each connection a server's process of its own, once.

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
            with pool_limit(connection, address):
                processes.add(connection.execute("SELECT pg_backend_pid()").fetchone())
    if len(processes) == 1:
        raise LedgerError(
            UNUSABLE,
            f"the ledger {ledger_name(address)}: the connection pooler is not in session mode, so settings and locks "
            "of the ledger would reach other programs; set pool_mode = session for it, or connect to the server itself",
        )


@contextlib.contextmanager
def pool_limit(connection: Any, address: str) -> Iterator[None]:
    """Limit the wait for a connection of a pooler, which it gives with the first statement.

    Raises:
        LedgerError: The pooler gives none within 10 seconds.
    """
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
