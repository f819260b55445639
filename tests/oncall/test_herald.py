"""A worker's own words in the store: written beside its batches, taken back when it stops, never in its way."""

import threading
import time

import msgspec
import pytest
from sqlalchemy import create_engine, text

from engine.errors import Fenced, StoreError
from engine.stores import open_store
from engine.stores.sql import SqlStore
from ringfirst.oncall.herald import Herald, Portrait
from ringfirst.oncall.told import LaneTold, WorkerTold, read_told
from streams.batch import Claimed, Clocks, Partition, Range
from streams.held import Bounds, HeldLanes
from streams.tally import Tally
from tests.streams.crew import until

USAGE, OTHER = Partition("usage", 0), Partition("usage", 1)
WORDS = WorkerTold(version="1", group="g", began_at=0, lanes=[])


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=[pytest.mark.postgres, pytest.mark.slow])])
def store_url(request, tmp_path):
    if request.param == "postgres":
        return request.getfixturevalue("fresh_postgres")
    return f"sqlite:///{tmp_path / 'store.db'}"


@pytest.fixture
def store(store_url):
    store = open_store(store_url)
    yield store
    store.close()


@pytest.fixture
def start():
    """Start heralds that are stopped in the end."""
    started = []

    def start(store, draw=lambda: WORDS, **more):
        herald = Herald(store, "desk:1:x", draw, **({"every_seconds": 0.05} | more))
        herald.start()
        started.append(herald)
        return herald

    yield start
    for herald in started:
        herald.stop()


def test_a_worker_speaks_again_and_again_and_takes_its_words_back(store, start):
    herald = start(store)
    assert until(store.heartbeats)
    first = store.heartbeats()[0].at
    assert until(lambda: store.heartbeats()[0].at > first)
    assert (herald.probed[1], herald.current, read_told(store.heartbeats()[0].body)) == (None, True, WORDS)
    herald.stop()
    assert store.heartbeats() == []


def test_it_never_waits_for_a_batch_of_its_own_worker_nor_holds_one_up(tmp_path, start):
    store = open_store(f"sqlite:///{tmp_path / 'store.db'}")
    start(store)
    assert until(store.heartbeats)
    assert isinstance(store, SqlStore)
    with store._driver.writing():
        time.sleep(0.2)
    at = store.heartbeats()[0].at
    assert until(lambda: store.heartbeats()[0].at > at)
    store.close()


class Away:
    """A store that is away until it is back."""

    def __init__(self, store):
        self.store, self.back = store, threading.Event()
        self.tried = 0

    def put_heartbeat(self, beat):
        self.tried += 1
        if not self.back.is_set():
            raise StoreError("db: the database did not do it; ann@shop.example")
        self.store.put_heartbeat(beat)

    def is_current(self):
        return self.store.is_current()

    def drop_heartbeat(self, owner):
        self.store.drop_heartbeat(owner)


def test_a_store_that_is_away_is_tried_again_until_it_is_back(store, start):
    away = Away(store)
    herald = start(away)
    assert until(lambda: away.tried > 2)
    assert (herald.wrote, herald.probed[1]) == (None, "db: the database did not do it; ann@shop.example")
    away.back.set()
    assert until(store.heartbeats)
    assert until(lambda: herald.probed[1] is None)


def test_a_fault_of_its_own_does_not_end_it(store, start):
    spoken = []

    def draw():
        spoken.append(1)
        return 1 / 0 if len(spoken) < 3 else WORDS

    start(store, draw)
    assert until(store.heartbeats)


def test_a_store_that_hangs_does_not_keep_a_worker_from_stopping(store, start):
    class Hanging(Away):
        def put_heartbeat(self, beat):
            self.back.wait(20)

    hanging = Hanging(store)
    herald = start(hanging)
    began = time.monotonic()
    herald.stop()
    assert time.monotonic() - began < 3
    hanging.back.set()


def test_tables_that_a_newer_program_changed_are_noticed(store, store_url, start):
    herald = start(store)
    assert until(store.heartbeats)
    engine = create_engine(store_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE ringfirst_version SET version_num = '9999'"))
    engine.dispose()
    assert until(lambda: not herald.current)


def given_portrait():
    held, tally = HeldLanes(["usage"]), Tally()
    held.assigned([USAGE, OTHER], 1, 0.0)
    held.claimed(0, Claimed(1, {USAGE: 5}), {USAGE: Bounds(0, 9)}, Clocks(0.0, 0))
    tally.shared_out([0, 1])
    tally.begun({USAGE: 5})
    tally.ends({USAGE: 9, OTHER: 3}, {USAGE: 1_000})
    portrait = Portrait(tally, "crew")
    portrait.held, portrait.health = held, "http://127.0.0.1:1"
    return portrait, tally, held


def test_a_portrait_shows_lanes_lag_and_what_went_wrong():
    portrait, tally, held = given_portrait()
    tally.failed(Fenced("lane 1: ann@shop.example has it, password=geheim"), [1])
    held.put_off(1, "not claimed: ann@shop.example " + "x" * 5_000, 0.0)
    drawn = portrait.draw()
    assert (drawn.group, drawn.rebalances, drawn.rebalances_24h, drawn.health) == ("crew", 1, 1, "http://127.0.0.1:1")
    first, second = drawn.lanes
    assert (first.lane, first.records, first.since, first.trouble) == (0, 4, 1_000, None)
    assert second.trouble.startswith("not claimed: <address> xxx")
    assert len(second.trouble) == 400
    assert second.error.text == drawn.error.text == "lane 1: <address> has it, password=***"
    assert len(msgspec.json.encode(drawn)) < 4_000


def test_rates_are_of_the_last_minute(monkeypatch):
    clock = [1_000.0]
    monkeypatch.setattr("streams.tally.time.monotonic", lambda: clock[0])
    portrait, tally, _ = given_portrait()
    assert portrait.draw().lanes[0].taken_in is None
    clock[0] += 10
    tally.moved(0, {USAGE: Range(5, 9)})
    tally.ends({USAGE: 29}, {USAGE: 1_000})
    assert portrait.draw().lanes[0] == LaneTold(
        lane=0, records=20, since=1_000, came_in=2.0, taken_in=0.4, written_at=tally.written_at[0]
    )
    clock[0] += 61
    tally.ends({USAGE: 29}, {})
    clock[0] += 10
    tally.ends({USAGE: 29}, {})
    assert (portrait.draw().lanes[0].came_in, portrait.draw().lanes[0].taken_in) == (0.0, 0.0)


def test_a_worker_without_lanes_has_a_portrait_too():
    assert Portrait(Tally(), "crew").draw().lanes == []
