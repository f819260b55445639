"""The contract of the event store: one transaction per batch, one suite for every implementation."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, Protocol

import msgspec

from engine.decision import Decision, Fact, MailState
from engine.feedback import Feedback, Heard, Learned, Step
from engine.instants import Instant
from engine.log import EngineEntry, Entry, Event, Recorded
from engine.pacing import Counted, Full, Meter

DEFAULT_LANES = 8


class Claim(msgspec.Struct, frozen=True):
    """The right to append to one lane: valid while ``epoch`` is the lane's newest.

    ``position`` is the last position used (0 = none), ``clock_at`` the lane's clock (None = it never moved),
    ``first_at`` the recorded_at of its first entry, ``inbox_seq`` the last inbox row taken in.
    """

    lane: int
    epoch: int
    position: int
    clock_at: Instant | None
    first_at: Instant | None
    inbox_seq: int


class LaneInfo(msgspec.Struct, frozen=True):
    """A lane as a reader sees it; ``owner`` is None when nobody alive holds it.

    ``lived``: somebody took in there what happened as it happened; without it only history was brought in.
    """

    lane: int
    epoch: int
    position: int
    clock_at: Instant | None
    first_at: Instant | None
    owner: str | None
    lease_until: Instant | None
    lived: bool = False


class NewEvent(msgspec.Struct, frozen=True, gc=False):
    """An event to append. ``body``: the properties as received, people's data apart; ``digest``: 16 bytes of it all."""

    recorded: Recorded
    body: bytes
    digest: bytes


class Trait(msgspec.Struct, frozen=True):
    """A personal trait of a person, newest by (time, position); ``value`` is JSON, None = cleared."""

    account_id: str
    user_id: str
    name: str
    value: Any
    time: Instant
    position: int


APPOINTMENT, SUBSCRIPTION = "appointment", "subscription"
"""Channels of touches that are no contact."""
OVER: Instant = 253_402_300_799_999
"""When an appointment begins that never will, or has: at the end of the calendar."""


class Touch(msgspec.Struct, frozen=True):
    """Somebody was in contact with an account (and person): when, by which channel (``mail``, ``call``, ``ticket``).

    Two channels are no contact. Of an APPOINTMENT ``kind`` is the meeting's id and ``at`` when it begins, OVER when it
    is called off or held; the one that came last counts. Of a SUBSCRIPTION ``kind`` is the event's type; the newest
    counts.
    """

    account_id: str
    user_id: str | None
    at: Instant
    channel: str
    kind: str


class DeadLetter(msgspec.Struct, frozen=True):
    """A record that is no good event, kept whole: ``raw`` as received, ``where`` its place in ``source``.

    ``dead_letter_id`` is derived from (source, where, raw), so that reading the same file again adds none.
    ``account_id`` is set where the record still told it, ``headers`` are those of a record of Kafka.
    """

    dead_letter_id: str
    source: str
    where: str
    reason: str
    raw: bytes
    at: Instant
    account_id: str | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


ALL_TOPICS = "*"
"""Stands for every topic: all mails but transactional ones."""
Choice = Literal["in", "out"]


Every = Literal["month", "quarter"]
"""How often a reader may choose to get a report."""


class Wishes(msgspec.Struct, frozen=True):
    """What is known of an address: why it is never written to (None: it is), and what its reader chose, by topic.

    ``rhythms`` is how often its reader chose to get a report, by the report: since when what, oldest first.
    """

    suppressed: str | None = None
    choices: Mapping[str, Choice] = msgspec.field(default_factory=dict)
    rhythms: Mapping[str, tuple[tuple[Instant, Every], ...]] = msgspec.field(default_factory=dict)


class Suppression(msgspec.Struct, frozen=True):
    """An address (a keyed hash) that is never written to, and why."""

    address_key: str
    reason: str
    at: Instant


class Chosen(msgspec.Struct, frozen=True):
    """What the reader of an address (a keyed hash) chose for a topic; ``by`` is how it came to us."""

    address_key: str
    topic: str
    choice: Choice
    at: Instant
    by: str


InboxKind = Literal["event", "entry", "retry"]
OutgoingKind = Literal["decision", "dead-letter"]


class Outgoing(msgspec.Struct, frozen=True):
    """Something that is to be published: a change of a decision, or a new dead letter. ``item`` is its id.

    ``body`` is the JSON of the decision as it became then; a letter comes as ``letter``, None when it is gone meanwhile
    and nothing need be published.
    """

    seq: int
    lane: int
    kind: OutgoingKind
    item: str
    account_id: str | None
    body: bytes
    letter: DeadLetter | None = None


class LetterCount(msgspec.Struct, frozen=True):
    """How many dead letters a source left; ``partition`` is None where their places name none (lines of a file)."""

    source: str
    partition: int | None
    count: int
    oldest_at: Instant


class Heartbeat(msgspec.Struct, frozen=True):
    """What a worker last said of itself, for whoever looks after it; ``body`` is JSON, without customers in it."""

    owner: str
    at: Instant
    body: bytes


class Offset(msgspec.Struct, frozen=True):
    """How far a source partition was taken in: moved from ``old`` (None = no row yet) to ``new`` by compare-and-set.

    ``log`` is the id of the topic that the offsets count in: one that was deleted and made anew has another. None = it
    was not told; what is known of it stays.
    """

    source: str
    topic: str
    partition: int
    old: int | None
    new: int
    log: str | None = None


class Note(msgspec.Struct, frozen=True):
    """A line of the audit: who did what by hand, and when."""

    at: Instant
    who: str
    what: str
    detail: Mapping[str, Any]


class Share(msgspec.Struct, frozen=True):
    """One lane's part of the portfolio's values as of ``at``; ``values`` is JSON."""

    lane: int
    at: Instant
    values: dict[str, Any]


class Snapshot(msgspec.Struct, frozen=True, gc=False):
    """An account's state as of ``position``. ``rulebook`` is the fingerprint of the rulebook it was folded under."""

    lane: int
    account_id: str
    position: int
    rulebook: str
    state: bytes


class LaneLetter(msgspec.Struct, frozen=True):
    """Something that one lane's owner leaves in another lane's inbox."""

    lane: int
    kind: Literal["event", "entry"]
    body: bytes


class Batch(msgspec.Struct):
    """Everything one lane writes in one transaction. ``claim`` is the claim as of the last commit.

    ``facts`` are applied in order: a new ``Decision`` is inserted with its mails; one whose id exists is replaced (a
    revival: its mails go back to their first state if still ``withdrawn`` or ``expired``; or a withdrawal: the outcome
    and ``withdrawn_at`` change). ``Ended`` moves one mail from an open state to ``withdrawn`` or ``expired``, ``Held``
    to ``held``, ``Released`` to its first state, also one that a sender has claimed: it finds that before it hands the
    mail over. If it is being handed over or gone, ``Conflict`` is raised and nothing is
    written; one that was ``suppressed``, has ``failed`` or is ``in_doubt`` stays as it is. Mails are made for
    ``planned`` decisions only: ``held``, or ``in_review`` or ``queued`` by their mode; ``past`` if it is too old to
    leave as it is decided. While one is held, the end of
    the hold stands as its ``due_at`` and ``expires_at``, so that no sender lets it leave. With ``history`` true, after
    all facts, mails of the lane still open with ``due_at`` at or before ``clock_at`` become ``past``, as of their
    ``due_at``; but none that was decided before the lane's last owner without ``history`` was done: a reviewer, a
    sender or the engine ends those. Inbox rows up to ``inbox_seq`` are taken in, and go.
    ``letters`` are left in the inboxes of other lanes,
    ``notes`` in the audit. The dead letters ``retried`` go; what is in ``back`` (account id, kind, body) is left in
    this lane's own inbox once more. What ``follow`` names is left in the outbox to be published: each change of a
    decision (none with ``history``: what is past is not news), each new dead letter.
    """

    claim: Claim
    position: int
    clock_at: Instant | None
    first_at: Instant | None
    events: list[NewEvent] = msgspec.field(default_factory=list)
    entries: list[EngineEntry] = msgspec.field(default_factory=list)
    facts: list[Fact] = msgspec.field(default_factory=list)
    traits: list[Trait] = msgspec.field(default_factory=list)
    touches: list[Touch] = msgspec.field(default_factory=list)
    dead_letters: list[DeadLetter] = msgspec.field(default_factory=list)
    offsets: list[Offset] = msgspec.field(default_factory=list)
    shares: list[Share] = msgspec.field(default_factory=list)
    letters: list[LaneLetter] = msgspec.field(default_factory=list)
    inbox_seq: int | None = None
    retried: list[str] = msgspec.field(default_factory=list)
    back: list[tuple[str, InboxKind, bytes]] = msgspec.field(default_factory=list)
    history: bool = False
    follow: frozenset[OutgoingKind] = frozenset()
    notes: list[Note] = msgspec.field(default_factory=list)


class InboxRow(msgspec.Struct, frozen=True):
    """Something for a lane's owner to take in; ``engine.inbox`` reads it.

    An ``outreach.*`` event, an engine entry with its body, or a dead letter's record that is tried again.
    """

    lane: int
    seq: int
    kind: InboxKind
    at: Instant
    body: bytes


NOTE = "note"
"""The channel of a mail to one of us; to a customer it is ``mail``."""


class Contact(msgspec.Struct, frozen=True):
    """Contact with a customer that there was: a mail on its way or out, or human contact that the stream told.

    ``kind`` is the rule of a mail, the event's type of all else; ``person`` the key of a mail's address, ``user_id``
    whom it was with. An APPOINTMENT is a meeting, and ``at`` when it begins. A note to one of us has ``channel`` NOTE;
    of several notes in one mail one rule and one account are named.
    """

    at: Instant
    channel: str
    kind: str
    account_id: str
    person: str | None = None
    user_id: str | None = None


class Approval(msgspec.Struct, frozen=True, kw_only=True):
    """Words that a person let leave as one mail, for exactly the decisions in ``rows`` (outreach id and instant).

    ``mail_id`` is the first of these ids. It holds until ``until``. ``digest`` binds words, reader, class and
    ``sender``, which is who it is from and where its links lead. ``words`` are ``subject``, ``text``, ``html`` and
    ``preview``, ``was`` those before somebody changed them.
    """

    mail_id: str
    account_id: str
    rows: tuple[tuple[str, Instant], ...]
    at: Instant
    who: str
    until: Instant
    digest: str
    words: dict[str, str]
    was: dict[str, str] | None = None
    sender: dict[str, Any] | None = None


ReminderState = Literal["waiting", "posting", "told"]


class Reminder(msgspec.Struct, frozen=True):
    """Something that one of us is to be told once: ``to`` an address of ours, ``body`` values for a template.

    One that was ``posting`` when its sender died is not told again.
    """

    reminder_id: str
    to: str
    at: Instant
    body: dict[str, Any]
    state: ReminderState = "waiting"


StopScope = Literal["all", "channel", "rule", "account", "review"]
"""``review``: mails of that rule wait for a person, whatever its mode; the breaker does that."""


class Stop(msgspec.Struct, frozen=True):
    """Mails that somebody stopped: all, or those of a channel, rule or account, which is then the ``name``.

    ``per_hour`` None: none of them leaves. A number: they go on since ``at``, and of those that were due by then at
    most so many leave in an hour. A breaker that was reset has 0, and counts from then.
    """

    scope: StopScope
    name: str
    at: Instant
    who: str
    why: str
    per_hour: int | None = None

    @property
    def words(self) -> str:
        """What is stopped, in a few words.

        >>> Stop("all", "", 0, "ann", "x").words, Stop("rule", "we-miss-you", 0, "ann", "x").words
        ('everything', 'rule we-miss-you')
        """
        scope = "the breaker of" if self.scope == "review" else self.scope
        return f"{scope} {self.name}" if self.name else "everything"

    @property
    def pace(self) -> str | None:
        """How what it names leaves, in a few words; None for a breaker that was reset.

        >>> Stop("all", "", 0, "ann", "x", 60).pace, Stop("review", "we-miss-you", 0, "ann", "x").pace
        ('goes on, 60 an hour', 'has tripped, every mail waits for a person')
        """
        if self.scope == "review":
            return None if self.per_hour is not None else "has tripped, every mail waits for a person"
        return "nothing leaves" if self.per_hour is None else f"goes on, {self.per_hour} an hour"


class Outage(msgspec.Struct, frozen=True, kw_only=True):
    """A channel that takes nothing since ``since``; the next mail is tried at ``until``.

    ``ours``: our own settings are wrong, so no waiting mends it. ``failures`` one after the other, and which sender
    said it last (``by``).
    """

    channel: str
    since: Instant
    until: Instant
    why: str
    ours: bool
    failures: int
    by: str


class ReportRound(msgspec.Struct, frozen=True):
    """How far whoever issues reports has come with a report's period, once it is closed, by ``at`` of the wall clock.

    ``waiting`` accounts are still to be looked at, for their own period is open or time was up; of ``failed`` ones the
    report cannot be made.
    """

    report: str
    period: str
    at: Instant
    waiting: int
    failed: int


class Ramp(msgspec.Struct, frozen=True):
    """How what was stopped goes on: mails that had waited and left, since it goes on and in the last hour."""

    stop: Stop
    since: int
    hour: int


class Watch(msgspec.Struct, frozen=True):
    """What to count of a rule's mails to customers: those out since ``since`` and their accounts since ``day``.

    Of the ``last`` so many mails what bounced; and those out since the rule decides as it does now (``version``), up to
    ``most``: a rule that has written for years need not be counted through.
    """

    rule: str
    since: Instant
    day: Instant
    last: int
    version: Instant
    most: int = 0


class RuleMails(msgspec.Struct, frozen=True):
    """The count: mails ``within`` the span, ``accounts`` in a day, ``bounced`` and ``complained`` of the last ones.

    ``left`` since the rule's version, and ``asked``: in review since then, or approved and still here.
    """

    within: int = 0
    accounts: int = 0
    bounced: int = 0
    complained: int = 0
    left: int = 0
    asked: int = 0


class Standing(msgspec.Struct, frozen=True):
    """What stands around a mail while it is claimed: contact that there was, what is stopped, what goes on slowly.

    ``wishes`` are those of the reader, ``mails`` what was to be counted of the rule, ``elsewhere`` mails of that
    rule to the reader for other accounts.
    """

    contacts: Sequence[Contact]
    stops: Sequence[Stop] = ()
    ramps: Sequence[Ramp] = ()
    wishes: Wishes = Wishes()
    mails: RuleMails = RuleMails()
    elsewhere: Sequence[Contact] = ()


class OutreachRow(msgspec.Struct, frozen=True):
    """A mail as it stands in the store, with what its decision froze.

    A sender writes ``mail_id`` (rows joined in one mail share it) and ``person``, the key of its address, when it
    claims the mail; ``channel`` and ``message_id`` when it hands it over; ``provider_id``, the other side's own, after.
    ``state_at`` is by the clock of whoever moved it, ``stored_at`` by the store's. ``tries`` is how often in a row the
    channel did not take it for now.
    """

    outreach_id: str
    decision_id: str
    lane: int
    rule: str
    kind: str
    account_id: str
    subject_kind: str | None
    subject_id: str | None
    to: str
    audience: Literal["customer", "staff"]
    template: str
    mail_class: str
    mode: Literal["auto", "review"]
    at: Instant
    due_at: Instant
    expires_at: Instant
    priority: int
    state: MailState
    why: str | None
    state_at: Instant
    values: dict[str, Any]
    frozen: dict[str, Any]
    mail_id: str | None = None
    person: str | None = None
    channel: str | None = None
    message_id: str | None = None
    provider_id: str | None = None
    stored_at: Instant | None = None
    tries: int | None = None

    def age(self, at: Instant) -> int:
        """How long, in milliseconds, it has stood as it does; ``at`` is now by the store's clock."""
        return at - (self.state_at if self.stored_at is None else self.stored_at)


class OutreachChange(msgspec.Struct, frozen=True):
    """One step in a mail's life, from ``outreach_changes``; ``by`` is who or what did it."""

    outreach_id: str
    seq: int
    at: Instant
    before: MailState | None
    after: MailState
    why: str | None
    by: str


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """A mail as it was handed to a channel: ``raw`` is all of its bytes, ``user_id`` its reader (None: one of us)."""

    mail_id: str
    account_id: str
    user_id: str | None
    raw: bytes


class Reader(msgspec.Struct, frozen=True):
    """Whom a mail was written to: a person of an account, and the trait ``email`` that it was addressed by."""

    account_id: str
    user_id: str
    email: Any


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """A mail that somebody wants to claim: ``rows`` are its outreach ids, ``person`` is the key of the address.

    ``may`` is asked what stands against it, while nobody else can claim for the same account or person, nor with a
    ``watch`` for the same rule; it must not ask the store. The contact is that of the account and the person. With
    ``ours`` it is a mail to one of us: the rows may be of several accounts, and the contact is the notes that went to
    that address. With ``across`` also mails of the same rule to that person for other accounts since then are told.
    """

    rows: tuple[str, ...]
    account_id: str
    person: str
    may: Callable[[Standing], Any]
    ours: bool = False
    watch: Watch | None = None
    across: Instant | None = None


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """All rows of one mail, which move together or not at all. ``at`` is when, if not when the others do.

    ``known`` sets ``channel``, ``message_id`` or ``provider_id`` of them all; ``sent`` is kept with it, in place of
    what was kept of the same mail before. ``reader`` is whom it was written to: then nothing moves when that person has
    another address by now, or was forgotten. ``may`` is asked what the reader of the address with the key ``person``
    wishes, and nothing moves if it says no; no wish comes or goes meanwhile. With ``still`` nothing moves either when
    the engine has taken a decision in it back: of a mail in doubt the mail itself does not say so.
    """

    steps: tuple[Step, ...]
    at: Instant | None = None
    known: Mapping[str, str | None] = {}
    sent: Sent | None = None
    reader: Reader | None = None
    person: str = ""
    may: Callable[[Wishes], bool] | None = None
    still: bool = False


class Forgotten(msgspec.Struct, frozen=True):
    """What ``forget`` did: rows per table that went or were rewritten."""

    events: int
    decisions: int
    outreach: int
    dead_letters: int
    snapshots: int
    people: int


class Store(Protocol):
    """Where the log lives. Every method is atomic; instants are UTC milliseconds; ids are ordered by their bytes.

    Only the holder of a lane's newest epoch may write to the lane (``Fenced`` otherwise). The sender's side
    (``move``, ``put_inbox``) is open to everybody and uses compare-and-set.
    """

    @property
    def url(self) -> str:
        """Where this store is, without its password."""
        ...

    @property
    def lanes(self) -> int:
        """How many lanes the store was made with; it never changes."""
        ...

    def close(self) -> None:
        """Give every connection back."""

    # -- channels that are away --------------------------------------------------------------------------------------
    def outages(self) -> list[Outage]:
        """Channels that take nothing now, by name."""
        ...

    def put_outage(self, one: Outage) -> None:
        """Say that a channel takes nothing. One that was said to before keeps its ``since``."""

    def try_channel(self, one: Outage, *, until: Instant) -> bool:
        """Take the trial of a channel, as ``one`` was read, until then; of two at once, one finds it taken."""
        ...

    def end_outage(self, channel: str) -> None:
        """Say that a channel takes mails again."""

    # -- ownership -------------------------------------------------------------------------------------------------
    def claim(
        self,
        lanes: Sequence[int],
        owner: str,
        *,
        at: Instant,
        lease_seconds: int = 30,
        take_over: bool = False,
    ) -> list[Claim]:
        """Become the owner of the lanes, all or none, and raise their epochs.

        Raises ``LaneTaken``, naming the owner, when one is held by another owner whose lease has not run out at
        ``at`` (unless ``take_over``).
        """
        ...

    def renew(self, claims: Sequence[Claim], *, at: Instant, lease_seconds: int = 30) -> None:
        """Say that the owner is alive. Raises ``Fenced``."""

    def release(self, claims: Sequence[Claim]) -> None:
        """Give the lanes up; a claim that is not the newest is ignored."""

    def lane_infos(self, *, at: Instant) -> list[LaneInfo]:
        """Every lane, by number."""
        ...

    # -- the log ---------------------------------------------------------------------------------------------------
    def existing(self, ids: Sequence[tuple[str, str]]) -> dict[tuple[str, str], bytes]:
        """Of these (account id, event id) pairs the ones already stored, with their digests."""
        ...

    def commit(self, batches: Sequence[Batch]) -> list[Claim]:
        """Write the batches in one transaction, lanes in sorted order; returns the claims as they now stand.

        They come in the order of the batches, at most one per lane. Raises ``Fenced`` (epoch, position or an offset is
        not what the claim says) or ``Conflict`` (a mail is on its way, an event is stored already, a position is
        outside the batch); then nothing was written. After a ``StoreError`` the batch may be in the store or not:
        claim the lane again, its position tells.
        """
        ...

    def entries(
        self,
        lane: int,
        *,
        after: int = 0,
        until_position: int | None = None,
        until_at: Instant | None = None,
    ) -> Iterator[Entry]:
        """The lane's log in position order, ``after`` < position <= ``until_position``, recorded_at <= ``until_at``."""
        ...

    def account_entries(
        self,
        account_id: str,
        *,
        until_position: int | None = None,
        until_at: Instant | None = None,
    ) -> list[Entry]:
        """One account's entries in position order, with the entries of its lane that concern every account."""
        ...

    def histories(self, *, after: str = "", until_at: Instant | None = None) -> Iterator[tuple[str, list[Recorded]]]:
        """Each account behind ``after``, by bytes, with its events in position order, recorded_at <= ``until_at``.

        No more than one account's events and a page of rows are held at a time. Events that come in meanwhile are told
        or not; accounts without any by then are left out.
        """
        ...

    def naming(self, trait: str, *, until_at: Instant) -> list[Recorded]:
        """The events ``account.updated`` that say something of a trait, by account and id, recorded_at <= ``until_at``.

        Every such event is read for it: ask once for many accounts.
        """
        ...

    def accounts(self) -> list[str]:
        """Every account ever seen, by bytes."""
        ...

    def count_events(self) -> int:
        """How many events are stored."""
        ...

    def offsets(self, source: str | None = None) -> dict[tuple[str, str, int], int]:
        """How far each (source, topic, partition) was taken in: the next offset to read."""
        ...

    def logs(self) -> dict[tuple[str, str, int], str]:
        """The ids of the topics that these offsets count in, as far as they were told when the offsets were moved."""
        ...

    # -- rulebooks, snapshots, shares ------------------------------------------------------------------------------
    def put_rulebook(self, fingerprint: str, files: Mapping[str, str], *, at: Instant) -> None:
        """Keep a rulebook's files under its fingerprint; again is a no-op."""

    def rulebook(self, fingerprint: str) -> dict[str, str] | None:
        """The files of a stored rulebook."""
        ...

    def active_rulebook(self, lane: int) -> str | None:
        """Fingerprint of the lane's last ``rulebook.activated`` entry."""
        ...

    def put_snapshots(self, claim: Claim, snapshots: Sequence[Snapshot]) -> None:
        """Keep snapshots, newest per account. Raises ``Fenced``."""

    def snapshots(self, lane: int) -> Iterator[Snapshot]:
        """The lane's snapshots."""
        ...

    def delete_snapshots(self) -> int:
        """Drop all snapshots; nothing but time is lost."""
        ...

    def shares(self, *, after: Instant | None = None) -> list[Share]:
        """Portfolio shares by (at, lane)."""
        ...

    # -- what was decided ------------------------------------------------------------------------------------------
    def decisions(
        self,
        *,
        account_id: str | None = None,
        rule: str | None = None,
        lane: int | None = None,
        since: Instant | None = None,
        until: Instant | None = None,
        limit: int | None = None,
    ) -> list[Decision]:
        """Decisions by (at, decision id), ``since`` <= at <= ``until``; mails as the engine planned them."""
        ...

    def outreach(
        self,
        *,
        states: Sequence[MailState] | None = None,
        account_id: str | None = None,
        rule: str | None = None,
        decision_id: str | None = None,
        outreach_id: str | None = None,
        due_by: Instant | None = None,
        limit: int | None = None,
    ) -> list[OutreachRow]:
        """Mails by (due_at, outreach id)."""
        ...

    def mail_counts(self) -> dict[str, int]:
        """How many mails are in each state; states without any are absent."""
        ...

    def changes(self, outreach_id: str) -> list[OutreachChange]:
        """A mail's life, oldest first."""
        ...

    def clock(self, at: Instant) -> Instant:
        """Now by the store's own clock: the server's where there is one, else ``at``, that of the one writer.

        By it the mails of several senders are as old as they are, whatever the clock of each of them says.
        """
        ...

    def move(
        self,
        outreach_id: str,
        before: Sequence[MailState],
        after: MailState,
        *,
        at: Instant,
        by: str,
        why: str | None = None,
        inbox: Sequence[tuple[str, InboxKind, bytes]] = (),
    ) -> bool:
        """Move a mail from one of the states ``before`` to ``after``, in one transaction with rows for inboxes.

        ``inbox`` holds (account id, kind, body). Returns False, and writes nothing, when the mail is in none of them.
        """
        ...

    def move_mails(
        self, moves: Sequence[Move], *, at: Instant, by: str, unless_stopped: str | None = None
    ) -> list[bool]:
        """Move many mails in one transaction, each whole or not at all; says of each whether it moved.

        ``unless_stopped`` names the channel by which those leave that go to ``posting``: then none of these moves that
        somebody has stopped; a stop that is put meanwhile comes before this or after it.
        """
        ...

    def sent(self, outreach_id: str) -> bytes | None:
        """The mail that a decision went out in, to the byte; None when nothing is kept of it."""
        ...

    def drop_sent(self, *, before: Instant) -> int:
        """Remove the bytes of mails that were sent before then; returns how many."""
        ...

    def claim_mails(
        self, wanted: Sequence[Wanted], *, since: Instant, at: Instant, by: str, channel: str = ""
    ) -> list[tuple[list[str], Any]]:
        """Claim many mails that leave by ``channel``, in their order: what is claimed stands around those that follow.

        All in one transaction. Each is asked what stands around it: the contact since ``since``, what is stopped, what
        the reader of the address wishes, and what its ``watch`` counts; no stop or wish comes, and none goes, while
        they are asked. Of each the ids that are claimed, which are those still queued or held and due at ``at`` (the
        engine may have put one off), and its objection. What another sender is just claiming is left to it.
        """
        ...

    def contacts(self, account_id: str, person: str, *, since: Instant) -> list[Contact]:
        """Contact with the account or the person since then, oldest first: mails that are out, and human contact."""
        ...

    # -- what people decide ----------------------------------------------------------------------------------------
    def approve(self, rows: Sequence[OutreachRow], one: Approval) -> bool:
        """Let a mail leave in these words: its rows become ``queued``, and who let them is written down.

        Returns False, and writes nothing, when one of ``rows`` is no longer as it was read.
        """
        ...

    def approvals(self, mail_ids: Sequence[str]) -> dict[str, Approval]:
        """The approvals that stand under these outreach ids, also of mails that left long ago."""
        ...

    def revoke(self, account_id: str, report: str, period: str, *, note: Note, until: Instant | None = None) -> bool:
        """Take back the links to a report in mails that were decided by ``until``, and keep the note.

        ``until`` None: by the note's instant; a lane's clock may be ahead of that. Returns False, and keeps nothing,
        where that was done already.
        """
        ...

    def revoked(self, account_id: str, report: str, period: str) -> Instant | None:
        """Until when mails were decided whose links to this report were taken back; None: none were."""
        ...

    def put_reminders(self, new: Sequence[Reminder]) -> None:
        """Keep what our people are to be told; what is known by its id stays as it is."""

    def reminders(self) -> list[Reminder]:
        """What nobody was told yet, the oldest first."""
        ...

    def move_reminder(self, reminder_id: str, before: ReminderState, after: ReminderState) -> bool:
        """Move one if it is in the state ``before``; of two at once, one finds it moved."""
        ...

    def clear_reminders(self, *, before: Instant) -> None:
        """Drop what was to be told before then, told or not."""

    # -- the stop switch -------------------------------------------------------------------------------------------
    def stop(self, one: Stop) -> bool:
        """Let nothing leave that ``one`` names, and write down who did that and why.

        Holds for every sender as soon as this returns, but for a mail that is just being handed over. Returns False,
        and the first reason stays, when it was stopped already.
        """
        ...

    def go(self, one: Stop) -> Stop | None:
        """Let go on what ``one`` names, ``per_hour`` at most (None: at once), and write down who did that and why.

        Returns what stood there, None if nothing was stopped.
        """
        ...

    def rulebooks(self) -> list[tuple[Instant, str]]:
        """When each rulebook was first kept, and its fingerprint; the oldest first."""
        ...

    def count_accounts(self) -> int:
        """How many accounts were ever seen; looks at every event's account."""
        ...

    def stops(self) -> list[Stop]:
        """What is stopped, and what goes on slowly after that; the oldest first."""
        ...

    # -- how many may leave ----------------------------------------------------------------------------------------
    def paced(self, meters: Sequence[Meter], *, at: Instant) -> dict[str, Counted]:
        """What was counted under these limits, by their names; of long ago only as far back as they look from ``at``.

        What is dated more than 5 minutes after ``at`` was counted by a clock that has been put right since, or ``at``
        is wrong. It left before now, nobody knows when: it counts as if it had left this moment, and again when its
        own time comes.
        """
        ...

    def pace(self, mails: Sequence[Sequence[Meter]], *, at: Instant) -> list[Full | None]:
        """Count mails that are about to leave at ``at``, each under all of its limits, or under none where one is full.

        The answers come in the order of the mails; None: it is counted and may leave. Of two senders that ask at once
        one finds what the other has counted.
        """
        ...

    # -- what providers tell ---------------------------------------------------------------------------------------
    def put_feedback(
        self,
        rows: Sequence[Feedback],
        *,
        suppress: Mapping[str, str] | None = None,
        stop: Mapping[str, str] | None = None,
    ) -> int:
        """Keep what providers told, each thing once; returns how many are new.

        ``suppress`` maps event ids to reasons: the addresses of these are never written to again. ``stop`` maps them to
        topics that the readers of the addresses stopped, and the audit has a line for each; a reader who has chosen
        something since then is not asked again. What was told before does none of this.
        """
        ...

    def feedback(self, *, limit: int) -> list[Feedback]:
        """What was told and nobody has learned from, in the order it came."""
        ...

    def mails_of(self, told: Sequence[Feedback]) -> dict[int, list[OutreachRow]]:
        """The rows of the mail that each of these is about, by ``seq``; those about no mail here are absent."""
        ...

    def learn(self, learned: Sequence[Learned], *, at: Instant, by: str) -> None:
        """Write down what follows from what was told; what somebody else has learned already is left alone.

        A fact is written once: the first that is heard stays, and only it goes into inboxes. A step that finds its mail
        in no state that it names moves nothing.
        """

    def facts(self, outreach_ids: Sequence[str]) -> dict[str, dict[str, Instant]]:
        """What is known of mails that are out: by outreach id, the kinds of feedback and when each happened."""
        ...

    def heard(self, channel: str, *, since: Instant, until: Instant) -> Heard:
        """Of the mails that a channel took since then, by the store's clock, how many its provider told of.

        One that was taken after ``until`` may still be untold, and does not count as such.
        """
        ...

    def clear_feedback(self, *, before: Instant) -> int:
        """Drop what was heard before then and is learned from; facts stay. Returns how many."""
        ...

    # -- inbox, people, dead letters, audit ------------------------------------------------------------------------
    def put_inbox(self, rows: Sequence[tuple[str, InboxKind, bytes]], *, at: Instant, note: Note | None = None) -> None:
        """Leave something for the owner of each account's lane: (account id, kind, body); ``note`` for the audit."""

    def waiting(self, after: Mapping[int, int]) -> frozenset[int]:
        """The lanes among these in whose inbox something was left after the given number."""
        ...

    def inbox(self, lane: int, *, after: int) -> list[InboxRow]:
        """What the lane's owner has not taken in yet, in order."""
        ...

    def people_of(self, account_ids: Collection[str]) -> dict[str, dict[str, dict[str, Any]]]:
        """As ``people``, of many accounts at once; those without any are absent."""
        ...

    def people(self, account_id: str) -> dict[str, dict[str, Any]]:
        """Personal traits per person of the account; cleared ones are absent."""
        ...

    def suppress(
        self,
        address_key: str,
        *,
        reason: str,
        at: Instant,
        note: Note | None = None,
        inbox: Sequence[tuple[str, InboxKind, bytes]] = (),
    ) -> bool:
        """Never write to this address (a keyed hash) again; the first reason stays. Returns whether it is new.

        From the moment it returns no mail to the address can be claimed. When it is new, the ``note`` for the audit and
        the rows for inboxes are written with it.
        """
        ...

    def unsuppress(self, address_key: str, *, note: Note) -> bool:
        """Write to this address again; the reader's own choices stay. Returns whether it was suppressed."""
        ...

    def suppressed(self, address_key: str) -> str | None:
        """Why the address is suppressed, or None."""
        ...

    def suppressions(self) -> list[Suppression]:
        """Every suppressed address, oldest first."""
        ...

    def choose(
        self,
        address_key: str,
        chosen: Mapping[str, Choice | None],
        *,
        at: Instant,
        by: str,
        note: Note | None = None,
        inbox: Sequence[tuple[str, InboxKind, bytes]] = (),
    ) -> bool:
        """Keep what the reader of an address chose, by topic; None forgets a choice. Returns whether anything changed.

        A choice for ``ALL_TOPICS`` takes the place of those for single topics. From the moment it returns no mail that
        it speaks against can be claimed. When something changed, note and inbox rows are written with it.
        """
        ...

    def choose_rhythm(
        self,
        address_key: str,
        report: str,
        every: Every,
        *,
        at: Instant,
        by: str,
        note: Note | None = None,
        inbox: Sequence[tuple[str, InboxKind, bytes]] = (),
    ) -> bool:
        """Keep how often the reader of an address chose to get a report. Returns whether that is another than before.

        What was chosen before is kept, with its time: months that have passed were told by it. It counts from ``at``,
        or where a clock jumped back from just after the last choice. ``forget`` takes it where no other account has
        written to the address. When something changed, note and inbox rows are written with it.
        """
        ...

    def with_rhythms(self, report: str) -> frozenset[str]:
        """The addresses (keyed hashes) whose readers ever chose how often they get a report."""
        ...

    def wishes_of(self, address_keys: Collection[str]) -> dict[str, Wishes]:
        """What ``wishes`` gives, of many addresses at once."""
        ...

    def wishes(self, address_key: str) -> Wishes:
        """Whether an address may be written to, and what its reader chose."""
        ...

    def choices(self) -> list[Chosen]:
        """Every choice of a reader, oldest first."""
        ...

    def cancelled_of(self, account_ids: Collection[str], *, at: Instant) -> frozenset[str]:
        """As ``cancelled``, of many accounts at once: those whose subscription was cancelled by then."""
        ...

    def cancelled(self, account_id: str, *, at: Instant) -> bool:
        """Was the account's subscription cancelled by then, and not begun or renewed since?"""
        ...

    def touches(self, account_id: str, *, since: Instant | None = None) -> list[Touch]:
        """Contacts with the account, oldest first."""
        ...

    def dead_letters(
        self, *, source: str | None = None, limit: int | None = None, begins: str | None = None
    ) -> list[DeadLetter]:
        """Dead letters, oldest first; ``begins``: whose id begins so."""
        ...

    def dead_letter_ids(self) -> frozenset[str]:
        """The ids of all dead letters."""
        ...

    def blame_dead_letters(self, reasons: Mapping[str, str]) -> None:
        """Give dead letters other reasons, by id; one that is gone is no matter."""

    def put_dead_letters(self, letters: Sequence[DeadLetter], *, follow: bool = False) -> int:
        """Keep dead letters that belong to no lane's batch; returns how many are new.

        With ``follow`` the new ones are left in the outbox to be published.
        """
        ...

    def drop_dead_letters(self, ids: Sequence[str]) -> int:
        """Remove dead letters (they were retried, or somebody decided so)."""
        ...

    def dead_letter_counts(self) -> list[LetterCount]:
        """How many dead letters there are, by source and partition."""
        ...

    # -- for whoever looks after it --------------------------------------------------------------------------------
    def put_report_round(self, one: ReportRound) -> None:
        """Say how far a report's period is, in place of what was said of it before."""

    def report_rounds(self) -> list[ReportRound]:
        """How far each report's period is that was ever looked at, by report and period."""
        ...

    def put_heartbeat(self, beat: Heartbeat) -> None:
        """Keep what a worker says of itself, in place of what it said before.

        Touches no lane. Clears away what workers said that were not heard of for an hour.
        """

    def heartbeats(self) -> list[Heartbeat]:
        """What every worker last said of itself, by owner; a killed one is in it for an hour."""
        ...

    def drop_heartbeat(self, owner: str) -> None:
        """The worker stopped; one that is not known is ignored."""

    def is_current(self) -> bool:
        """Are the tables of the version that this program knows? A newer program may have changed them meanwhile."""
        ...

    # -- outbox ----------------------------------------------------------------------------------------------------
    def outbox(self, lanes: Collection[int], kind: OutgoingKind, *, limit: int) -> list[Outgoing]:
        """What waits to be published of these lanes, in order: an account's changes are in the order they came in."""
        ...

    def tell_again(self, *, since: Instant, until: Instant) -> int:
        """Leave the decisions of ``since`` <= at <= ``until`` in the outbox as they stand; returns how many."""
        ...

    def published(self, seqs: Sequence[int]) -> None:
        """These rows of the outbox are published, and go; one that is gone already is no matter."""

    def audit(self, *, at: Instant, who: str, what: str, detail: Mapping[str, Any]) -> None:
        """Write down who did what by hand."""

    def key(self, text: str) -> str:
        """A keyed hash under the store's own secret, for tombstones and suppressions."""
        ...

    # -- forgetting ------------------------------------------------------------------------------------------------
    def told_in(self, account_id: str) -> frozenset[str]:
        """The other accounts whose reports tell of this one, issued or in an inbox."""
        ...

    def forget_account(self, claim: Claim, account_id: str, *, at: Instant, beside: Sequence[Claim] = ()) -> Forgotten:
        """Remove an account everywhere; a tombstone stays so that a late event does not bring it back.

        ``beside`` owns the lanes of the accounts it is ``told_in``: their reports keep its figures, and not its name.
        Raises ``Fenced`` where one of them is not owned.
        """
        ...

    def forget_person(
        self,
        claim: Claim,
        account_id: str,
        user_id: str,
        *,
        properties: Iterable[str],
        at: Instant,
    ) -> Forgotten:
        """Give a person a fresh pseudonym in the account's events (``user_id`` and these properties); traits go.

        A property counts when it, or a part of it, equals the person's id. Subject, reader and frozen values of
        decisions and mails, touches, engine entries and inbox get the pseudonym too; traits, dead letters that mention
        the person, and the account's snapshots go. Again for the same person, the pseudonym stays the same.
        """
        ...

    def forgot_anybody(self) -> bool:
        """Is there any tombstone? Mostly not, and then nobody need be asked for."""
        ...

    def tombstones(self, accounts: Sequence[str]) -> frozenset[str]:
        """Which of these accounts were forgotten."""
        ...

    def pseudonyms(self, people: Sequence[tuple[str, str]]) -> dict[tuple[str, str], str]:
        """Of these (account id, user id) the forgotten ones, with the pseudonym that stands in their place."""
        ...

    def altered_accounts(self) -> frozenset[str]:
        """Accounts in which a person was forgotten: replay leaves them out."""
        ...


__all__ = [
    "ALL_TOPICS",
    "DEFAULT_LANES",
    "Approval",
    "Batch",
    "Choice",
    "Chosen",
    "Claim",
    "DeadLetter",
    "EngineEntry",
    "Entry",
    "Event",
    "Every",
    "Forgotten",
    "Heartbeat",
    "InboxRow",
    "LaneInfo",
    "LaneLetter",
    "LetterCount",
    "NewEvent",
    "Note",
    "Offset",
    "OutreachChange",
    "OutreachRow",
    "Recorded",
    "Reminder",
    "RuleMails",
    "Share",
    "Snapshot",
    "Standing",
    "Stop",
    "Store",
    "Suppression",
    "Touch",
    "Trait",
    "Watch",
    "Wishes",
]
