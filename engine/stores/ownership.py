"""Who owns a lane, and how far it is: claims, leases, the fence, offsets."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from engine.errors import Fenced, LaneTaken, StoreError
from engine.instants import SECOND, Instant
from engine.store import Batch, Claim, LaneInfo, Offset
from engine.stores.driver import COUNTED, Driver
from engine.stores.tables import lanes, offsets

_Row = sa.Row[Any]
_ADVANCING = "position", "clock_at", "first_at", "inbox_seq"
_PLACE = "source", "topic", "partition", "old"
_SET = sa.update(lanes).where(lanes.c.lane == sa.bindparam("the_lane"))
_LOCKED = (
    sa.select(lanes)
    .where(lanes.c.lane.in_(sa.bindparam("wanted", expanding=True)))
    .order_by(lanes.c.lane)
    .with_for_update()
)
_MOVE = sa.update(offsets).where(
    offsets.c.source == sa.bindparam("the_source"),
    offsets.c.topic == sa.bindparam("the_topic"),
    offsets.c.partition == sa.bindparam("the_partition"),
    offsets.c.next == sa.bindparam("the_old"),
)


def claim(
    connection: sa.Connection,
    wanted: Sequence[int],
    owner: str,
    *,
    at: Instant,
    lease_seconds: int,
    take_over: bool,
) -> list[Claim]:
    """Take the lanes, all or none; see ``Store.claim``."""
    rows = _locked(connection, wanted)
    taken = [row for row in rows.values() if row.owner not in {None, owner} and row.lease_until > at]
    if taken and not take_over:
        raise LaneTaken(_taken(taken, at))
    for row in rows.values():
        _set(connection, row.lane, epoch=row.epoch + 1, owner=owner, lease_until=at + lease_seconds * SECOND)
    return [_claim(row, epoch=row.epoch + 1) for row in rows.values()]


def renew(connection: sa.Connection, claims: Iterable[Claim], *, at: Instant, lease_seconds: int) -> None:
    """Move the leases' ends; see ``Store.renew``."""
    for row in fence(connection, claims).values():
        _set(connection, row.lane, lease_until=at + lease_seconds * SECOND)


def release(connection: sa.Connection, claims: Iterable[Claim]) -> None:
    """Give lanes up; see ``Store.release``."""
    mine = {one.lane: one for one in claims}
    for row in _locked(connection, list(mine)).values():
        if row.epoch == mine[row.lane].epoch:
            _set(connection, row.lane, owner=None, lease_until=None)


def infos(connection: sa.Connection, *, at: Instant) -> list[LaneInfo]:
    """Every lane by number; an owner whose lease ran out is none."""
    found = []
    for row in connection.execute(sa.select(lanes).order_by(lanes.c.lane)):
        alive = row.owner is not None and row.lease_until > at
        owner, lease_until = (row.owner, row.lease_until) if alive else (None, None)
        told = row.lane, row.epoch, row.position, row.clock_at, row.first_at, owner, lease_until
        found.append(LaneInfo(*told, lived=row.live_epoch is not None))
    return found


def position(connection: sa.Connection, lane: int) -> int:
    """The last position used in a lane: up to it the log is whole and will not change."""
    found = connection.execute(sa.select(lanes.c.position).where(lanes.c.lane == lane)).scalar()
    if found is None:
        raise StoreError(_no_such([lane]))
    return int(found)


def fence(connection: sa.Connection, claims: Iterable[Claim], *, exact: bool = False) -> dict[int, _Row]:
    """Lock the lanes in sorted order and see that these claims are their newest; returns the rows by lane.

    With ``exact`` the position must be the claim's too. Raises ``Fenced``.
    """
    mine = {one.lane: one for one in claims}
    rows = _locked(connection, list(mine))
    for row in rows.values():
        one = mine[row.lane]
        if row.epoch != one.epoch or row.owner is None or (exact and row.position != one.position):
            raise Fenced(_lost(row, one))
    return rows


def advance(connection: sa.Connection, rows: Mapping[int, _Row], batches: Iterable[Batch]) -> dict[int, Claim]:
    """Write the lanes' new positions and clocks; returns the claims as they now stand, by lane."""
    claims, cells = {}, []
    for batch in batches:
        row = rows[batch.claim.lane]
        inbox_seq = row.inbox_seq if batch.inbox_seq is None else batch.inbox_seq
        one = Claim(row.lane, row.epoch, batch.position, batch.clock_at, batch.first_at, inbox_seq)
        claims[row.lane] = one
        live_epoch = row.live_epoch if batch.history else row.epoch
        told = {name: getattr(one, name) for name in _ADVANCING}
        cells.append({"the_lane": one.lane, "live_epoch": live_epoch, **told})
    connection.execute(_SET, cells)
    return claims


def move_offsets(connection: sa.Connection, driver: Driver, moves: Iterable[Offset]) -> None:
    """Move each offset from where the owner thinks it is; the order of locks is the same for everybody.

    Raises ``Fenced`` when one is elsewhere.
    """
    begin = driver.upsert(offsets).on_conflict_do_nothing()
    going = list[Offset]()
    for move in sorted(moves, key=lambda one: (one.source, one.topic, one.partition)):
        if move.old is not None:
            going.append(move)
            continue
        cells = {"source": move.source, "topic": move.topic, "partition": move.partition, "next": move.new}
        if connection.execute(begin, cells | {"log": move.log}, execution_options=COUNTED).rowcount != 1:
            raise Fenced(_moved(move))
    # Many at once: each of 24 partitions as a question of its own costs more than their events.
    for told in (False, True):
        some = [move for move in going if (move.log is not None) is told]
        rows = [_cells(move) | ({"log": move.log} if told else {}) for move in some]
        if rows and connection.execute(_MOVE, rows).rowcount != len(rows):
            raise Fenced(_moved(_elsewhere(connection, some)))


def read_offsets(connection: sa.Connection, source: str | None) -> dict[tuple[str, str, int], int]:
    """How far each source partition was taken in."""
    query = sa.select(offsets).order_by(offsets.c.source, offsets.c.topic, offsets.c.partition)
    if source is not None:
        query = query.where(offsets.c.source == source)
    return {(row.source, row.topic, row.partition): row.next for row in connection.execute(query)}


def read_logs(connection: sa.Connection) -> dict[tuple[str, str, int], str]:
    """Which topic each offset counts in, where that is known."""
    query = sa.select(offsets).where(offsets.c.log.is_not(None))
    return {(row.source, row.topic, row.partition): row.log for row in connection.execute(query)}


def hold_all(connection: sa.Connection) -> None:
    """Let no owner write until the transaction is over."""
    _locked(connection, list(connection.execute(sa.select(lanes.c.lane)).scalars()))


def _cells(move: Offset) -> dict[str, Any]:
    return {f"the_{name}": getattr(move, name) for name in _PLACE} | {"next": move.new}


def _elsewhere(connection: sa.Connection, moves: Sequence[Offset]) -> Offset:
    """The first of these that did not move; when each stands where it should, another owner was here first."""
    stands = read_offsets(connection, None)
    return next((one for one in moves if stands.get((one.source, one.topic, one.partition)) != one.new), moves[0])


def _locked(connection: sa.Connection, wanted: Sequence[int]) -> dict[int, _Row]:
    rows = {row.lane: row for row in connection.execute(_LOCKED, {"wanted": wanted})}
    missing = sorted(set(wanted) - rows.keys())
    if missing:
        raise StoreError(_no_such(missing))
    return rows


def _set(connection: sa.Connection, lane: int, **values: Any) -> None:
    connection.execute(_SET, {"the_lane": lane, **values})


def _claim(row: _Row, *, epoch: int) -> Claim:
    return Claim(row.lane, epoch, row.position, row.clock_at, row.first_at, row.inbox_seq)


def _taken(rows: Sequence[_Row], at: Instant) -> str:
    numbers = ", ".join(str(row.lane) for row in rows)
    owners = ", ".join(sorted({repr(row.owner) for row in rows}))
    seconds = -((at - max(row.lease_until for row in rows)) // SECOND)
    return (
        f"lane {numbers}: another owner holds it; {owners}, whose lease runs for {seconds} more seconds; "
        "stop that process first, or, when it is known to be dead, use --take-over"
    )


def _lost(row: _Row, one: Claim) -> str:
    return (
        f"lane {row.lane}: this owner has lost it; it holds epoch {one.epoch} at position {one.position}, the lane is "
        f"in epoch {row.epoch} at {row.position}{'' if row.owner else ' without an owner'}; "
        "stop, and start again to claim the lane anew"
    )


def _moved(move: Offset) -> str:
    return (
        f"{move.source} {move.topic} {move.partition}: another owner has read on; this one expected to stand at "
        f"{move.old}; stop, and start again to claim the lane anew"
    )


def _no_such(missing: Sequence[int]) -> str:
    named = ", ".join(map(str, missing))
    return f"lane {named}: there is no such lane; lanes count from 0; 'ringfirst doctor' says how many there are"
