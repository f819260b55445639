"""The owner of lanes: takes arrivals in, lets each lane decide, and writes everything in one transaction per batch.

The only code that appends to a lane's log. It knows the ``Store`` contract and no database; clocks are arguments.
"""

import gc
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, Self

import msgspec

from engine import inbox, portfolio
from engine.account import PORTFOLIO, Account
from engine.columns.lane import ColumnLane
from engine.decision import Decision, Fact
from engine.events import Arrived, digest, encode_properties, split_personal
from engine.instants import Instant
from engine.lane import Lane
from engine.lanes import lane_of, recorded_at
from engine.left_behind import let_go
from engine.log import EngineEntry, Entry, Event, Recorded
from engine.program import Program
from engine.reported import parts_in, people_in, renamed_in, without_account
from engine.rulebook.book import Rulebook
from engine.rulebook.reporting import REPORTED
from engine.snapshot import freeze, thaw
from engine.sources import EVERY_LANE, REMEMBERED, SILENT, SOURCES, Ledger, Listener, hour_after, written
from engine.store import Batch, Claim, DeadLetter, LaneInfo, NewEvent, Share, Snapshot, Store, Touch, Trait
from engine.stored import stored_program
from engine.touched import touches_of
from engine.values import Value
from engine.whole import number as read_number

SNAPSHOT_EVERY = 100_000


class Taken(msgspec.Struct):
    """What became of what was taken in."""

    new: int = 0
    duplicates: int = 0
    conflicting: int = 0
    forgotten: int = 0
    decisions: int = 0
    late: int = 0
    """How many of the new ones happened more than an hour before they arrived."""

    def __iadd__(self, other: "Taken") -> Self:
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        return self


class Known(msgspec.Struct):
    """What the store says of a batch before it is taken: stored digests by id, forgotten accounts, pseudonyms."""

    stored: dict[tuple[str, str], bytes]
    gone: frozenset[str]
    names: dict[tuple[str, str], str]


class Kept:
    """One lane in the keeper's hands: its claim, the lane at work, and what the next transaction will write."""

    def __init__(self, claim: Claim, lane: Lane) -> None:
        self.claim = claim
        self.lane = lane
        self.position = claim.position
        self.events: list[NewEvent] = []
        self.entries: list[EngineEntry] = []
        self.facts: list[Fact] = []
        self.traits: list[Trait] = []
        self.touches: list[Touch] = []
        self.shares: list[Share] = []
        self.inbox_seq: int | None = None
        self.ear: Listener | None = None
        """Counts what is heard of the policy's sources, if it names some."""
        self.retried: list[str] = []
        self.back: list[inbox.Retried] = []

    @property
    def changed(self) -> bool:
        """Is there anything to write?"""
        return bool(
            self.position > self.claim.position
            or self.facts
            or self.inbox_seq is not None
            or self.lane.clock != self.claim.clock_at
            or self.shares
        )

    def batch(self, dead_letters: list[DeadLetter], *, history: bool) -> Batch:
        """The next transaction's part of this lane."""
        if self.ear is not None and self.ear.changed and self.lane.clock is not None:
            heard = written(self.ear.heard())
            self.shares.append(Share(self.claim.lane, hour_after(self.lane.clock), {SOURCES: heard}))
        return Batch(
            self.claim,
            self.position,
            self.lane.clock,
            self.lane.first_at,
            self.events,
            self.entries,
            self.facts,
            self.traits,
            self.touches,
            dead_letters,
            shares=self.shares,
            inbox_seq=self.inbox_seq,
            retried=self.retried,
            back=[(one.arrived.event.account_id, "retry", one.body) for one in self.back],
            history=history,
        )

    def written(self, claim: Claim) -> None:
        """The transaction is through."""
        self.claim = claim
        self.events, self.entries, self.facts, self.traits, self.touches, self.shares = [], [], [], [], [], []
        self.inbox_seq, self.retried, self.back = None, [], []
        if self.ear is not None:
            self.ear.changed = False


class Fresh(msgspec.Struct, frozen=True, gc=False):
    """An event that is new, as it will be stored: its properties as bytes, and its digest."""

    event: Event
    body: bytes
    digest: bytes


class Keeper:
    """Owner of some lanes of a store, with one active rulebook.

    ``history`` is how ``import`` works: events count as recorded at their own time and mails leave at their due time.
    Raises ``LaneTaken`` when another owner is alive.
    """

    def __init__(
        self,
        store: Store,
        book: Rulebook,
        owner: str,
        *,
        at: Instant,
        lanes: Sequence[int] | None = None,
        take_over: bool = False,
        history: bool = True,
    ) -> None:
        self.store = store
        self.book = book
        self._history_mode = history
        self._program = Program(book)
        self._programs: dict[str, Program] = {book.fingerprint: self._program}
        self._lanes = store.lanes
        self._roles = sorted({prop for thing in book.things.values() for _, prop in thing.people} | {"user_id"})
        self._since_snapshot = 0
        self._new_on_lane: list[DeadLetter] = []
        store.put_rulebook(book.fingerprint, book.files, at=at)
        wanted = list(range(store.lanes)) if lanes is None else list(lanes)
        claims = store.claim(wanted, owner, at=at, take_over=take_over)
        accounts = cache(store.accounts)
        self.kept: dict[int, Kept] = {}
        try:
            let_go(store, wanted, at=at, by=owner)
            self.kept = {claim.lane: Kept(claim, self._recover(claim, accounts)) for claim in claims}
        except BaseException:
            store.release(claims)
            raise
        for kept in self.kept.values():
            if kept.lane.clock is not None:
                self._inbox(kept, kept.lane.clock)
                self._activate(kept, kept.lane.clock)
        clocks = [kept.lane.clock for kept in self.kept.values() if kept.lane.clock is not None]
        self._steps = portfolio.Steps(self.book, max(clocks, default=None))
        self._ledger = Ledger(self._steps.sources, live=not history)
        if self._steps.sources:
            self._listen(list(self.kept.values()))
            if len(clocks) == store.lanes:
                self._remember(min(clocks))

    # -- taking in -------------------------------------------------------------------------------------------------
    def take(
        self,
        arrived: Sequence[Arrived],
        letters: Sequence[DeadLetter] = (),
        *,
        at: Instant,
        retried: Sequence[str] = (),
    ) -> Taken:
        """Take a batch in and write it: new events, decisions, mails, clocks and dead letters in one transaction.

        Event times are the arrival times (``history``). ``at`` is the wall clock, for leases. The dead letters
        ``retried`` go in the same transaction: their events are among these.
        """
        taken, known, steps = Taken(), self._known(arrived), self._steps.any
        for one in arrived:
            fresh = self._fresh(one, known, taken)
            if fresh is not None:
                time = fresh.event.time
                if steps:
                    self._steps_until(time)
                self._event(self._of(fresh.event.account_id), fresh, time)
        taken.decisions = self._write(list(letters), at=at, retried=retried)
        return taken

    def finish(self, *, at: Instant) -> Taken:
        """Everything is read: bring all lanes to the largest time seen in any, and write."""
        clocks = [kept.lane.clock for kept in self.kept.values() if kept.lane.clock is not None]
        if clocks:
            self._steps_until(max(clocks))
            for kept in self.kept.values():
                kept.facts += kept.lane.advance(max(clocks))
        return Taken(decisions=self._write([], at=at))

    def stop(self) -> None:
        """Write snapshots and give the lanes up."""
        self._snapshots()
        self.store.release([kept.claim for kept in self.kept.values()])

    def abandon(self) -> None:
        """Give the lanes up without writing anything more (after an error)."""
        self.store.release([kept.claim for kept in self.kept.values()])

    # -- one event -------------------------------------------------------------------------------------------------
    def _known(self, arrived: Sequence[Arrived]) -> Known:
        stored = self.store.existing([(one.event.account_id, one.event.id) for one in arrived])
        for kept in self.kept.values():  # taken in already, and not yet written: out of an inbox
            for new in kept.events:
                event = new.recorded.event
                stored[event.account_id, event.id] = new.digest
        if not self.store.forgot_anybody():
            return Known(stored, frozenset(), {})
        return Known(
            stored,
            self.store.tombstones(list({name for one in arrived for name in _accounts_in(one.event)})),
            self.store.pseudonyms(list({key for one in arrived for key in self._people_in(one.event)})),
        )

    def _fresh(self, one: Arrived, known: Known, taken: Taken) -> Fresh | None:
        """The event as it will be stored, people's pseudonyms in place, or None for one that is not new.

        The first of equal ids wins. The next event must wait until this one is taken.
        """
        event, body = one.event, one.body
        if event.account_id in known.gone:
            taken.forgotten += 1
            return None
        traits: dict[str, Any] | None = None
        forgotten = bool(known.names) and any(key in known.names for key in self._people_in(event))
        if forgotten:
            event = self._without_names(event, known.names)
            body = encode_properties(event.properties)
        if event.type == REPORTED and (gone := known.gone.intersection(_accounts_in(event))):
            event = _without_accounts(event, gone)
            body = encode_properties(event.properties)
        if event.type == "user.updated":
            event, traits = split_personal(event, self.book.personal)
            body = encode_properties(event.properties) if traits else body
        mark, key = digest(event), (event.account_id, event.id)
        first = known.stored.setdefault(key, mark)
        if first is not mark:
            taken.duplicates += 1
            taken.conflicting += first != mark and not forgotten
            return None
        taken.new += 1
        if traits and not forgotten:
            self._personal(event, traits)
        return Fresh(event, body, mark)

    def _people_in(self, event: Event) -> Iterator[tuple[str, str]]:
        """Whom the event names, where the rulebook expects a person's id."""
        if event.user_id is not None:
            yield event.account_id, event.user_id
        for name in self._roles:
            named = event.properties.get(name)
            if isinstance(named, str):
                yield event.account_id, named
        if event.type == REPORTED:
            yield from ((event.account_id, person) for person in people_in(event.properties.get("figures")))

    def _without_names(self, event: Event, names: Mapping[tuple[str, str], str]) -> Event:
        """The event with pseudonyms in the place of forgotten people; their traits do not bring them back."""
        account = event.account_id
        user = event.user_id and names.get((account, event.user_id), event.user_id)
        properties = dict(event.properties)
        if event.type == "user.updated" and user != event.user_id:
            properties = {}
        for name in self._roles:
            if isinstance(properties.get(name), str):
                properties[name] = names.get((account, properties[name]), properties[name])
        if event.type == REPORTED:
            figures = renamed_in(properties.get("figures"), lambda person: names.get((account, person), person))
            properties = {**properties, "figures": figures}
        return msgspec.structs.replace(event, user_id=user, properties=properties)

    def _personal(self, event: Event, traits: Mapping[str, object]) -> None:
        kept = self._of(event.account_id)
        if event.user_id is None:
            return
        for name, value in traits.items():
            kept.traits.append(Trait(event.account_id, event.user_id, name, value, event.time, kept.position + 1))

    def _of(self, account_id: str) -> Kept:
        return self.kept[lane_of(account_id, self._lanes)]

    def _event(self, kept: Kept, fresh: Fresh, arrived: Instant) -> None:
        event, lane = fresh.event, kept.lane
        at = recorded_at(lane.clock, arrived)
        if lane.program is not self._program:
            self._activate(kept, at)
        kept.position += 1
        recorded = Recorded(kept.position, at, event)
        kept.events.append(NewEvent(recorded, fresh.body, fresh.digest))
        kept.touches += touches_of(event, self._program.zone)
        kept.facts += lane.take(recorded)
        if kept.ear is not None:
            kept.ear.hear(event.type)

    def _activate(self, kept: Kept, at: Instant) -> None:
        program = kept.lane.program
        if program is None or program.book.fingerprint != self.book.fingerprint:
            self._entry(kept, "rulebook.activated", None, {"fingerprint": self.book.fingerprint}, at)

    def _entry(
        self,
        kept: Kept,
        kind: str,
        account_id: str | None,
        body: Mapping[str, object],
        arrived: Instant,
    ) -> None:
        kept.position += 1
        entry = EngineEntry(kept.position, recorded_at(kept.lane.clock, arrived), kind, account_id, body)
        kept.entries.append(entry)
        kept.facts += kept.lane.take(entry)

    # -- inbox and portfolio ---------------------------------------------------------------------------------------
    def _inbox(self, kept: Kept, clock: Instant, until: Instant | None = None) -> None:
        """Take what lies in the inbox, before anything else and as of the lane's clock.

        What became of a mail must be known before older events are looked at: else the engine would take back a mail
        that is out, and the store would refuse it. A row dated later than the clock counts from then (DESIGN 4).

        A dead letter that is tried again counts from its own time, as if it had been good. Everything recorded by
        ``until`` is taken in (None: by the clock); what happened later goes back into the inbox until it is.
        """
        read = kept.claim.inbox_seq if kept.inbox_seq is None else kept.inbox_seq  # read already, but not yet written
        rows = self.store.inbox(kept.claim.lane, after=read)
        notes, kept.back = [*kept.back, *(inbox.opened(row) for row in rows)], []
        if not notes:
            return
        arrived = [note.arrived for note in notes if isinstance(note, inbox.Brought | inbox.Retried)]
        known = self._known(arrived)
        for note in notes:
            if note is not None and not isinstance(note, inbox.Retried):
                self._note(kept, note, known, clock)
        again = [note for note in notes if isinstance(note, inbox.Retried)]
        for note in sorted(again, key=lambda one: one.arrived.event.time):
            self._retry(kept, note, known, clock if until is None else max(clock, until))
        kept.inbox_seq = rows[-1].seq if rows else kept.inbox_seq

    def _note(self, kept: Kept, note: inbox.Brought | inbox.Told | DeadLetter, known: Known, clock: Instant) -> None:
        if isinstance(note, inbox.Told):
            self._entry(kept, note.kind, note.account_id, note.body, clock)
        elif isinstance(note, DeadLetter):
            self._new_on_lane.append(note)
        else:
            fresh = self._fresh(note.arrived, known, Taken())
            if fresh is not None:
                self._event(kept, fresh, clock)

    def _retry(self, kept: Kept, note: inbox.Retried, known: Known, until: Instant) -> None:
        event = note.arrived.event
        if event.time > until:
            kept.back.append(note)
            return
        fresh = self._fresh(note.arrived, known, Taken())
        if fresh is not None:
            if kept.lane.clock is not None and event.time > kept.lane.clock and self._steps.any:
                self._pass_steps(kept, event.time)
            self._event(kept, fresh, event.time)
        kept.retried.append(note.dead_letter_id)

    def _pass_steps(self, _kept: Kept, time: Instant) -> None:
        """A lane is about to come to ``time``: the portfolio's instants until then come first."""
        self._steps_until(time)

    def _steps_until(self, time: Instant) -> None:
        """The instants of all lanes up to ``time``: every lane comes there, and what holds of all enters the logs."""
        for step in self._steps.due(time) if self._steps.any else ():
            lanes = list(
                self.kept.values()
            )  # a lane that has no event yet must know the totals when its first one comes
            shares: list[dict[str, Any]] = [{} for _ in lanes]
            if self._steps.counts(step):
                self._judge_sources(lanes, shares, step)
            if self._steps.measures(step):
                self._measure(lanes, shares, step)
            for kept, values in zip(lanes, shares, strict=True):
                if values:
                    kept.shares.append(Share(kept.claim.lane, step, values))

    def _measure(self, lanes: Sequence[Kept], shares: Sequence[dict[str, Any]], step: Instant) -> None:
        """Take the portfolio's totals; each lane's share is added to what it will write."""
        deciding = self.kept.get(lane_of(PORTFOLIO, self.store.lanes))
        program = self._programs[self.book.fingerprint]
        for kept in lanes:
            kept.facts += kept.lane.advance(step)
            self._activate(kept, step)
        for kept, values in zip(lanes, shares, strict=True):
            values.update(portfolio.share(program, kept.lane, step))
        body = portfolio.total(program, shares, step)
        for kept in lanes:
            decides = kept is deciding
            daily = portfolio.is_daily(step)
            if decides or daily:
                self._entry(kept, "portfolio.measured", None, {**body, "decides": decides, "daily": daily}, step)

    # -- sources ---------------------------------------------------------------------------------------------------
    def _judge_sources(self, lanes: Sequence[Kept], shares: Sequence[dict[str, Any]], step: Instant) -> None:
        """Add up what was heard in the hour that is full now; a change enters every lane's log.

        Between changes an hour moves no clock, and only the first lane writes that it is over: in years of history
        nearly every lane hears nothing in an hour.
        """
        heard = [kept.ear.turn() if kept.ear is not None else {} for kept in lanes]
        for number, (values, hours) in enumerate(zip(shares, heard, strict=True)):
            if number == 0 or any(hour != SILENT for hour in hours.values()):
                values[SOURCES] = written(hours)
        shares[0][SOURCES][EVERY_LANE] = []
        self._ledger.add(step, heard)
        for kind, body in self._ledger.changes(lanes[0].lane.late):
            for kept in lanes:
                self._activate(kept, step)
                self._entry(kept, kind, None, body, step)

    def _listen(self, kept: Sequence[Kept]) -> None:
        """Begin to count, or go on with the hour that runs."""
        clocks = [one.lane.clock for one in kept if one.lane.clock is not None]
        begun = {(one.lane, one.at): one.values for one in self.store.shares(after=min(clocks, default=0))}
        for one in kept:
            at = hour_after(one.lane.clock) if one.lane.clock is not None else 0
            one.ear = Listener(self._steps.sources, begun.get((one.claim.lane, at), {}).get(SOURCES))

    def _remember(self, since: Instant) -> None:
        """Read what all lanes heard in the weeks before ``since``."""
        infos = self.store.lane_infos(at=since)
        shares: dict[Instant, dict[int, dict[str, Any]]] = {}
        for one in self.store.shares(after=since - REMEMBERED):
            if one.at <= since and SOURCES in one.values:
                shares.setdefault(one.at, {})[one.lane] = one.values[SOURCES]
        for step in sorted(shares):
            self._add_hour(step, shares[step], infos)

    def _add_hour(self, step: Instant, heard: Mapping[int, dict[str, Any]], infos: Sequence[LaneInfo]) -> None:
        """Add an hour; a lane that began later heard nothing, nor one that an owner of all lanes says nothing of."""
        silent = dict.fromkeys((source.mark for source in self._steps.sources), SILENT)
        whole = any(EVERY_LANE in one for one in heard.values())
        begun = (
            set[int]() if whole else {info.lane for info in infos if info.first_at is not None and info.first_at < step}
        )
        self._ledger.add(step, [heard.get(info.lane, None if info.lane in begun else silent) for info in infos])

    # -- writing ---------------------------------------------------------------------------------------------------
    def _write(self, letters: list[DeadLetter], *, at: Instant, retried: Sequence[str] = ()) -> int:
        letters = letters + self._new_on_lane
        changed = [kept for kept in self.kept.values() if kept.changed]
        if not changed:
            if letters:
                self.store.put_dead_letters(letters)
            if retried:
                self.store.drop_dead_letters(retried)  # their events were known already
            self._renew(at)
            self._new_on_lane = []
            return 0
        decisions = counted(kept.facts for kept in changed)
        changed[0].retried += retried
        batches = [
            kept.batch(letters if number == 0 else [], history=self._history_mode)
            for number, kept in enumerate(changed)
        ]
        for kept, claim in zip(changed, self.store.commit(batches), strict=True):
            self._since_snapshot += len(kept.events)
            kept.written(claim)
        self._renew(at)
        self._new_on_lane = []
        if self._since_snapshot >= SNAPSHOT_EVERY:
            self._snapshots()
        return decisions

    def _renew(self, at: Instant) -> None:
        """Say that the owner is alive: after every batch."""
        self.store.renew([kept.claim for kept in self.kept.values()], at=at)

    def _snapshots(self) -> None:
        for kept in self.kept.values():
            if kept.changed:
                continue
            rows = [
                Snapshot(kept.claim.lane, account.id, kept.position, account.program.book.fingerprint, freeze(account))
                for account in kept.lane.accounts.values()
            ]
            self.store.put_snapshots(kept.claim, rows)
        self._since_snapshot = 0

    # -- recovering ------------------------------------------------------------------------------------------------
    def _recover(self, claim: Claim, accounts: Callable[[], list[str]]) -> Lane:
        lane: Lane = ColumnLane(self.program, self._history)
        with uncollected():
            restore(lane, self.store, claim.lane, claim.position, accounts)
            lane.first_at = claim.first_at
            if claim.clock_at is not None:
                lane.advance(claim.clock_at)
                lane.settle()
        return lane

    def program(self, fingerprint: str) -> Program:
        """The program of a rulebook that was active at some time."""
        if fingerprint not in self._programs:
            self._programs[fingerprint] = stored_program(self.store, fingerprint)
        return self._programs[fingerprint]

    def _history(self, account_id: str, position: int) -> list[Recorded]:
        stored = [
            entry
            for entry in self.store.account_entries(account_id, until_position=position)
            if isinstance(entry, Recorded)
        ]
        last = stored[-1].position if stored else 0
        kept = self.kept.get(lane_of(account_id, self._lanes))  # none while lanes are restored: all is stored then
        pending = (one.recorded for one in kept.events) if kept is not None else ()
        return stored + [one for one in pending if one.account_id == account_id and last < one.position <= position]


def _accounts_in(event: Event) -> Iterator[str]:
    """The account of an event; of a report those too that it tells of."""
    yield event.account_id
    if event.type == REPORTED:
        yield from parts_in(event.properties.get("figures"))


def _without_accounts(event: Event, gone: Iterable[str]) -> Event:
    """A report that was on its way while accounts were forgotten that it tells of."""
    properties: dict[str, Any] = dict(event.properties)
    for account_id in sorted(gone):
        properties = without_account(properties, account_id)
    return msgspec.structs.replace(event, properties=properties)


@contextmanager
def uncollected() -> Iterator[None]:
    """Put off Python's search for cycles: while accounts come back nothing is garbage, and looking would cost most."""
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()


def restore(
    lane: Lane, store: Store, number: int, position: int, accounts: Callable[[], list[str]] | None = None
) -> None:
    """Bring a lane to ``position``: from snapshots where there are any, else from its log.

    ``accounts`` gives every account of the store, for several lanes that ask in turn.
    """
    snapshots = list(store.snapshots(number))
    thawed = {snap.account_id: _thaw(lane, snap) for snap in snapshots if snap.position <= position}
    good = {account_id: account for account_id, account in thawed.items() if account is not None}
    start = min((account.position for account in good.values()), default=0)
    # Without a snapshot of anybody all is read from the log's beginning, and nobody need be looked for.
    known = [one for one in (accounts or store.accounts)() if start and lane_of(one, store.lanes) == number]
    if good:
        lane.resume(list(good.values()))
        if any(one.position == start for one in good.values() if one.id == PORTFOLIO):
            lane.portfolio = _daily_totals(store, start)
    if lane_of(PORTFOLIO, store.lanes) == number:
        known.append(PORTFOLIO)
    for account_id in known:
        if start and account_id not in good:
            _replay_alone(lane, store, account_id, start)
    for entry in store.entries(number, after=start, until_position=position):
        if isinstance(entry, Recorded):
            account = lane.accounts.get(entry.account_id)
            if account is not None and account.position >= entry.position:
                continue
        lane.take(entry)


def _thaw(lane: Lane, snapshot: Snapshot) -> Account | None:
    return thaw(snapshot.account_id, snapshot.position, lane.program_of(snapshot.rulebook), snapshot.state)


def _daily_totals(store: Store, position: int) -> dict[str, Value]:
    """What accounts of the portfolio's lane knew of the portfolio: its own snapshot has the totals of any hour."""
    days = [
        entry.body
        for entry in store.account_entries(PORTFOLIO, until_position=position)
        if isinstance(entry, EngineEntry) and entry.kind == "portfolio.measured" and entry.body.get("daily")
    ]
    return {name: read_number(value) for name, value in days[-1]["accounts"].items()} if days else {}


def _replay_alone(lane: Lane, store: Store, account_id: str, position: int) -> None:
    """An account without a snapshot joins the others: its own entries up to where they stand are read alone."""
    alone = lane.alone()
    for entry in store.account_entries(account_id, until_position=position):
        alone.take(entry)
    for account in alone.accounts.values():
        account.position = position
        lane.adopt(account)


def counted(facts: Iterable[Sequence[Fact]]) -> int:
    """How many decisions there are among the facts of some lanes; one that was revised counts once."""
    planned = Counter(
        fact.decision_id
        for rows in facts
        for fact in rows
        if isinstance(fact, Decision) and fact.outcome != "withdrawn"
    )
    return len(planned)


__all__ = ["Entry", "Keeper", "Kept", "Known", "Taken", "counted", "restore"]
