"""What is kept beside the log to save time: rulebooks, snapshots, shares of the portfolio."""

from collections.abc import Mapping, Sequence

import msgspec
import sqlalchemy as sa

from engine.instants import Instant
from engine.store import Share, Snapshot
from engine.stores.codec import decode, encode
from engine.stores.driver import Driver
from engine.stores.tables import portfolio_shares, rulebooks, snapshots

PAGE = 1_000


def put_rulebook(
    connection: sa.Connection, driver: Driver, fingerprint: str, files: Mapping[str, str], at: Instant
) -> None:
    """Keep a rulebook's files; again is a no-op."""
    row = {"fingerprint": fingerprint, "at": at, "files": encode(files)}
    connection.execute(driver.upsert(rulebooks).values(row).on_conflict_do_nothing())


def rulebook(connection: sa.Connection, fingerprint: str) -> dict[str, str] | None:
    """The files of a rulebook."""
    query = sa.select(rulebooks.c.files).where(rulebooks.c.fingerprint == fingerprint)
    files = connection.execute(query).scalar()
    return None if files is None else msgspec.json.decode(files, type=dict[str, str])


def rulebooks_kept(connection: sa.Connection) -> list[tuple[Instant, str]]:
    """When each rulebook was first kept; the oldest first."""
    query = sa.select(rulebooks.c.at, rulebooks.c.fingerprint).order_by(rulebooks.c.at, rulebooks.c.fingerprint)
    return [(row.at, row.fingerprint) for row in connection.execute(query)]


def put_snapshots(connection: sa.Connection, driver: Driver, new: Sequence[Snapshot]) -> None:
    """Keep snapshots, the newest per account."""
    insert = driver.upsert(snapshots)
    values = {name: insert.excluded[name] for name in ("lane", "position", "rulebook", "state")}
    newer = insert.excluded.position >= snapshots.c.position
    statement = insert.on_conflict_do_update(index_elements=[snapshots.c.account_id], set_=values, where=newer)
    if new:
        connection.execute(statement, [msgspec.structs.asdict(one) for one in new])


def page_of_snapshots(connection: sa.Connection, lane: int, after: str) -> list[Snapshot]:
    """Some snapshots of a lane, by account after ``after``."""
    query = sa.select(*snapshots.c["lane", "account_id", "position", "rulebook", "state"])
    query = query.where(snapshots.c.lane == lane, snapshots.c.account_id > after)
    return [Snapshot(*row) for row in connection.execute(query.order_by(snapshots.c.account_id).limit(PAGE))]


def delete_snapshots(connection: sa.Connection) -> int:
    """Drop all snapshots; returns how many there were."""
    return int(connection.execute(sa.delete(snapshots)).rowcount)


def put_shares(connection: sa.Connection, driver: Driver, new: Sequence[Share]) -> None:
    """Keep a lane's shares; the last one for an instant stays."""
    if not new:
        return
    insert = driver.upsert(portfolio_shares)
    keys = list(portfolio_shares.primary_key.columns)
    statement = insert.on_conflict_do_update(index_elements=keys, set_={"values": insert.excluded["values"]})
    connection.execute(statement, [{"at": one.at, "lane": one.lane, "values": encode(one.values)} for one in new])


def shares(connection: sa.Connection, after: Instant | None) -> list[Share]:
    """Shares by (at, lane), later than ``after``."""
    query = sa.select(*portfolio_shares.c["lane", "at", "values"]).order_by(*portfolio_shares.primary_key.columns)
    if after is not None:
        query = query.where(portfolio_shares.c.at > after)
    return [Share(lane, at, decode(values)) for lane, at, values in connection.execute(query)]
