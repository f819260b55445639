"""The consumer's own thread: fetches, seeks and questions to the broker, each for positions that it is given."""

import asyncio
import logging
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import IllegalStateError, KafkaConnectionError, NoOffsetForPartitionError
from aiokafka.structs import OffsetAndMetadata
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from streams.batch import Partition
from streams.held import Bounds, Fetched
from streams.stopping import FAUST

FETCH_WAIT_MS = 100
QUESTION_SECONDS = 5.0
"""How long the broker may take to say where its partitions begin and end."""
FIRST_WAIT = 0.5
LONGEST_WAIT = 10.0
LAST_MIRROR_SECONDS = 1.0

log = logging.getLogger(__name__)
T = TypeVar("T")


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """Faust's consumer thread, told where to read: the store knows the offsets, Kafka's own are a mirror of them.

    Every method here that is a coroutine runs in this thread; ``ask`` brings it there from the event loop.
    """

    logger = FAUST
    _one_fetch: asyncio.Lock
    _mirroring: asyncio.Task[bool] | None = None

    async def ask(self, question: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine of this thread, and wait for its answer."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(question, self.thread_loop))

    # -- overridden ------------------------------------------------------------------------------------------------
    async def on_start(self) -> None:
        """Connect, however long the broker takes to be there."""
        self._one_fetch = asyncio.Lock()
        wait = FIRST_WAIT
        while True:
            try:
                await super().on_start()
                return
            except KafkaConnectionError as err:
                await self._ensure_consumer().stop()
                if self.should_stop:
                    return
                log.warning("Kafka cannot be reached: %s; trying again in %.1f s", err, wait)
                await asyncio.sleep(wait)
                wait = min(wait * 2, LONGEST_WAIT)

    async def on_thread_stop(self) -> None:
        """Give the mirror a moment, then stop."""
        if self._mirroring is not None:
            await asyncio.wait([self._mirroring], timeout=LAST_MIRROR_SECONDS)
            self._mirroring.cancel()
        try:
            await super().on_thread_stop()
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            # While no broker answers, aiokafka 0.14 cancels requests of its own and then lets out that they were.
            log.info("Kafka was away when this worker stopped; its group sees that by itself")

    def _create_worker_consumer(self, transport: driver.Transport) -> AIOKafkaConsumer:
        """Partition p of every topic to one worker, answers soon, no record of a transaction that was aborted.

        Upstream takes these three as they are; they are read when the consumer starts.
        """
        consumer = super()._create_worker_consumer(transport)
        consumer._partition_assignment_strategy = [RangePartitionAssignor]  # noqa: SLF001
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS  # noqa: SLF001
        consumer._isolation_level = "read_committed"  # noqa: SLF001
        return consumer

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Fetch nothing until the lanes are claimed: the store is asked for their offsets then, each is sought."""
        return await self.ask(self._hold_still())

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        """Tell Kafka the offsets for lag tools; best effort, for it waits without end when the group has no head."""
        wanted = {TopicPartition(*tp): OffsetAndMetadata(offset, "") for tp, offset in offsets.items()}
        try:
            await self._ensure_consumer().commit(wanted)
        except Exception as err:  # noqa: BLE001 - nothing rests on it: the store has the offsets
            log.info("Kafka's mirror of the offsets was not written: %s", err)
            return False
        return True

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Say nothing about partitions that are not fetched: the watchdog knows which should be."""

    # -- in this thread --------------------------------------------------------------------------------------------
    async def mirror(self, offsets: Mapping[Partition, int]) -> bool:
        """Begin to tell Kafka these offsets, unless it is still being told the last ones."""
        if self._mirroring is not None and not self._mirroring.done():
            return False
        self._mirroring = asyncio.ensure_future(self._commit({TP(*one): offset for one, offset in offsets.items()}))
        return True

    async def _hold_still(self) -> dict[TP, int]:
        consumer = self._ensure_consumer()
        for partition in consumer.assignment():
            consumer.pause(partition)
            consumer.seek(partition, 0)
        return {}

    async def begin(self, positions: Mapping[Partition, int]) -> None:
        """Seek partitions of claimed lanes and let them be fetched."""
        consumer = self._ensure_consumer()
        with suppress(IllegalStateError):  # taken away meanwhile: the next assignment begins anew
            for partition, offset in positions.items():
                consumer.seek(TopicPartition(*partition), offset)
                consumer.resume(TopicPartition(*partition))

    async def rest(self, partitions: Sequence[Partition]) -> None:
        """Stop fetching partitions of lanes that cannot go on, so that what lies there holds nobody up."""
        consumer = self._ensure_consumer()
        with suppress(IllegalStateError):
            for partition in partitions:
                consumer.pause(TopicPartition(*partition))

    async def fetch(
        self, wanted: Mapping[Partition, int], seconds: float, limit: int, least: int = 1
    ) -> dict[Partition, Fetched]:
        """What can be had of these partitions, each from the offset its lane stands at; one fetch at a time.

        The brokers answer the next request when they have ``least`` bytes, or after a tenth of a second. Empty when
        the group is being shared out anew. Raises what aiokafka raises when records cannot be had.
        """
        async with self._one_fetch:
            consumer = self._ensure_consumer()
            consumer._fetcher._fetch_min_bytes = least  # noqa: SLF001 - read with each request
            partitions = [TopicPartition(*partition) for partition in wanted]
            try:
                for partition, offset in zip(partitions, wanted.values(), strict=True):
                    if self._state(consumer, partition)._position != offset:  # noqa: SLF001 - position asserts
                        consumer.seek(partition, offset)  # somebody else's records must never come in here
                records = await consumer.getmany(*partitions, timeout_ms=int(seconds * 1000), max_records=limit)
                found = {}
                for name, partition in zip(wanted, partitions, strict=True):
                    state = self._state(consumer, partition)
                    if state._position is None:  # noqa: SLF001 - assigned anew while it was fetched; see above
                        return {}
                    found[name] = Fetched(records.get(partition, ()), state.position, _end(state))
            except (IllegalStateError, NoOffsetForPartitionError):
                return {}
            else:
                return found

    def _state(self, consumer: AIOKafkaConsumer, partition: TopicPartition) -> Any:
        subscription = consumer._subscription.subscription  # noqa: SLF001 - position() would wait
        assignment = subscription.assignment if subscription is not None else None
        state = assignment.state_value(partition) if assignment is not None else None
        if state is None or consumer._subscription.reassignment_in_progress:  # noqa: SLF001
            raise IllegalStateError(f"{partition} is not assigned")
        return state

    async def ends(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """Where partitions end now, by a question to the broker."""
        asked = [TopicPartition(*partition) for partition in partitions]
        answer = await asyncio.wait_for(self._ensure_consumer().end_offsets(asked), QUESTION_SECONDS)
        return {Partition(*partition): end for partition, end in answer.items()}

    async def bounds(self, partitions: Sequence[Partition]) -> dict[Partition, Bounds]:
        """Where partitions begin and end now."""
        asked = [TopicPartition(*partition) for partition in partitions]
        first = await asyncio.wait_for(self._ensure_consumer().beginning_offsets(asked), QUESTION_SECONDS)
        ends = await self.ends(partitions)
        return {name: Bounds(first[TopicPartition(*name)], end) for name, end in ends.items()}

    async def counts(self, topics: Sequence[str]) -> dict[str, int | None]:
        """How many partitions each topic has; None = there is no such topic."""
        consumer = self._ensure_consumer()
        found = {topic: consumer.partitions_for_topic(topic) for topic in topics}
        return {topic: len(partitions) if partitions else None for topic, partitions in found.items()}


def _end(state: Any) -> int | None:
    """The end that the last answer to a fetch told, of what is committed."""
    if state.lso is not None and state.lso >= 0:
        return int(state.lso)
    return None if state.highwater is None else int(state.highwater)
