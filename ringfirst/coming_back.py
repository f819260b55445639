"""What comes back is kept, told to the rules, and in force: bounces, complaints, answers, ways out."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from engine.feedback import Feedback, FeedbackKind
from engine.instants import Instant
from engine.store import InboxKind, OutreachRow, Store
from outreach.addresses import address_key
from outreach.feedback import settle, stopping, suppressing
from outreach.incoming import Came, Kind, read_mail
from outreach.links import unseal
from outreach.telling import happened
from ringfirst.unsubscribing import stop

PROVIDER = "mail"
_TOLD: Mapping[Kind, FeedbackKind] = {
    "processed": "processed",
    "bounced": "bounced",
    "blocked": "blocked",
    "deferred": "deferred",
    "delivered": "delivered",
    "complained": "complained",
    "replied": "replied",
    "unsubscribed": "unsubscribed",
}


def take_mail(store: Store, raw: bytes, *, at: Instant) -> str:
    """Take one mail in that came back or was answered; returns in a word what it was. Again changes nothing.

    ``unknown`` is what is about no mail of ours, or says nothing. Words and addresses are not kept.
    """
    came = read_mail(raw, at=at)
    if came.kind != "stop":
        return take(store, came, at=at)
    token = unseal(came.token or "", store.key)
    if token is None:
        return "unknown"
    stop(store, token, by="mail", at=at)
    return "unsubscribed"


def take(store: Store, came: Came, *, at: Instant, provider: str = PROVIDER, person: str | None = None) -> str:
    """Take in what came back. ``person`` is the key of an address that a provider we trust names itself.

    Returns in a word what it was; ``unknown`` when it is about no mail of ours, and names nobody.
    """
    row = _ours(store, came, at)
    person = (row.person if row is not None else None) or person
    if came.kind == "unknown" or (row is None and person is None):
        return "unknown"
    letters = _letters(store, row, came) if row is not None else []
    if letters:  # before it is kept: whoever reads the mail again after a crash says it again, which is heard once
        store.put_inbox(letters, at=at)
    kind = _TOLD.get(came.kind)
    if kind is not None:
        told = Feedback(
            provider=provider,
            event_id=came.event_id,
            kind=kind,
            at=came.at,
            heard_at=at,
            mail_id=(row.mail_id or row.outreach_id) if row is not None else came.mail_id,
            message_id=row.message_id if row is not None else None,
            person=person,
            body=msgspec.json.encode({"status": came.status}),
        )
        store.put_feedback([told], suppress=suppressing([told]), stop=stopping([told]))
    if came.kind == "unsubscribed":
        settle(store, at=at, by=f"webhook:{provider}")  # whoever looks after the account hears of it now
    return came.kind


def take_mails(store: Store, mails: Sequence[bytes], *, at: Instant) -> Counter[str]:
    """Take mails in; returns how many were what."""
    return Counter(take_mail(store, raw, at=at) for raw in mails)


def _ours(store: Store, came: Came, at: Instant) -> OutreachRow | None:
    """The first row of the mail that this is about."""
    by: list[dict[str, Any]] = [{"mail_id": came.mail_id}] if came.mail_id else []
    by += [{"message_id": one} for one in came.message_ids]
    asked = [
        Feedback(provider=PROVIDER, event_id=came.event_id, kind="replied", at=at, heard_at=at, seq=seq, **one)
        for seq, one in enumerate(by)
    ]
    found = store.mails_of(asked) if asked else {}
    rows = next((found[one.seq] for one in asked if one.seq in found), None)
    return rows[0] if rows else None


def _letters(store: Store, row: OutreachRow, came: Came) -> list[tuple[str, InboxKind, bytes]]:
    """What the rules hear at once of an answer; the rest they hear when somebody has learned from it."""
    if row.audience == "staff":  # what we write to each other is no contact with a customer
        return []
    if came.kind == "replied":
        reader = came.sender is not None and address_key(store.key, came.sender) == row.person
        told = happened(row, "replied", came.at, {"by_reader": reader}, key=came.event_id, by_reader=reader)
    elif came.kind in {"away", "left"}:
        told = happened(row, "auto_replied", came.at, {"left": came.kind == "left"}, key=came.event_id)
    else:
        return []
    return [(row.account_id, "event", told)]
