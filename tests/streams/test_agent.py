"""The agent of a worker, driven without a broker: what it does with a batch that is good, fenced, late or fatal."""

import asyncio
from contextlib import contextmanager

import pytest

from engine.errors import Conflict, Fenced, StoreError, StreamError
from streams.app import Listening, make_app
from streams.batch import Claimed, Clocks, Partition
from streams.held import Bounds, Fetched
from streams.settings import KafkaSettings, Topics
from tests.streams.test_merge import Sent

TOPICS = ("lifecycle", "support", "usage")
KAFKA = KafkaSettings(servers=("127.0.0.1:1",), topics=Topics(**{topic: topic for topic in TOPICS}))


@contextmanager
def loop_of(app):
    """A loop to run an app in; afterwards everything that Faust opened beside it is closed too."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    app.finalize()
    try:
        yield loop
    finally:
        app.consumer._thread.thread_loop.close()
        asyncio.set_event_loop(None)
        loop.close()


class Handler:
    def __init__(self, *, threaded=False):
        self.threaded = threaded
        self.taken = []
        self.dropped = []
        self.error = None

    def claim(self, lanes, topics):
        return {lane: Claimed(1, {Partition(topic, lane): None for topic in topics}) for lane in lanes}

    def commit(self, batches):
        if self.error is not None:
            raise self.error
        self.taken += batches

    def drop(self, lanes):
        self.dropped.append(tuple(lanes))


class Fatal(Exception):
    pass


def raise_fatal(message):
    raise Fatal(message)


def given_app(tmp_path, handler, *, lanes=(0,), **more):
    listening = Listening(kafka=KAFKA, lanes=2, folder=tmp_path, **more)
    app = make_app(listening, handler)
    app.work.fatal = raise_fatal
    held = app.work.held
    held.assigned([Partition(topic, lane) for topic in TOPICS for lane in lanes], 1, 0.0)
    for lane, claim in handler.claim(lanes, TOPICS).items():
        bounds = {Partition(topic, lane): Bounds(0, 0) for topic in TOPICS}
        held.claimed(lane, claim, bounds, Clocks(0.0, 0))
    return app


def batches(app, *timestamps):
    for offset, at in enumerate(timestamps):
        app.work.held.add({Partition("usage", 0): Fetched([Sent("usage", offset, at)], offset + 1)})
        yield from app.work.held.rounds(0.0)


def drive(app, *given, done=lambda: True):
    """Hand batches to the agent as its stream would, and wait until it is done with them."""

    async def driven():
        async with app.lanes.test_context() as agent:
            for batch in given:
                await agent.put(batch)
            for _ in range(500):
                if done():
                    break
                await asyncio.sleep(0.01)

    with loop_of(app) as loop:
        loop.run_until_complete(driven())


@pytest.mark.parametrize("threaded", [False, True])
def test_the_agent_writes_one_batch_after_another(tmp_path, threaded):
    handler = Handler(threaded=threaded)
    app = given_app(tmp_path, handler)
    given = list(batches(app, 1, 2, 3))
    drive(app, *given, done=lambda: app.work.batches == len(given))
    assert handler.taken == [batch for [batch] in given]
    assert (app.work.batches, app.work.records, app.work.dropped) == (3, 3, 0)
    assert app.work.held.mirror() == {Partition("usage", 0): 3}
    app.work.close()
    assert handler.dropped == [(0,)]


def test_a_batch_left_over_from_before_is_dropped(tmp_path):
    handler = Handler()
    app = given_app(tmp_path, handler)
    given = list(batches(app, 1))
    app.work.held.revoked()
    drive(app, *given)
    assert (handler.taken, app.work.dropped) == ([], 1)


def test_a_fenced_lane_is_let_go_and_the_agent_lives(tmp_path):
    handler = Handler()
    app = given_app(tmp_path, handler)
    first, second = batches(app, 1, 2)
    handler.error = Fenced("lane 0: epoch 1; found 2; stop")
    drive(app, first, second)
    assert (app.work.held.held, list(app.work.held.fenced_at), app.work.dropped) == ((), [0], 1)


@pytest.mark.parametrize("error", [Fenced("lane 1: stop"), Conflict("lane 1: a mail was claimed meanwhile")])
def test_the_fault_of_one_lane_does_not_hold_up_the_others_of_its_transaction(tmp_path, error):
    class OneAtFault(Handler):
        def commit(self, batches):
            if any(batch.lane == 1 for batch in batches):
                raise error
            super().commit(batches)

    handler = OneAtFault()
    app = given_app(tmp_path, handler, lanes=(0, 1))
    for lane in (0, 1):
        app.work.held.add({Partition("usage", lane): Fetched([Sent("usage", 0, 5, partition=lane)], 1)})
    [together] = app.work.held.rounds(0.0)
    assert len(together) == 2
    drive(app, together)
    assert [batch.lane for batch in handler.taken] == [0]
    assert app.work.held.held == (0,)
    assert app.work.held.due(1e9) == ([] if isinstance(error, Fenced) else [1])


def test_a_lane_whose_batch_may_be_written_or_not_is_claimed_again(tmp_path):
    handler = Handler()
    app = given_app(tmp_path, handler)
    first, second = batches(app, 1, 2)
    handler.error = StoreError("the connection broke at the commit")
    drive(app, first, second)
    assert app.work.held.held == ()
    assert app.work.held.due(1e9) == [0]
    assert app.work.dropped == 1


@pytest.mark.parametrize("error", [Fenced("lane 0: stop"), StoreError("broken"), None])
def test_nothing_is_told_of_a_lane_that_went_to_another_claim_while_its_batch_was_written(tmp_path, error):
    class Slow(Handler):
        def commit(self, batches):
            app.work.held.assigned([Partition(topic, 1) for topic in TOPICS], 2, 0.0)
            if error is not None:
                raise error

    app = given_app(tmp_path, Slow())
    drive(app, *batches(app, 1))
    held = app.work.held
    assert (held.due(1e9), held.fenced_at, held.mirror(), app.work.batches) == ([1], {}, {}, 0)


def test_a_store_that_is_away_does_not_keep_lanes_from_being_given_up(tmp_path):
    class Away(Handler):
        def drop(self, lanes):
            raise StoreError("away")

    asyncio.run(given_app(tmp_path, Away()).work.drop([0]))


def test_anything_else_ends_the_process(tmp_path):
    handler = Handler()
    app = given_app(tmp_path, handler)
    handler.error = ZeroDivisionError()
    with pytest.raises(Fatal, match="lanes 0: ZeroDivisionError"):
        asyncio.run(app.work.write(next(batches(app, 1))))


def test_a_history_is_finished_when_its_last_lane_is(tmp_path):
    handler = Handler()
    app = given_app(tmp_path, handler, history=True)
    finished = []
    app.work.finished = lambda: finished.append(True)
    drive(app, *app.work.held.rounds(0.0))
    assert (handler.taken[0].at_end, finished) == (True, [True])


@pytest.mark.parametrize("error", [StoreError("away"), StreamError("away"), Fenced("lane 0: gone"), Conflict("moved")])
def test_after_a_fault_between_batches_a_history_at_its_end_says_so_again(tmp_path, error):
    handler = Handler()
    app = given_app(tmp_path, handler, history=True)
    answers = [error, True]

    def beat():
        answer = answers.pop(0)
        if answer is not True:
            raise answer
        return answer

    finished = []
    app.work.beat, app.work.finished = beat, lambda: finished.append(True)
    drive(app, *app.work.held.rounds(0.0))
    assert not list(app.work.held.rounds(0.0)), "it was said"
    asyncio.run(app.work.between())
    assert [batch.at_end for [batch] in app.work.held.rounds(0.0)] == [True]
    asyncio.run(app.work.between())
    assert finished == [True]


def test_a_history_is_not_finished_before_the_worker_has_its_lanes(tmp_path):
    app = given_app(tmp_path, Handler(), lanes=(0, 1), history=True)
    finished = []
    app.work.beat, app.work.finished = lambda: True, lambda: finished.append(True)
    app.work.held.put_off(1, "away", 0.0)
    asyncio.run(app.work.between())
    app.work.held.revoked()
    asyncio.run(app.work.between())
    assert finished == []
