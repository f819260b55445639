"""Kafka for Faust, a batch at a time: one Faust event is what a worker's lanes take in, in one transaction.

Stock Faust hands out records one by one and acknowledges them itself; both cost events or time. This keeps its apps,
agents and supervisors, and replaces what lies between the broker and the agent, through Faust's own extension points.
"""

import asyncio
import logging
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

from aiokafka.errors import ConsumerStoppedError, KafkaError, OffsetOutOfRangeError
from faust import Schema
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, AppT, EventT, Message

from engine.errors import LaneTaken, StoreError, StreamError
from engine.instants import Instant
from streams.batch import Claimed, Clocks, LaneBatch, Partition
from streams.consuming import ConsumerThread
from streams.held import Bounds, Fetched
from streams.stopping import FAUST
from streams.writing import Work, listed

POLL_SECONDS = 0.2
BUSY_SECONDS = 0.02
"""How often we look whether the writer is through, while records come together."""
POLL_RECORDS = 2_000
ASK_EVERY = 1.0
"""Seconds between two questions where the partitions end: the clock of a quiet lane moves by the answers."""

log = logging.getLogger(__name__)
T = TypeVar("T")


def clocks() -> Clocks:
    """Both clocks, now."""
    return Clocks(time.monotonic(), Instant(time.time() * 1000))


class Undecoded(Schema[Any, Any]):
    """Hands a message's value on as it is: a whole batch, which nothing has to decode."""

    def compile(self, app: AppT, **_more: Any) -> Callable[..., Awaitable[EventT[Any]]]:
        """Make the function that turns a message into an event."""
        create = app.create_event

        async def decode(message: Message, *, propagate: bool = False) -> EventT[Any]:  # noqa: ARG001 - as Faust calls
            return create(None, message.value, None, message)

        return decode


class Consumer(driver.Consumer):
    """Faust's consumer, whose messages are batches of lanes."""

    logger = FAUST
    work: Work
    _thread: ConsumerThread
    _claiming: asyncio.Task[None] | None = None
    _asking: asyncio.Task[None] | None = None
    _asked_at = float("-inf")
    _deaf = False
    """Did the broker not answer when it was last asked where the partitions end?"""
    _carried = 0
    _put_by = False
    """Was something left for the writer's next transaction?"""

    def __init__(self, transport: "Transport", **more: Any) -> None:
        self.work = transport.work
        self._said = dict[int, str]()
        """By lane the trouble that was told last, until it goes on: it is looked at again and again, and told once."""
        super().__init__(transport, **more)

    # -- overridden ------------------------------------------------------------------------------------------------
    def _new_consumer_thread(self) -> driver.AIOKafkaConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """An assignment is in: note its lanes, to be claimed and sought by ``getmany``."""
        held = self.work.held
        generation = self.app.consumer_generation_id
        positions = await self._thread.seek_to_committed()
        partitions = [Partition(*tp) for tp in self.assignment()]
        gone = held.assigned(partitions, generation, time.monotonic())
        self._read_offset.clear()
        await self.work.drop(gone)
        return positions

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Message]]:  # noqa: ASYNC109 - upstream's name
        """Fetch, merge, and give the lanes' next batches out, a message for each transaction."""
        if not self.flow_active:
            await self.wait(self.can_resume_flow)  # type: ignore[arg-type]  # as upstream does
        for batches in await self._turned() if self._flows() else ():
            current = [batch for batch in batches if self.work.held.current(batch)]
            if self._flows() and current:
                self.work.given(current)
                message = self._carrying(current)
                yield message.tp, message

    async def commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:  # noqa: FBT001, FBT002
        """Begin to tell Kafka the offsets that are in the store; nobody waits for it."""
        offsets = self.work.held.mirror()
        if offsets and self._thread.thread_loop.is_running():
            asyncio.run_coroutine_threadsafe(self._thread.mirror(offsets), self._thread.thread_loop)
        return False

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Hold nothing any more: what is still on its way to the agent is dropped."""
        self.work.held.revoked()
        self.work.given(None)
        await super().on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Give lanes up where nothing was assigned; else Faust seeks, and the lanes are claimed."""
        lanes = sorted({tp.partition for tp in assigned})
        self.work.tally.shared_out(lanes)
        log.info("joined the group %s; its lanes here: %s", self.app.conf.id, listed(lanes) or "none")
        if not assigned:
            log.warning("no partition of %s was given to this worker", ", ".join(self.work.held.topics))
            await self.work.drop(self.work.held.assigned([], generation_id, time.monotonic()))
        await super().on_partitions_assigned(assigned, generation_id)

    def _flows(self) -> bool:
        return self.flow_active and not self.should_stop

    async def _turned(self) -> Sequence[Sequence[LaneBatch]]:
        try:
            return await self._turn()
        except ConsumerStoppedError:
            raise
        except Exception as err:
            log.exception("records cannot be taken in")
            self.work.fatal(f"records cannot be taken in: {err!r}")
            raise

    # -- one turn ----------------------------------------------------------------------------------------------------
    async def _turn(self) -> Sequence[Sequence[LaneBatch]]:
        work, held = self.work, self.work.held
        work.polled_at = now = time.monotonic()
        self._start_what_is_due(now)
        enough = work.busy and held.at_hand >= POLL_RECORDS
        wanted, generation = {} if enough else held.wanted(), held.generation
        if wanted:
            fetched = await self._fetch(wanted, generation)
            if held.generation != generation or not self.flow_active:
                return []
            now = time.monotonic()
            work.pace.count(held.add(fetched), now)
        else:
            await (work.rest(POLL_SECONDS) if work.busy else asyncio.sleep(POLL_SECONDS / 2))
            now = time.monotonic()
        # What comes while the writer is at work goes together into its next transaction. In transactions of their own,
        # each as small as a fetch, a worker whose database is slow never catches up.
        self._put_by = work.busy
        return [] if self._put_by else list(held.rounds(now))

    async def _fetch(self, wanted: Mapping[Partition, int], generation: int) -> Mapping[Partition, Fetched]:
        work, held = self.work, self.work.held
        seconds = BUSY_SECONDS if work.busy or self._put_by else POLL_SECONDS
        least = 1 if held.history else work.pace.least
        try:
            return await self._thread.ask(self._thread.fetch(wanted, seconds, POLL_RECORDS, least))
        except OffsetOutOfRangeError as err:
            lanes = {partition.partition for partition in err.args[0]} if held.generation == generation else set()
            for lane in lanes:
                held.put_off(lane, "its offset is no longer in the log", time.monotonic())
        except KafkaError as err:
            if isinstance(err, ConsumerStoppedError) or not err.retriable:
                raise
            self.work.tally.failed(err)
            log.warning("records cannot be fetched: %s; trying again", err)
            await asyncio.sleep(POLL_SECONDS)
        return {}

    def _start_what_is_due(self, now: float) -> None:
        held = self.work.held
        if self._claiming is None and (due := held.due(now)):
            self._claiming = asyncio.ensure_future(self._claim(due))
        if self._asking is None and held.lanes and now - self._asked_at >= ASK_EVERY:
            self._asked_at = now
            self._asking = asyncio.ensure_future(self._ask())

    async def _ask(self) -> None:
        """Where do the partitions end? The answer is as old as the question."""
        held, tally, asked = self.work.held, self.work.tally, clocks()
        going = set(held.held)
        try:
            ends = await self._thread.ask(self._thread.ends(held.partitions(held.lanes)))
            held.ended({place: end for place, end in ends.items() if place.partition in going}, asked)
            tally.well("kafka")
            if self._deaf:
                log.info("Kafka answers again")
            self._deaf = False
            tally.ends(ends, held.heads())
        except (KafkaError, TimeoutError) as err:
            tally.failed(err)
            if not self._deaf:
                log.warning("Kafka does not answer; it is asked again every second: %s", str(err) or type(err).__name__)
            self._deaf = True
        finally:
            self._asking = None

    async def _claim(self, lanes: Sequence[int]) -> None:
        """Claim lanes, see that the log still holds what they need, and go on where the store stands."""
        work, held = self.work, self.work.held
        generation = held.generation
        try:
            trouble = await self._unfit()
            if trouble is not None:
                if self._is_news(lanes, trouble):
                    log.error("lanes %s: %s", listed(lanes), trouble)
                work.tally.failed(trouble, lanes)
                self._put_off(lanes, generation, trouble)
                return
            claims = await work.claim(lanes)
            asked = clocks()
            bounds = await self._thread.ask(self._thread.bounds(held.partitions(lanes)))
            if held.generation == generation:
                await self._go_on(claims, bounds, asked)
        except StoreError as err:
            work.tally.failed(err, lanes, retried="claim")
            work.store.away(f"lanes {listed(lanes)} cannot be claimed: {err}")
            self._put_off(lanes, generation, f"not claimed: {err}")
        except (LaneTaken, StreamError, KafkaError, TimeoutError) as err:
            work.tally.failed(err, lanes, retried="claim")
            log.warning("lanes %s cannot be claimed: %s; trying again", listed(lanes), err)
            self._put_off(lanes, generation, f"not claimed: {err}")
        except Exception as err:
            log.exception("lanes %s cannot be claimed", listed(lanes))
            work.fatal(f"lanes {listed(lanes)} cannot be claimed: {err!r}")
            raise
        finally:
            self._claiming = None

    async def _go_on(self, claims: Mapping[int, Claimed], bounds: Mapping[Partition, Bounds], asked: Clocks) -> None:
        """Hold the lanes that fit the log, and seek them all; the others rest, so that nothing lies in the way."""
        held = self.work.held
        begin, rest, waiting = dict[Partition, int](), list[Partition](), 0
        for lane, claim in claims.items():
            positions = held.claimed(lane, claim, bounds, asked)
            if positions:
                self._said.pop(lane, None)
                begin |= positions
                waiting += sum(bounds[place].end - position for place, position in positions.items())
            else:
                if self._is_news([lane], held.troubles[lane]):
                    log.error("lane %d: %s", lane, held.troubles[lane])
                self.work.tally.failed(held.troubles[lane], [lane])
                rest += held.partitions([lane])
        self.work.tally.begun(begin)
        self.work.begun({place.partition for place in begin}, waiting)
        await self._thread.ask(self._thread.begin(begin))
        await self._thread.ask(self._thread.rest(rest))

    def _is_news(self, lanes: Collection[int], trouble: str) -> bool:
        """Was this not told of all these lanes yet? Where a log begins and ends may change: that is no news."""
        words = re.sub(r"\d+", "", trouble)
        known = all(self._said.get(lane) == words for lane in lanes)
        self._said.update(dict.fromkeys(lanes, words))
        return not known

    def _put_off(self, lanes: Sequence[int], generation: int, trouble: str) -> None:
        if self.work.held.generation == generation:
            for lane in lanes:
                self.work.held.put_off(lane, trouble, time.monotonic())

    async def _unfit(self) -> str | None:
        """Has every topic as many partitions as the store has lanes? If not, accounts would be in the wrong lane."""
        counts = await self._thread.ask(self._thread.counts(self.work.held.topics))
        wrong = [
            f"{topic} has {count or 'no'} partitions" for topic, count in counts.items() if count != self.work.lanes
        ]
        if not wrong:
            return None
        return (
            f"not whole: the store has {self.work.lanes} lanes; {', '.join(wrong)}; "
            "make topics of other names that fit, with 'ringfirst topics create', and set RINGFIRST_TOPIC_... to them; "
            "for more lanes see 'ringfirst relane'"
        )

    def _carrying(self, batches: Sequence[LaneBatch]) -> Message:
        """A message with batches as its value; its offset grows, for Faust drops what goes back."""
        self._carried += 1
        return Message(
            topic=self.work.held.topics[0],
            partition=batches[0].lane,
            offset=self._carried,
            timestamp=0.0,
            timestamp_type=0,
            headers=None,
            key=None,
            value=batches,  # type: ignore[arg-type]  # the schema hands it on as it is
            checksum=None,
            serialized_key_size=0,
            serialized_value_size=0,
            generation_id=batches[0].generation,
        )


class Transport(driver.Transport):
    """The transport of an app whose events are batches of lanes."""

    Consumer: ClassVar[Any] = Consumer

    def __init__(self, url: Sequence[Any], app: AppT, work: Work) -> None:
        self.work = work
        super().__init__(list(url), app)
