"""The lanes' logs: events and the engine's own entries, written once and read in order of position."""

from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any

import sqlalchemy as sa

from engine.errors import Conflict
from engine.instants import Instant
from engine.log import EngineEntry, Entry, Event, Recorded
from engine.store import Batch
from engine.stores.codec import decode, encode
from engine.stores.driver import Driver
from engine.stores.tables import events, log

PAGE = 5_000
ACTIVATED = "rulebook.activated"
Last = tuple[str, str | None]
"""An account, and one of its events; None: whatever events it has."""

_EVENT = sa.select(
    events.c.position,
    events.c.recorded_at,
    events.c.id,
    events.c.type,
    events.c.account_id,
    events.c.user_id,
    events.c.time,
    events.c.body,
)
_ENTRY = sa.select(log.c.position, log.c.recorded_at, log.c.kind, log.c.account_id, log.c.body)


def append(connection: sa.Connection, driver: Driver, batches: Iterable[Batch]) -> None:
    """Append the batches' events and entries. Raises ``Conflict`` for a position outside its batch."""
    all_rows, all_entries = list[tuple[Any, ...]](), list[tuple[Any, ...]]()
    for batch in batches:
        lane = batch.claim.lane
        rows = [_event_row(lane, new.recorded, new.digest, new.body) for new in batch.events]
        entries = [_entry_row(lane, entry) for entry in batch.entries]
        _check_positions(batch, rows, entries)
        all_rows += rows
        all_entries += entries
    driver.insert(connection, events, all_rows)
    driver.insert(connection, log, all_entries)


def page(
    connection: sa.Connection,
    lane: int,
    *,
    after: int,
    until_position: int,
    until_at: Instant | None,
) -> tuple[Sequence[Entry], int]:
    """Some thousand entries after a position, and the position up to which they are all there are."""
    within = events.c.lane == lane, events.c.position > after, events.c.position <= until_position
    query = _until(_EVENT.where(*within), events, until_at).order_by(events.c.position).limit(PAGE)
    found = [_recorded(row) for row in connection.execute(query).all()]
    end = found[-1].position if len(found) == PAGE else until_position
    beside = _ENTRY.where(log.c.lane == lane, log.c.position > after, log.c.position <= end)
    entries = [_entry(*row) for row in connection.execute(_until(beside, log, until_at))]
    return _merged(found, entries) if entries else found, end


def of_account(
    connection: sa.Connection,
    account_id: str,
    lane: int,
    *,
    until_position: int,
    until_at: Instant | None,
) -> list[Entry]:
    """One account's entries, with those of its lane that concern every account."""
    own = _EVENT.where(events.c.account_id == account_id, events.c.position <= until_position)
    concerning = sa.or_(log.c.account_id == account_id, sa.and_(log.c.lane == lane, log.c.account_id.is_(None)))
    beside = _ENTRY.where(concerning, log.c.position <= until_position)
    found = [_recorded(row) for row in connection.execute(_until(own, events, until_at)).all()]
    return _merged(found, [_entry(*row) for row in connection.execute(_until(beside, log, until_at))])


def page_by_account(
    connection: sa.Connection, after: Last, *, until_at: Instant | None
) -> tuple[list[Recorded], Last | None]:
    """Some thousand events behind one, by account and id, and the last of them; None where there are no more."""
    account, event = after
    behind = events.c.account_id > account
    if event is not None:
        behind = sa.tuple_(events.c.account_id, events.c.id) > sa.tuple_(sa.literal(account), sa.literal(event))
    query = _until(_EVENT.where(behind), events, until_at).order_by(events.c.account_id, events.c.id).limit(PAGE)
    found = [_recorded(row) for row in connection.execute(query).all()]
    return found, (found[-1].account_id, found[-1].event.id) if len(found) == PAGE else None


def naming(connection: sa.Connection, trait: str, *, until_at: Instant) -> list[Recorded]:
    """The updates of accounts that say something of a trait, by account and id."""
    query = _until(_EVENT.where(events.c.type == "account.updated"), events, until_at)
    rows = connection.execute(query.order_by(events.c.account_id, events.c.id).execution_options(yield_per=PAGE))
    return [one for row in rows if trait in (one := _recorded(row)).event.properties]


def by_position(rows: Iterable[Recorded]) -> list[Recorded]:
    """Events in the order of their lane."""
    return sorted(rows, key=attrgetter("position"))


def _accounts() -> sa.CTE:
    """Every account with an event, and None at the end."""
    # DISTINCT would walk through every event; this walks from one account to the next along the unique index.
    first = sa.select(sa.func.min(events.c.account_id).label("id")).cte("seen", recursive=True)
    beyond = sa.select(sa.func.min(events.c.account_id)).where(events.c.account_id > first.c.id).scalar_subquery()
    return first.union_all(sa.select(beyond).where(first.c.id.is_not(None)))


def accounts(connection: sa.Connection) -> list[str]:
    """Every account with an event, by bytes."""
    seen = _accounts()
    return sorted(row.id for row in connection.execute(sa.select(seen.c.id).where(seen.c.id.is_not(None))))


def count_accounts(connection: sa.Connection) -> int:
    """How many accounts have an event."""
    return int(connection.execute(sa.select(sa.func.count(_accounts().c.id))).scalar_one())


def count(connection: sa.Connection) -> int:
    """How many events there are."""
    return connection.execute(sa.select(sa.func.count()).select_from(events)).scalar_one()


def active_rulebook(connection: sa.Connection, lane: int) -> str | None:
    """The fingerprint that the lane's last activation names."""
    query = sa.select(log.c.body).where(log.c.lane == lane, log.c.kind == ACTIVATED)
    body = connection.execute(query.order_by(log.c.position.desc()).limit(1)).scalar()
    return None if body is None else decode(body)["fingerprint"]


def _event_row(lane: int, recorded: Recorded, digest: bytes, body: bytes) -> tuple[Any, ...]:
    one = recorded.event
    return (
        lane,
        recorded.position,
        recorded.recorded_at,
        one.time,
        one.id,
        one.type,
        one.account_id,
        one.user_id,
        # For ``bytes`` sqlite3 looks for an adapter each time, at the price of four columns; for these it does not.
        bytearray(digest),
        bytearray(body),
    )


def _entry_row(lane: int, entry: EngineEntry) -> tuple[Any, ...]:
    return lane, entry.position, entry.recorded_at, entry.kind, entry.account_id, encode(entry.body)


def _check_positions(batch: Batch, rows: Sequence[tuple[Any, ...]], entries: Sequence[tuple[Any, ...]]) -> None:
    positions = [row[1] for row in rows] + [row[1] for row in entries]
    fits = not positions or (batch.claim.position < min(positions) and max(positions) <= batch.position)
    if not fits or len(set(positions)) < len(positions) or batch.position < batch.claim.position:
        msg = (
            f"lane {batch.claim.lane}: positions are not {batch.claim.position + 1} to {batch.position}, each once; "
            f"found {min(positions, default=None)} to {max(positions, default=None)}; load the lane again"
        )
        raise Conflict(msg)


def _until(query: "sa.Select[Any]", table: sa.Table, until_at: Instant | None) -> "sa.Select[Any]":
    return query if until_at is None else query.where(table.c.recorded_at <= until_at)


def _recorded(row: Any) -> Recorded:
    position, recorded_at, event, kind, account, user, time, body = row
    return Recorded(position, recorded_at, Event(event, kind, account, user, time, decode(body)))


def _entry(position: int, recorded_at: Instant, kind: str, account: str | None, body: bytes) -> EngineEntry:
    return EngineEntry(position, recorded_at, kind, account, decode(body))


def _merged(found: Sequence[Recorded], entries: Sequence[EngineEntry]) -> list[Entry]:
    return sorted([*found, *entries], key=attrgetter("position"))
