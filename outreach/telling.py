"""What the engine is told of mails, in the form that a lane's inbox takes."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from engine.instants import Instant, iso
from engine.store import OutreachRow, Sent
from outreach.mail import Outgoing


def sent(row: OutreachRow, at: Instant) -> bytes:
    """``outreach.sent``: the mail is out."""
    return happened(row, "sent", at)


def happened(
    row: OutreachRow,
    what: str,
    at: Instant,
    more: Mapping[str, Any] | None = None,
    *,
    key: str | None = None,
    by_reader: bool = True,
) -> bytes:
    """An event ``outreach.WHAT`` about a mail; its id is made of the two, so that telling it again changes nothing.

    What can happen to a mail several times says by ``key`` which time it was. ``by_reader`` false: it was not the
    reader who did it.
    """
    return msgspec.json.encode(
        {
            "id": f"outreach.{what}:{row.outreach_id if key is None else key}",
            "type": f"outreach.{what}",
            "account_id": row.account_id,
            "user_id": row.to if row.audience == "customer" and by_reader else None,
            "time": iso(at),
            "properties": {
                "rule": row.rule,
                "template": row.template,
                "class": row.mail_class,
                "decision_id": row.decision_id,
                "outreach_id": row.outreach_id,
                **(more or {}),
            },
        }
    )


def kept(rows: Sequence[OutreachRow], mail: Outgoing) -> Sent | None:
    """A mail as the store keeps it; None for a list of notes from several accounts."""
    if len({row.account_id for row in rows}) > 1:
        return None
    first = rows[0]
    reader = first.to if first.audience == "customer" else None
    return Sent(mail_id=mail.mail_id, account_id=first.account_id, user_id=reader, raw=mail.raw)


def ended(row: OutreachRow, what: Literal["expired", "rejected", "withdrawn"]) -> bytes:
    """An entry of the engine: the mail ended before it left, its occasion is free again."""
    return msgspec.json.encode(
        {
            "kind": f"outreach.{what}",
            "account_id": row.account_id,
            "decision_id": row.decision_id,
            "outreach_id": row.outreach_id,
        }
    )
