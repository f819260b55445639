"""The owner of lanes that a stream hands out: each batch of a lane is one transaction, with its offsets."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import msgspec

from engine import portfolio
from engine.account import PORTFOLIO
from engine.columns.sheet import print_ahead
from engine.errors import StoreError
from engine.events import Arrived, encode_properties
from engine.instants import DAY, HOUR, Instant
from engine.keeper import SNAPSHOT_EVERY, Keeper, Kept, Known, Taken, counted
from engine.lanes import lane_of
from engine.left_behind import let_go
from engine.parts import Parts
from engine.rulebook.book import Rulebook
from engine.sources import REMEMBERED, SOURCES, written
from engine.store import Claim, DeadLetter, LaneInfo, LaneLetter, Offset, OutgoingKind, Share, Store

MOST_TOTALS = 500
"""How many of the portfolio's instants enter the log in one transaction."""
LATE = HOUR
"""An event that arrives so long after it happened is counted as late; what it decides is the same."""
RULEBOOK = "rulebook"
"""Under this name a share says by which rulebook it was measured."""


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """A good event, when it arrived (its record's time or, with ``history``, its own), and by which topic."""

    arrived: Arrived
    at: Instant
    topic: str = ""


class LanePart(msgspec.Struct, frozen=True, kw_only=True):
    """What one lane takes in next, in this order; ``until``: everything recorded by then is in it or before it."""

    lane: int
    arrivals: Sequence[Arrival] = ()
    letters: Sequence[DeadLetter] = ()
    moves: Sequence[Offset] = ()
    until: Instant | None = None


class Assigned(msgspec.Struct, frozen=True):
    """A lane in its new owner's hands: its epoch, and the next offset of each (topic, partition)."""

    lane: int
    epoch: int
    offsets: dict[tuple[str, int], int]


class AssignedKeeper(Keeper):
    """Owner of some lanes of a store, which come and go; ``source`` names the log that their offsets belong to.

    With ``history`` mails count as gone once a lane's clock has passed them; what ``follow`` names is left in the
    outbox to be published. After an error nobody knows whether what
    was at hand is written: its lanes are not held any more; assign them anew, their offsets tell.
    """

    def __init__(
        self,
        store: Store,
        book: Rulebook,
        owner: str,
        *,
        source: str,
        at: Instant,
        history: bool = False,
        follow: frozenset[OutgoingKind] = frozenset(),
    ) -> None:
        super().__init__(store, book, owner, at=at, lanes=(), history=history)
        print_ahead(self._program, at)
        self._owner, self._source, self._follow = owner, source, follow
        self._steps_of: dict[int, portfolio.Steps] = {}
        self._passed: Instant | None = None
        """Up to here no total is to come, so that shares that gave none are not read again and again."""

    # -- lanes come and go -----------------------------------------------------------------------------------------
    def assign(self, lanes: Sequence[int], *, at: Instant, take_over: bool = False) -> list[Assigned]:
        """Own these lanes from now on: raise their epochs, load them, say from where to read.

        A lane that is held already is loaded anew only if it is not what the store has. Raises ``LaneTaken`` when
        another owner of one is alive (unless ``take_over``); then none of them is owned.
        """
        claims = self.store.claim(list(lanes), self._owner, at=at, take_over=take_over)
        accounts = cache(self.store.accounts)
        try:
            let_go(self.store, lanes, at=at, by=self._owner)
            for claim in claims:
                kept = self.kept.get(claim.lane)
                if kept is not None and _as_stored(kept, claim):
                    kept.written(claim)
                else:
                    self._load(claim, accounts)
        except BaseException:
            self.forget(lanes)
            self.store.release(claims)
            raise
        offsets = self.store.offsets(self._source)
        return [
            Assigned(
                claim.lane,
                claim.epoch,
                {(topic, part): after for (_, topic, part), after in offsets.items() if part == claim.lane},
            )
            for claim in claims
        ]

    def _load(self, claim: Claim, accounts: Callable[[], list[str]]) -> None:
        kept = Kept(claim, self._recover(claim, accounts))
        self.kept[claim.lane] = kept
        self._steps_of[claim.lane] = portfolio.Steps(self.book, kept.lane.clock)
        if self._steps.sources:
            self._listen([kept])
        if kept.lane.clock is not None:
            self._inbox(kept, kept.lane.clock)
            self._activate(kept, kept.lane.clock)

    def give_up(self, lanes: Sequence[int]) -> None:
        """Lanes that go to another owner: what is not written is thrown away, and read again there."""
        claims = [self.kept[lane].claim for lane in lanes if lane in self.kept]
        self.forget(lanes)
        self.store.release(claims)

    def forget(self, lanes: Sequence[int]) -> None:
        """Lanes that another owner has already: drop them without a word to the store."""
        for lane in lanes:
            self.kept.pop(lane, None)
            self._steps_of.pop(lane, None)

    # -- taking in -------------------------------------------------------------------------------------------------
    def take_parts(self, parts: Sequence[LanePart], *, at: Instant) -> dict[str, Taken]:
        """Take the next parts of different lanes in: all that they cause, and their offsets, in one transaction.

        Gives what became of the events, by topic. ``at`` is the wall clock, for leases. Raises ``Fenced`` when another
        owner has one of the lanes or has read on, and ``StoreError`` for an event of another lane's account (make a
        dead letter of it first). After any error nothing is written, or nobody knows: these lanes must be assigned
        anew. Clocks move by a day at most; see ``move_clock``.
        """
        taken = defaultdict[str, Taken](Taken)
        rows = [(self._own(part.lane), part) for part in parts]
        try:
            known = self._known_of(parts)
            for kept, part in rows:
                self._take_part(kept, part, known, taken, at)
            moving = [(kept, part.until) for kept, part in rows if part.until is not None]
            waiting = self._waiting([kept for kept, _ in moving])
            for kept, until in moving:
                self._advance(kept, until, inbox=kept.claim.lane in waiting)
            self._write_lanes(rows)
        except BaseException:
            self.forget([part.lane for part in parts])
            raise
        return taken

    def _known_of(self, parts: Sequence[LanePart]) -> Known:
        """What the store says of all the events at once."""
        lanes = self.store.lanes
        arrived = []
        for part in parts:
            for one in part.arrivals:
                if lane_of(one.arrived.event.account_id, lanes) != part.lane:
                    raise StoreError(_stray(one.arrived, part.lane, lanes))
                arrived.append(one.arrived)
        return self._known(arrived) if arrived else Known({}, frozenset(), {})

    def _take_part(self, kept: Kept, part: LanePart, known: Known, taken: Mapping[str, Taken], at: Instant) -> None:
        steps, ear = self._steps.any, None if self._history_mode else kept.ear
        for one in part.arrivals:
            fresh = self._fresh(one.arrived, known, taken[one.topic])
            if fresh is not None:
                if one.at - fresh.event.time > LATE:
                    taken[one.topic].late += 1
                if steps:
                    self._shares_until(kept, one.at)
                self._event(kept, fresh, one.at)
                if ear is not None and at - one.at > ear.patience:
                    ear.old(fresh.event.type, at - one.at)
        for letter in part.letters if ear is not None else ():
            ear.letter(letter.raw)  # type: ignore[union-attr]  # there is an ear

    def _waiting(self, lanes: Sequence[Kept]) -> frozenset[int]:
        """The lanes whose inbox must be looked into; one question for all, since mostly nothing lies in any."""
        read = {one.claim.lane: one.claim.inbox_seq if one.inbox_seq is None else one.inbox_seq for one in lanes}
        back = frozenset(one.claim.lane for one in lanes if one.back)
        return self.store.waiting(read) | back if read else back

    def _advance(self, kept: Kept, until: Instant, *, inbox: bool = True) -> Instant:
        """Take the inbox in and move the clock, at most by a day; gives where it stands."""
        clock = kept.lane.clock
        step = until if clock is None else min(until, clock + DAY)
        if clock is not None and inbox:
            self._inbox(kept, clock, step)
            clock = kept.lane.clock
        self._shares_until(kept, step)
        if clock is None or clock < step:
            kept.facts += kept.lane.advance(step)
        return step

    def move_clock(self, lane: int, until: Instant) -> int:
        """Everything that was recorded by ``until`` is taken in: take the inbox in, and bring the clock there.

        At most a day in one transaction. Gives the number of decisions this caused.
        """
        kept, decisions, done = self._own(lane), 0, False
        try:
            while not done:
                done = self._advance(kept, until) >= until
                decisions += self._write_lanes([(kept, LanePart(lane=lane))])
        except BaseException:
            self.forget([lane])
            raise
        return decisions

    def renew(self, lane: int, *, at: Instant) -> None:
        """Say that the owner of a lane is alive. Raises ``Fenced``."""
        self.store.renew([self._own(lane).claim], at=at)

    def keep_snapshots(self) -> None:
        """Write snapshots behind, if so much was taken in since the last ones that a restart would take long."""
        if self._since_snapshot >= SNAPSHOT_EVERY:
            self._snapshots()

    def clock(self, lane: int) -> Instant | None:
        """The clock of a lane that is held."""
        return self._own(lane).lane.clock

    def _own(self, lane: int) -> Kept:
        kept = self.kept.get(lane)
        if kept is None:
            raise StoreError(f"lane {lane}: this owner does not hold it; assign it first")
        return kept

    def _of(self, account_id: str) -> Kept:
        return self._own(lane_of(account_id, self.store.lanes))

    def _write_lanes(self, rows: Sequence[tuple[Kept, LanePart]], inbox: Sequence[LaneLetter] = ()) -> int:
        """One transaction; ``inbox`` is what the first of the lanes leaves for others."""
        found, batches = [], []
        for kept, part in rows:
            letters = [*part.letters, *self._new_on_lane]
            self._new_on_lane = []
            if kept.changed or part.moves or letters or inbox:
                batch = kept.batch(letters, history=self._history_mode)
                batches.append(
                    msgspec.structs.replace(batch, offsets=list(part.moves), letters=list(inbox), follow=self._follow)
                )
                found.append(kept)
            inbox = ()
        if not batches:
            return 0
        decisions = counted(kept.facts for kept in found)
        for kept, claim in zip(found, self.store.commit(batches), strict=True):
            self._since_snapshot += len(kept.events)
            kept.written(claim)
        return decisions

    # -- the portfolio and the sources -------------------------------------------------------------------------------
    def _shares_until(self, kept: Kept, time: Instant) -> None:
        """The instants of all lanes up to ``time``: the lane comes there, and writes its share as of each."""
        steps = self._steps_of[kept.claim.lane]
        for step in steps.due(time) if steps.any else ():
            kept.facts += kept.lane.advance(step)
            self._activate(kept, step)
            values: dict[str, Any] = {}
            if steps.measures(step):
                program = self._programs[self.book.fingerprint]
                values = {RULEBOOK: self.book.fingerprint, **portfolio.share(program, kept.lane, step)}
            if kept.ear is not None and steps.counts(step):
                values[SOURCES] = written(kept.ear.turn())
            kept.shares.append(Share(kept.claim.lane, step, values))

    def _pass_steps(self, kept: Kept, time: Instant) -> None:
        self._shares_until(kept, time)

    def measure(self, *, at: Instant) -> tuple[int, bool]:
        """Put together what the lanes have told, up to where the last of them stands: sources and the portfolio.

        Only the owner of the portfolio's own lane does it, so that each total enters the logs once. Gives how many
        decisions that caused, and whether there is more to do.
        """
        deciding = self.kept.get(lane_of(PORTFOLIO, self.store.lanes))
        if deciding is None or not self._steps.any:
            return 0, False
        infos = self.store.lane_infos(at=at)
        clocks = [info.clock_at for info in infos if info.clock_at is not None]
        if len(clocks) < len(infos):
            return 0, False  # a lane that never moved holds everything back
        try:
            decisions = self._judge(deciding, infos, min(clocks))
            rows = self._totals(deciding, infos, min(clocks)) if self._steps.totals else []
            decisions += self._measured(deciding, rows[:MOST_TOTALS])
        except BaseException:
            self.forget([deciding.claim.lane])
            raise
        if rows:
            self._passed = rows[:MOST_TOTALS][-1][0]
        return decisions, len(rows) > MOST_TOTALS

    def _judge(self, deciding: Kept, infos: Sequence[LaneInfo], passed: Instant) -> int:
        """Judge the sources as of the last hour that every lane has passed; changes enter every lane's log.

        Hours of a backlog that were passed on the way are only remembered: what holds now is all that matters. In a
        history the other lanes would hear of it at some time of their own; there nothing is judged.
        """
        hour = passed // HOUR * HOUR
        done = self._ledger.until
        if not self._steps.sources or self._history_mode or (done is not None and hour <= done):
            return 0
        shares: dict[Instant, dict[int, dict[str, Any]]] = {}
        for one in self.store.shares(after=passed - REMEMBERED if done is None else done):
            if one.at <= hour and SOURCES in one.values:
                shares.setdefault(one.at, {})[one.lane] = one.values[SOURCES]
        for step in sorted(shares):
            self._add_hour(step, shares[step], infos)
        inbox: list[LaneLetter] = []
        for kind, body in self._ledger.changes(deciding.lane.late) if shares else ():
            self._entry(deciding, kind, None, body, hour)
            inbox += self._told(deciding, kind, body)
        return self._write_lanes([(deciding, LanePart(lane=deciding.claim.lane))], inbox) if inbox else 0

    def _told(self, deciding: Kept, kind: str, body: Mapping[str, Any]) -> list[LaneLetter]:
        """The same entry for all other lanes."""
        told = encode_properties({"kind": kind, **body})
        others = (lane for lane in range(self.store.lanes) if lane != deciding.claim.lane)
        return [LaneLetter(lane, "entry", told) for lane in others]

    def _measured(self, deciding: Kept, rows: Sequence[tuple[Instant, Mapping[str, Any] | None]]) -> int:
        inbox: list[LaneLetter] = []
        for step, body in rows:
            if body is None:
                continue
            daily = portfolio.is_daily(step)
            self._entry(deciding, "portfolio.measured", None, {**body, "decides": True, "daily": daily}, step)
            if daily:
                inbox += self._told(deciding, "portfolio.measured", {**body, "decides": False, "daily": True})
        return self._write_lanes([(deciding, LanePart(lane=deciding.claim.lane))], inbox)

    def _totals(
        self, deciding: Kept, infos: Sequence[LaneInfo], passed: Instant
    ) -> list[tuple[Instant, Mapping[str, Any] | None]]:
        """The instants that every lane has passed since the last one, and the total as of each; None: there is none."""
        whole = deciding.lane.accounts.get(PORTFOLIO)
        known = [one for one in (self._passed, whole.clock if whole is not None else None) if one is not None]
        shares: dict[Instant, dict[int, dict[str, Any]]] = {}
        for one in self.store.shares(after=max(known, default=None)):
            if one.at <= passed and self._steps.measures(one.at):
                shares.setdefault(one.at, {})[one.lane] = one.values
        program = self._programs[self.book.fingerprint]
        rows: list[tuple[Instant, Mapping[str, Any] | None]] = []
        for step in sorted(shares):
            parts = [self._share(shares[step], info, step) for info in infos]
            found = [part for part in parts if part is not None]
            rows.append((step, portfolio.total(program, found, step) if len(found) == len(infos) else None))
        return rows

    def _share(self, written: Mapping[int, dict[str, Any]], info: LaneInfo, step: Instant) -> dict[str, Any] | None:
        """A lane's share; nothing at all of a lane that began later; None when it cannot be known any more."""
        share = written.get(info.lane)
        if share is None:
            begun = info.first_at is not None and info.first_at < step
            return None if begun else Parts().share((), self._programs[self.book.fingerprint], step)
        # Measured under another rulebook it may be of another thing: better no total than a wrong one.
        return share if share.get(RULEBOOK) == self.book.fingerprint else None


def _as_stored(kept: Kept, claim: Claim) -> bool:
    """Is a lane in memory what the store has, so that only its epoch is another?"""
    begun = kept.changed or kept.events or kept.entries or kept.traits or kept.touches or kept.shares
    return not begun and msgspec.structs.replace(kept.claim, epoch=claim.epoch) == claim


def _stray(one: Arrived, lane: int, lanes: int) -> str:
    account = one.event.account_id
    return (
        f"lane {lane}: event {one.event.id!r} of account {account!r} belongs to lane {lane_of(account, lanes)}; "
        "key records by account id, with the murmur2 partitioner"
    )
