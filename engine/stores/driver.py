"""What SQLite and PostgreSQL do differently, behind one contract; everything else is written once."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import sqlalchemy as sa

from engine.errors import Conflict, StoreError
from engine.stores.tables import SERIAL

DEADLINE_SECONDS = 10
if TYPE_CHECKING:  # each of them brings every dialect of its kind, a tenth of a second that one of them is not used
    from sqlalchemy.dialects import postgresql, sqlite

    Upsert = sqlite.Insert | postgresql.Insert

COUNTED = {"preserve_rowcount": True}
"""Options of an INSERT whose rows are counted: SQLAlchemy forgets their number otherwise."""


class Driver(Protocol):
    """One database engine: how a transaction begins there, and how many rows go in at once."""

    @property
    def url(self) -> str:
        """The database's address without its password."""
        ...

    def exists(self) -> bool:
        """Whether there is a database to open; asking makes none."""
        ...

    def reading(self) -> AbstractContextManager[sa.Connection]:
        """Open a transaction that only reads. Raises ``StoreError``."""
        ...

    def writing(self, *, patient: bool = False) -> AbstractContextManager[sa.Connection]:
        """Open a transaction that commits at the end, or leaves nothing behind when anything is raised.

        Raises ``Conflict`` for a row that is there already, ``StoreError`` for all other trouble of the database.
        ``patient`` lifts the deadline of its statements (migrations).
        """
        ...

    def lock(self, connection: sa.Connection, names: Iterable[str]) -> None:
        """Hold these names until the transaction ends; who wants one of them waits, never in a circle."""
        ...

    def share(self, connection: sa.Connection, name: str) -> None:
        """Hold a name together with others who share it; who wants it alone by ``lock`` waits, and we for them."""
        ...

    def insert(self, connection: sa.Connection, table: sa.Table, rows: Sequence[tuple[Any, ...]]) -> None:
        """Insert many rows by the shortest way; the values are in the order of ``columns(table)``."""
        ...

    @staticmethod
    def upsert(table: sa.Table) -> "Upsert":
        """Begin an ``INSERT ... ON CONFLICT``."""
        ...

    def existing(self, connection: sa.Connection, ids: Sequence[tuple[str, str]]) -> list[tuple[str, str, bytes]]:
        """Of these (account id, event id) pairs the stored ones, with their digests."""
        ...

    def scrub(self) -> None:
        """Take care that what was deleted cannot be read from the database's files, as far as the engine can."""

    def close(self) -> None:
        """Give every connection back."""


def columns(table: sa.Table) -> list[str]:
    """Name the columns of a row to insert: all but the one that counts up by itself."""
    return [column.name for column in table.columns if column.type is not SERIAL]


def public(url: sa.URL) -> str:
    """Write an address as ``open_store`` takes it, without the password.

    >>> public(sa.make_url("postgresql+psycopg://ann:secret@db/shop"))
    'postgresql://ann@db/shop'
    """
    return url._replace(drivername=url.get_backend_name(), password=None).render_as_string()


@contextmanager
def our_errors(url: str, torn: type[Exception], broken: type[Exception]) -> Iterator[None]:
    """Turn a foreign error into ours, without the rows it may quote.

    ``torn`` is what the database's own module raises for a row that exists, ``broken`` for anything at all.
    """
    try:
        yield
    except (sa.exc.IntegrityError, torn) as err:
        msg = f"{url}: a row of this batch is in the store already; {_first_line(err)}; load the lane and try again"
        raise Conflict(msg) from err
    except (sa.exc.SQLAlchemyError, broken) as err:
        msg = f"{url}: the database did not do it; {_first_line(err)}; see that it is reachable, writable and has room"
        raise StoreError(msg) from err


def _first_line(err: BaseException) -> str:
    # Further lines quote the row, and a row may hold what belongs to a customer.
    text = str(getattr(err, "orig", None) or err)
    return text.splitlines()[0] if text else type(err).__name__
