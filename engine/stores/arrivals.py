"""What arrives beside the log: rows for a lane's inbox, and records that are no good events."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from engine.instants import Instant
from engine.lanes import lane_of
from engine.store import DeadLetter, InboxKind, InboxRow, LaneLetter
from engine.stores.codec import storable
from engine.stores.driver import Driver
from engine.stores.many import each
from engine.stores.tables import dead_letters, inbox, inbox_heads

Letter = tuple[str, InboxKind, bytes]
"""Something for the owner of an account's lane: (account id, kind, body)."""
WHOLE_LANE = "*"
"""In the place of an account's id: it concerns all accounts of the lane."""
_ADVANCED = (
    sa.update(inbox_heads)
    .where(inbox_heads.c.lane == sa.bindparam("the_lane"))
    .values(last_seq=sa.bindparam("new_seq"))
)
_decode_headers = msgspec.msgpack.Decoder(tuple[tuple[str, bytes], ...]).decode


def put_inbox(connection: sa.Connection, driver: Driver, letters: Sequence[Letter], *, lanes: int, at: Instant) -> None:
    """Leave letters in their lanes' inboxes, in the order given."""
    addressed = [(lane_of(account, lanes), account, kind, body) for account, kind, body in letters]
    _put(connection, driver, addressed, at)


def put_lane_letters(connection: sa.Connection, driver: Driver, letters: Sequence[LaneLetter], *, at: Instant) -> None:
    """Leave letters that concern whole lanes in their inboxes, in the order given."""
    _put(connection, driver, [(one.lane, WHOLE_LANE, one.kind, one.body) for one in letters], at)


def _put(
    connection: sa.Connection, driver: Driver, addressed: Sequence[tuple[int, str, str, bytes]], at: Instant
) -> None:
    """The heads are locked until the end of the transaction: no number becomes visible after a larger one."""
    last = _advance(connection, Counter(lane for lane, *_ in addressed))
    rows = []
    for lane, account, kind, body in addressed:
        last[lane] += 1
        rows.append((lane, last[lane], kind, at, account, body))
    driver.insert(connection, inbox, rows)


def waiting(connection: sa.Connection, after: Mapping[int, int]) -> frozenset[int]:
    """The lanes in whose inbox something was left after these numbers: one question for all of them."""
    rows = connection.execute(sa.select(*inbox_heads.c["lane", "last_seq"]))
    return frozenset(lane for lane, last in rows if last > after.get(lane, last))


def read_inbox(connection: sa.Connection, lane: int, *, after: int) -> list[InboxRow]:
    """What was left for a lane after ``after``, in order."""
    query = sa.select(*inbox.c["lane", "seq", "kind", "at", "body"]).where(inbox.c.lane == lane, inbox.c.seq > after)
    return [InboxRow(*row) for row in connection.execute(query.order_by(inbox.c.seq))]


def clear_inbox(connection: sa.Connection, lane: int, *, until: int) -> None:
    """Drop what the lane's owner has taken in: the log has it now."""
    connection.execute(sa.delete(inbox).where(inbox.c.lane == lane, inbox.c.seq <= until))


def put_dead_letters(connection: sa.Connection, driver: Driver, letters: Sequence[DeadLetter]) -> list[DeadLetter]:
    """Keep dead letters; returns those that were not there yet."""
    fresh: dict[str, DeadLetter] = {}
    for letter in letters:
        fresh.setdefault(letter.dead_letter_id, letter)
    for letter_id in _known(connection, list(fresh)):
        del fresh[letter_id]
    if fresh:
        insert = driver.upsert(dead_letters).on_conflict_do_nothing()
        connection.execute(insert, [_row(letter) for letter in fresh.values()])
    return list(fresh.values())


def read_dead_letters(
    connection: sa.Connection, source: str | None, limit: int | None, begins: str | None
) -> list[DeadLetter]:
    """Dead letters in the order in which they came."""
    query = sa.select(dead_letters).order_by(dead_letters.c.seq).limit(limit)
    if source is not None:
        query = query.where(dead_letters.c.source == source)
    if begins is not None:
        query = query.where(dead_letters.c.dead_letter_id.startswith(begins, autoescape=True))
    return [letter_of(row) for row in connection.execute(query)]


def letter_of(row: sa.Row[Any]) -> DeadLetter:
    """Read a dead letter from its row."""
    headers = () if row.headers is None else _decode_headers(row.headers)
    return DeadLetter(
        row.dead_letter_id, row.source, row.place, row.reason, row.raw, row.at, row.account_id, headers=headers
    )


def drop_dead_letters(connection: sa.Connection, ids: Sequence[str]) -> int:
    """Remove dead letters; returns how many were there."""
    gone = 0
    for at in range(0, len(ids), 1_000):
        which = dead_letters.c.dead_letter_id.in_(ids[at : at + 1_000])
        gone += connection.execute(sa.delete(dead_letters).where(which)).rowcount
    return gone


def blame_dead_letters(connection: sa.Connection, reasons: Mapping[str, str]) -> None:
    """Give dead letters other reasons."""
    rows = [{"the_id": name, "reason": storable(reason)} for name, reason in reasons.items()]
    if rows:
        which = dead_letters.c.dead_letter_id == sa.bindparam("the_id")
        connection.execute(sa.update(dead_letters).where(which), rows)


def _advance(connection: sa.Connection, wanted: Counter[int]) -> dict[int, int]:
    heads = inbox_heads.c
    locked = sa.select(inbox_heads).where(heads.lane.in_(wanted)).order_by(heads.lane).with_for_update()
    last = {row.lane: row.last_seq for row in connection.execute(locked)}
    each(connection, _ADVANCED, [{"the_lane": lane, "new_seq": last[lane] + count} for lane, count in wanted.items()])
    return last


def _known(connection: sa.Connection, ids: Sequence[str]) -> list[str]:
    found: list[str] = []
    for at in range(0, len(ids), 1_000):
        column = dead_letters.c.dead_letter_id
        found += connection.execute(sa.select(column).where(column.in_(ids[at : at + 1_000]))).scalars()
    return found


def _row(letter: DeadLetter) -> dict[str, Any]:
    # A record may be dead for the very characters that a database refuses.
    account = letter.account_id
    return {
        "dead_letter_id": letter.dead_letter_id,
        "source": storable(letter.source),
        "place": storable(letter.where),
        "reason": storable(letter.reason),
        "raw": letter.raw,
        "at": letter.at,
        "account_id": account if account is None else storable(account),
        "headers": msgspec.msgpack.encode(letter.headers) if letter.headers else None,
    }
