"""What a reader chose is kept, written down, and told to the rules: by the page, one-click, or a mail."""

from collections.abc import Mapping
from typing import Literal

from engine.instants import Instant
from engine.store import ALL_TOPICS, Choice, Every, InboxKind, Note, OutreachRow, Store
from outreach.links import Token
from outreach.telling import happened

By = Literal["one-click", "page", "mail", "provider"]


def choose(store: Store, token: Token, chosen: Mapping[str, Choice], *, by: By, at: Instant) -> bool:
    """Keep what the holder of a link chose, by topic. Returns whether anything is other than before.

    When something is, the audit has a line, and the lane of the mail's account gets ``outreach.unsubscribed`` or
    ``outreach.resubscribed``, so that rules can tell the owner. A mail that is forgotten leaves nobody to tell.
    """
    before = store.wishes(token.address_key).choices
    rows = store.outreach(outreach_id=token.mail_id)
    detail = {"outreach_id": token.mail_id, "chosen": dict(chosen), "by": by}
    return store.choose(
        token.address_key,
        chosen,
        at=at,
        by=by,
        note=Note(at, "the reader", "choose mails", detail),
        inbox=[_word(rows[0], new, by, at) for new in _news(before, chosen)] if rows else [],
    )


def choose_rhythm(store: Store, token: Token, report: str, every: Every, *, by: By, at: Instant) -> bool:
    """Keep how often the holder of a link wants a report. Returns whether that is another than before.

    When it is, the audit has a line, and the lane of the mail's account gets ``outreach.rhythm``.
    """
    rows = store.outreach(outreach_id=token.mail_id)
    detail = {"outreach_id": token.mail_id, "report": report, "every": every, "by": by}
    more = {"report": report, "every": every, "by": by}
    return store.choose_rhythm(
        token.address_key,
        report,
        every,
        at=at,
        by=by,
        note=Note(at, "the reader", "choose rhythm", detail),
        inbox=[
            (row.account_id, "event", happened(row, "rhythm", at, more, key=f"{row.outreach_id}:{at}")) for row in rows
        ],
    )


def stop(store: Store, token: Token, *, by: By, at: Instant) -> bool:
    """Stop what the link stands for. Returns whether it was not stopped before."""
    return choose(store, token, {token.topic: "out"}, by=by, at=at)


def _news(before: Mapping[str, Choice], chosen: Mapping[str, Choice]) -> list[tuple[Choice, list[str]]]:
    """What is new, stopped topics and begun ones apart."""
    found: list[tuple[Choice, list[str]]] = []
    for choice in ("out", "in"):
        topics = [topic for topic, new in chosen.items() if new == choice and before.get(topic) != choice]
        if topics:
            found.append((choice, sorted(topics)))
    return found


def _word(row: OutreachRow, new: tuple[Choice, list[str]], by: By, at: Instant) -> tuple[str, InboxKind, bytes]:
    choice, topics = new
    what = "unsubscribed" if choice == "out" else "resubscribed"
    key, more = f"{row.outreach_id}:{at}", {"topics": topics, "all": ALL_TOPICS in topics, "by": by}
    return row.account_id, "event", happened(row, what, at, more, key=key)
