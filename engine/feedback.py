"""What a provider tells of a mail that is out: kept as it came, and learned from once."""

from typing import Literal

import msgspec

from engine.decision import MailState
from engine.instants import Instant

FeedbackKind = Literal[
    "processed",
    "delivered",
    "deferred",
    "bounced",
    "blocked",
    "dropped",
    "opened",
    "clicked",
    "complained",
    "unsubscribed",
    "replied",
]
"""``processed``: the provider has it; ``bounced``: the address does not work; ``blocked``: this mail was not wanted,
the address may work; ``dropped``: the provider had it and did not try."""


Letters = tuple[tuple[str, Literal["event", "entry", "retry"], bytes], ...]
"""What is left in inboxes: (account id, kind, body)."""


class Feedback(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that a provider told. ``event_id`` is its own id of it: told again, it is the same.

    ``at`` is when it happened there, ``heard_at`` when we heard of it. Which mail it is about: by our own ``mail_id``,
    else by the provider's id of the mail, else by its Message-ID. ``person`` is the key of the address; the address
    itself stands nowhere, not in ``body`` either, which is JSON. ``seq`` is the store's.
    """

    provider: str
    event_id: str
    kind: FeedbackKind
    at: Instant
    heard_at: Instant
    mail_id: str | None = None
    provider_id: str | None = None
    message_id: str | None = None
    person: str | None = None
    body: bytes = b"{}"
    seq: int = 0


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A mail moves from one of the states ``before`` to ``after``; ``inbox`` (account id, kind, body) goes with it.

    ``planned_at`` is the instant of the decision as it was read: of one that was decided anew since then nothing moves.
    """

    outreach_id: str
    before: tuple[MailState, ...]
    after: MailState
    why: str | None = None
    inbox: Letters = ()
    planned_at: Instant | None = None


class MailFact(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened to a mail, once and for ever; the first time it is heard, ``inbox`` goes with it."""

    outreach_id: str
    kind: FeedbackKind
    at: Instant
    inbox: Letters = ()


class Learned(msgspec.Struct, frozen=True, kw_only=True):
    """What follows from one thing that was told (``seq``): facts, moves, and whose mail it was about."""

    seq: int
    account_id: str | None = None
    facts: tuple[MailFact, ...] = ()
    steps: tuple[Step, ...] = ()


class Heard(msgspec.Struct, frozen=True):
    """How well a provider tells of the mails it took: of how many it told, of how many it did not.

    ``last_at`` is when the newest mail left that it has told of, ``untold_since`` when the oldest that it has not told
    of; None: there is none.
    """

    told: int
    untold: int
    last_at: Instant | None
    untold_since: Instant | None = None
