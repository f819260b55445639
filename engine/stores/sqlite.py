"""SQLite: the embedded store, one file (or memory), many readers and one writer."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import cache
from pathlib import Path
from threading import Event, Lock
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from engine.stores.driver import DEADLINE_SECONDS, columns, our_errors, public

PRAGMAS = (
    f"PRAGMA busy_timeout = {DEADLINE_SECONDS * 1000}",
    "PRAGMA synchronous = FULL",  # NORMAL may forget the last commits at a power cut, and a mail would leave twice
    "PRAGMA foreign_keys = ON",
    "PRAGMA secure_delete = ON",  # what is forgotten must not stay readable in the file
    "PRAGMA cache_size = -65536",
    # A page of an index changes with most batches: it goes into the file once for many of them (16 MB of log).
    "PRAGMA wal_autocheckpoint = 4000",
)
EXISTING = (
    "SELECT e.account_id, e.id, e.digest FROM json_each(?) AS q "
    "JOIN events AS e ON e.account_id = q.key AND e.id = q.value"
)

EXISTS = "SELECT account_id, id, digest FROM events WHERE account_id = ? AND id = ?"
ODD = frozenset({",", "],["})
"""Ids that look like what stands between two strings of JSON; they are asked for one by one."""


class SqliteDriver:
    """A SQLite database. In memory it lives as long as the driver, on one connection that threads take in turn."""

    def __init__(self, url: sa.URL) -> None:
        """Prepare the engine; nothing is opened yet."""
        self.url = public(url)
        self._path = None if url.database in {None, "", ":memory:"} else Path(str(url.database))
        self._turn: AbstractContextManager[Any] = nullcontext() if self._path else Lock()
        self._engine = sa.create_engine(
            url.set(drivername="sqlite+pysqlite"),
            poolclass=sa.QueuePool if self._path else sa.StaticPool,
            connect_args={"check_same_thread": False, "isolation_level": None, "timeout": DEADLINE_SECONDS},
            hide_parameters=True,
        )
        sa.event.listen(self._engine, "connect", _prepare)

    def exists(self) -> bool:
        """Whether the file is there."""
        return self._path is not None and self._path.exists()

    def reading(self) -> AbstractContextManager[sa.Connection]:
        """Open a snapshot of the database."""
        return self._transaction("BEGIN")

    def writing(self, *, patient: bool = False) -> AbstractContextManager[sa.Connection]:
        """Open the one writing transaction; others wait for their turn."""
        # IMMEDIATE: a transaction that reads first and then writes would fail at once instead of waiting.
        return self._transaction("BEGIN IMMEDIATE")

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[sa.Connection]:
        with (
            self._turn,
            our_errors(self.url, sqlite3.IntegrityError, sqlite3.Error),
            self._engine.begin() as connection,
        ):
            connection.exec_driver_sql(begin)
            yield connection

    def lock(self, connection: sa.Connection, names: Iterable[str]) -> None:
        """Nothing to do: there is one writing transaction at a time."""

    def share(self, connection: sa.Connection, name: str) -> None:
        """Nothing to do, for the same reason."""

    def insert(self, connection: sa.Connection, table: sa.Table, rows: Sequence[tuple[Any, ...]]) -> None:
        """Insert on the driver's own connection: half the time of going through SQLAlchemy."""
        if rows:
            connection.connection.driver_connection.executemany(_insert(table), rows)  # type: ignore[union-attr]

    @staticmethod
    def upsert(table: sa.Table) -> sqlite.Insert:
        """Begin an ``INSERT ... ON CONFLICT``."""
        return sqlite.insert(table)

    def existing(self, connection: sa.Connection, ids: Sequence[tuple[str, str]]) -> list[tuple[str, str, bytes]]:
        """Ask with one JSON object: ``IN (VALUES ...)`` reads no index here and costs 16 times as much."""
        plain = [pair for pair in ids if ODD.isdisjoint(pair)]
        found = list(connection.exec_driver_sql(EXISTING, (_paired(plain),))) if plain else []
        for pair in ids if len(plain) < len(ids) else ():
            found += connection.exec_driver_sql(EXISTS, pair) if not ODD.isdisjoint(pair) else ()
        return [(account, event, digest) for account, event, digest in found]

    def scrub(self) -> None:
        """Empty the write-ahead log, which still holds the pages as they were."""
        if self._path is None:
            return
        with ExitStack() as stack:
            stack.enter_context(our_errors(self.url, sqlite3.IntegrityError, sqlite3.Error))
            connection = stack.enter_context(self._engine.connect())
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()


def _prepare(connection: sqlite3.Connection, _record: object) -> None:
    for pragma in PRAGMAS:
        connection.execute(pragma)
    _write_ahead(connection)


def _write_ahead(connection: sqlite3.Connection) -> None:
    # The switch to WAL is for ever, but while another process makes it, SQLite does not wait for it by itself.
    pause, tries = Event(), DEADLINE_SECONDS * 50
    for left in reversed(range(tries)):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as err:
            if "locked" not in str(err) or not left:
                raise
            pause.wait(1 / 50)
        else:
            return


def _paired(ids: Sequence[tuple[str, str]]) -> str:
    r"""Write pairs as one JSON object, equal keys each time again: SQLite reads it in half the time of lists in a list.

    Inside of a JSON string no quote stands without its backslash, so that what is replaced can only lie between two, or
    be a whole one: none may be of ``ODD``.

    >>> _paired([("a", "1"), ("a", '","')])
    '{"a":"1","a":"\\",\\""}'
    """
    lists = msgspec.json.encode(ids).decode()
    return "{" + lists.replace('","', '":"').replace('"],["', '","')[2:-2] + "}"


@cache
def _insert(table: sa.Table) -> str:
    names = columns(table)
    listed = ", ".join(f'"{name}"' for name in names)
    return f'INSERT INTO "{table.name}" ({listed}) VALUES ({", ".join("?" * len(names))})'  # noqa: S608 names of our own tables
