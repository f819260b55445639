"""What is to be told outside and is not yet: written with what caused it, gone when it is published."""

from collections.abc import Collection, Sequence

import msgspec
import sqlalchemy as sa

from engine.decision import Decision
from engine.instants import iso
from engine.lanes import lane_of
from engine.store import DeadLetter, Outgoing, OutgoingKind
from engine.stores.arrivals import letter_of
from engine.stores.codec import encode, storable
from engine.stores.driver import Driver
from engine.stores.tables import dead_letters, outbox

Change = tuple[Decision, int]
"""A decision as it became, and its revision."""


def put_decisions(connection: sa.Connection, driver: Driver, lane: int, changes: Sequence[Change]) -> None:
    """Leave changes of decisions to be published, in the order given."""
    rows = [
        (lane, "decision", one.decision_id, one.account_id, encode(told(one, revision))) for one, revision in changes
    ]
    driver.insert(connection, outbox, rows)


def put_letters(connection: sa.Connection, driver: Driver, letters: Sequence[DeadLetter], *, lanes: int) -> None:
    """Leave dead letters to be published; their bytes stay where they are."""
    rows = []
    for one in letters:
        account = None if one.account_id is None else storable(one.account_id)
        lane = lane_of(account or one.source, lanes)
        rows.append((lane, "dead-letter", one.dead_letter_id, account, b""))
    driver.insert(connection, outbox, rows)


def read(connection: sa.Connection, lanes: Collection[int], kind: OutgoingKind, limit: int) -> list[Outgoing]:
    """What waits in these lanes, in order; of a letter that is gone meanwhile only that it was to be told."""
    query = sa.select(outbox).where(outbox.c.lane.in_(lanes), outbox.c.kind == kind)
    rows = connection.execute(query.order_by(outbox.c.seq).limit(limit)).all()
    letters = _letters(connection, [row.item for row in rows]) if kind == "dead-letter" else {}
    return [
        Outgoing(row.seq, row.lane, row.kind, row.item, row.account_id, row.body, letters.get(row.item)) for row in rows
    ]


def clear(connection: sa.Connection, seqs: Sequence[int]) -> None:
    """Drop what is published."""
    rows = [{"the_seq": seq} for seq in seqs]
    if rows:
        connection.execute(sa.delete(outbox).where(outbox.c.seq == sa.bindparam("the_seq")), rows)


def told(decision: Decision, revision: int) -> dict[str, object]:
    """What is told of a decision: ids, instants and values; neither traits nor a colleague's address."""
    return {
        "decision_id": decision.decision_id,
        "revision": revision,
        "outcome": decision.outcome,
        "rule": decision.rule,
        "kind": decision.kind,
        "account_id": decision.account_id,
        "subject": None if decision.subject is None else msgspec.structs.asdict(decision.subject),
        "occasion": decision.occasion,
        "at": iso(decision.at),
        "withdrawn_at": None if decision.withdrawn_at is None else iso(decision.withdrawn_at),
        "values": decision.values,
        "mails": [
            {
                "outreach_id": mail.outreach_id,
                "audience": mail.audience,
                "to": mail.to if mail.audience == "customer" else None,
                "template": mail.template,
                "class": mail.mail_class,
                "mode": mail.mode,
                "due_at": iso(mail.due_at),
                "expires_at": iso(mail.expires_at),
            }
            for mail in decision.mails
        ],
    }


def _letters(connection: sa.Connection, ids: Sequence[str]) -> dict[str, DeadLetter]:
    query = sa.select(dead_letters).where(dead_letters.c.dead_letter_id.in_(ids))
    return {row.dead_letter_id: letter_of(row) for row in connection.execute(query)}
