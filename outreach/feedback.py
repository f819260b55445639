"""What follows from what a provider told of a mail: facts, and the end of a doubt.

Facts only come, none takes another back: a mail that was delivered and bounced after is both. The same told again, or
in another order, comes to the same.
"""

from collections.abc import Callable, Iterable, Sequence

import msgspec

from engine.decision import MailState
from engine.feedback import Feedback, FeedbackKind, Learned, Letters, MailFact, Step
from engine.instants import DAY, Instant
from engine.rulebook.spec import Topics
from engine.rulebook.topics import topic_of
from engine.store import ALL_TOPICS, OutreachRow, Store
from outreach.telling import happened, sent

SUPPRESSES: frozenset[FeedbackKind] = frozenset({"bounced", "complained"})
"""After which an address is never written to again. A block is about one mail, the address may work. Who unsubscribes
stops mails by topic, as by our own links: transactional ones still come."""
GROUP = "group_unsubscribe"
"""SendGrid's event for one of its groups; its other one is for all mails."""
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
_MAY_BE_OUT: tuple[MailState, ...] = *_ON_ITS_WAY, "suppressed"
"""The same with what was in doubt and is not to be sent again: it may have left the first time."""
_PAGE = 500


def suppressing(told: Iterable[Feedback]) -> dict[str, str]:
    """Of what was told, by its id, what suppresses the address at once, and why."""
    return {one.event_id: one.kind for one in told if one.kind in SUPPRESSES}


def stopping(told: Iterable[Feedback]) -> dict[str, str]:
    """Of what was told, by its id, which topic somebody stopped at the provider."""
    return {one.event_id: _topic(one) for one in told if one.kind == "unsubscribed"}


def by_topic(store: Store, told: Sequence[Feedback], topics: Callable[[], Topics]) -> list[Feedback]:
    """Write down what is stopped by whoever left a group of a provider's: the topic of the mail that it is told of.

    Of a mail that is not known, and of a transactional one, which itself cannot be stopped, it is all topics.
    ``topics`` gives those of the rulebook; it is asked only when a group was left.
    """
    groups = {number: one for number, one in enumerate(told) if one.kind == "unsubscribed" and _kept(one) == GROUP}
    asked = [msgspec.structs.replace(one, seq=number) for number, one in groups.items()]
    found = list(told)
    for number, rows in (store.mails_of(asked) if asked else {}).items():
        if rows[0].mail_class != "transactional":
            topic = topic_of(topics(), rows[0].rule, rows[0].kind).name
            body = {**msgspec.json.decode(told[number].body), "topic": topic}
            found[number] = msgspec.structs.replace(told[number], body=msgspec.json.encode(body))
    return found


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
    if told.kind == "unsubscribed":
        topic = _topic(told)
        return ((row.account_id, "event", happened(row, what, when, _left(topic))),)
    return ((row.account_id, "event", happened(row, what, when, more)),)


def _step(told: Feedback, row: OutreachRow, at: Instant) -> Step:
    """Whoever tells of a mail has it: the doubt is over. One that is dropped went to nobody."""
    if told.kind == "dropped":
        why = f"{told.provider}: it took the mail and dropped it"
        return Step(outreach_id=row.outreach_id, before=_ON_ITS_WAY, after="failed", why=why)
    return Step(
        outreach_id=row.outreach_id,
        before=_MAY_BE_OUT,
        after="accepted",
        why=f"by {told.provider} as {row.mail_id or row.outreach_id}",
        inbox=((row.account_id, "event", sent(row, min(told.at, at))),),
    )


def _left(topic: str) -> dict[str, object]:
    """What rules hear of somebody who stopped a topic, in the form that our own links have."""
    return {"topics": [topic], "all": topic == ALL_TOPICS, "by": "provider"}


def _topic(told: Feedback) -> str:
    found = msgspec.json.decode(told.body).get("topic")
    return found if isinstance(found, str) else ALL_TOPICS


def _kept(told: Feedback) -> object:
    """The provider's own word for the event."""
    return msgspec.json.decode(told.body).get("event")
