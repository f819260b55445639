"""Mails on their way: reading the queue, and moving one by compare-and-set."""

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from engine.decision import MailState
from engine.instants import Instant
from engine.store import OutreachChange, OutreachRow
from engine.stores.codec import decode_doubles
from engine.stores.tables import outreach, outreach_changes

_FIELDS = OutreachRow.__struct_fields__


def select(
    connection: sa.Connection,
    conditions: Iterable["sa.ColumnElement[bool]"],
    limit: int | None,
) -> list[OutreachRow]:
    """Mails that meet all conditions, by (due_at, outreach id)."""
    query = sa.select(*(outreach.c[name] for name in _FIELDS)).where(*conditions)
    query = query.order_by(outreach.c.due_at, outreach.c.outreach_id).limit(limit)
    return [_mail(row) for row in connection.execute(query)]


def counts(connection: sa.Connection) -> dict[str, int]:
    """How many mails are in each state."""
    query = sa.select(outreach.c.state, sa.func.count()).group_by(outreach.c.state)
    return {state: int(number) for state, number in connection.execute(query)}


def changes(connection: sa.Connection, outreach_id: str) -> list[OutreachChange]:
    """A mail's life, oldest first."""
    query = sa.select(outreach_changes).where(outreach_changes.c.outreach_id == outreach_id)
    return [OutreachChange(*row) for row in connection.execute(query.order_by(outreach_changes.c.seq))]


def move(
    connection: sa.Connection,
    outreach_id: str,
    before: Sequence[MailState],
    after: MailState,
    *,
    at: Instant,
    by: str,
    why: str | None,
) -> bool:
    """Move a mail if it is in one of the states ``before``; of two at once, one finds it moved."""
    here = outreach.c.outreach_id == outreach_id
    row = connection.execute(sa.select(*outreach.c["state", "steps"]).where(here).with_for_update()).one_or_none()
    if row is None or row.state not in before:
        return False
    steps = row.steps + 1
    connection.execute(sa.update(outreach).where(here).values(state=after, why=why, state_at=at, steps=steps))
    change = (outreach_id, steps, at, row.state, after, why, by)
    connection.execute(sa.insert(outreach_changes).values(change))
    return True


def _mail(row: "sa.Row[Any]") -> OutreachRow:
    cells: list[Any] = list(row)
    cells[-2:] = [decode_doubles(raw) for raw in cells[-2:]]  # values, frozen
    return OutreachRow(*cells)
