"""What somebody on call asks for: what workers say of themselves, and how many dead letters there are."""

import sqlalchemy as sa

from engine.instants import HOUR
from engine.store import Heartbeat, LetterCount, ReportRound
from engine.stores import schema
from engine.stores.driver import Driver
from engine.stores.tables import dead_letters, report_rounds, workers

KEPT = HOUR
"""How long the last words of a worker are kept that nobody hears any more."""
_DIGITS = "0123456789"


def put_heartbeat(connection: sa.Connection, driver: Driver, beat: Heartbeat) -> None:
    """Keep a worker's last words; those of workers long gone are cleared away."""
    insert = driver.upsert(workers)
    changed = {"heard_at": insert.excluded.heard_at, "body": insert.excluded.body}
    row = {"owner": beat.owner, "heard_at": beat.at, "body": beat.body}
    connection.execute(sa.delete(workers).where(workers.c.heard_at < beat.at - KEPT))
    connection.execute(insert.values(row).on_conflict_do_update(index_elements=[workers.c.owner], set_=changed))


def heartbeats(connection: sa.Connection) -> list[Heartbeat]:
    """The last words of every worker, by owner."""
    query = sa.select(workers.c.owner, workers.c.heard_at, workers.c.body).order_by(workers.c.owner)
    return [Heartbeat(*row) for row in connection.execute(query)]


def drop_heartbeat(connection: sa.Connection, owner: str) -> None:
    """A worker that stopped has nothing more to say."""
    connection.execute(sa.delete(workers).where(workers.c.owner == owner))


def put_report_round(connection: sa.Connection, driver: Driver, one: ReportRound) -> None:
    """Say how far a report's period is."""
    insert = driver.upsert(report_rounds)
    changed = {name: insert.excluded[name] for name in ("at", "waiting", "failed")}
    key = list(report_rounds.primary_key.columns)
    connection.execute(insert.on_conflict_do_update(index_elements=key, set_=changed), [_row(one)])


def report_rounds_of(connection: sa.Connection) -> list[ReportRound]:
    """All of them, by report and period."""
    query = sa.select(report_rounds).order_by(report_rounds.c.report, report_rounds.c.period)
    return [ReportRound(**row._asdict()) for row in connection.execute(query)]


def _row(one: ReportRound) -> dict[str, object]:
    return {name: getattr(one, name) for name in one.__struct_fields__}


def letter_counts(connection: sa.Connection) -> list[LetterCount]:
    """Dead letters by source and partition; the place of one from a stream is ``partition:offset``."""
    head = sa.func.rtrim(dead_letters.c.place, _DIGITS).label("head")  # leaves "3:", and nothing of a line's number
    query = sa.select(dead_letters.c.source, head, sa.func.count(), sa.func.min(dead_letters.c.at))
    found: dict[tuple[str, int | None], LetterCount] = {}
    for source, text, count, oldest in connection.execute(query.group_by(dead_letters.c.source, head)):
        key = source, _partition(text)
        known = found.get(key)
        total, first = (known.count, known.oldest_at) if known else (0, oldest)
        found[key] = LetterCount(*key, total + int(count), min(first, oldest))
    return sorted(found.values(), key=lambda one: (one.source, -1 if one.partition is None else one.partition))


def is_current(connection: sa.Connection) -> bool:
    """Are the tables still of the version that this program knows?"""
    query = sa.text(f"SELECT version_num FROM {schema.VERSION_TABLE}")  # noqa: S608 - our own constant
    return connection.execute(query).scalar() == schema.HEAD


def _partition(head: str) -> int | None:
    number = head.removesuffix(":")
    return int(number) if number != head and number.isascii() and number.isdecimal() else None
