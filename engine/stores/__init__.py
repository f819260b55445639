"""The event store's implementations, and the one door to them."""

import secrets
from collections.abc import Callable, Sequence

import sqlalchemy as sa

from engine.errors import StoreError, UsageError
from engine.store import Claim, Store
from engine.stores.driver import Driver
from engine.stores.schema import SECRET_BYTES, check_lanes, prepare
from engine.stores.sql import SqlStore
from engine.stores.sqlite import SqliteDriver


def open_store(url: str, *, create: bool = True, lanes: int | None = None) -> Store:
    """Open the event store at ``url``, bringing its tables to this program's version first.

    ``sqlite:///file`` (``sqlite://`` = in memory, gone when closed) or ``postgresql://user@host/database``. An empty
    database becomes a store of ``lanes`` lanes (8 if not said) when ``create`` is set.
    Raises ``StoreError``: unknown kind of address, unreachable, not a Ringfirst store, newer than this program, other
    number of lanes; a store that moved into another one, or is not whole.
    """
    return _opened(url, create=create, lanes=lanes)


class Relaning:
    """A store that is copied into a new one with a multiple of its lanes; see ``engine.stores.relaning``.

    Whoever does it holds all lanes of ``source``, at one instant, with nothing in their inboxes. In order: ``copy``,
    then look at ``target``, ``retire``, ``finish``. Killed anywhere, the same again does the rest. Every method raises
    ``StoreError``.
    """

    def __init__(self, source: str, target: str, lanes: int) -> None:
        """Open the old store; the new one is made when it is needed.

        Raises ``UsageError`` when ``lanes`` is no multiple of what there is.
        """
        self._source = _opened(source, create=False, lanes=None, shut=True)
        self._made: SqlStore | None = None
        self._where, self._lanes = target, lanes
        self._seen: tuple[object, ...] = ()
        before = self._source.lanes
        try:
            if self._source.unfinished:
                raise StoreError(_no_source(self._source.url))
            if lanes <= before or lanes % before:
                raise UsageError(_no_multiple(before, lanes))
        except BaseException:
            self._source.close()
            raise

    @property
    def source(self) -> Store:
        """The store with the old number of lanes."""
        return self._source

    @property
    def target(self) -> Store:
        """The new one. Raises ``StoreError`` when it is not new."""
        return self._new

    @property
    def moved(self) -> str | None:
        """The store that the old one went into, if it did."""
        return self._source.moved

    @property
    def _new(self) -> SqlStore:
        if self._made is None:
            self._made = _opened(self._where, create=True, lanes=self._lanes, shut=True)
        return self._made

    def copy(self, told: Callable[[], object]) -> None:
        """Copy everything; ``told`` is called every few thousand rows."""
        from engine.stores import relaning  # noqa: PLC0415 - nobody else needs it

        relaning.begin(self._new._driver, self._source.url)  # noqa: SLF001 - of one make
        self._seen = relaning.copy(
            self._source._driver,  # noqa: SLF001
            self._new._driver,  # noqa: SLF001
            before=self._source.lanes,
            after=self._new.lanes,
            told=told,
        )

    def retire(self, claims: Sequence[Claim]) -> None:
        """Close the old store: nobody opens it any more, and no mail leaves from it."""
        from engine.stores import relaning  # noqa: PLC0415

        relaning.retire(self._source._driver, claims, self._seen, to=self._new.url)  # noqa: SLF001

    def finish(self) -> None:
        """Everybody may open the new store."""
        from engine.stores import relaning  # noqa: PLC0415

        relaning.finish(self._new._driver)  # noqa: SLF001

    def close(self) -> None:
        """Give every connection back."""
        self._source.close()
        if self._made is not None:
            self._made.close()


def _no_multiple(before: int, after: int) -> str:
    return (
        f"relane: the new number must be a multiple of the old one; found {after}, the store has {before} lanes; "
        f"choose {2 * before} or {3 * before}"
    )


def _no_source(url: str) -> str:
    return (
        f"{url}: this store is not whole; 'ringfirst relane' was making it and did not end; name the one it came from"
    )


def _opened(url: str, *, create: bool, lanes: int | None, shut: bool = False) -> SqlStore:
    driver = _driver(url)
    check_lanes(driver.url, lanes)
    try:
        prepare(driver, create=create, lanes=lanes, secret=secrets.token_bytes(SECRET_BYTES))
        store = SqlStore(driver, shut=shut)
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


__all__ = ["Relaning", "open_store"]
