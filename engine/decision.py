"""What the engine decides: decisions, the mails they plan, and what became of both."""

import hashlib
from typing import Any, Literal

import msgspec

from engine.instants import Instant

Outcome = Literal["planned", "draft", "held_out", "withdrawn"]
MailState = Literal[
    "in_review",
    "held",
    "queued",
    "claimed",
    "posting",
    "accepted",
    "in_doubt",
    "failed",
    "suppressed",
    "withdrawn",
    "expired",
    "rejected",
    "past",
]
OPEN_STATES: frozenset[str] = frozenset({"in_review", "held", "queued"})
"""The states from which a mail can still be taken back."""


class Subject(msgspec.Struct, frozen=True, order=True, gc=False):
    """What a rule looks at inside an account: a thing (``kind`` its name), an event (``kind`` "event") or a person."""

    kind: str
    id: str


class Mail(msgspec.Struct, frozen=True, gc=False):
    """One mail that a decision plans: to one person of the customer, or to one of us.

    ``to`` is a person id (``audience`` "customer") or a staff address ("staff"). ``state`` is what the engine gave it
    at birth: ``queued``, ``in_review`` or ``past``; ``why`` is the reason for a review, else None. ``held`` is why it
    waits from the first, at most until ``held_until``; ``due_at`` is when it would have left.
    """

    outreach_id: str
    to: str
    audience: Literal["customer", "staff"]
    template: str
    mail_class: Literal["transactional", "relationship", "marketing", "internal"]
    mode: Literal["auto", "review"]
    due_at: Instant
    expires_at: Instant
    priority: int
    why: str | None = None
    held: str | None = None
    held_until: Instant | None = None


class Decision(msgspec.Struct, frozen=True, gc=False):
    """A rule's yes for one subject and occasion, with everything its mail will ever need.

    ``values`` maps each name that the rule or its template's ``needs`` uses to its value at ``at`` (JSON values; None =
    unknown; dates as ISO text). ``frozen`` holds what a template gets beside them: ``account`` (traits), ``you`` per
    recipient, ``people`` (roles), ``with``, ``why``, ``title``, ``owner``: ids and traits, never a personal one.
    ``at`` is the instant of the edge. ``withdrawn_at`` is set exactly when ``outcome`` is "withdrawn".
    """

    decision_id: str
    rule: str
    kind: str
    account_id: str
    subject: Subject | None
    occasion: str
    at: Instant
    outcome: Outcome
    values: dict[str, Any]
    frozen: dict[str, Any]
    mails: tuple[Mail, ...]
    withdrawn_at: Instant | None = None


class Ended(msgspec.Struct, frozen=True, gc=False):
    """A mail that the engine ends before it left: it takes it back, or it was held too long (``expired``)."""

    decision_id: str
    outreach_id: str
    at: Instant
    why: str
    state: Literal["withdrawn", "expired"] = "withdrawn"


class Held(msgspec.Struct, frozen=True, gc=False):
    """A mail that must wait, at most until ``until``; again for one that is held already: the reason has changed."""

    decision_id: str
    outreach_id: str
    at: Instant
    why: str
    until: Instant


class Released(msgspec.Struct, frozen=True, gc=False):
    """A mail that need not wait any more: it goes on as ``mail`` says, with times of its own."""

    decision_id: str
    at: Instant
    mail: Mail


Fact = Decision | Ended | Held | Released
"""What a lane returns, in order: a decision planned, revived (same id again, new values) or withdrawn, and mails ended,
held and released.

A withdrawn decision comes as the whole ``Decision`` with outcome "withdrawn", after the ``Ended`` of its mails.
"""


def decision_id(rule: str, account_id: str, subject: Subject | None, occasion: str) -> str:
    """Derive the id that makes a decision happen once: 32 hexadecimal digits.

    No version of the rule is in it: an edited rule never writes to everybody again.

    >>> decision_id("r", "acme", None, "once") == decision_id("r", "acme", None, "once")
    True
    """
    kind, subject_id = (subject.kind, subject.id) if subject else ("", "")
    text = f"{rule}\0{account_id}\0{kind}\0{subject_id}\0{occasion}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def outreach_id(decision: str, to: str) -> str:
    """Derive a mail's id from its decision and its reader.

    >>> len(outreach_id("0" * 32, "u1"))
    32
    """
    return hashlib.sha256(f"{decision}\0{to}".encode()).hexdigest()[:32]
