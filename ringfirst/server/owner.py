"""The thread that owns the lanes: commits what waits, moves the clocks, and loads everything again after a fault."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from engine.errors import Conflict, Fenced, LaneTaken, RingfirstError, StoreError
from engine.live import LiveKeeper
from engine.rulebook.book import Rulebook
from engine.store import Store
from ringfirst import owners
from ringfirst.intake import now
from ringfirst.server.health import Health
from ringfirst.server.metrics import Metrics
from ringfirst.server.refused import Refused, busy
from ringfirst.server.waiting import Waiting, WaitingRoom

GROUP_EVENTS = 5_000
"""How many events one transaction takes at most, if they come in several requests."""
TICK_SECONDS = 1.0
"""How often the clocks move, whether events come or not."""
TRIES = 4
_PAUSES = (0.2, 1.0, 5.0)
_log = logging.getLogger("ringfirst.server.owner")


class Owner(threading.Thread):
    """Owns all lanes of the store from ``start`` until ``WaitingRoom.close``, and answers who waits in the room.

    ``failed`` says why it ended early: ``LaneTaken`` (another owner is alive) or ``Fenced`` (another took over).
    """

    def __init__(
        self,
        store: Store,
        book: Rulebook,
        room: WaitingRoom,
        health: Health,
        metrics: Metrics,
        *,
        take_over: bool = False,
    ) -> None:
        super().__init__(name="owner", daemon=True)
        self._store, self._book, self._room = store, book, room
        self._health, self._metrics = health, metrics
        self._take_over = take_over
        self._keeper: LiveKeeper | None = None
        self._ticked = 0.0
        self.failed: RingfirstError | None = None
        self.settled = threading.Event()
        """Set when the lanes are loaded, or cannot be."""

    def run(self) -> None:
        """Load the lanes, work until the room is closed and empty, write snapshots and give the lanes up."""
        try:
            self._keeper = owners.keep_live(self._store, self._book, at=now(), take_over=self._take_over)
            self._catch_up()
            self._open()
            self.settled.set()
            self._work()
            self._keeper.stop()
        except RingfirstError as err:
            self.failed = err
            self._health.say("lost", str(err))
        finally:
            self._room.close()
            self._refuse(self._room.call(0, most_events=2**31), busy("the server has lost its lanes"))
            self.settled.set()

    def _catch_up(self) -> None:
        """Bring the clocks up to now before the first event comes: a day in each transaction."""
        while not self._room.closed and self._tick():
            self._health.why = f"the lanes are {self._health.lag_seconds() / 86_400:.0f} days behind and catching up"

    def _open(self) -> None:
        self._health.say("owner", f"holds all {self._store.lanes} lanes")
        self._room.open()

    def _work(self) -> None:
        while True:
            wait = max(0.0, self._ticked + TICK_SECONDS - time.monotonic())
            group = self._room.call(wait, most_events=GROUP_EVENTS)
            self._health.beat = time.monotonic()
            if group:
                self._take(group)
            elif self._room.closed:
                return
            if time.monotonic() >= self._ticked + TICK_SECONDS:
                self._safely(self._tick)

    # -- taking in -------------------------------------------------------------------------------------------------
    def _take(self, group: Sequence[Waiting]) -> None:
        """Commit a group and answer it. Whatever happens, everybody in it is answered."""
        try:
            for _ in range(TRIES):
                if self._tried(group):
                    return
        finally:
            self._refuse(group, busy("the lanes are being loaded again"))

    def _tried(self, group: Sequence[Waiting]) -> bool:
        """One try; False when the same again may go through."""
        try:
            self._commit(group)
        except Fenced:
            raise
        except Conflict as err:
            # A mail that the engine takes back is being handed over: loaded again, the lanes know that.
            self._load_again(err)
            return False
        except StoreError as err:
            self._refuse(group, busy("the store did not answer; what became of this request is not known"))
            self._load_again(err)
        except Exception as err:  # noqa: BLE001, the outermost loop: one bad batch must not stop the intake
            self._alone(group, err)
        return True

    def _commit(self, group: Sequence[Waiting]) -> None:
        keeper = self._held()
        parts = [one.parcel.good for one in group]
        letters = [letter for one in group for letter in one.parcel.letters]
        with self._metrics.batch_seconds.time():
            done, decisions = keeper.take_parts(parts, letters, at=now())
        self._health.written(keeper.clocks)
        self._metrics.batch(sum(len(one.parcel) for one in group), decisions)
        for one, taken in zip(group, done, strict=True):
            self._metrics.took(taken, len(one.parcel.letters))
            one.answer.set_result(taken)

    def _alone(self, group: Sequence[Waiting], err: Exception) -> None:
        """A fault of ours: who stood in the same transaction by chance must not suffer from it."""
        self._load_again(err)
        if len(group) > 1:
            for one in group:
                self._take([one])
            return
        self._refuse(
            group,
            Refused(500, f"intake: a fault of the server; {type(err).__name__}; nothing was taken; tell its operator"),
        )

    def _refuse(self, group: Sequence[Waiting], why: Refused) -> None:
        for one in group:
            if not one.answer.done():
                one.answer.set_exception(why)

    # -- the clock -------------------------------------------------------------------------------------------------
    def _tick(self) -> bool:
        """Move the clocks as far as everything that arrived is taken in; returns whether there is more to do."""
        self._ticked = time.monotonic()
        keeper, wall = self._held(), now()
        decisions, more = keeper.tick(self._room.read_until(wall), at=wall)
        self._health.written(keeper.clocks)
        self._metrics.decided(decisions)
        return more

    def _safely(self, work: Callable[[], object]) -> None:
        try:
            work()
        except Fenced:
            raise
        except Exception as err:  # noqa: BLE001, the outermost loop: the next tick tries again
            self._load_again(err)

    # -- after a fault ---------------------------------------------------------------------------------------------
    def _held(self) -> LiveKeeper:
        if self._keeper is None:
            raise StoreError("lanes: they are not loaded; an earlier fault is not over; see the log")
        return self._keeper

    def _load_again(self, fault: Exception) -> None:
        """After a fault nobody knows how far the batch came: only the store does.

        Nobody is let in meanwhile. Raises ``LaneTaken`` or ``Fenced`` when somebody else owns the lanes now.
        """
        self._room.pause()
        self._keeper = None
        self._metrics.restarts.inc()
        for number in range(2**31):
            self._health.say("recovering", f"loading the lanes again after: {told(fault)}")
            _log.error("%s; the lanes are loaded again", told(fault))
            if self._pause(_PAUSES[min(number, len(_PAUSES) - 1)]):
                raise StoreError(f"lanes: the server stops without them; {told(fault)}; mend that and start again")
            try:
                self._keeper = owners.keep_live(self._store, self._book, at=now())
            except (LaneTaken, Fenced):
                raise
            except Exception as err:  # noqa: BLE001, the store may be away for hours: keep trying
                fault = err
            else:
                break
        self._open()

    def _pause(self, seconds: float) -> bool:
        """Wait; True when the server stops meanwhile."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self._room.closed:
                return True
            time.sleep(0.05)
        return False


def told(err: Exception) -> str:
    """An error in one line; of one that is not ours only its kind and place: its message may quote a customer."""
    if isinstance(err, RingfirstError):
        return str(err)
    frame = err.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    place = f" in {Path(frame.tb_frame.f_code.co_filename).name}:{frame.tb_lineno}" if frame is not None else ""
    return f"{type(err).__name__}{place}"
