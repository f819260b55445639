"""The consumer's thread, over a consumer of the test's own: it reads from where it is told, and from nowhere else."""

import asyncio
from types import SimpleNamespace

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import IllegalStateError, NoOffsetForPartitionError, OffsetOutOfRangeError

from streams.batch import Partition
from streams.consuming import ConsumerThread
from streams.held import Fetched
from tests.streams.test_merge import Sent

USAGE = Partition("usage", 0)
AIO_USAGE = TopicPartition("usage", 0)


class Log:
    """A consumer of one partition with ten records."""

    def __init__(self, position=0, **more):
        self.state = SimpleNamespace(_position=position, position=position, lso=10, highwater=12, **more)
        self.assigned = {AIO_USAGE: self.state}
        self.sought = []
        self.error = None
        self.running = 0
        assignment = SimpleNamespace(state_value=self.assigned.get)
        self._fetcher = SimpleNamespace(_fetch_min_bytes=1)
        self._subscription = SimpleNamespace(
            subscription=SimpleNamespace(assignment=assignment), reassignment_in_progress=False
        )

    def seek(self, partition, offset):
        self.sought.append(offset)
        self.state._position = self.state.position = offset

    async def getmany(self, *partitions, timeout_ms, max_records):
        assert partitions == (AIO_USAGE,)
        assert self.running == 0
        self.running += 1
        await asyncio.sleep(0.01)
        self.running -= 1
        if self.error is not None:
            raise self.error
        start = self.state.position
        end = min(start + max_records, 10)
        self.state._position = self.state.position = end
        return {AIO_USAGE: [Sent("usage", offset, offset) for offset in range(start, end)]}


@pytest.fixture
def thread():
    made = ConsumerThread.__new__(ConsumerThread)
    made._one_fetch = asyncio.Lock()
    made._consumer = Log()
    return made


def fetch(thread, offset, limit=3):
    return asyncio.run(thread.fetch({USAGE: offset}, 0.1, limit))


def test_a_fetch_goes_on_where_the_lane_stands(thread):
    assert fetch(thread, 0)[USAGE] == Fetched([Sent("usage", offset, offset) for offset in range(3)], 3, 10)
    assert fetch(thread, 3)[USAGE].position == 6
    assert thread._consumer.sought == []


@pytest.mark.parametrize("elsewhere", [0, 7, None])
def test_a_consumer_that_stands_elsewhere_is_sought_back_first(thread, elsewhere):
    thread._consumer.state._position = thread._consumer.state.position = elsewhere
    assert [record.offset for record in fetch(thread, 5)[USAGE].records] == [5, 6, 7]
    assert thread._consumer.sought == [5]


def test_the_next_request_waits_for_as_many_bytes_as_the_fetch_says(thread):
    asyncio.run(thread.fetch({USAGE: 0}, 0.1, 3, 5_000))
    assert thread._consumer._fetcher._fetch_min_bytes == 5_000
    fetch(thread, 3)
    assert thread._consumer._fetcher._fetch_min_bytes == 1


def test_two_fetches_never_run_at_once_and_the_second_reads_nothing_twice(thread):
    async def both():
        return await asyncio.gather(*(thread.fetch({USAGE: 0}, 0.1, 4) for _ in range(2)))

    first, second = asyncio.run(both())
    assert first == second
    assert thread._consumer.sought == [0]


def test_the_end_is_that_of_what_is_committed(thread):
    assert fetch(thread, 0)[USAGE].end == 10
    thread._consumer.state.lso = -1
    assert fetch(thread, 3)[USAGE].end == 12
    thread._consumer.state.highwater = None
    assert fetch(thread, 6)[USAGE].end is None


@pytest.mark.parametrize("error", [IllegalStateError(), NoOffsetForPartitionError(AIO_USAGE)])
def test_a_group_that_is_shared_out_anew_gives_nothing(thread, error):
    thread._consumer.error = error
    assert fetch(thread, 0) == {}


def test_partitions_that_are_no_longer_ours_give_nothing(thread):
    thread._consumer.assigned.clear()
    assert fetch(thread, 0) == {}
    thread._consumer._subscription.reassignment_in_progress = True
    assert fetch(thread, 0) == {}


def test_an_offset_that_the_log_has_not_is_told(thread):
    thread._consumer.error = OffsetOutOfRangeError({AIO_USAGE: 0})
    with pytest.raises(OffsetOutOfRangeError):
        fetch(thread, 0)
