"""The owner of lanes while they live: events count as recorded by the wall clock, and the clocks move without them."""

from collections.abc import Sequence

from engine.events import Arrived
from engine.instants import DAY, SECOND, Instant
from engine.keeper import Keeper, Taken
from engine.rulebook.book import Rulebook
from engine.store import DeadLetter, Store

SETTLE = 2 * SECOND
"""How far a lane's clock stays behind the wall clock while no event moves it (DESIGN 4)."""
RENEW_EVERY = 5 * SECOND
"""How often a live owner says that it is alive; its lease runs for 30 seconds."""


class LiveKeeper(Keeper):
    """Owner of all lanes of a store, for events that come in as they happen.

    ``recorded_at`` of an event is the wall clock, or the lane's clock where that is ahead; its own time decides only
    which day it counts for. Mails wait for a sender: none counts as gone by itself.
    Raises ``LaneTaken`` when another owner is alive.
    """

    def __init__(self, store: Store, book: Rulebook, owner: str, *, at: Instant, take_over: bool = False) -> None:
        super().__init__(store, book, owner, at=at, take_over=take_over, history=False)
        self._renewed_at = at

    @property
    def clocks(self) -> dict[int, Instant]:
        """The clock of each lane that ever had an entry."""
        return {lane: kept.lane.clock for lane, kept in self.kept.items() if kept.lane.clock is not None}

    def take_parts(
        self,
        parts: Sequence[Sequence[Arrived]],
        letters: Sequence[DeadLetter] = (),
        *,
        at: Instant,
    ) -> tuple[list[Taken], int]:
        """Take several batches in, in one transaction: what became of each, and how many decisions they caused.

        ``at`` is the wall clock. When it returns, everything is stored; when it raises, load the lanes again.
        """
        known = self._known([one for part in parts for one in part])
        self._steps_until(at)
        for letter in letters:
            self._hear(letter)
        done = []
        for part in parts:
            taken = Taken()
            for one in part:
                fresh = self._fresh(one, known, taken)
                if fresh is not None:
                    self._event(self._of(fresh.event.account_id), fresh, at)
            done.append(taken)
        return done, self._write(list(letters), at=at)

    def _hear(self, letter: DeadLetter) -> None:
        """Count a dead letter in the lane it belongs to, or in any: it makes its source late all the same."""
        kept = self._of(letter.account_id) if letter.account_id else next(iter(self.kept.values()))
        if kept.ear is not None:
            kept.ear.letter(letter.raw)

    def tick(self, read_until: Instant, *, at: Instant) -> tuple[int, bool]:
        """Take the inbox in and move the clocks, as far as every event that arrived by ``read_until`` is taken.

        The clocks come up to ``read_until`` less two seconds, at most a day in one transaction: returns how many
        decisions that caused, and whether there is more to do. ``at`` is the wall clock, for leases.
        """
        until = min([read_until - SETTLE, *(clock + DAY for clock in self.clocks.values())])
        for kept in self.kept.values():
            if kept.lane.clock is not None:
                self._inbox(kept, kept.lane.clock, until)
        self._steps_until(until)
        for kept in self.kept.values():
            if kept.lane.clock is not None and kept.lane.clock < until:
                kept.facts += kept.lane.advance(until)
        return self._write([], at=at), until < read_until - SETTLE

    def _renew(self, at: Instant) -> None:
        """Say it every few seconds: after every small batch it would cost as much as the batch."""
        if not 0 <= at - self._renewed_at < RENEW_EVERY:
            super()._renew(at)
            self._renewed_at = at
