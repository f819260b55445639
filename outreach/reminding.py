"""Telling the owners of rules what waits for them: mails to approve, a tripped breaker, a mail nobody can write."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from engine.errors import TemplateError
from engine.instants import DAY, HOUR, Instant, iso
from engine.rulebook.spec import Policy
from engine.store import OutreachRow, Reminder, Store
from engine.zones import zone
from outreach.addresses import clean_address, is_staff
from outreach.channel import Channel, DeliveryError
from outreach.context import sender_words
from outreach.filters import ZONE
from outreach.gate import NO_ADDRESS, Post
from outreach.mail import build_mail
from outreach.rendering import render

TEMPLATE = "review-waiting"
MORNING = 9 * HOUR
"""When the list of what waits is made, in the policy's zone."""
SOON = 4 * HOUR
"""So long before mails expire their owner hears of it, once a day."""
KEPT = 7 * DAY
UNREACHABLE = "no address of its reader is known"
_log = logging.getLogger("outreach.reminding")


def reminders(rows: Iterable[OutreachRow], policy: Policy, at: Instant) -> list[Reminder]:
    """What owners are to be told of mails in review as of ``at``; the same thing has the same id all day."""
    where = zone(policy.timezone)
    day = where.day(at)
    found: list[Reminder] = []
    for owner, mine in sorted(_by_owner(rows, policy).items()):
        soon = [row for row in mine if ends_at(row, policy) - SOON <= at]
        kinds = [("morning", mine)] if at >= where.start(day) + MORNING else []
        for kind, which in [*kinds, ("soon", soon)]:
            if which:
                found.append(Reminder(f"{kind}:{owner}:{day}", owner, at, _body(kind, which, policy)))
    return found


def remind(
    store: Store, rows: Iterable[OutreachRow], policy: Policy, at: Instant, *, held: Iterable[OutreachRow] = ()
) -> None:
    """Keep what owners are to be told of mails in review, and of those that are ``held``."""
    store.put_reminders([*reminders(rows, policy, at), *unreachable(held, policy, at)])


def tripped(row: OutreachRow, why: str, policy: Policy, at: Instant) -> list[Reminder]:
    """What the owner of a rule is to be told when its breaker trips."""
    body = _body("breaker", [row], policy) | {"because": why}
    return [Reminder(f"breaker:{row.rule}:{at}", owner, at, body) for owner in _by_owner([row], policy)]


def broken(rows: Sequence[OutreachRow], why: str, policy: Policy, at: Instant) -> list[Reminder]:
    """What the owner of a rule is to be told when a mail of it cannot be written: once a day for each template."""
    day = zone(policy.timezone).day(at)
    body = _body("held", rows, policy) | {"because": why}
    owners = _by_owner(rows, policy)
    return [Reminder(f"held:{rows[0].template}:{owner}:{day}", owner, at, body) for owner in owners]


def unreachable(rows: Iterable[OutreachRow], policy: Policy, at: Instant) -> list[Reminder]:
    """What the owner of a rule is to be told of mails whose readers have no address: once a day for each rule."""
    day = zone(policy.timezone).day(at)
    piles: dict[tuple[str, str], list[OutreachRow]] = {}
    lost = [row for row in rows if (row.state, row.why) == ("held", NO_ADDRESS)]
    for owner, mine in _by_owner(lost, policy).items():
        for row in mine:
            piles.setdefault((owner, row.rule), []).append(row)
    return [
        Reminder(f"address:{rule}:{owner}:{day}", owner, at, _body("held", mine, policy) | {"because": UNREACHABLE})
        for (owner, rule), mine in sorted(piles.items())
    ]


def ends_at(row: OutreachRow, policy: Policy) -> Instant:
    """When a mail in review expires, if nobody decides."""
    return min(row.expires_at, row.due_at + policy.hold_for)


def tell(store: Store, post: Post, channel: Channel, at: Instant) -> None:
    """Hand over what waits; nobody hears of one thing twice, and what a channel does not take now waits."""
    for one in store.reminders():
        if TEMPLATE not in post.templates or (post.only_to and not is_staff(one.to, post.only_to)):
            continue
        if not store.move_reminder(one.reminder_id, "waiting", "posting"):
            continue  # another sender tells it
        try:
            words = render(post.templates[TEMPLATE], _context(one, post))
            mail_id = post.key(f"reminder:{one.reminder_id}")[:32]
            channel.deliver(build_mail(words, post.sender, mail_id=mail_id, rule=TEMPLATE, due_at=one.at, to=one.to))
        except DeliveryError as err:
            later = err.verdict in {"later", "down"}
            store.move_reminder(one.reminder_id, "posting", "waiting" if later else "told")
            if err.verdict == "down":
                return
        except TemplateError as err:
            _log.error("a reminder cannot be written: %s", err)
        else:
            store.move_reminder(one.reminder_id, "posting", "told")
            store.clear_reminders(before=at - KEPT)


def _by_owner(rows: Iterable[OutreachRow], policy: Policy) -> dict[str, list[OutreachRow]]:
    found: dict[str, list[OutreachRow]] = {}
    for row in rows:
        owner = clean_address(row.frozen.get("owner"))
        if owner is not None and is_staff(owner, policy.staff_domains):
            found.setdefault(owner, []).append(row)
    return found


def _body(kind: str, rows: Sequence[OutreachRow], policy: Policy) -> dict[str, Any]:
    piles: dict[str, list[OutreachRow]] = {}
    for row in rows:
        piles.setdefault(row.rule, []).append(row)
    told = [
        {"rule": rule, "mails": len(mine), "ends_at": iso(min(ends_at(row, policy) for row in mine))}
        for rule, mine in sorted(piles.items(), key=lambda one: (-len(one[1]), one[0]))
    ]
    return {"kind": kind, "mails": len(rows), "because": None, "pile": told[0], "piles": told}


def _context(one: Reminder, post: Post) -> Mapping[str, Any]:
    you = {"id": one.to, "email": one.to}
    sender = sender_words(post.sender)
    return {**one.body, "you": you, "sender": sender, "links": {}, "rule": TEMPLATE, ZONE: post.policy.timezone}
