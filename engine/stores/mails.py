"""Mails on their way: reading the queue, and moving one by compare-and-set."""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import sqlalchemy as sa

from engine.decision import MailState
from engine.instants import Instant
from engine.store import OutreachChange, OutreachRow
from engine.stores.clock import StoreClock
from engine.stores.codec import decode_doubles
from engine.stores.many import Among, each
from engine.stores.tables import outreach, outreach_changes

_FIELDS = OutreachRow.__struct_fields__
_CHANGE = "outreach_id", "seq", "at", "before", "after", "why", "by"
_CHANGED = sa.insert(outreach_changes).values({name: sa.bindparam(name) for name in _CHANGE})
_LOCKED = (
    sa.select(
        *outreach.c["outreach_id", "account_id", "rule", "state", "steps", "due_at", "at", "decision_id", "tries"]
    )
    .where(Among(outreach.c.outreach_id, "the_ids"))
    .order_by(outreach.c.outreach_id)
    .with_for_update()
)
"""Made once: a sender asks it three times for each batch of mails."""
_FREE = _LOCKED.with_for_update(skip_locked=True)
LEFT: tuple[MailState, ...] = ("claimed", "posting", "accepted", "in_doubt")
"""Mails that are out, or may be."""
MAIL = sa.func.coalesce(outreach.c.mail_id, outreach.c.outreach_id)
"""Which mail a row is in: joined ones share one."""


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
    row = lock(connection, [outreach_id]).get(outreach_id)
    if row is None or row.state not in before:
        return False
    write(connection, [Written(row, after, why, at)], by=by)
    return True


def lock(connection: sa.Connection, names: Sequence[str]) -> dict[str, "sa.Row[Any]"]:
    """Let nobody else move these mails until the transaction ends; how they stand."""
    return {row.outreach_id: row for row in connection.execute(_LOCKED, {"the_ids": list(names)})}


def lock_free(connection: sa.Connection, names: Sequence[str]) -> dict[str, "sa.Row[Any]"]:
    """The same of those that nobody else is moving just now."""
    return {row.outreach_id: row for row in connection.execute(_FREE, {"the_ids": list(names)})}


class Written(NamedTuple):
    """A row that is locked, where it moves, and what is known of it from then on."""

    row: "sa.Row[Any]"
    after: MailState
    why: str | None
    at: Instant
    known: Mapping[str, str | None] = {}


def write(connection: sa.Connection, moves: Sequence[Written], *, by: str) -> None:
    """Write down where mails that are locked have moved: a statement for all that is known alike."""
    alike: dict[tuple[str, ...], list[dict[str, object]]] = {}
    for one in moves:
        beside = {f"new_{name}": value for name, value in one.known.items()}
        cells = {"the_id": one.row.outreach_id, "new_state": one.after, "new_why": one.why, "new_state_at": one.at}
        cells["new_tries"] = _tries(one)
        alike.setdefault(tuple(one.known), []).append({**cells, "new_steps": one.row.steps + 1, **beside})
    for known, rows in alike.items():
        each(connection, _moving(known), rows)
    changes = [(one.row.outreach_id, one.row.steps + 1, one.at, one.row.state, one.after, one.why, by) for one in moves]
    each(connection, _CHANGED, [dict(zip(_CHANGE, change, strict=True)) for change in changes])


def _tries(one: Written) -> int | None:
    """How often the channel did not take it: one more when it comes back with a reason, none when it is out."""
    if one.row.state == "posting" and one.after == "queued" and one.why is not None:
        return (one.row.tries or 0) + 1
    return None if one.after == "accepted" else one.row.tries


@lru_cache(maxsize=16)
def _moving(known: tuple[str, ...]) -> sa.Update:
    names = "state", "why", "state_at", "steps", "tries", *known
    here = outreach.c.outreach_id == sa.bindparam("the_id")
    cells: dict[str, Any] = {name: sa.bindparam(f"new_{name}") for name in names}
    return sa.update(outreach).where(here).values({**cells, "stored_at": StoreClock(cells["state_at"])})


def _mail(row: "sa.Row[Any]") -> OutreachRow:
    cells = row._asdict()
    cells |= {name: decode_doubles(cells[name]) for name in ("values", "frozen")}
    return OutreachRow(**cells)
