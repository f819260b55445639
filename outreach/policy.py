"""The contact policy: whether a mail may leave now, given all contact that there was. Pure; instants in, verdict out.

Caps count mails of every rule and human contact beside them (RULEBOOK 10). A mail of class transactional and a note to
us leave at once, at any hour; the mail counts for those that come after it.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Literal

import msgspec

from engine.hours import opens
from engine.instants import Instant
from engine.rulebook.spec import Cap, Policy
from engine.store import APPOINTMENT, Contact
from engine.zones import Zone, zone

State = Literal["expired", "held", "suppressed", "in_review"]


_WHEN = attrgetter("at")
_PASSES = ("pause after ", "near a meeting", "gap between mails", "lost to ", "cap of ", "outside hours")


class No(msgspec.Struct, frozen=True):
    """Why a mail does not leave: the state it goes to, and the reason, in words without an address.

    ``until`` is the first instant at which asking again may give another answer; None: nobody knows when.
    """

    state: State
    why: str
    until: Instant | None = None


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A mail that wants to leave: to whom (``person``, the key of the address), and the zone of that reader."""

    account_id: str
    person: str
    mail_class: str
    due_at: Instant
    zone: Zone


def verdict(asked: Asked, past: Sequence[Contact], policy: Policy, at: Instant) -> No | None:
    """Ask whether a mail may leave at ``at``; None is a yes.

    ``past`` is the contact with its account and its person, as far back as the policy looks. What is dated after ``at``
    counts too: a clock was ahead, or is behind now, and no clock is a reason to write twice. The answer holds until
    ``until``, when everything that stands against the mail now is over.
    """
    if asked.mail_class == "transactional":
        return None
    there = sorted(past, key=_WHEN)
    ahead = [one for one in there if one.channel == APPOINTMENT]
    known = [one for one in there if one.channel != APPOINTMENT] if ahead else there
    against = [*_pauses(asked, known, policy, at), *_gap(asked, known, policy, at), *_caps(asked, known, policy, at)]
    against += _meetings(asked, ahead, policy, at)
    until = max((end for _, end in against), default=at)
    opening = opens(until, policy.hours, asked.zone)
    if opening > at:
        against.append(("outside hours", opening))
    return No("held", against[0][0], opening) if against else None


def passes(why: str | None) -> bool:
    """Is this a reason of the policy, which says nothing about the mail itself and passes with time?"""
    return why is not None and why.startswith(_PASSES)


def counted(contacts: Iterable[Contact], where: Zone) -> list[Contact]:
    """What counts for a cap, oldest first: each mail, and of human contact one a day by each channel and person.

    A ticket with five answers in an afternoon is one contact. ``where`` is the zone whose days these are.
    """
    mails: list[Contact] = []
    human: dict[object, Contact] = {}
    for one in sorted(contacts, key=lambda one: one.at):
        if one.channel == "mail":
            mails.append(one)
        else:
            human.setdefault((one.account_id, one.person, one.channel, where.day(one.at)), one)
    return sorted([*mails, *human.values()], key=lambda one: one.at)


def _pauses(asked: Asked, known: Sequence[Contact], policy: Policy, at: Instant) -> list[tuple[str, Instant]]:
    spans = dict(policy.contact.pause_after)
    longest = max(spans.values(), default=0)
    found: dict[str, Instant] = {}
    for one in reversed(known):
        if one.at + longest <= at:
            break
        if one.account_id != asked.account_id or one.channel == "mail" or one.kind not in spans:
            continue
        if one.at + spans[one.kind] > at:
            found[one.kind] = max(found.get(one.kind, at), one.at + spans[one.kind])
    return [(f"pause after {kind}", end) for kind, end in sorted(found.items())]


def _meetings(asked: Asked, ahead: Iterable[Contact], policy: Policy, at: Instant) -> list[tuple[str, Instant]]:
    span = policy.contact.near_meeting
    ours = [one.at for one in ahead if one.account_id == asked.account_id]
    near = [begins + span for begins in ours if begins - span <= at < begins + span]
    return [("near a meeting", max(near))] if near else []


def _gap(asked: Asked, known: Sequence[Contact], policy: Policy, at: Instant) -> list[tuple[str, Instant]]:
    mails = (one for one in reversed(known) if one.channel == "mail" and one.person == asked.person)
    last = next(mails, None) if known and known[-1].at + policy.contact.gap > at else None
    if last is None or last.at + policy.contact.gap <= at:
        return []
    return [(_lost(asked, last) or "gap between mails", last.at + policy.contact.gap)]


def _caps(asked: Asked, known: Sequence[Contact], policy: Policy, at: Instant) -> list[tuple[str, Instant]]:
    """What each cap says; most say nothing, and that is seen by a look at how many contacts there were at all."""
    times = list(map(_WHEN, known))
    caps = [*((cap, "person") for cap in policy.contact.caps_person)]
    caps += [(cap, "account") for cap in policy.contact.caps_account]
    near = [(cap, whose) for cap, whose in caps if len(times) - bisect_right(times, at - cap.span) >= cap.most]
    if not near:
        return []
    contacts = counted(known, zone(policy.timezone))
    among = {
        "person": [one for one in contacts if one.person == asked.person],
        "account": [one for one in contacts if one.account_id == asked.account_id],
    }
    return [against for cap, whose in near for against in _cap(asked, cap, among[whose], whose, at)]


def _cap(asked: Asked, cap: Cap, among: Sequence[Contact], whose: str, at: Instant) -> list[tuple[str, Instant]]:
    inside = [one for one in among if one.at > at - cap.span]
    if len(inside) < cap.most:
        return []
    # The cap lets the next one out when so many have left the window that one place is free.
    return [(_lost(asked, inside[-1]) or f"cap of {cap.text} for the {whose}", inside[-cap.most].at + cap.span)]


def _lost(asked: Asked, other: Contact) -> str | None:
    """The mail of another rule that left since this one was due, if that is what stands against it."""
    return f"lost to {other.kind}" if other.channel == "mail" and other.at >= asked.due_at else None
