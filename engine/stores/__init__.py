"""The event store's implementations, and the one door to them."""

import secrets

import sqlalchemy as sa

from engine.errors import StoreError
from engine.store import Store
from engine.stores.driver import Driver
from engine.stores.schema import SECRET_BYTES, check_lanes, prepare
from engine.stores.sql import SqlStore
from engine.stores.sqlite import SqliteDriver


def open_store(url: str, *, create: bool = True, lanes: int | None = None) -> Store:
    """Open the event store at ``url``, bringing its tables to this program's version first.

    ``sqlite:///file`` (``sqlite://`` = in memory, gone when closed) or ``postgresql://user@host/database``. An empty
    database becomes a store of ``lanes`` lanes (8 if not said) when ``create`` is set.
    Raises ``StoreError``: unknown kind of address, unreachable, not a Ringfirst store, newer than this program, other
    number of lanes.
    """
    driver = _driver(url)
    check_lanes(driver.url, lanes)
    try:
        prepare(driver, create=create, lanes=lanes, secret=secrets.token_bytes(SECRET_BYTES))
        store = SqlStore(driver)
        check_lanes(store.url, lanes, store.lanes)
    except BaseException:
        driver.close()
        raise
    return store


def _driver(url: str) -> Driver:
    try:
        parsed = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError) as err:
        msg = "store: the address cannot be read; it has no form like 'sqlite:///ringfirst.db'; see 'ringfirst --help'"
        raise StoreError(msg) from err
    kind = parsed.drivername.partition("+")[0]
    if kind == "sqlite":
        return SqliteDriver(parsed)
    if kind in {"postgresql", "postgres"}:
        # Psycopg takes a fifth of a second to import: not for those who do not use it.
        from engine.stores.postgres import PostgresDriver  # noqa: PLC0415

        return PostgresDriver(parsed)
    msg = f"store: there is no store of kind {kind!r}; use sqlite:///FILE or postgresql://USER@HOST/DATABASE"
    raise StoreError(msg)


__all__ = ["open_store"]
