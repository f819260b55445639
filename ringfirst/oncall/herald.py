"""Says every few seconds, beside the batches, how a worker is; and so sees whether the store can be written to."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import version
from typing import NamedTuple

import msgspec

from engine.errors import RingfirstError
from engine.instants import DAY, SECOND, Instant
from engine.reports.late import Late
from engine.store import Heartbeat, LetterCount, Outage, Store
from outreach.circuit import standing
from outreach.doubts import SENDGRID, silent
from ringfirst.intake import now
from ringfirst.logs import redacted
from ringfirst.oncall.late_reports import LateReports
from ringfirst.oncall.told import ErrorTold, LaneTold, WorkerTold
from streams.held import HeldLanes
from streams.tally import Said, Tally

EVERY_SECONDS = 5.0
LAST_WORD_SECONDS = 1.0
"""How long a worker that stops waits for its row to be gone."""
STOCK_SECONDS = 30.0
"""How often the pages of a worker look what the store holds: it is a count over all mails."""
SHORT = 400
_log = logging.getLogger(__name__)


class Portrait:
    """Draws a worker as it is now, from what it counts and holds."""

    def __init__(self, tally: Tally, group: str) -> None:
        self.held: HeldLanes | None = None
        """Known once the worker is made."""
        self.health: str | None = None
        """Where its pages are."""
        self._tally, self._group = tally, group
        self._version = version("ringfirst")

    def draw(self) -> WorkerTold:
        """The worker now."""
        tally, at = self._tally, now()
        rebalances = tally.rebalances
        return WorkerTold(
            version=self._version,
            group=self._group,
            began_at=tally.began_at,
            lanes=[self._lane(lane) for lane in (self.held.lanes if self.held is not None else ())],
            rebalances=tally.rebalanced,
            rebalances_24h=sum(one > at - DAY for one in rebalances),
            rebalanced_at=rebalances[-1] if rebalances else None,
            kafka_at=tally.succeeded.get("kafka"),
            committed_at=tally.succeeded.get("store"),
            error=_told(tally.last_error),
            health=self.health,
        )

    def _lane(self, lane: int) -> LaneTold:
        trouble = self.held.troubles.get(lane) if self.held is not None else None
        lags = [lag for place, lag in self._tally.lag().items() if place.partition == lane]
        came_in, taken_in = self._tally.rates(lane)
        return LaneTold(
            lane=lane,
            trouble=None if trouble is None else redacted(trouble)[:SHORT],
            records=sum(records for records, _ in lags) if lags else None,
            since=_first(since for _, since in lags),
            came_in=came_in,
            taken_in=taken_in,
            written_at=self._tally.written_at.get(lane),
            error=_told(self._tally.lane_errors.get(lane)),
        )


class Stock(NamedTuple):
    """What the store holds that somebody may have to look at."""

    letters: Sequence[LetterCount]
    mails: Mapping[str, int]
    unheard_seconds: float = 0.0
    """For how long mails have left by SendGrid without a word of any; 0: it tells of them."""
    outages: Sequence[Outage] = ()
    """Channels that take nothing now."""
    late: Sequence[Late] = ()
    """Reports that are due and were not issued."""


class Herald(threading.Thread):
    """Writes a worker's portrait into the store every few seconds, in a transaction of its own.

    A store that is away is asked again; nothing else waits for it. ``probed`` tells the last try. Every
    ``stock_seconds`` it looks what the store holds (None: never).
    """

    def __init__(
        self,
        store: Store,
        owner: str,
        draw: Callable[[], WorkerTold],
        *,
        every_seconds: float = EVERY_SECONDS,
        stock_seconds: float | None = None,
    ) -> None:
        super().__init__(name="ringfirst-herald", daemon=True)
        self._store, self._owner, self._draw, self._every = store, owner, draw, every_seconds
        self._stock_seconds, self._reports = stock_seconds, LateReports(store)
        self._stocked = float("-inf")
        self._over = threading.Event()
        self._gone = threading.Event()
        self.probed: tuple[float, str | None] | None = None
        """When the store was last tried (monotonic), and what went wrong; None = not yet."""
        self.wrote: float | None = None
        """When it last took a heartbeat (monotonic)."""
        self.current = True
        """Are the store's tables of this program's version?"""
        self.stock: Stock | None = None
        """What the store held when it was last looked into."""

    def run(self) -> None:
        """Speak until told to stop, then take the last words back."""
        while not self._over.is_set():
            self._speak()
            self._over.wait(self._every)
        try:
            self._store.drop_heartbeat(self._owner)
        except RingfirstError as err:
            _log.info("the last words of this worker stay in the store for an hour: %s", err)
        self._gone.set()

    def _speak(self) -> None:
        try:
            self._store.put_heartbeat(Heartbeat(self._owner, now(), msgspec.json.encode(self._draw())))
            self.current = self._store.is_current()
            self._look()
        except RingfirstError as err:
            self.probed = time.monotonic(), str(err)
            _log.info("no word of this worker could be left in the store: %s", err)
        except Exception as err:  # noqa: BLE001 - a worker must not end for what only tells of it
            self.probed = time.monotonic(), repr(err)
            _log.exception("no word of this worker could be left in the store")
        else:
            self.wrote = time.monotonic()
            self.probed = self.wrote, None

    def _look(self) -> None:
        at = time.monotonic()
        if self._stock_seconds is not None and at - self._stocked >= self._stock_seconds:
            unheard = silent(self._store, SENDGRID, now()) / SECOND
            away = standing(self._store.outages(), now())
            self.stock = Stock(
                self._store.dead_letter_counts(), self._store.mail_counts(), unheard, away, self._reports.at(now())
            )
            self._stocked = at

    def stop(self) -> None:
        """Take the last words back; waits for that no longer than a second."""
        self._over.set()
        if self.is_alive():
            self._gone.wait(LAST_WORD_SECONDS)


def _told(said: Said | None) -> ErrorTold | None:
    return None if said is None else ErrorTold(said.at, said.component, redacted(said.text)[:SHORT])


def _first(instants: Iterable[Instant | None]) -> Instant | None:
    return min((one for one in instants if one is not None), default=None)
