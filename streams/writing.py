"""The hands of a worker: claims lanes, writes their batches, and knows how that went."""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from engine.errors import Conflict, Fenced, RingfirstError, StoreError, StreamError
from streams.absence import Absence
from streams.batch import Claimed, Handler, LaneBatch
from streams.held import HeldLanes
from streams.pace import Pace
from streams.tally import Tally

LOST_SECONDS = 1.0
log = logging.getLogger(__name__)
T = TypeVar("T")


class Work:
    """What one worker does with its lanes: claims them, writes their batches, and knows how that went.

    ``fatal`` is called with a message when the process must not go on; it does not come back.
    """

    def __init__(
        self,
        held: HeldLanes,
        handler: Handler,
        *,
        lanes: int,
        fatal: Callable[[str], None],
        tally: Tally | None = None,
    ) -> None:
        self.tally = tally or Tally()
        self.held = held
        self.handler = handler
        self.lanes = lanes
        self.fatal = fatal
        self.pace = Pace()
        self.finished: Callable[[], None] = _nothing
        self.beat: Callable[[], bool] | None = None
        self.last: Callable[[], None] | None = None
        """Called at the end of the worker instead of giving its lanes up one by one."""
        self.writing_since: float | None = None
        self.claiming = False
        self.polled_at = time.monotonic()
        self.batches = self.records = self.dropped = 0
        self._given: Sequence[LaneBatch] | None = None
        self._given_at = 0.0
        self._rests = asyncio.Event()
        self._behind = set[int]()
        """Lanes that have not come to where the log ended when they were claimed."""
        self.store = Absence("the store")
        self._beside = ThreadPoolExecutor(1, "ringfirst-writer") if handler.threaded else None

    async def call(self, function: Callable[..., T], *args: Any) -> T:
        """Call the handler: here, or in its thread; never two calls at once."""
        if self._beside is None:
            return function(*args)
        return await asyncio.get_running_loop().run_in_executor(self._beside, function, *args)

    async def claim(self, lanes: Sequence[int]) -> Mapping[int, Claimed]:
        """Claim lanes; it may take as long as their accounts take to be read, and hold the event loop up meanwhile."""
        self.claiming = True
        try:
            claims = await self.call(self.handler.claim, lanes, self.held.topics)
        finally:
            self.claiming = False
        self.store.back()
        return claims

    def given(self, batches: Sequence[LaneBatch] | None) -> None:
        """These are on their way to the writer; None: nothing is any more, whatever was."""
        self._given, self._given_at = batches, time.monotonic()
        self._rests.clear()

    def through(self, batches: Sequence[LaneBatch]) -> None:
        """The writer is through with these."""
        if self._given is batches:
            self._given = None
            self._rests.set()

    async def rest(self, seconds: float) -> None:
        """Wait until the writer is through with all it was given, and no longer than so many seconds."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._rests.wait(), seconds)

    @property
    def busy(self) -> bool:
        """Is there something that the writer has not written? What got lost on its way to it counts for a second."""
        if self.writing_since is not None:
            return True
        return self._given is not None and time.monotonic() - self._given_at < LOST_SECONDS

    async def write(self, batches: Sequence[LaneBatch]) -> None:
        """Write batches of different lanes in one transaction, but for those left over from an older claim."""
        current = [batch for batch in batches if self.held.current(batch)]
        self.dropped += len(batches) - len(current)
        if not current:
            return
        error = await self._commit(current)
        if isinstance(error, Fenced | Conflict) and len(current) > 1:
            for batch in current:  # nothing was written; one after the other shows whose fault it is
                await self.write([batch])
            return
        if error is None:
            self.store.back()
        elif isinstance(error, StoreError):
            lanes = listed([batch.lane for batch in current])
            self.store.away(f"lanes {lanes}: their batches were not written: {error}")
        for batch in current:
            if not self.held.current(batch):  # taken away or claimed anew meanwhile: nothing is told of it
                log.info("lane %d: went to another claim while a batch of it was written", batch.lane)
            elif error is None:
                self._written(batch)
            else:
                self._not_written(batch, error)

    async def _commit(self, batches: Sequence[LaneBatch]) -> Exception | None:
        self.writing_since = began = time.monotonic()
        try:
            await self.call(self.handler.commit, batches)
            self.tally.committed(time.monotonic() - began, sum(len(batch.records) for batch in batches))
        except (Fenced, StoreError, Conflict) as err:
            return err
        except Exception as err:
            lanes = listed([batch.lane for batch in batches])
            log.exception("lanes %s: their batches failed", lanes)
            self.fatal(f"lanes {lanes}: {err!r}")
            raise
        finally:
            self.writing_since = None
        return None

    def _written(self, batch: LaneBatch) -> None:
        self.batches += 1
        self.records += len(batch.records)
        self.held.written(batch)
        self.tally.moved(batch.lane, batch.ranges)
        self._reached(batch)
        if batch.at_end and self.held.all_finished and self.beat is None:
            self.finished()

    def begun(self, lanes: Collection[int], waiting: int) -> None:
        """Lanes are claimed, and so many records of theirs wait in the log."""
        if lanes:
            self._behind.update(lanes)
            log.info("claimed lanes %s; %d records wait there", listed(sorted(lanes)), waiting)

    def _reached(self, batch: LaneBatch) -> None:
        if self._behind and (batch.at_end or batch.read_until is not None):
            self._behind.discard(batch.lane)
            if not self._behind.intersection(self.held.held):
                self._behind.clear()
                log.info("caught up: %d records taken in so far", self.records)

    def _not_written(self, batch: LaneBatch, error: Exception) -> None:
        now = time.monotonic()
        self.tally.failed(error, [batch.lane], retried="commit")
        if isinstance(error, Fenced):
            log.warning("lane %d: %s", batch.lane, error)
            self.held.fenced(batch.lane, now)
        else:
            if isinstance(error, Conflict):
                log.warning("lane %d: a batch was not written: %s; claiming the lane again", batch.lane, error)
            self.held.put_off(batch.lane, str(error), now)

    async def drop(self, lanes: Sequence[int]) -> None:
        """Give up lanes that Kafka took away; a store that is away learns it from the next owner."""
        if lanes:
            try:
                await self.call(self.handler.drop, lanes)
            except StoreError as err:
                self.tally.failed(err, retried="give_up")
                log.warning(
                    "lanes %s cannot be given up: %s; the next owner claims them all the same", listed(lanes), err
                )

    async def between(self) -> None:
        """Let the handler do what is due between two batches."""
        if self.beat is None:
            return
        try:
            done = await self.call(self.beat)
        except StoreError as err:
            self.tally.failed(err, retried="between")
            self.store.away(f"between batches: {err}")
            self.held.tell_again()
        except (Fenced, Conflict, StreamError) as err:
            self.tally.failed(err, retried="between")
            self.held.tell_again()
            log.warning("between batches: %s; its lanes are claimed again", err)
        except Exception as err:
            log.exception("between batches")
            self.fatal(f"between batches: {err!r}")
            raise
        else:
            if done and self.held.whole:
                self.finished()

    def close(self) -> None:
        """Give the lanes up, after the call that is still under way."""
        if self._beside is None:
            self._end()
            return
        self._beside.submit(self._end)
        self._beside.shutdown(wait=True)

    def _end(self) -> None:
        try:
            (self.last or partial(self.handler.drop, self.held.lanes))()
        except Fenced:
            log.info("the lanes have a new owner already")
        except RingfirstError as err:
            log.warning("the lanes cannot be given up: %s; the next owner claims them all the same", err)


def listed(lanes: Sequence[int]) -> str:
    """Numbers of lanes for a message."""
    return ", ".join(map(str, lanes))


def _nothing() -> None:
    return
