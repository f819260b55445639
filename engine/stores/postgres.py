"""PostgreSQL by psycopg 3: the store of many workers, senders and consoles at once."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from typing import Any, cast

import msgspec
import psycopg
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from engine.stores.driver import DEADLINE_SECONDS, columns, our_errors, public
from engine.stores.tables import BIG, BODY

ANSWER_SECONDS = DEADLINE_SECONDS - 1
"""How long a statement may wait for its answer. The server gives up a second earlier, and then says why."""
REACH_SECONDS = 3
"""How long a connection that lay idle may take to show that it is alive."""
CONNECT_SECONDS = DEADLINE_SECONDS - REACH_SECONDS - 2
"""How long a new one may take: with the proof before it still within the deadline."""

CONNECT = {
    "connect_timeout": CONNECT_SECONDS,
    # A cable that was pulled is noticed within the deadline too, whichever side was to speak next.
    "tcp_user_timeout": ANSWER_SECONDS * 1000,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 2,
}
SESSION = (
    f"SET statement_timeout = '{ANSWER_SECONDS - 1}s'",
    f"SET lock_timeout = '{ANSWER_SECONDS - 1}s'",
    # One forgotten session would hold the lanes' locks, and vacuum, for ever.
    "SET idle_in_transaction_session_timeout = '60s'",
)
_WAKE_SECONDS = 0.1
PATIENT = ("SET LOCAL statement_timeout = 0", "SET LOCAL lock_timeout = 0")
EXISTING = (
    "SELECT e.account_id, e.id, e.digest FROM json_array_elements(%s::json) AS q (pair) "
    'JOIN events AS e ON e.account_id = (q.pair->>0) COLLATE "C" AND e.id = (q.pair->>1) COLLATE "C"'
)

_LOCK = sa.text(
    "SELECT pg_advisory_xact_lock(hashtextextended(name, 0)) FROM unnest(CAST(:the_names AS text[])) AS name"
)
"""One after the other, in the order of the list: everybody takes them sorted."""


class Bounded(psycopg.Connection[Any]):
    """A connection that waits ``seconds`` for an answer (None = for ever), and is closed when none comes.

    The deadlines of TCP see a machine that is gone. They do not see a proxy, or a server that was suspended, which
    takes every byte and never answers.
    """

    seconds: float | None = REACH_SECONDS
    silent: str | None = None
    """Why it was closed, if that was for want of an answer: what is said after it, it is closed, tells nothing."""

    def wait(self, gen: Any, interval: float = _WAKE_SECONDS, timeout: float | None = None) -> Any:
        """Wait for an answer. Raises ``OperationalError`` when there is none in time."""
        allowed = self.seconds if timeout is None else timeout
        try:
            return super().wait(gen, interval, allowed)
        except psycopg.errors._WaitTimeout as err:  # noqa: SLF001 - it has no other name
            self.silent = f"no answer within {allowed} seconds"
            self.pgconn.finish()  # nobody knows what it still does there: no word more on this one
            raise psycopg.OperationalError(self.silent) from err


class PostgresDriver:
    """A PostgreSQL database. No call waits for longer than ten seconds, whatever became of the server."""

    def __init__(self, url: sa.URL) -> None:
        """Prepare the engine; nothing is connected yet."""
        self.url = public(url.set(drivername="postgresql"))
        self._engine = sa.create_engine(
            url.set(drivername="postgresql+psycopg"),
            pool_pre_ping=True,
            pool_timeout=ANSWER_SECONDS,
            connect_args=dict(CONNECT),
            hide_parameters=True,
        )
        sa.event.listen(self._engine, "do_connect", _connect)
        sa.event.listen(self._engine, "connect", _prepare)
        sa.event.listen(self._engine, "checkin", _rest)

    def exists(self) -> bool:
        """Leave it to the server: a database that is not there says so when it is opened."""
        return True

    def reading(self) -> AbstractContextManager[sa.Connection]:
        """Open a transaction; its statements each see what was committed when they began."""
        return self._transaction(patient=False)

    def writing(self, *, patient: bool = False) -> AbstractContextManager[sa.Connection]:
        """Open a transaction in which rows are locked as they are read ``FOR UPDATE``."""
        return self._transaction(patient=patient)

    @contextmanager
    def _transaction(self, *, patient: bool) -> Iterator[sa.Connection]:
        with our_errors(self.url, psycopg.IntegrityError, psycopg.Error), self._begun() as connection:
            _driver(connection).seconds = None if patient else ANSWER_SECONDS
            for statement in PATIENT if patient else ():
                connection.exec_driver_sql(statement)
            yield connection

    @contextmanager
    def _begun(self) -> Iterator[sa.Connection]:
        driver: Bounded | None = None
        try:
            with self._engine.begin() as connection:
                driver = _driver(connection)
                yield connection
        except (psycopg.Error, sa.exc.SQLAlchemyError) as err:
            if driver is not None and driver.silent is not None:
                raise psycopg.OperationalError(driver.silent) from err
            raise

    def lock(self, connection: sa.Connection, names: Iterable[str]) -> None:
        """Hold these names until the transaction ends."""
        wanted = sorted(set(names))
        if wanted:
            connection.execute(_LOCK, {"the_names": wanted})

    def share(self, connection: sa.Connection, name: str) -> None:
        """Hold a name together with others until the transaction ends."""
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock_shared(sa.func.hashtextextended(name, 0))))

    def insert(self, connection: sa.Connection, table: sa.Table, rows: Sequence[tuple[Any, ...]]) -> None:
        """Insert by binary COPY, a tenth of the cost of INSERT."""
        if not rows:
            return
        statement, types = _copy(table)
        with _driver(connection).cursor() as cursor, cursor.copy(statement) as copy:
            copy.set_types(types)
            for row in rows:
                copy.write_row(row)

    @staticmethod
    def upsert(table: sa.Table) -> postgresql.Insert:
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


def _driver(connection: sa.Connection) -> Bounded:
    return cast("Bounded", connection.connection.driver_connection)


def _connect(_dialect: object, _record: object, where: Sequence[Any], more: Mapping[str, Any]) -> Bounded:
    return Bounded.connect(*where, **more)


def _rest(connection: Bounded | None, _record: object) -> None:
    if connection is not None:  # one that broke has gone already
        connection.seconds = REACH_SECONDS


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
