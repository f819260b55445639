"""Backtest: a rulebook on trial. The real engine runs over what already happened; nothing leaves it but facts."""

import heapq
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import msgspec

from engine import portfolio
from engine.account import PORTFOLIO, Account
from engine.columns.lane import ColumnLane
from engine.columns.nightly import NightLane
from engine.decision import Decision, Ended, Fact, Held, Mail, Released
from engine.events import split_personal
from engine.instants import Instant
from engine.lane import Lane
from engine.lanes import lane_of, recorded_at
from engine.log import EngineEntry, Entry, Event, Recorded
from engine.measures.measure import Happening
from engine.outcomes import Life
from engine.program import Program
from engine.rulebook.book import Rulebook
from engine.silence import Silence
from engine.sources import Ledger, Listener
from engine.store import DEFAULT_LANES, Store
from engine.views import AccountView
from engine.zones import Zone

Progress = Callable[[int], None]
"""Told how many entries were read since it was last told."""
EVERY = 5_000
_ENCODE = msgspec.json.Encoder(decimal_format="number").encode
_DECODE = msgspec.json.Decoder(Recorded, float_hook=Decimal).decode
_DECODE_BLOCK = msgspec.json.Decoder(list[Recorded], float_hook=Decimal).decode
BLOCK = 1_000
"""So many events are packed at once."""


@dataclass(slots=True)
class Story:
    """What happened, whatever a rulebook said: how much, when, and the first outcome of each account."""

    outcome: str | None = None
    events: int = 0
    began: Instant | None = None
    ended: Instant | None = None
    first: dict[str, Instant] = field(default_factory=dict)
    outcomes: dict[str, Instant] = field(default_factory=dict)
    types: set[str] = field(default_factory=set)

    def take(self, event: Event) -> None:
        """Take the next event in."""
        account, time = event.account_id, event.time
        self.events += 1
        self.began = time if self.began is None else min(self.began, time)
        self.ended = time if self.ended is None else max(self.ended, time)
        self.first[account] = min(self.first.get(account, time), time)
        self.types.add(event.type)
        if event.type == self.outcome:
            self.outcomes[account] = min(self.outcomes.get(account, time), time)

    def lives(self, zone_of: Callable[[str], Zone]) -> dict[str, Life]:
        """Every account as it is judged."""
        return {one: Life(at, self.outcomes.get(one), zone_of(one)) for one, at in sorted(self.first.items())}


class Trial:
    """A rulebook over history, as if it had been the active one from the first event on.

    Events count as recorded when they happened and mails leave when they are due, as in an import: the same events in
    the same order give the decisions that ``import`` stores. ``only`` leaves all other rules out. With ``midnights`` an
    account is looked at when its local day begins and at no other time, as tools that run once a day do.
    """

    def __init__(
        self,
        book: Rulebook,
        *,
        only: Collection[str] | None = None,
        lanes: int = DEFAULT_LANES,
        midnights: bool = False,
    ) -> None:
        rules = tuple(rule for rule in book.rules if only is None or rule.id in only)
        self.book = replace(book, rules=rules)
        self.decisions: dict[str, Decision] = {}
        self.taken_back: dict[str, str] = {}
        """Mails that the engine took back before they left, with what it said."""
        self.held: dict[str, str] = {}
        """Mails that wait, or waited until they expired, for a source that was late; with that reason."""
        self.released: dict[str, Mail] = {}
        """Mails that had to wait, as they may leave now."""
        self.people: dict[str, dict[str, dict[str, Any]]] = {}
        """Personal traits by account and person, where the events bring them; a store keeps them apart."""
        self._program = Program(self.book)
        self._past = _Past()
        kind = NightLane if midnights else ColumnLane
        # Lanes only matter to who decides between events; with midnights one clock for all makes each night one night.
        lanes = 1 if midnights else lanes
        self._lanes: list[Lane] = [kind(lambda _mark: self._program, self._past.history) for _ in range(lanes)]
        self._steps = portfolio.Steps(self.book, None, sources=not midnights)
        self._ear = Listener(self._steps.sources)
        self._ledger = Ledger(self._steps.sources, live=False)
        self._midnights = midnights
        self._positions = 0
        self._silence = Silence(self._program, events=not midnights)
        self._trait_times: dict[tuple[str, str, str], Instant] = {}

    def take(self, event: Event) -> None:
        """Take the next event of history in, and decide."""
        if self._steps.any:
            self._steps_until(event.time)
        kept = event
        if event.type == "user.updated":
            kept, traits = split_personal(event, self.book.personal)
            for name, value in traits.items():
                self._trait(event, name, value)
        account_id = event.account_id
        lane = self._lanes[0] if self._midnights else self._lane_of(account_id)
        at, clock = event.time, lane.clock
        if clock is not None and clock > at:
            at = clock
        if lane.program is None:
            self._activate(lane, at)
        self._positions += 1
        recorded = Recorded(self._positions, at, kept)
        self._past.add(recorded)
        self._ear.hear(event.type)
        if self._midnights and account_id not in lane.accounts:
            lane.accounts[account_id] = _Daily.of(lane, account_id, at)
        facts = lane.take(recorded)
        if facts:
            self._keep(facts)
        if not self._midnights:
            self._silence.heard(lane.accounts[account_id], recorded)

    def finish(self, until: Instant) -> None:
        """Everything is taken in: bring all accounts to ``until``, the largest time there is."""
        self._steps_until(until)
        for lane in self._lanes:
            self._keep(lane.advance(until))
            for account, rules in lane.doubts():
                self._silence.ask(account, until, rules)

    def zone_of(self, account_id: str) -> Zone:
        """The account's zone as it is now; it holds for its whole history."""
        account = self._lane_of(account_id).accounts.get(account_id)
        return self._program.zone if account is None else account.zone

    def unknown(self) -> dict[str, dict[str, int]]:
        """For each rule and unknown name, how many accounts it kept the rule silent for (``engine.silence``)."""
        return self._silence.counts()

    # -- the engine at work ----------------------------------------------------------------------------------------
    def _feed(self, lane: Lane, entry: Entry) -> None:
        self._keep(lane.take(entry))

    def _keep(self, facts: list[Any]) -> None:
        for fact in facts:
            if isinstance(fact, Held):
                self.held[fact.outreach_id] = fact.why
            elif isinstance(fact, Released):
                self.released[fact.mail.outreach_id] = fact.mail
                self.held.pop(fact.mail.outreach_id, None)
            elif isinstance(fact, Ended):
                self.taken_back[fact.outreach_id] = fact.why
                if fact.state == "withdrawn":
                    self.held.pop(fact.outreach_id, None)
            else:
                self._decided(fact)

    def _decided(self, fact: Decision) -> None:
        self.decisions[fact.decision_id] = fact
        for mail in fact.mails if fact.outcome == "planned" else ():
            # Perhaps again: what was taken back before may leave after all.
            for rows in (self.taken_back, self.held, self.released):
                rows.pop(mail.outreach_id, None)
            if mail.held is not None:
                self.held[mail.outreach_id] = mail.held

    def _lane_of(self, account_id: str) -> Lane:
        return self._lanes[lane_of(account_id, len(self._lanes))]

    def _next(self) -> int:
        self._positions += 1
        return self._positions

    def _activate(self, lane: Lane, at: Instant) -> None:
        if lane.program is None:
            body = {"fingerprint": self.book.fingerprint}
            self._feed(lane, EngineEntry(self._next(), recorded_at(lane.clock, at), "rulebook.activated", None, body))

    def _steps_until(self, time: Instant) -> None:
        """The portfolio's instants up to ``time``, as the owner of a store's lanes takes them."""
        for step in self._steps.due(time):
            if self._steps.counts(step):
                self._ledger.add(step, [self._ear.turn()])
                for kind, change in self._ledger.changes(self._lanes[0].late):
                    for lane in self._lanes:
                        self._activate(lane, step)
                        self._feed(lane, EngineEntry(self._next(), step, kind, None, change))
            if not self._steps.measures(step):
                continue
            for lane in self._lanes:
                self._keep(lane.advance(step))
                self._activate(lane, step)
            body = portfolio.total(
                self._program, [portfolio.share(self._program, lane, step) for lane in self._lanes], step
            )
            for lane in self._lanes:
                decides, daily = lane is self._lane_of(PORTFOLIO), portfolio.is_daily(step)
                if decides or daily:
                    row = {**body, "decides": decides, "daily": daily}
                    self._feed(lane, EngineEntry(self._next(), step, "portfolio.measured", None, row))

    def _trait(self, event: Event, name: str, value: object) -> None:
        key = (event.account_id, event.user_id or "", name)
        if event.user_id is None or event.time < self._trait_times.get(key, event.time):
            return
        self._trait_times[key] = event.time
        traits = self.people.setdefault(event.account_id, {}).setdefault(event.user_id, {})
        traits.pop(name, None)
        if value is not None:
            traits[name] = value


class _Past:
    """Every event taken in, as text: seldom asked for, and a third of the size of what it stands for.

    Only the first question about more than an account's first event sorts the events by accounts.
    """

    def __init__(self) -> None:
        self._first: dict[str, int] = {}
        self._latest: list[Recorded] = []
        self._blocks: list[bytes] = []
        self._lines: dict[str, bytearray] | None = None

    def add(self, recorded: Recorded) -> None:
        """Keep the next one."""
        self._first.setdefault(recorded.event.account_id, recorded.position)
        self._latest.append(recorded)
        if len(self._latest) >= BLOCK:
            self._pack()

    def history(self, account_id: str, position: int) -> list[Recorded]:
        """An account's events up to a position."""
        if self._latest and self._latest[-1].position == position == self._first.get(account_id):
            return [self._latest[-1]]
        self._pack()
        if self._lines is None:
            self._lines = {}
            blocks, self._blocks = self._blocks, []
            for block in blocks:
                self._sort(_DECODE_BLOCK(block))
        rows = (_DECODE(line) for line in self._lines.get(account_id, bytearray()).splitlines())
        return [row for row in rows if row.position <= position]

    def _pack(self) -> None:
        if self._lines is not None:
            self._sort(self._latest)
        elif self._latest:
            self._blocks.append(_ENCODE(self._latest))
        self._latest = []

    def _sort(self, rows: list[Recorded]) -> None:
        assert self._lines is not None, "somebody has asked"  # noqa: S101 - the caller's part
        for row in rows:
            lines = self._lines.setdefault(row.account_id, bytearray())
            lines += _ENCODE(row)
            lines += b"\n"


class _Daily(Account):
    """An account that is looked at when its local day begins, and at no other time."""

    @classmethod
    def of(cls, lane: Lane, account_id: str, at: Instant) -> "_Daily":
        """A new one, as the lane would make it."""
        assert lane.program is not None, "a rulebook is active before the first event"  # noqa: S101 - the caller's part
        account = cls(account_id, lane.program, lane.first_at or at)
        account.portfolio, account.late = lane.portfolio, lane.late
        return account

    def look(self, at: Instant, happening: Happening | None = None) -> list[Fact]:
        """Look only if a local day begins now; what was folded meanwhile is seen then."""
        begins = happening is None and at == self.zone.start(self.zone.day(at))
        facts = super().look(at) if begins else []
        if not begins:
            self.clock = at
            self.looks += 1  # what others keep of this account is old now
            self.schedule(self.view(at))
        return facts

    def schedule(self, view: AccountView) -> None:
        """Its next midnight; in columns that is its sheet's."""
        self.next_at = None if self.seat is not None else self.zone.next_midnight(view.moment.at)


def stored_events(store: Store, progress: Progress | None = None) -> Iterator[Event]:
    """Every stored event, each lane in the order of its log, lanes merged by event time."""
    lanes = [_timed(store.entries(number)) for number in range(store.lanes)]
    for read, (_time, event) in enumerate(heapq.merge(*lanes, key=lambda one: one[0]), 1):
        yield event
        if progress is not None and read % EVERY == 0:
            progress(EVERY)


def compared(before: Iterable[Decision], after: Iterable[Decision]) -> dict[str, Any]:
    """For whom a rule fires under two rulebooks: ``{"gained": [account], "lost": [account], "kept": n}``."""
    was, now = ({one.account_id for one in found} for found in (before, after))
    return {"gained": sorted(now - was), "lost": sorted(was - now), "kept": len(was & now)}


def _timed(entries: Iterator[Entry]) -> Iterator[tuple[Instant, Event]]:
    """A lane's events, each with the largest time so far: a late one stays where the log has it."""
    clock: Instant | None = None
    for entry in entries:
        if isinstance(entry, Recorded):
            clock = recorded_at(clock, entry.event.time)
            yield clock, entry.event
