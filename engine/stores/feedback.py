"""What providers told: kept, found again by the mails it is about, and learned from once."""

from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from engine.feedback import Feedback, Heard, Learned
from engine.instants import Instant
from engine.store import Note, OutreachRow
from engine.stores import mails, persons
from engine.stores.arrivals import Letter
from engine.stores.driver import COUNTED, Driver
from engine.stores.tables import feedback, outreach, outreach_facts

_TOLD = [name for name in Feedback.__struct_fields__ if name != "seq"]
_JOINS = "mail_id", "provider_id", "message_id"
"""By what a mail is found: our own id is the surest, a Message-ID may have been made anew on the way."""


def put(
    connection: sa.Connection,
    driver: Driver,
    rows: Sequence[Feedback],
    suppress: Mapping[str, str],
    stop: Mapping[str, str],
) -> int:
    """Keep what is new, and let nobody write what the readers of these addresses do not get; returns how many are new.

    ``suppress`` gives the reason for whom nobody writes to any more, ``stop`` the topic that somebody stopped. What is
    told again does neither again: somebody may have taken that back in the meantime.
    """
    known = _known(connection, [one for one in rows if one.event_id in suppress or one.event_id in stop])
    new = {(one.provider, one.event_id): one for one in rows if (one.provider, one.event_id) not in known}
    acting = [one for one in new.values() if one.person and (one.event_id in suppress or one.event_id in stop)]
    persons.hold(connection, driver, *{one.person for one in acting if one.person})
    for one in acting:
        reason, topic = suppress.get(one.event_id), stop.get(one.event_id)
        if reason is not None and one.person is not None:
            persons.suppress(connection, driver, one.person, reason=reason, at=one.heard_at)
        if topic is not None and one.person is not None:
            _stop(connection, driver, one, one.person, topic)
    if not rows:
        return 0
    insert = driver.upsert(feedback).on_conflict_do_nothing().execution_options(**COUNTED)
    return connection.execute(insert, [{name: getattr(one, name) for name in _TOLD} for one in rows]).rowcount


def _stop(connection: sa.Connection, driver: Driver, told: Feedback, person: str, topic: str) -> None:
    """Keep what somebody chose at a provider, unless the same reader has chosen something here since."""
    last = persons.last_choice(connection, person)
    if last is not None and last > told.at:
        return
    if persons.choose(connection, driver, person, {topic: "out"}, at=told.heard_at, by="provider"):
        detail = {"outreach_id": told.mail_id, "chosen": {topic: "out"}, "by": "provider"}
        persons.note(connection, Note(told.heard_at, "the reader", "choose mails", detail))


def _known(connection: sa.Connection, rows: Sequence[Feedback]) -> set[tuple[str, str]]:
    """Which of these were told before."""
    wanted = sorted({one.event_id for one in rows})
    query = sa.select(feedback.c.provider, feedback.c.event_id).where(feedback.c.event_id.in_(wanted))
    return {(row.provider, row.event_id) for row in connection.execute(query)} if wanted else set()


def unsettled(connection: sa.Connection, limit: int) -> list[Feedback]:
    """What nobody has learned from yet, in the order it came."""
    query = sa.select(*(feedback.c[name] for name in Feedback.__struct_fields__))
    query = query.where(feedback.c.settled_at.is_(None)).order_by(feedback.c.seq).limit(limit)
    return [Feedback(**row) for row in connection.execute(query).mappings()]


def about(connection: sa.Connection, told: Sequence[Feedback]) -> dict[int, list[OutreachRow]]:
    """The mails (rows joined in one) that each of these is about, by ``seq``; none for what is unknown here."""
    found: dict[int, list[OutreachRow]] = {}
    for name in _JOINS:
        open_ = [one for one in told if one.seq not in found and getattr(one, name) is not None]
        if not open_:
            continue
        wanted = sorted({getattr(one, name) for one in open_})
        rows = mails.select(connection, [outreach.c[name].in_(wanted)], None)
        by: dict[str, list[OutreachRow]] = {}
        for row in rows:
            by.setdefault(getattr(row, name), []).append(row)
        found |= {one.seq: by[getattr(one, name)] for one in open_ if getattr(one, name) in by}
    return found


def learn(
    connection: sa.Connection, driver: Driver, learned: Sequence[Learned], *, at: Instant, by: str
) -> list[Letter]:
    """Write down what follows from what was told, once; returns what is to be left in inboxes.

    Mails are locked in their order first, as an owner locks them, so that neither waits for the other.
    """
    ids = {fact.outreach_id for each in learned for fact in each.facts}
    ids |= {step.outreach_id for each in learned for step in each.steps}
    mails.lock(connection, sorted(ids))
    letters: list[Letter] = []
    for each in sorted(learned, key=lambda one: one.seq):
        mine = feedback.c.seq == each.seq, feedback.c.settled_at.is_(None)
        settled = sa.update(feedback).where(*mine).values(settled_at=at, account_id=each.account_id)
        if not connection.execute(settled).rowcount:
            continue
        for step in each.steps:
            if mails.move(connection, step.outreach_id, step.before, step.after, at=at, by=by, why=step.why):
                letters.extend(step.inbox)
        for fact in each.facts:
            row = {"outreach_id": fact.outreach_id, "kind": fact.kind, "at": fact.at}
            insert = driver.upsert(outreach_facts).values(row).on_conflict_do_nothing()
            if connection.execute(insert.execution_options(**COUNTED)).rowcount:
                letters.extend(fact.inbox)
    return letters


def facts(connection: sa.Connection, ids: Sequence[str]) -> dict[str, dict[str, Instant]]:
    """What is known of these mails: by outreach id, kind and when it happened."""
    found: dict[str, dict[str, Instant]] = {}
    for chunk in (ids[at : at + 1_000] for at in range(0, len(ids), 1_000)):
        query = sa.select(outreach_facts).where(outreach_facts.c.outreach_id.in_(chunk))
        for row in connection.execute(query.order_by(outreach_facts.c.at, outreach_facts.c.kind)):
            found.setdefault(row.outreach_id, {})[row.kind] = row.at
    return found


def heard(connection: sa.Connection, channel: str, *, since: Instant, until: Instant) -> Heard:
    """Of the mails that a channel took since then, how many its provider told of; after ``until`` one may be untold."""
    c = outreach.c
    told = sa.exists().where(outreach_facts.c.outreach_id == c.outreach_id, outreach_facts.c.kind == "processed")
    span = sa.func.min(c.stored_at).label("first_at"), sa.func.max(c.stored_at).label("last_at")
    query = sa.select(told.label("told"), sa.func.count().label("mails"), *span)
    query = query.where(c.channel == channel, c.state == "accepted", c.stored_at >= since)
    yes = connection.execute(query.where(told).group_by(told)).one_or_none()
    no = connection.execute(query.where(~told, c.stored_at <= until).group_by(told)).one_or_none()
    counts = int(yes.mails) if yes else 0, int(no.mails) if no else 0
    return Heard(*counts, yes.last_at if yes else None, no.first_at if no else None)


def clear(connection: sa.Connection, before: Instant) -> int:
    """Drop what was learned from long ago; the facts stay."""
    old = feedback.c.settled_at.is_not(None), feedback.c.heard_at < before
    return connection.execute(sa.delete(feedback).where(*old)).rowcount
