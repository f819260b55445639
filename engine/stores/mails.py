"""Mails on their way: reading the queue, and moving one by compare-and-set."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from engine.decision import MailState
from engine.feedback import Step
from engine.instants import Instant
from engine.store import APPOINTMENT, NOTE, SUBSCRIPTION, Contact, OutreachChange, OutreachRow
from engine.stores.codec import decode_doubles
from engine.stores.persons import read_appointments, read_touches
from engine.stores.tables import outreach, outreach_changes

_FIELDS = OutreachRow.__struct_fields__
_CHANGE = "outreach_id", "seq", "at", "before", "after", "why", "by"
_CHANGED = sa.insert(outreach_changes)
_LOCKED = (
    sa.select(*outreach.c["outreach_id", "state", "steps", "due_at"])
    .where(outreach.c.outreach_id.in_(sa.bindparam("the_ids", expanding=True)))
    .order_by(outreach.c.outreach_id)
    .with_for_update()
)
"""Made once: a sender asks it three times for each mail."""
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
    row = _locked(connection, [outreach_id]).get(outreach_id)
    if row is None or row.state not in before:
        return False
    _write(connection, [(row, after, why)], at=at, by=by)
    return True


def lock(connection: sa.Connection, names: Sequence[str]) -> None:
    """Let nobody else move these mails until the transaction ends."""
    _locked(connection, names)


def move_together(
    connection: sa.Connection, steps: Sequence[Step], *, at: Instant, by: str, known: Mapping[str, str | None]
) -> bool:
    """Move all of these or none, and write down what is known of the mail that they make."""
    there = _locked(connection, [step.outreach_id for step in steps])
    if any(step.outreach_id not in there or there[step.outreach_id].state not in step.before for step in steps):
        return False
    _write(connection, [(there[step.outreach_id], step.after, step.why) for step in steps], at=at, by=by, known=known)
    return True


def contacts(connection: sa.Connection, account_id: str, person: str, since: Instant) -> list[Contact]:
    """Contact with an account or a person since then: each mail once, and what the stream told of human contact."""
    c = outreach.c
    query = sa.select(sa.func.min(c.state_at).label("at"), c.rule, c.account_id, c.person, c.to)
    query = query.where(
        sa.or_(c.account_id == account_id, c.person == person),
        c.audience == "customer",
        c.state.in_(LEFT),
        c.state_at >= since,
    )
    query = query.group_by(MAIL, c.rule, c.account_id, c.person, c.to)
    found = [Contact(row.at, "mail", row.rule, row.account_id, row.person, row.to) for row in connection.execute(query)]
    for touch in read_touches(connection, account_id, since):
        if touch.kind != "outreach.sent" and touch.channel not in {APPOINTMENT, SUBSCRIPTION}:
            # What was sent the mails tell themselves, and sooner.
            channel = "reply" if touch.channel == "mail" else touch.channel
            found.append(Contact(touch.at, channel, touch.kind, account_id, None, touch.user_id))
    ahead = read_appointments(connection, account_id, since)
    found += [Contact(one.at, one.channel, one.kind, account_id) for one in ahead]
    return sorted(found, key=lambda one: (one.at, one.channel, one.kind, one.person or ""))


def elsewhere(
    connection: sa.Connection, rules: Collection[str], account_id: str, person: str, since: Instant
) -> list[Contact]:
    """Mails of these rules to a person for other accounts since then, that are out or may be."""
    c = outreach.c
    query = sa.select(c.state_at, c.rule, c.account_id).where(
        c.person == person,
        c.account_id != account_id,
        c.rule.in_(sorted(rules)),
        c.state.in_(LEFT),
        c.state_at >= since,
    )
    rows = connection.execute(query.order_by(c.state_at))
    return [Contact(row.state_at, "mail", row.rule, row.account_id, person) for row in rows]


def notes(connection: sa.Connection, person: str, since: Instant) -> list[Contact]:
    """Mails to one of us since then, each once, however many notes were folded into it."""
    c = outreach.c
    query = sa.select(sa.func.min(c.state_at).label("at"), sa.func.min(c.rule).label("rule"))
    query = query.where(c.person == person, c.audience == "staff", c.state.in_(LEFT), c.state_at >= since)
    rows = connection.execute(query.group_by(MAIL).order_by("at"))
    return [Contact(row.at, NOTE, row.rule, "", person) for row in rows]


def about(connection: sa.Connection, rows: Sequence[str]) -> tuple[set[str], set[str], Instant]:
    """The accounts and the rules of these mails, and when the first of them was due."""
    c = outreach.c
    query = sa.select(c.account_id, c.rule, sa.func.min(c.due_at)).where(c.outreach_id.in_(rows))
    found = connection.execute(query.group_by(c.account_id, c.rule)).all()
    return {row[0] for row in found}, {row[1] for row in found}, min((row[2] for row in found), default=0)


def claim(connection: sa.Connection, rows: Sequence[str], *, person: str, at: Instant, by: str) -> list[str]:
    """Claim the rows of one mail that are still to be had.

    One that the engine holds, or has planned anew, since the sender looked is not due any more.
    """
    there = _locked(connection, rows)
    free = [one for one in rows if one in there and there[one].state in {"queued", "held"} and there[one].due_at <= at]
    if free:
        known = {"person": person, "mail_id": free[0]}
        _write(connection, [(there[one], "claimed", None) for one in free], at=at, by=by, known=known)
    return free


def _locked(connection: sa.Connection, names: Sequence[str]) -> dict[str, "sa.Row[Any]"]:
    """How these mails stand; nobody else moves them until the transaction ends."""
    return {row.outreach_id: row for row in connection.execute(_LOCKED, {"the_ids": list(names)})}


def _write(
    connection: sa.Connection,
    moves: Sequence[tuple["sa.Row[Any]", MailState, str | None]],
    *,
    at: Instant,
    by: str,
    known: Mapping[str, str | None] | None = None,
) -> None:
    """Write down where mails that are locked have moved, and what is known of all of them."""
    beside = {f"new_{name}": value for name, value in (known or {}).items()}
    rows = [
        {
            "the_id": row.outreach_id,
            "new_state": after,
            "new_why": why,
            "new_state_at": at,
            "new_steps": row.steps + 1,
            **beside,
        }
        for row, after, why in moves
    ]
    connection.execute(_moving(tuple(known or ())), rows)
    changes = [(row.outreach_id, row.steps + 1, at, row.state, after, why, by) for row, after, why in moves]
    connection.execute(_CHANGED, [dict(zip(_CHANGE, change, strict=True)) for change in changes])


@lru_cache(maxsize=16)
def _moving(known: tuple[str, ...]) -> sa.Update:
    names = "state", "why", "state_at", "steps", *known
    here = outreach.c.outreach_id == sa.bindparam("the_id")
    return sa.update(outreach).where(here).values({name: sa.bindparam(f"new_{name}") for name in names})


def _mail(row: "sa.Row[Any]") -> OutreachRow:
    cells = row._asdict()
    cells |= {name: decode_doubles(cells[name]) for name in ("values", "frozen")}
    return OutreachRow(**cells)
