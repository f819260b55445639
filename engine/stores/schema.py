"""Opening a database: is it ours, is it of our age, and what it was made with."""

from datetime import UTC
from pathlib import Path

import sqlalchemy as sa

from engine.errors import StoreError
from engine.instants import Instant, from_datetime
from engine.store import DEFAULT_LANES
from engine.stores import tables
from engine.stores.driver import Driver

HEAD = "0021"
"""The newest version of the tables, as in ``migrations/versions``."""
VERSION_TABLE = "ringfirst_version"
SECRET_BYTES = 32
UNFINISHED = "unfinished"
"""A setting of a store that is being made out of another one: which."""
MOVED = "moved"
"""A setting of a store that went into another one: which."""
MOST_LANES = 1024
_CREATION = 0x52494E47  # any number that everybody who makes a store in this database agrees on


def prepare(driver: Driver, *, create: bool, lanes: int | None, secret: bytes) -> None:
    """Bring the database to this program's version, or make a store in an empty one.

    Raises ``StoreError`` when it is missing (and not ``create``), of a newer version, or something else altogether.
    """
    if not driver.exists() and not create:
        raise StoreError(_missing(driver.url))
    with driver.reading() as connection:
        if _version(connection, driver.url, create=create) == HEAD:
            return
    with driver.writing(patient=True) as connection:
        _take_turn(connection)
        version = _version(connection, driver.url, create=create)  # again: another process may have been faster
        if version != HEAD:
            _upgrade(connection, driver.url, version)
        if version is None:
            _fill(driver, connection, lanes if lanes is not None else DEFAULT_LANES, secret)


def check_lanes(url: str, lanes: int | None, stored: int | None = None) -> None:
    """Raise ``StoreError`` when a number of lanes is none, or not the one the store was made with."""
    if lanes is not None and not 1 <= lanes <= MOST_LANES:
        msg = f"{url}: a store has 1 to {MOST_LANES} lanes; {lanes} were asked for; choose another number"
        raise StoreError(msg)
    if stored is not None and lanes not in {None, stored}:
        msg = (
            f"{url}: the number of lanes never changes; the store was made with {stored}, {lanes} were asked for; "
            f"set it to {stored}, or make a store with more by 'ringfirst relane'"
        )
        raise StoreError(msg)


def _version(connection: sa.Connection, url: str, *, create: bool) -> str | None:
    names = sa.inspect(connection).get_table_names()
    if VERSION_TABLE in names:
        return connection.execute(sa.text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608 our own constant
    if names:
        msg = f"{url}: this is no Ringfirst store; it holds other tables, such as {min(names)!r}; name an empty one"
        raise StoreError(msg)
    if not create:
        raise StoreError(_missing(url))
    return None


def _missing(url: str) -> str:
    return f"{url}: there is no store here; nothing was found; 'ringfirst import FILE' makes one, or mend the address"


def _take_turn(connection: sa.Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_CREATION)))


def _upgrade(connection: sa.Connection, url: str, version: str | None) -> None:
    # Alembic takes a fifth of a second to import, and most opens need none of it.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if version is not None and version not in known:
        msg = (
            f"{url}: the store is newer than this program; its tables are of version {version}; install that Ringfirst"
        )
        raise StoreError(msg)
    command.upgrade(config, "head")


def _fill(driver: Driver, connection: sa.Connection, lanes: int, secret: bytes) -> None:
    values = {"lanes": str(lanes).encode(), "secret": secret, "created_at": str(_now(connection)).encode()}
    driver.insert(connection, tables.settings, list(values.items()))
    # By name: what a later version adds is not there yet where an older one is filled.
    rows = [{"lane": lane, "epoch": 0, "position": 0, "inbox_seq": 0} for lane in range(lanes)]
    connection.execute(sa.insert(tables.lanes), rows)
    driver.insert(connection, tables.inbox_heads, [(lane, 0) for lane in range(lanes)])


def _now(connection: sa.Connection) -> Instant:
    # The database's clock: the engine has none.
    now = connection.execute(sa.select(sa.func.current_timestamp())).scalar_one()
    return from_datetime(now if now.tzinfo else now.replace(tzinfo=UTC))
