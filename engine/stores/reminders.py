"""What our own people are to be reminded of: each thing once, whoever notices it first."""

from collections.abc import Sequence

import sqlalchemy as sa

from engine.instants import Instant
from engine.store import Reminder, ReminderState
from engine.stores.codec import decode, encode
from engine.stores.driver import Driver
from engine.stores.tables import reminders


def unknown(connection: sa.Connection, new: Sequence[Reminder]) -> list[Reminder]:
    """Those of these that are not kept yet."""
    c = reminders.c
    query = sa.select(c.reminder_id).where(c.reminder_id.in_([one.reminder_id for one in new]))
    known = set(connection.execute(query).scalars()) if new else set()
    return [one for one in new if one.reminder_id not in known]


def put(connection: sa.Connection, driver: Driver, new: Sequence[Reminder]) -> None:
    """Keep reminders; one that is known stays as it is."""
    if new:
        insert = driver.upsert(reminders).on_conflict_do_nothing()
        rows = [
            {"reminder_id": one.reminder_id, "to": one.to, "at": one.at, "state": one.state, "body": encode(one.body)}
            for one in new
        ]
        connection.execute(insert, rows)


def waiting(connection: sa.Connection) -> list[Reminder]:
    """What nobody was told yet, the oldest first."""
    c = reminders.c
    query = sa.select(c.reminder_id, c.to, c.at, c.state, c.body).where(c.state == "waiting")
    rows = connection.execute(query.order_by(c.at, c.reminder_id))
    return [Reminder(row[0], row[1], row[2], decode(row[4]), row[3]) for row in rows]


def move(connection: sa.Connection, reminder_id: str, before: ReminderState, after: ReminderState) -> bool:
    """Move one by compare-and-set."""
    here = reminders.c.reminder_id == reminder_id, reminders.c.state == before
    return connection.execute(sa.update(reminders).where(*here).values(state=after)).rowcount == 1


def clear(connection: sa.Connection, before: Instant) -> None:
    """Drop what is older than that: it was told, or nobody wants to hear it any more."""
    connection.execute(sa.delete(reminders).where(reminders.c.at < before))
