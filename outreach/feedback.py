"""What follows from what a provider told of a mail: facts, and the end of a doubt.

Facts only come, none takes another back: a mail that was delivered and bounced after is both. The same told again, or
in another order, comes to the same.
"""

from collections.abc import Iterable, Sequence

from engine.decision import MailState
from engine.feedback import Feedback, FeedbackKind, Learned, Letters, MailFact, Step
from engine.instants import DAY, Instant
from engine.store import OutreachRow, Store
from outreach.telling import happened, sent

SUPPRESSES: frozenset[FeedbackKind] = frozenset({"bounced", "complained", "unsubscribed"})
"""After which an address is never written to again. A block is about one mail, the address may work."""
KEPT = 30 * DAY
"""How long what was told is kept once it is learned from: far longer than anybody tells it again."""
_EVENTS: dict[FeedbackKind, tuple[str, dict[str, str]]] = {
    "delivered": ("delivered", {}),
    "bounced": ("bounced", {"bounce": "hard"}),
    "blocked": ("bounced", {"bounce": "block"}),
    "dropped": ("bounced", {"bounce": "dropped"}),
    "complained": ("complained", {}),
    "unsubscribed": ("unsubscribed", {}),
    "opened": ("opened", {}),
    "clicked": ("clicked", {}),
}
"""The events that rules may see."""
_ON_ITS_WAY: tuple[MailState, ...] = "queued", "held", "claimed", "posting", "in_doubt"
"""Where a mail may stand of which we do not know that it is out; one may be waiting to be sent again."""
_PAGE = 500


def suppressing(told: Iterable[Feedback]) -> dict[str, str]:
    """Of what was told, by its id, what suppresses the address at once, and why."""
    return {one.event_id: one.kind for one in told if one.kind in SUPPRESSES}


def settle(store: Store, *, at: Instant, by: str) -> int:
    """Learn from all that was told and nobody has learned from; ``by`` stands in the mails' histories."""
    done = 0
    while told := store.feedback(limit=_PAGE):
        mails = store.mails_of(told)
        store.learn([learned(one, mails.get(one.seq, ()), at) for one in told], at=at, by=by)
        done += len(told)
    if done:
        store.clear_feedback(before=at - KEPT)
    return done


def learned(told: Feedback, rows: Sequence[OutreachRow], at: Instant) -> Learned:
    """What follows from one thing that was told of the mail that these rows make."""
    account = rows[0].account_id if rows else None
    facts = [fact for row in rows for fact in _facts(told, row, at)]
    return Learned(
        seq=told.seq,
        account_id=account,
        facts=tuple(facts),
        steps=tuple(_step(told, row, at) for row in rows if told.kind != "replied"),
    )


def _facts(told: Feedback, row: OutreachRow, at: Instant) -> list[MailFact]:
    when = min(told.at, at)
    found = [MailFact(outreach_id=row.outreach_id, kind=told.kind, at=when, inbox=_event(told, row, when))]
    if told.kind not in {"processed", "replied"}:  # whatever a provider tells of a mail, it has had it
        found.append(MailFact(outreach_id=row.outreach_id, kind="processed", at=when))
    return found


def _event(told: Feedback, row: OutreachRow, when: Instant) -> Letters:
    if told.kind not in _EVENTS or (told.kind == "dropped" and row.state != "accepted"):
        return ()
    what, more = _EVENTS[told.kind]
    return ((row.account_id, "event", happened(row, what, when, more)),)


def _step(told: Feedback, row: OutreachRow, at: Instant) -> Step:
    """Whoever tells of a mail has it: the doubt is over. One that is dropped went to nobody."""
    if told.kind == "dropped":
        why = f"{told.provider}: it took the mail and dropped it"
        return Step(outreach_id=row.outreach_id, before=_ON_ITS_WAY, after="failed", why=why)
    return Step(
        outreach_id=row.outreach_id,
        before=_ON_ITS_WAY,
        after="accepted",
        why=f"by {told.provider} as {row.mail_id or row.outreach_id}",
        inbox=((row.account_id, "event", sent(row, min(told.at, at))),),
    )
