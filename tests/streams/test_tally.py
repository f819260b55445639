"""What a worker counts: each record once, by what became of it, and since when the next one waits."""

import time
from pathlib import Path

import pytest

from engine.errors import Fenced, StoreError
from engine.instants import HOUR, SECOND
from streams import tally as module
from streams.batch import Partition, Range
from streams.tally import Spread, Tally, Waiting
from tests.engine.test_assigned import MONDAY, TOPICS
from tests.streams.test_agent import Handler, batches, drive, given_app
from tests.streams.test_writer import ACCOUNTS, WALL, batch, line, rows, store, writer

__all__ = ["store"]
USAGE = Partition("usage", 0)


@pytest.fixture
def wall(monkeypatch):
    """A wall clock that a test moves."""

    class Wall:
        at = 1_000_000

    monkeypatch.setattr(module, "now", lambda: Wall.at)
    return Wall


def test_every_record_is_counted_by_what_became_of_it(store):
    ours = writer(store)
    epoch = ours.claim([0], TOPICS)[0].epoch
    old = line("b", time=MONDAY - HOUR - 1)
    ours.commit([batch(epoch, rows(line("a"), line("a"), old, b"{", line("x", ACCOUNTS[1])))])
    assert ours.tally.consumed == {("usage", "new"): 1, ("usage", "duplicate"): 1, ("usage", "late"): 1} | {
        ("usage", "dlq"): 2
    }
    ours.commit([batch(epoch, rows(line("a"), line("a"), old, b"{", line("x", ACCOUNTS[1])))])
    assert ours.tally.consumed["usage", "replayed"] == 5
    assert ours.tally.consumed["usage", "new"] == 1


def test_an_hour_is_not_late_and_the_latency_of_every_event_is_counted(store):
    ours = writer(store)
    epoch = ours.claim([0], TOPICS)[0].epoch
    ours.commit([batch(epoch, rows(line("a", time=MONDAY - HOUR), line("b", time=MONDAY)))])
    assert ours.tally.consumed == {("usage", "new"): 2}
    assert sum(ours.tally.latency.counts) == 2
    assert ours.tally.latency.total == (WALL - MONDAY + WALL - MONDAY + HOUR) / SECOND


def test_clocks_of_lanes_are_told(store):
    ours = writer(store)
    epoch = ours.claim([0, 1], TOPICS)[0].epoch
    ours.commit([batch(epoch, rows(line("a")))])
    assert ours.clocks() == {0: MONDAY}


def test_transactions_that_went_through_are_measured_and_those_that_failed_are_not(tmp_path):
    handler = Handler()
    app = given_app(tmp_path, handler)
    given = list(batches(app, 1, 2))
    drive(app, *given, done=lambda: app.work.batches == 2)
    tally = app.work.tally
    assert (sum(tally.batch_seconds.counts), tally.batch_events.counts[0], tally.written) == (2, 2, {USAGE: 2})
    assert (tally.last_error, list(tally.written_at)) == (None, [0])


@pytest.mark.parametrize(
    ("error", "component", "retries", "fenced"),
    [
        (StoreError("the disk is full"), "store", {"commit": 1}, 0),
        (Fenced("lane 0: a newer owner"), "lanes", {}, 1),
    ],
)
def test_what_failed_is_told_with_its_time(tmp_path, error, component, retries, fenced):
    handler = Handler()
    handler.error = error
    app = given_app(tmp_path, handler)
    drive(app, *batches(app, 1))
    tally = app.work.tally
    said = tally.last_error
    assert (said.text, said.component, abs(said.at - time.time() * 1000) < 10_000) == (str(error), component, True)
    assert (tally.lane_errors, tally.retries, tally.fenced) == ({0: said}, retries, fenced)
    assert sum(tally.batch_seconds.counts) == 0


def test_an_error_is_kept_in_one_line_and_short():
    tally = Tally()
    tally.failed("first\nsecond")
    assert tally.errors["lanes"].text == "first"
    tally.failed("x" * 10_000)
    assert len(tally.errors["lanes"].text) == module.SAID


def test_a_partition_waits_since_its_next_record_or_since_it_was_first_seen_behind(wall):
    tally = Tally()
    tally.begun({USAGE: 5})
    tally.ends({USAGE: 5}, {})
    assert tally.lag() == {USAGE: (0, None)}
    tally.ends({USAGE: 8}, {})
    wall.at += 1_000
    tally.ends({USAGE: 9}, {})
    assert tally.lag() == {USAGE: (4, wall.at - 1_000)}
    tally.ends({USAGE: 9}, {USAGE: 77})
    assert tally.lag() == {USAGE: (4, 77)}
    tally.ends({USAGE: 9}, {USAGE: wall.at + HOUR})
    assert tally.waiting[USAGE] == Waiting(9, wall.at, 5), "a record from the future waits for no time at all"
    tally.written[USAGE] = 9
    assert tally.lag() == {USAGE: (0, None)}


def test_a_partition_that_is_always_a_little_behind_waits_no_longer_for_that(wall):
    """In a steady stream something is on its way to the store whenever one looks; the next record is another one."""
    tally = Tally()
    tally.begun({USAGE: 0})
    for turn in range(1, 100):
        tally.ends({USAGE: turn * 10 + 5}, {})
        tally.moved(0, {USAGE: Range(0, turn * 10)})
        wall.at += 1_000
    assert tally.lag() == {USAGE: (5, wall.at - 1_000)}


def test_of_lanes_that_went_elsewhere_nothing_is_told(wall):
    tally = Tally()
    other = Partition("usage", 1)
    tally.begun({USAGE: 0, other: 0})
    tally.ends({USAGE: 1, other: 1}, {})
    tally.failed("halted", [0, 1])
    tally.shared_out([1])
    assert (list(tally.lag()), list(tally.lane_errors), tally.rebalanced) == ([other], [1], 1)


def test_a_history_has_no_latency(store, tmp_path: Path):
    ours = writer(store, ends=dict)
    epoch = ours.claim([0], TOPICS)[0].epoch
    ours.commit([batch(epoch, rows(line("a")))])
    assert (sum(ours.tally.latency.counts), ours.tally.consumed) == (0, {("usage", "new"): 1})


def test_a_value_on_a_bound_belongs_below_it():
    spread = Spread((1, 2))
    spread.add_all([2, 1, 1, 3])
    assert spread.counts == [2, 1, 1]
