"""What people let leave: an approval stands beside its mail, and both change in one transaction."""

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from engine.store import Approval, OutreachRow
from engine.stores import mails
from engine.stores.tables import approvals, outreach

_decode = msgspec.json.Decoder(Approval).decode


def put(connection: sa.Connection, rows: Sequence[OutreachRow], one: Approval, why: str) -> bool:
    """Let a mail leave as it was read: none of its rows may have been moved, taken back or planned anew meanwhile."""
    c = outreach.c
    ids = sorted(row.outreach_id for row in rows)
    query = sa.select(c.outreach_id, c.state, c.state_at, c.at).where(c.outreach_id.in_(ids))
    found = {row[0]: tuple(row[1:]) for row in connection.execute(query.order_by(c.outreach_id).with_for_update())}
    if found != {row.outreach_id: (row.state, row.state_at, row.at) for row in rows}:
        return False
    for row in rows:
        mails.move(connection, row.outreach_id, [row.state], "queued", at=one.at, by=one.who, why=why)
    connection.execute(sa.delete(approvals).where(approvals.c.mail_id.in_(ids)))
    values = {"mail_id": one.mail_id, "account_id": one.account_id, "body": msgspec.json.encode(one)}
    connection.execute(sa.insert(approvals).values(values))
    return True


def read(connection: sa.Connection, mail_ids: Sequence[str]) -> dict[str, Approval]:
    """The approvals that stand under these ids."""
    found: dict[str, Approval] = {}
    for start in range(0, len(mail_ids), 1_000):
        chunk = mail_ids[start : start + 1_000]
        query = sa.select(approvals.c.mail_id, approvals.c.body).where(approvals.c.mail_id.in_(chunk))
        found |= {row.mail_id: _decode(row.body) for row in connection.execute(query)}
    return found
