"""The lanes a worker holds: claims, positions, halts, retries, ticks, and what is dropped after a rebalance."""

import msgspec
import pytest

from streams.batch import Claimed, Clocks, Partition, Range
from streams.held import Bounds, Fetched, HeldLanes
from tests.streams.test_merge import Sent

TOPICS = ("support", "usage")


def partitions(*lanes, topics=TOPICS):
    return [Partition(topic, lane) for lane in lanes for topic in topics]


def bounds(lane, first=0, end=0):
    return {one: Bounds(first, end) for one in partitions(lane)}


def claim(lane, offset=None, epoch=1, **more):
    return Claimed(epoch, dict.fromkeys(partitions(lane), offset), **more)


def given_held(lane=0, *, end=0, offset=None, now=0.0, **more):
    held = HeldLanes(TOPICS, **more)
    held.assigned(partitions(lane), 1, now)
    assert held.claimed(lane, claim(lane, offset), bounds(lane, end=end), Clocks(now, 1_000_000))
    return held


def batches(held, now):
    return [batch for together in held.rounds(now) for batch in together]


def fetched(topic, offset, timestamp, lane=0):
    return {Partition(topic, lane): Fetched([Sent(topic, offset, timestamp)], offset + 1)}


def test_an_assignment_makes_its_lanes_due_and_names_those_that_are_gone():
    held = HeldLanes(TOPICS)
    assert held.assigned(partitions(0, 1), 1, 5.0) == []
    assert held.due(5.0) == [0, 1]
    assert held.wanted() == {}
    assert held.assigned(partitions(1, 2), 2, 6.0) == [0]
    assert held.due(6.0) == [1, 2]


def test_a_lane_that_misses_a_topic_is_not_claimed_and_says_so():
    held = HeldLanes(TOPICS)
    held.assigned([*partitions(0), Partition("usage", 1)], 1, 0.0)
    assert held.due(0.0) == [0]
    assert held.troubles[1] == "not whole: support gave no partition 1"


def test_a_claimed_lane_is_read_from_where_the_store_stands_or_from_the_beginning():
    held = HeldLanes(TOPICS)
    held.assigned(partitions(0), 1, 0.0)
    offsets = {Partition("support", 0): 7, Partition("usage", 0): None}
    found = {Partition("support", 0): Bounds(2, 9), Partition("usage", 0): Bounds(3, 9)}
    positions = held.claimed(0, Claimed(1, offsets), found, Clocks(0.0, 0))
    assert positions == {Partition("support", 0): 7, Partition("usage", 0): 3} == held.wanted()


@pytest.mark.parametrize(
    ("offset", "first", "end", "said"),
    [
        pytest.param(5, 6, 9, "retention overtook the store", id="retention"),
        pytest.param(10, 0, 9, "the log shrank or is another one", id="a shorter log"),
    ],
)
def test_offsets_that_do_not_fit_the_log_halt_the_lane_and_name_the_way_out(offset, first, end, said):
    held = HeldLanes(TOPICS)
    held.assigned(partitions(0), 1, 0.0)
    assert held.claimed(0, claim(0, offset), bounds(0, first, end), Clocks(0.0, 0)) == {}
    assert said in held.troubles[0]
    assert "ringfirst offsets skip support 0 --to earliest --why TEXT" in held.troubles[0]
    assert (held.held, held.due(59.0), held.due(60.0)) == ((), [], [0])


def test_offsets_at_both_edges_of_the_log_fit():
    for offset in (6, 9):
        held = HeldLanes(TOPICS)
        held.assigned(partitions(0), 1, 0.0)
        assert held.claimed(0, claim(0, offset), bounds(0, 6, 9), Clocks(0.0, 0))


def test_the_store_may_halt_a_lane_itself():
    held = HeldLanes(TOPICS)
    held.assigned(partitions(0), 1, 0.0)
    held.claimed(0, claim(0, halted="these offsets are of another cluster"), bounds(0), Clocks(0.0, 0))
    assert held.troubles[0] == "halted: these offsets are of another cluster"


def test_retries_come_less_and_less_often_and_a_batch_that_is_written_forgets_them():
    held = given_held()
    waits = []
    for _ in range(7):
        held.put_off(0, "away", 0.0)
        waits.append(next(at / 10 for at in range(200) if held.due(at / 10)))
    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
    held.claimed(0, claim(0), bounds(0), Clocks(0.0, 0))
    held.add(fetched("usage", 0, 5))
    [batch, *_] = batches(held, 0.0)
    held.written(batch)
    held.put_off(0, "away", 0.0)
    assert held.due(0.5) == [0]


def test_a_fenced_lane_is_left_alone_until_the_next_assignment():
    held = given_held()
    held.fenced(0, 0.0)
    assert (held.held, held.due(1e9), held.wanted()) == ((), [], {})
    held.assigned(partitions(0), 2, 5.0)
    assert (held.due(5.0), held.fenced_at) == ([0], {})


def test_what_was_read_under_an_older_claim_is_dropped():
    held = given_held()
    held.add(fetched("usage", 0, 5))
    [batch] = batches(held, 0.0)
    assert held.current(batch)
    held.revoked()
    assert not held.current(batch)
    held.assigned(partitions(0), 2, 0.0)
    assert not held.current(batch)
    held.claimed(0, claim(0, epoch=2), bounds(0), Clocks(0.0, 0))
    assert not held.current(batch)
    assert held.current(msgspec.structs.replace(batch, epoch=2))


def test_a_batch_carries_what_it_takes_of_each_partition():
    held = given_held(3)
    held.add(fetched("usage", 0, 5, lane=3))
    [batch] = batches(held, 0.0)
    assert batch.ranges == {Partition("usage", 3): Range(0, 1)}
    assert (batch.lane, batch.epoch, batch.generation, batch.read_until, batch.at_end) == (3, 1, 1, None, False)
    held.written(batch)
    assert held.mirror() == {Partition("usage", 3): 1}
    assert held.mirror() == {}


def test_the_clock_of_a_quiet_lane_moves_to_two_seconds_before_the_question():
    held = given_held()
    assert (batches(held, 0.0)) == []
    held.ended(dict.fromkeys(partitions(0), 0), Clocks(1.0, 60_000))
    [tick] = batches(held, 1.1)
    assert (tick.records, tick.ranges, tick.read_until) == ([], {}, 58_000)
    assert (batches(held, 1.2)) == []


def test_the_clock_does_not_move_before_everything_that_was_there_is_given_out():
    held = given_held()
    held.ended({Partition("support", 0): 0, Partition("usage", 0): 2}, Clocks(1.0, 60_000))
    assert (batches(held, 1.1)) == []
    held.add(fetched("usage", 0, 5))
    assert [batch.read_until for batch in batches(held, 1.2)] == [None]
    held.add(fetched("usage", 1, 6))
    assert [(len(batch.records), batch.read_until) for batch in batches(held, 1.3)] == [(1, 58_000)]


def test_an_answer_about_half_of_a_lane_moves_no_clock():
    held = given_held()
    held.ended({Partition("usage", 0): 0}, Clocks(1.0, 60_000))
    assert (batches(held, 1.1)) == []


def test_holes_at_the_end_go_out_with_the_tick():
    held = given_held(end=3)
    for topic in TOPICS:
        held.add({Partition(topic, 0): Fetched([], 3)})
    held.ended(dict.fromkeys(partitions(0), 3), Clocks(1.0, 60_000))
    [tick] = batches(held, 1.1)
    assert tick.ranges == dict.fromkeys(partitions(0), Range(0, 3))
    assert tick.read_until == 58_000


def test_a_history_tells_its_end_once_and_no_clock():
    held = given_held(end=0, history=True)
    [end] = batches(held, 0.0)
    assert (end.at_end, end.read_until) == (True, None)
    assert (batches(held, 9.0)) == []
    assert not held.all_finished
    held.written(end)
    assert held.all_finished


def test_the_last_records_of_a_history_carry_its_end():
    held = HeldLanes(TOPICS, history=True)
    held.assigned(partitions(0), 1, 0.0)
    ends = {Partition("support", 0): Bounds(0, 0), Partition("usage", 0): Bounds(0, 2)}
    held.claimed(0, claim(0), ends, Clocks(0.0, 0))
    held.add(fetched("usage", 0, 5))
    assert [batch.at_end for batch in batches(held, 0.0)] == [False]
    held.add(fetched("usage", 1, 6))
    assert [(len(batch.records), batch.at_end) for batch in batches(held, 0.0)] == [(1, True)]


def test_no_lanes_are_no_finished_history():
    held = HeldLanes(TOPICS, history=True)
    held.assigned([], 1, 0.0)
    assert not held.all_finished


def test_lanes_share_transactions_and_no_lane_has_two_batches_in_one():
    held = HeldLanes(TOPICS, history=True)
    held.assigned(partitions(0, 1, 2), 1, 0.0)
    for lane in (0, 1, 2):
        held.claimed(lane, claim(lane), bounds(lane), Clocks(0.0, 0))
    assert [[batch.lane for batch in together] for together in held.rounds(0.0)] == [[0, 1, 2]]
    for lane, count in ((0, 3), (1, 1), (2, 2)):
        for offset in range(count):
            held.add(fetched("usage", offset, offset, lane))
    rounds = list(held.rounds(0.0, 1))
    assert [[batch.lane for batch in together] for together in rounds] == [[0, 1, 2], [0, 2], [0]]
    assert [len(batch.records) for together in rounds for batch in together] == [1] * 6


def test_a_transaction_has_hardly_more_than_two_thousand_records():
    held = HeldLanes(TOPICS, history=True)
    held.assigned(partitions(*range(8)), 1, 0.0)
    for lane in range(8):
        held.claimed(lane, claim(lane), bounds(lane), Clocks(0.0, 0))
        held.add({Partition("usage", lane): Fetched([Sent("usage", one, one) for one in range(600)], 600)})
    sizes = [sum(len(batch.records) for batch in together) for together in held.rounds(0.0)]
    assert sizes == [2_000, 2_000, 800]
