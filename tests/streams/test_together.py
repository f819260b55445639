"""What comes while the writer is at work goes together into its next transaction."""

import asyncio
from contextlib import contextmanager

import pytest

from streams import transport, writing
from streams.batch import Claimed, Clocks, Partition
from streams.held import Bounds, Fetched
from streams.pace import TOGETHER_BYTES
from tests.streams.test_agent import TOPICS, Handler, given_app, loop_of
from tests.streams.test_merge import Sent

USAGE = Partition("usage", 0)


class Thread:
    """The consumer's thread, which brings one record with each fetch."""

    def __init__(self, thread_loop):
        self.thread_loop = thread_loop
        self.asked = []
        self.ended = False

    async def ask(self, question):
        return await question

    async def begin(self, positions):
        """Nothing is sought here."""

    rest = begin

    async def fetch(self, wanted, seconds, limit, least=1):
        self.asked.append((seconds, least))
        if self.ended:
            return {}
        at = wanted[USAGE]
        return {USAGE: Fetched([Sent("usage", at, at)], at + 1)}


@contextmanager
def given_consumer(tmp_path, **more):
    app = given_app(tmp_path, Handler(), **more)
    with loop_of(app) as loop:
        consumer = app.consumer
        consumer._thread = Thread(consumer._thread.thread_loop)
        consumer._claiming = consumer._asking = object()  # nothing beside the turns
        consumer.flow_active = True
        for topic in TOPICS:  # nothing else comes: no topic waits for another
            app.work.held._held[0].merge.ended(topic, 0, float("inf"))
        yield consumer, lambda: loop.run_until_complete(consumer._turn())


def offsets(rounds):
    return [[record.offset for batch in batches for record in batch.records] for batches in rounds]


def test_records_that_come_while_one_transaction_is_written_share_the_next(tmp_path):
    with given_consumer(tmp_path) as (consumer, turn):
        assert offsets(turn()) == [[0]]
        consumer.work.writing_since = 1.0
        assert [turn(), turn(), turn()] == [[], [], []]
        consumer.work.writing_since = None
        assert offsets(turn()) == [[1, 2, 3, 4]]


def test_what_was_put_by_is_given_out_soon_after_though_nothing_more_comes(tmp_path):
    with given_consumer(tmp_path) as (consumer, turn):
        consumer.work.writing_since = 1.0
        assert turn() == []
        consumer.work.writing_since, consumer._thread.ended = None, True
        assert offsets(turn()) == [[0]]
        assert turn() == []
        assert [seconds for seconds, _ in consumer._thread.asked] == [
            transport.BUSY_SECONDS,
            transport.BUSY_SECONDS,
            transport.POLL_SECONDS,
        ]


def test_a_lane_that_has_run_ahead_waits_for_the_writer_without_a_fetch(tmp_path, monkeypatch):
    with given_consumer(tmp_path) as (consumer, turn):
        monkeypatch.setattr(consumer.work.held, "wanted", dict)
        consumer.work.held.add({USAGE: Fetched([Sent("usage", 0, 0)], 1)})
        consumer.work.writing_since = 1.0
        assert turn() == []
        consumer.work.writing_since = None
        assert offsets(turn()) == [[0]]
        assert consumer._thread.asked == []


def test_who_has_enough_for_the_next_transaction_fetches_nothing_until_the_writer_is_through(tmp_path, monkeypatch):
    monkeypatch.setattr(transport, "POLL_RECORDS", 2)
    with given_consumer(tmp_path) as (consumer, turn):
        work, batches = consumer.work, [object()]
        work.given(batches)
        assert [turn(), turn()] == [[], []]
        assert (work.held.at_hand, len(consumer._thread.asked)) == (2, 2)
        monkeypatch.setattr(transport, "POLL_SECONDS", 30.0)

        async def soon():
            turning = asyncio.ensure_future(consumer._turn())
            await asyncio.sleep(0.01)
            assert not turning.done()
            work.through(batches)
            return await asyncio.wait_for(turning, 5)

        assert offsets(asyncio.get_event_loop_policy().get_event_loop().run_until_complete(soon())) == [[0, 1]]
        assert (work.held.at_hand, len(consumer._thread.asked)) == (0, 2)


def test_what_is_on_its_way_to_the_writer_counts_as_being_written(tmp_path, monkeypatch):
    work = given_app(tmp_path, Handler()).work
    first, last = [object()], [object()]
    work.given(first)
    work.given(last)
    work.through(first)
    assert work.busy
    work.through(last)
    assert not work.busy
    work.given(first)
    monkeypatch.setattr(writing, "LOST_SECONDS", 0.0)
    assert not work.busy, "it got lost on its way, and nobody will ever be through with it"
    work.writing_since = 1.0
    assert work.busy


def test_nothing_is_on_its_way_any_more_when_the_group_is_shared_out_anew(tmp_path):
    with given_consumer(tmp_path) as (consumer, _turn):
        consumer.work.given([object()])

        async def revoked():
            await consumer.on_partitions_revoked(set())

        asyncio.get_event_loop_policy().get_event_loop().run_until_complete(revoked())
        assert not consumer.work.busy


@pytest.mark.parametrize(("history", "least"), [(False, TOGETHER_BYTES), (True, 1)])
def test_the_broker_waits_for_a_transaction_s_worth_where_much_comes_and_never_in_a_history(tmp_path, history, least):
    with given_consumer(tmp_path, history=history) as (consumer, turn):
        for step in range(100):
            consumer.work.pace.count(100, step / 100)
        turn()
        assert consumer._thread.asked == [(transport.POLL_SECONDS, least)]


def test_the_agent_says_when_the_writer_is_through(tmp_path):
    app = given_app(tmp_path, Handler())
    app.work.held.add({USAGE: Fetched([Sent("usage", 0, 0)], 1)})
    [batches] = app.work.held.rounds(0.0)
    app.work.given(batches)

    async def driven():
        async with app.lanes.test_context() as agent:
            await agent.put(batches)
            for _ in range(100):
                if not app.work.busy:
                    break
                await asyncio.sleep(0.005)

    with loop_of(app) as loop:
        loop.run_until_complete(driven())
        assert app.work._given is None


def test_what_keeps_a_lane_from_going_on_is_told_once(tmp_path, monkeypatch, caplog):
    """It is looked at again every minute for as long as nobody decides."""
    gone = "usage[0]: retention overtook the store; it goes on at 5, the log begins at {}"
    with given_consumer(tmp_path) as (consumer, _turn):
        held = consumer.work.held

        def go_on(halted):
            bounds = {place: Bounds(0, 0) for place in held.partitions([0])}
            claims = {0: Claimed(1, dict.fromkeys(bounds, 0), halted)}
            asyncio.get_event_loop_policy().get_event_loop().run_until_complete(
                consumer._go_on(claims, bounds, Clocks(0.0, 0))
            )
            return [record.message for record in caplog.records if record.levelname == "ERROR"]

        assert len(go_on(gone.format(7))) == 1
        assert len(go_on(gone.format(9))) == 1
        assert held.troubles[0] == "halted: " + gone.format(9), "status says how it is now"
        assert len(go_on("usage[0]: the topic was deleted and made anew")) == 2
        assert len(go_on(None)) == 2
        assert len(go_on("usage[0]: the topic was deleted and made anew")) == 3


def test_that_the_topics_do_not_fit_is_told_once(tmp_path, monkeypatch, caplog):
    async def unfit():
        return "not whole: usage has 3 partitions"

    with given_consumer(tmp_path, lanes=(0, 1)) as (consumer, _turn):
        monkeypatch.setattr(consumer, "_unfit", unfit)
        for _ in range(3):
            asyncio.get_event_loop_policy().get_event_loop().run_until_complete(consumer._claim([0, 1]))
        assert [record.message for record in caplog.records if record.levelname == "ERROR"] == [
            "lanes 0, 1: not whole: usage has 3 partitions"
        ]
