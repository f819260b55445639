"""A store copied into one with more lanes: each account's rows go to its new lane, in the order they have.

Only a multiple of the lanes will do. Then all accounts of a new lane come from one old lane, and see the same entries
of the engine at the same instants as before: what is replayed is what was decided.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from engine.account import PORTFOLIO
from engine.decision import OPEN_STATES
from engine.errors import StoreError
from engine.lanes import lane_of
from engine.store import Claim
from engine.stores import ownership, tables
from engine.stores.codec import decode, encode
from engine.stores.driver import Driver, columns
from engine.stores.schema import MOVED, UNFINISHED

PAGE = 5_000
BY_ACCOUNT = (tables.events, tables.snapshots, tables.decisions, tables.outreach)
"""Rows of an account, with the lane it is in."""
WHOLE = (
    tables.rulebooks,
    tables.offsets,
    tables.outreach_changes,
    tables.outreach_facts,
    tables.feedback,
    tables.people,
    tables.touches,
    tables.suppressions,
    tables.stops,
    tables.revoked,
    tables.paces,
    tables.outages,
    tables.report_rounds,
    tables.reminders,
    tables.choices,
    tables.rhythms,
    tables.approvals,
    tables.sent,
    tables.dead_letters,
    tables.audit,
    tables.tombstones,
)
"""Rows that no lane owns."""
LEFT = (
    tables.settings,
    tables.lanes,
    tables.inbox,
    tables.inbox_heads,
    tables.workers,
)
"""What is made anew, or is empty when all lanes stand at one instant."""
OWN = (tables.log, tables.outbox, tables.portfolio_shares)
"""What has its own way below."""
SENDERS = (
    tables.outreach,
    tables.feedback,
    tables.suppressions,
    tables.choices,
    tables.rhythms,
    tables.touches,
    tables.dead_letters,
    tables.tombstones,
)
"""What others than the owner of a lane write."""
NO_ACCOUNTS = {"n": 0, "sum": "0", "least": "0", "most": "0", "rows": []}
"""What a lane without accounts tells of a measure."""
MOVED_AWAY = "moved to a store with more lanes"
Told = Callable[[], object]


def copy(source: Driver, target: Driver, *, before: int, after: int, told: Told) -> tuple[Any, ...]:
    """Copy everything in one transaction of ``target``; whatever was in it goes. Returns what ``retire`` compares.

    ``told`` is called every few thousand rows. The lanes of ``source`` must be held, at one instant, with nothing in
    their inboxes.
    """
    with source.reading() as reading, target.writing(patient=True) as writing:
        seen = _seen(reading)
        for table in reversed(tables.metadata.sorted_tables):
            if table is not tables.settings:
                writing.execute(sa.delete(table))
        _settings(reading, writing, target, source.url)
        _lanes(reading, writing, target, before=before, after=after)
        for table in (*BY_ACCOUNT, *WHOLE):
            lane = table in BY_ACCOUNT
            for page in _pages(reading, table, told):
                target.insert(writing, table, _relaned(table, page, after) if lane else page)
        for page in _pages(reading, tables.outbox, told):
            target.insert(writing, tables.outbox, list(_told(page, after)))
        for page in _pages(reading, tables.portfolio_shares, told):
            target.insert(writing, tables.portfolio_shares, list(_shares(page, before=before, after=after)))
        for page in _pages(reading, tables.log, told):
            target.insert(writing, tables.log, list(_entries(page, before=before, after=after)))
    return seen


def retire(source: Driver, claims: Sequence[Claim], seen: tuple[Any, ...], *, to: str) -> None:
    """Close the old store for good: nobody opens it any more, and no mail leaves from it.

    Raises ``StoreError`` when somebody wrote into it since it was copied; then it stays as it is.
    """
    with source.writing(patient=True) as connection:
        ownership.fence(connection, claims, exact=True)
        waits = connection.execute(sa.select(sa.func.count()).select_from(tables.inbox)).scalar_one()
        if waits or _seen(connection) != seen:
            raise StoreError(
                f"{source.url}: somebody wrote into it while it was copied; found other mails, letters or contacts "
                "than before; stop senders and servers, and type the same again; nothing was changed"
            )
        open_ = tables.outreach.c.state.in_([*sorted(OPEN_STATES), "claimed"])
        connection.execute(sa.update(tables.outreach).where(open_).values(state="withdrawn", why=MOVED_AWAY))
        source.insert(connection, tables.settings, [(MOVED, to.encode())])
        connection.execute(sa.update(tables.lanes).values(owner=None, lease_until=None))


def finish(target: Driver) -> None:
    """The new store is whole: everybody may open it."""
    with target.writing() as connection:
        connection.execute(sa.delete(tables.settings).where(tables.settings.c.name == UNFINISHED))


def begin(target: Driver, source: str) -> None:
    """Mark the new store as one that is being made. Raises ``StoreError`` when it is somebody's store already."""
    with target.writing() as connection:
        names = set(connection.execute(sa.select(tables.settings.c.name)).scalars())
        if UNFINISHED in names:
            return
        if any(connection.execute(sa.select(table).limit(1)).first() for table in (tables.rulebooks, tables.events)):
            raise StoreError(
                f"{target.url}: it must be a new store; found one in which something was taken in; name another"
            )
        target.insert(connection, tables.settings, [(UNFINISHED, source.encode())])


def _seen(connection: sa.Connection) -> tuple[Any, ...]:
    """What changes when a sender, a webhook or a person writes."""
    counts = [connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one() for table in SENDERS]
    steps = connection.execute(sa.select(sa.func.sum(tables.outreach.c.steps))).scalar()
    claimed = connection.execute(sa.select(sa.func.count()).where(tables.outreach.c.state == "claimed")).scalar_one()
    return (*counts, int(steps or 0), claimed)


def _settings(reading: sa.Connection, writing: sa.Connection, target: Driver, source: str) -> None:
    """The secret goes with the keyed hashes that were made with it."""
    kept = reading.execute(sa.select(tables.settings).where(tables.settings.c.name.in_(["secret", "created_at"]))).all()
    writing.execute(sa.delete(tables.settings).where(tables.settings.c.name != "lanes"))
    target.insert(writing, tables.settings, [*((row.name, row.value) for row in kept), (UNFINISHED, source.encode())])


def _lanes(reading: sa.Connection, writing: sa.Connection, target: Driver, *, before: int, after: int) -> None:
    old = {row.lane: row for row in reading.execute(sa.select(tables.lanes))}
    rows = [(lane, old[lane % before]) for lane in range(after)]
    target.insert(
        writing,
        tables.lanes,
        [
            (lane, row.epoch, row.position, row.clock_at, row.first_at, 0, None, None, row.live_epoch)
            for lane, row in rows
        ],
    )
    target.insert(writing, tables.inbox_heads, [(lane, 0) for lane in range(after)])


def _pages(connection: sa.Connection, table: sa.Table, told: Told) -> Iterator[list[tuple[Any, ...]]]:
    query = sa.select(*(table.c[name] for name in columns(table))).order_by(*table.primary_key.columns)
    for page in connection.execution_options(yield_per=PAGE).execute(query).partitions():
        told()
        yield [tuple(row) for row in page]


def _relaned(table: sa.Table, page: Iterable[tuple[Any, ...]], after: int) -> list[tuple[Any, ...]]:
    names = columns(table)
    lane, account = names.index("lane"), names.index("account_id")
    return [(*row[:lane], lane_of(row[account], after), *row[lane + 1 :]) for row in page]


def _told(page: Iterable[tuple[Any, ...]], after: int) -> Iterator[tuple[Any, ...]]:
    """What waits to be published: a letter of nobody's stays where it was."""
    for lane, kind, item, account, body in page:
        yield (lane if account is None else lane_of(account, after)), kind, item, account, body


def _entries(page: Iterable[tuple[Any, ...]], *, before: int, after: int) -> Iterator[tuple[Any, ...]]:
    """An account's own entries go with it; those that concern a whole lane are in each lane that it becomes."""
    deciding = lane_of(PORTFOLIO, after)
    for lane, position, at, kind, account, body in page:
        if account is not None:
            yield lane_of(account, after), position, at, kind, account, body
            continue
        for new in range(lane, after, before):
            found = _measured(body, decides=new == deciding) if kind == "portfolio.measured" else body
            if found is not None:
                yield new, position, at, kind, None, found


def _shares(page: Iterable[tuple[Any, ...]], *, before: int, after: int) -> Iterator[tuple[Any, ...]]:
    """What a lane told stays with the lane of its number; the others that it becomes tell that there was nothing.

    Only the sum over all lanes is ever asked for.
    """
    for at, lane, values in page:
        yield at, lane, values
        nothing = encode(_nothing(decode(values)))
        for new in range(lane + before, after, before):
            yield at, new, nothing


def _nothing(values: dict[str, Any]) -> dict[str, Any]:
    found = dict(values)
    for name, nothing in (("accounts", NO_ACCOUNTS), ("sources", [0, 0, 0])):
        if name in found:
            found[name] = dict.fromkeys(found[name], nothing)
    if "things" in found:
        found["things"] = {kind: {} for kind in found["things"]}
    return found


def _measured(body: bytes, *, decides: bool) -> bytes | None:
    """A total is decided on in one lane only; the others know the daily ones."""
    told = decode(body)
    if not told.get("decides") or decides:
        return body
    return encode({**told, "decides": False}) if told.get("daily") else None
