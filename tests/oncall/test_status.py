"""What follows from two looks at store, topics and workers: who owns what, what waits, what is wrong."""

import os
import socket

import msgspec
import pytest

from engine.instants import DAY, HOUR, MINUTE, SECOND
from engine.store import Heartbeat, LaneInfo, LetterCount, Share
from ringfirst.oncall.status import Seen, status
from ringfirst.oncall.told import ErrorTold, LaneTold, WorkerTold
from streams.lag import PartitionLag

AT = 1_800_000_000_000
WORKER = "desk.example:1:-:worker:ringfirst"


def info(lane, owner=WORKER, clock=AT - SECOND):
    return LaneInfo(lane, 1, 5, clock, 0, owner, AT + 30_000 if owner else None)


def lag(lane, taken, end, seconds=0.0, topic="usage", fault=None):
    return PartitionLag(topic, lane, taken, end, end - taken, seconds, fault)


def told(*lanes, at=AT, owner=WORKER, **more):
    more = {"rebalanced_at": AT - HOUR, "rebalances": 3, "rebalances_24h": 2} | more
    spoken = [one if isinstance(one, LaneTold) else LaneTold(lane=one) for one in lanes]
    body = WorkerTold(version="1", group="g", began_at=AT - DAY, lanes=spoken, **more)
    return Heartbeat(owner, at, msgspec.json.encode(body))


def seen(*lags, at=AT, steady=0.0, infos=None, **more):
    return Seen(at=at, steady=steady, infos=infos or [info(0)], lags=lags, **more)


def found(first, last=None):
    return status(first, last or msgspec.structs.replace(first, steady=first.steady + 5))


def test_the_worst_lane_gives_the_word_and_the_slowest_the_lag():
    infos = [info(0), info(1), info(2, owner=None)]
    first = seen(lag(0, 5, 5), lag(1, 0, 100, 7.5), lag(2, 3, 4, 7_200.0), infos=infos)
    last = seen(lag(0, 5, 5), lag(1, 50, 100, 3.0), lag(2, 3, 4, 7_205.0), infos=infos, steady=5.0)
    now = status(first, last)
    assert [one.state for one in now.lanes] == ["OK", "catching up", "stopped"]
    assert (now.state, now.records, now.seconds, now.slowest_lane, now.well) == ("stopped", 51, 7_205.0, 2, False)
    assert now.lanes[1].left_seconds == 5.0
    assert now.lanes[2].why == "nobody owns it"


def test_a_store_of_imports_is_at_rest_and_not_stopped():
    rest = Seen(at=AT, steady=0.0, infos=[info(0, owner=None), info(1, owner=None)], kafka_used=False)
    now = found(rest)
    assert (now.state, now.well) == ("at rest", True)
    assert {(one.state, one.why) for one in now.lanes} == {("at rest", None)}
    lived = [info(0, owner=None), msgspec.structs.replace(info(1, owner=None), lived=True)]
    for other in ({"infos": lived}, {"beats": [told(0)]}, {"kafka_used": True}):
        now = found(msgspec.structs.replace(rest, **other))
        assert ("stopped" in {one.state for one in now.lanes}, now.well) == (True, False)


def test_an_owner_that_is_known_to_be_dead_owns_nothing():
    dead = f"{socket.gethostname()}:{2**22 + 1}:1:worker:ringfirst"
    now = found(seen(lag(0, 5, 5), infos=[info(0, owner=dead)]))
    assert (now.lanes[0].state, now.lanes[0].why) == ("stopped", "its owner is dead")
    mine = f"{socket.gethostname()}:{os.getpid()}:-:worker:ringfirst"
    assert found(seen(lag(0, 5, 5), infos=[info(0, owner=mine)])).state == "OK"


def test_a_worker_that_was_given_the_lane_of_a_dead_one_owns_it_before_it_has_claimed_it():
    dead = f"{socket.gethostname()}:{2**22 + 1}:1:worker:ringfirst"
    now = found(seen(lag(0, 5, 5), infos=[info(0, owner=dead)], beats=[told(0)]))
    assert (now.state, now.lanes[0].owner) == ("OK", WORKER)


def test_a_worker_that_speaks_owns_its_lanes_also_between_two_leases():
    now = found(seen(lag(0, 5, 5), infos=[info(0, owner=None)], beats=[told(0)]))
    assert (now.state, now.lanes[0].owner, now.alive_workers) == ("OK", WORKER, 1)


def test_a_worker_that_is_not_heard_of_is_not_alive_and_its_words_count_no_more():
    busy = LaneTold(lane=0, taken_in=50.0, came_in=50.0)
    late = told(busy, at=AT - 21_000)
    now = found(seen(lag(0, 5, 9, 60.0), beats=[late]))
    assert (now.alive_workers, now.workers[0].alive, now.lanes[0].state) == (0, False, "stalled")
    assert found(seen(lag(0, 5, 9, 60.0), beats=[told(busy)])).lanes[0].state == "catching up"


def test_a_worker_that_was_just_given_a_lane_reads_its_accounts():
    now = found(seen(lag(0, 5, 9, 60.0), beats=[told(LaneTold(lane=0, trouble="new"), rebalanced_at=AT - 20_000)]))
    assert (now.lanes[0].state, now.lanes[0].why) == ("catching up", "its worker is reading its accounts")
    late = found(seen(lag(0, 5, 9, 60.0), beats=[told(LaneTold(lane=0, trouble="new"), rebalanced_at=AT - MINUTE)]))
    assert late.lanes[0].state == "stalled"


def test_a_halt_is_told_with_its_way_out():
    fault = "usage[0]: retention overtook the store; ...; accept the loss with 'ringfirst offsets skip usage 0 ...'"
    now = found(seen(lag(0, 5, 9, fault=fault)))
    assert (now.state, now.lanes[0].why) == ("stalled", fault)
    halted = LaneTold(lane=0, trouble="halted: usage[0]: the log shrank")
    assert found(seen(lag(0, 5, 5), beats=[told(halted)])).state == "stalled"


def test_rates_are_those_of_the_last_minute_where_a_worker_tells_them():
    first, last = seen(lag(0, 0, 100)), seen(lag(0, 20, 120), steady=10.0)
    (lane,) = status(first, last).lanes
    assert (lane.came_per_second, lane.committed_per_second, lane.left_seconds) == (2.0, 2.0, None)
    speaking = [told(LaneTold(lane=0, came_in=1.0, taken_in=6.0))]
    (lane,) = status(first, msgspec.structs.replace(last, beats=speaking)).lanes
    assert (lane.came_per_second, lane.committed_per_second, lane.left_seconds) == (1.0, 6.0, 20.0)


def test_the_newest_of_two_workers_that_claim_a_lane_is_believed():
    beats = [told(0, rebalanced_at=AT - 1), told(0, owner="desk.example:2:-:worker:ringfirst", rebalances=9)]
    assert found(seen(lag(0, 1, 1), infos=[info(0, owner=None)], beats=beats)).lanes[0].owner == WORKER


def test_dead_letters_belong_to_their_lane_and_those_of_files_to_none():
    letters = [LetterCount("usage", 0, 2, AT - DAY), LetterCount("a.jsonl", None, 5, AT - 2 * DAY)]
    now = found(seen(lag(0, 1, 1), letters=letters))
    assert (now.dead_letters, now.oldest_dead_letter_at) == (7, AT - 2 * DAY)
    assert (now.lanes[0].dead_letters, now.lanes[0].oldest_dead_letter_at) == (2, AT - DAY)
    assert now.well, "dead letters are told; they are no reason to get up at night"


@pytest.mark.parametrize(
    ("clocks", "held"),
    [
        ([AT, AT - SECOND, AT], []),
        ([AT, AT - 3 * HOUR, AT], [1]),
        ([AT, None, AT - 5 * HOUR], [1, 2]),
    ],
)
def test_lanes_that_hold_the_portfolio_back(clocks, held):
    infos = [info(lane, clock=clock) for lane, clock in enumerate(clocks)]
    lags = [lag(lane, 1, 1) for lane in range(3)]
    shares = [Share(0, AT - HOUR, {})]
    assert found(seen(*lags, infos=infos, shares=shares)).portfolio_held_back_by == held
    assert found(seen(*lags, infos=infos)).portfolio_held_back_by == [], "no rule asks for the portfolio"


def away(**more):
    return Seen(at=AT, steady=0.0, infos=[info(0)], kafka="127.0.0.1:1: no broker answers", **more)


@pytest.mark.parametrize(
    ("lane", "state"),
    [
        (LaneTold(lane=0, records=0), "OK"),
        (LaneTold(lane=0, records=5, since=AT - 9_000, taken_in=2.0), "catching up"),
        (LaneTold(lane=0, records=5, since=AT - 9_000, taken_in=0.0), "stalled"),
        (LaneTold(lane=0, records=0, trouble="not claimed: the store is away"), "stalled"),
    ],
)
def test_where_kafka_does_not_answer_us_the_worker_is_believed(lane, state):
    now = found(away(beats=[told(lane)]))
    assert (now.lanes[0].state, now.lanes[0].records, now.well) == (state, lane.records, False)
    assert now.lanes[0].seconds == (9.0 if lane.since else 0.0)


def test_where_the_store_does_not_answer_the_topics_are_told_and_all_is_stalled():
    gone = Seen(at=AT, steady=0.0, lags=[lag(0, 0, 9, 3.0), lag(1, 0, 0)], store="postgresql://db/x: away")
    now = found(gone)
    assert (now.state, [one.records for one in now.lanes], now.well) == ("stalled", [9, 0], False)
    assert [one.owner for one in now.lanes] == [None, None]


def test_without_a_broker_a_lane_with_an_owner_is_well():
    now = found(Seen(at=AT, steady=0.0, infos=[info(0), info(1, owner=None)], kafka_used=False))
    assert ([one.state for one in now.lanes], now.records, now.kafka_used) == (["OK", "stopped"], None, False)


def test_words_of_another_version_are_not_understood_and_do_no_harm():
    now = found(seen(lag(0, 1, 1), beats=[Heartbeat(WORKER, AT, b'{"version": 7}'), Heartbeat("other", AT, b"\xff")]))
    assert ([one.alive for one in now.workers], now.lanes[0].state) == ([True, True], "OK")


def test_errors_are_told_with_their_time():
    error = ErrorTold(AT - MINUTE, "store", "the disk is full")
    now = found(seen(lag(0, 1, 1), beats=[told(LaneTold(lane=0, error=error), error=error)]))
    assert (now.lanes[0].error, now.workers[0].error, now.state) == (error, error, "OK")
