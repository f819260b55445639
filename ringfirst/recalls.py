"""Taking a rule's mails back: what is here stays here, and who got one is known, and can be told once."""

from collections.abc import Sequence

import msgspec

from engine.decision import MailState
from engine.instants import Instant
from engine.store import InboxKind, OutreachRow, Stop, Store
from outreach.telling import ended, happened

OUT: tuple[MailState, ...] = ("accepted", "in_doubt", "posting")
"""Mails that somebody got, or may get."""
HERE: tuple[MailState, ...] = ("in_review", "queued", "held", "claimed")
"""Mails that are here; a sender that has claimed one finds it gone before it hands it over."""


class Got(msgspec.Struct, frozen=True, kw_only=True):
    """One reader who got mails of the rule, and how many; ``surely`` false: all of them are in doubt or on the way."""

    account_id: str
    to: str
    mails: int
    first_at: Instant
    surely: bool
    rows: list[OutreachRow]


class Recall(msgspec.Struct, frozen=True, kw_only=True):
    """What a recall did: whether the rule was stopped by it, the mails that stay here, and who got one."""

    stopped: bool
    taken_back: list[str]
    got: list[Got]


def recall(store: Store, rule: str, *, since: Instant, at: Instant, who: str, why: str) -> Recall:
    """Stop a rule, take back its mails that are here, and list who got one since then.

    The stop comes first, so that nothing leaves between the two. What is taken back gives its occasion back, and comes
    again when it is true again. A mail on its way at this moment counts as out.
    """
    stopped = store.stop(Stop("rule", rule, at, who, why))
    taken = []
    for row in store.outreach(states=HERE, rule=rule):
        inbox: list[tuple[str, InboxKind, bytes]] = [(row.account_id, "entry", ended(row, "withdrawn"))]
        if store.move(row.outreach_id, HERE, "withdrawn", at=at, by=who, why=f"recalled: {why}", inbox=inbox):
            taken.append(row.outreach_id)
    done = Recall(stopped=stopped, taken_back=taken, got=_got(store.outreach(states=OUT, rule=rule), since))
    detail = {"rule": rule, "since": since, "why": why, "taken_back": len(taken), "got": len(done.got)}
    store.audit(at=at, who=who, what="recall", detail=detail)
    return done


def tell(store: Store, got: Sequence[Got], *, at: Instant, why: str) -> int:
    """Leave one ``outreach.recalled`` for each reader, for a rule that writes the correction; again adds none."""
    told = [one for one in got if one.rows[0].audience == "customer"]
    letters: list[tuple[str, InboxKind, bytes]] = [
        (one.account_id, "event", happened(one.rows[0], "recalled", at, {"mails": one.mails, "why": why}))
        for one in told
    ]
    store.put_inbox(letters, at=at)
    return len(told)


def _got(rows: Sequence[OutreachRow], since: Instant) -> list[Got]:
    readers: dict[tuple[str, str], list[OutreachRow]] = {}
    for row in sorted(rows, key=lambda one: (one.state_at, one.outreach_id)):
        if row.state_at >= since:
            readers.setdefault((row.account_id, row.to), []).append(row)
    return [
        Got(
            account_id=account,
            to=to,
            mails=len({row.mail_id or row.outreach_id for row in mine}),
            first_at=mine[0].state_at,
            surely=any(row.state == "accepted" for row in mine),
            rows=mine,
        )
        for (account, to), mine in sorted(readers.items())
    ]
