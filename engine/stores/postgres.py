"""PostgreSQL by psycopg 3: the store of many workers, senders and consoles at once."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from typing import Any

import msgspec
import psycopg
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from engine.stores.driver import DEADLINE_SECONDS, columns, our_errors, public
from engine.stores.tables import BIG, BODY

CONNECT = {
    "connect_timeout": DEADLINE_SECONDS,
    # A cable that was pulled is noticed within the deadline too, whichever side was to speak next.
    "tcp_user_timeout": DEADLINE_SECONDS * 1000,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
}
SESSION = (
    f"SET statement_timeout = '{DEADLINE_SECONDS}s'",
    f"SET lock_timeout = '{DEADLINE_SECONDS}s'",
    # One forgotten session would hold the lanes' locks, and vacuum, for ever.
    "SET idle_in_transaction_session_timeout = '60s'",
)
PATIENT = ("SET LOCAL statement_timeout = 0", "SET LOCAL lock_timeout = 0")
EXISTING = (
    "SELECT e.account_id, e.id, e.digest FROM json_array_elements(%s::json) AS q (pair) "
    'JOIN events AS e ON e.account_id = (q.pair->>0) COLLATE "C" AND e.id = (q.pair->>1) COLLATE "C"'
)


class PostgresDriver:
    """A PostgreSQL database; every statement has a deadline of ten seconds."""

    def __init__(self, url: sa.URL) -> None:
        """Prepare the engine; nothing is connected yet."""
        self.url = public(url.set(drivername="postgresql"))
        self._engine = sa.create_engine(
            url.set(drivername="postgresql+psycopg"),
            pool_pre_ping=True,
            pool_timeout=DEADLINE_SECONDS,
            connect_args=dict(CONNECT),
            hide_parameters=True,
        )
        sa.event.listen(self._engine, "connect", _prepare)

    def exists(self) -> bool:
        """Leave it to the server: a database that is not there says so when it is opened."""
        return True

    def reading(self) -> AbstractContextManager[sa.Connection]:
        """Open a transaction; its statements each see what was committed when they began."""
        return self._transaction(())

    def writing(self, *, patient: bool = False) -> AbstractContextManager[sa.Connection]:
        """Open a transaction in which rows are locked as they are read ``FOR UPDATE``."""
        return self._transaction(PATIENT if patient else ())

    @contextmanager
    def _transaction(self, first: Sequence[str]) -> Iterator[sa.Connection]:
        with our_errors(self.url, psycopg.IntegrityError, psycopg.Error), self._engine.begin() as connection:
            for statement in first:
                connection.exec_driver_sql(statement)
            yield connection

    def insert(self, connection: sa.Connection, table: sa.Table, rows: Sequence[tuple[Any, ...]]) -> None:
        """Insert by binary COPY, a tenth of the cost of INSERT."""
        if not rows:
            return
        statement, types = _copy(table)
        driver: psycopg.Connection = connection.connection.driver_connection  # type: ignore[assignment]
        with driver.cursor() as cursor, cursor.copy(statement) as copy:
            copy.set_types(types)
            for row in rows:
                copy.write_row(row)

    def upsert(self, table: sa.Table) -> postgresql.Insert:
        """Begin an ``INSERT ... ON CONFLICT``."""
        return postgresql.insert(table)

    def existing(self, connection: sa.Connection, ids: Sequence[tuple[str, str]]) -> list[tuple[str, str, bytes]]:
        """Ask with one JSON list, so that any number of pairs is one statement; two arrays cost ten times as much."""
        found = connection.exec_driver_sql(EXISTING, (msgspec.json.encode(ids).decode(),))
        return [(account, event, digest) for account, event, digest in found]

    def scrub(self) -> None:
        """Do nothing: the server's autovacuum frees old row versions in its own time."""

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()


def _prepare(connection: Any, _record: object) -> None:
    with connection.cursor() as cursor:
        for statement in SESSION:
            cursor.execute(statement)
    connection.commit()


@cache
def _copy(table: sa.Table) -> tuple[str, list[str]]:
    names = columns(table)
    listed = ", ".join(f'"{name}"' for name in names)
    return f'COPY "{table.name}" ({listed}) FROM STDIN (FORMAT BINARY)', [_type(table.c[name]) for name in names]


def _type(column: "sa.Column[Any]") -> str:
    if column.type is BIG:
        return "int8"
    if column.type is BODY:
        return "bytea"
    return "int4" if isinstance(column.type, sa.Integer) else "text"
