"""What the parts of a sender share in one run: its clock, what mails are asked by, and what became of them."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec

from engine.decision import OPEN_STATES, MailState
from engine.errors import TemplateError
from engine.feedback import Letters, Step
from engine.instants import SECOND, Instant
from engine.store import Approval, Move, OutreachRow, Store
from outreach.allowance import PATIENCE_SECONDS, Allowance
from outreach.approving import void, words_of
from outreach.breaker import Guard
from outreach.channel import Channel, DeliveryError
from outreach.circuit import Circuit
from outreach.context import reader_address
from outreach.gate import Post, judge, person_of, unusable
from outreach.joining import joined_by, write_mail, writer
from outreach.limits import Limits
from outreach.lookups import Lookups
from outreach.mail import Outgoing
from outreach.reminding import broken
from outreach.rendering import Rendered
from outreach.stops import channel_kind
from outreach.telling import ended, sent

NO_LIMITS = Limits()
LANES_STAND = (
    "nothing moves the clock of their lane: start 'ringfirst worker' or 'ringfirst run', or import what came since"
)
"""Why mails wait beside no worker: what happened since they were planned may have taken their reason away."""
MANY = 100
"""After so many moves they are written down together."""


class SendReport(msgspec.Struct, frozen=True, kw_only=True):
    """What one run did. ``mails`` left, carrying ``rows`` decisions (joined ones are one mail); the rest counts rows.

    ``waiting``: lane behind, or not taken a moment ago; ``later``: the channel did not take it, it will be tried again;
    ``elsewhere``: another sender was faster; ``recovered``: left half done by an earlier run and settled; ``reasons``:
    why rows did not leave, ``LANES_STAND`` if nothing has moved their lane for minutes.
    """

    mails: int = 0
    rows: int = 0
    held: int = 0
    in_review: int = 0
    suppressed: int = 0
    expired: int = 0
    withdrawn: int = 0
    waiting: int = 0
    later: int = 0
    failed: int = 0
    in_doubt: int = 0
    elsewhere: int = 0
    recovered: int = 0
    reasons: dict[str, int] = msgspec.field(default_factory=dict)


class Round:
    """One run of a sender. What moves is written down by ``flush``, many at once; every move is counted then."""

    def __init__(
        self,
        store: Store,
        post: Post,
        known: Lookups,
        channel: Channel,
        *,
        at: Instant,
        by: str,
        live: bool,
        guard: Guard,
        limits: Limits = NO_LIMITS,
    ) -> None:
        self.store, self.post, self.known, self.channel, self.by, self.guard = store, post, known, channel, by, guard
        self.began, self._since = at, time.monotonic() if live else None
        self.tally: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.stops, self.kind = store.stops(), channel_kind(channel.name)
        self.approvals: dict[str, Approval] = {}
        """What was approved of the mails that are due, as the run began."""
        self.circuit = Circuit(store, channel.name, by)
        self.allowance = Allowance(store, limits, channel=self.kind, sender=post.sender.address, address=self._address)
        self.down: DeliveryError | None = None
        """Why the channel takes nothing any more."""
        self._moves: list[tuple[Move, Callable[[bool], None]]] = []
        self._gathers = False

    @property
    def at(self) -> Instant:
        """The run's clock: a server may take seconds for each mail, and what is late by then stays."""
        return self.began if self._since is None else self.began + int((time.monotonic() - self._since) * SECOND)

    def waits(self, until: Instant) -> bool:
        """Wait for an instant that comes soon; False, at once, when it does not, or the clock of the run stands."""
        seconds = (until - self.at) / SECOND
        if self._since is None or seconds > PATIENCE_SECONDS:
            return False
        time.sleep(max(0.0, seconds))
        return True

    def _address(self, row: OutreachRow) -> str:
        return reader_address(row, self.post.people(row.account_id)) or ""

    def report(self) -> SendReport:
        """What was done so far."""
        return SendReport(**self.tally, reasons=dict(sorted(self.reasons.items())))

    # -- what becomes of mails -----------------------------------------------------------------------------------------
    def put(self, move: Move, then: Callable[[bool], None]) -> None:
        """Move a mail with the next ``flush``; ``then`` is told whether it moved."""
        self._moves.append((move, then))
        if len(self._moves) >= MANY and not self._gathers:
            self.flush()

    @contextmanager
    def gathering(self) -> Iterator[None]:
        """Inside, nothing is written down, however much moves; with the next ``flush`` it is."""
        self._gathers = True
        try:
            yield
        finally:
            self._gathers = False

    def flush(self, posting: Sequence[Move] = ()) -> list[bool]:
        """Write down what has moved, in one transaction, and with it mails that are about to be handed over.

        Says of each of ``posting`` whether it moved; one that somebody has stopped does not.
        """
        moves = [*(move for move, _ in self._moves), *posting]
        if not moves:
            return []
        done = self.store.move_mails(moves, at=self.at, by=self.by, unless_stopped=self.kind if posting else None)
        counts, self._moves = [then for _, then in self._moves], []  # not before: where it failed, it is tried again
        for then, moved in zip(counts, done, strict=False):
            then(moved)
        return done[len(counts) :]

    def move(
        self,
        row: OutreachRow,
        before: str,
        after: MailState,
        why: str | None = None,
        inbox: Letters = (),
        then: Callable[[bool], None] = lambda _: None,
    ) -> None:
        """Move one row of a mail."""
        states: Any = (before,)
        step = Step(outreach_id=row.outreach_id, before=states, after=after, why=why, inbox=inbox)
        self.put(Move(steps=(step,), at=self.at), then)

    def end(self, row: OutreachRow, state: MailState, why: str, before: str = "") -> None:
        """Move a row to where it does not leave from; one that is there already stays as it is."""

        def count(moved: bool) -> None:  # noqa: FBT001, it is told by ``flush``
            self.tally[state if moved else "elsewhere"] += 1
            self.reasons.update([why] if moved else [])

        if (row.state, row.why) == (state, why):
            count(moved=True)
            return
        gone: Any = state
        told: Letters = ((row.account_id, "entry", ended(row, gone)),) if state in {"expired", "withdrawn"} else ()
        self.move(row, before or row.state, state, why, told, count)

    def give_up(self, row: OutreachRow, state: MailState, why: str | None, at: Instant | None = None) -> None:
        """Move a row whose mail was being handed over, and is not known to have left."""

        def count(moved: bool) -> None:  # noqa: FBT001, the same
            if moved:
                self.tally["later" if state == "queued" else state] += 1
                self.reasons.update([why] if why else [])

        step = Step(outreach_id=row.outreach_id, before=("posting",), after=state, why=why)
        self.put(Move(steps=(step,), at=self.at if at is None else at), count)

    def accept(
        self, rows: Sequence[OutreachRow], mail_id: str, provider_id: str | None = None, at: Instant | None = None
    ) -> None:
        """A mail is out."""
        note, when = f"by {self.channel.name} as {mail_id}", self.at if at is None else at

        def count(_moved: bool) -> None:  # noqa: FBT001, the same
            # What was told of it in the meantime may have settled it already: then it is out all the same.
            self.tally["rows"] += len(rows)
            self.tally["mails"] += 1

        steps = tuple(
            Step(
                outreach_id=row.outreach_id,
                before=("posting", "in_doubt"),  # another sender may have given us up for dead
                after="accepted",
                why=note,
                inbox=((row.account_id, "event", sent(row, when)),),
            )
            for row in rows
        )
        self.put(Move(steps=steps, at=when, known={"provider_id": provider_id} if provider_id else {}), count)

    # -- what is asked of mails ----------------------------------------------------------------------------------------
    def may(self, row: OutreachRow) -> bool:
        """Whether a mail is all right; if not, it is moved to where it belongs."""
        no = judge(row, self.post, at=self.at)
        if no is None:
            return True
        if no.why == unusable(row.template):
            self.tell_broken([row], no.why)
        self.end(row, no.state, no.why)
        return False

    def tell_broken(self, rows: Sequence[OutreachRow], why: str) -> None:
        """The owner hears of a mail that cannot be written as soon as it is held for that."""
        if any((row.state, row.why) != ("held", why) for row in rows):
            self.store.put_reminders(broken(rows, why, self.post.policy, self.at))

    def approved(self, rows: Sequence[OutreachRow]) -> dict[str, Approval]:
        """What was approved of a mail in hand: nobody changes that any more. Few mails are asked for it."""
        if any(self.needs_word(row) for row in rows):
            return self.store.approvals([row.outreach_id for row in rows])
        return {}

    def needs_word(self, row: OutreachRow) -> bool:
        """Does a row leave by a word of approval?"""
        return row.mode == "review" or row.outreach_id in self.approvals

    def mail(self, rows: Sequence[OutreachRow], state: str, known: dict[str, Approval]) -> Outgoing | None:
        """The mail of these rows, in the words that were approved if it needs that; None: it does not leave."""
        found = [known[row.outreach_id] for row in rows if row.outreach_id in known]
        if not found and all(row.mode == "auto" for row in rows):
            return self._written(rows, state)
        person, sender = person_of(rows[0], self.post), writer(rows[0], self.post)
        why = void(found, rows, self._others(rows), person=person, sender=sender, at=self.at)
        if why is None:
            return self._written(rows, state, words_of(found[0].words))
        for row in rows:
            self.end(row, "in_review", why, before=state)
        return None

    def _others(self, rows: Sequence[OutreachRow]) -> list[OutreachRow]:
        """Open mails that would be one with these: what was approved without them is void."""
        states: Any = sorted(OPEN_STATES)
        there = self.store.outreach(states=states, account_id=rows[0].account_id, rule=rows[0].rule)
        return [row for row in there if joined_by(row, self.post) == joined_by(rows[0], self.post)]

    def _written(self, rows: Sequence[OutreachRow], state: str, words: Rendered | None = None) -> Outgoing | None:
        try:
            return write_mail(rows, self.post, mail_id=rows[0].outreach_id, words=words)
        except TemplateError as err:
            self.tell_broken(rows, str(err))
            for row in rows:
                self.end(row, "held", str(err), before=state)
            return None
