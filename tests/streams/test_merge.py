"""The merge of a lane's topics: one order, however the records were fetched, whatever broke off in between."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.batch import Range
from streams.merge import AHEAD, PATIENCE, LaneMerge

TOPICS = ("lifecycle", "support", "usage")


@dataclass
class Sent:
    topic: str
    offset: int
    timestamp: int
    partition: int = 3
    key: bytes | None = None
    value: bytes | None = None
    headers: list = field(default_factory=list)

    def __repr__(self):
        return f"{self.topic}@{self.offset}:{self.timestamp}"


def log(topic, *timestamps, offsets=None):
    return [Sent(topic, offset, at) for offset, at in zip(offsets or range(len(timestamps)), timestamps, strict=True)]


def oldest_head_first(logs):
    """The judge: always take the topic whose next record is the oldest, ties by topic name."""
    heads = {topic: list(records) for topic, records in logs.items()}
    merged = []
    while any(heads.values()):
        topic = min((records[0].timestamp, topic) for topic, records in heads.items() if records)[1]
        merged.append(heads[topic].pop(0))
    return merged


def given_lane(*topics, **more):
    return LaneMerge(dict.fromkeys(topics, 0), **more)


@st.composite
def logs(draw):
    """Logs of three topics with holes between the offsets and behind the last one; times need not be in order."""
    made, ends = {}, {}
    for topic in TOPICS:
        times = draw(st.lists(st.integers(0, 12), max_size=25))
        holes = draw(st.lists(st.integers(0, 2), min_size=len(times), max_size=len(times)))
        offset, records = 0, []
        for at, hole in zip(times, holes, strict=True):
            offset += hole
            records.append(Sent(topic, offset, at))
            offset += 1
        made[topic] = records
        ends[topic] = offset + draw(st.integers(0, 2))
    return made, ends


def fetch(draw, records, position, end):
    """Some of what a topic holds from ``position``, and where the consumer stands then."""
    rest = [record for record in records if record.offset >= position]
    some = rest[: draw(st.integers(1, 7))]
    return some, some[-1].offset + 1 if some and len(some) < len(rest) else end


@settings(max_examples=200, deadline=None)
@given(logs(), st.data())
def test_neither_chunks_nor_restarts_change_the_order_and_no_offset_is_left_out(made, data):
    records, ends = made
    lane, committed, merged = LaneMerge(dict.fromkeys(TOPICS, 0), history=True), dict.fromkeys(TOPICS, 0), []
    told = data.draw(st.booleans())
    for turn in range(400):
        told = told or turn > 200
        if told:
            for topic in TOPICS:
                lane.ended(topic, ends[topic], 0.0)
        topic = data.draw(st.sampled_from(TOPICS)) if turn < 200 else TOPICS[turn % len(TOPICS)]  # none is forgotten
        if (position := lane.wanted()[topic]) < ends[topic]:
            lane.add(topic, *fetch(data.draw, records[topic], position, ends[topic]))
        batch = lane.take(data.draw(st.integers(1, 9)), 0.0)
        batch = batch or (lane.rest() if lane.at_end(0.0) else None)
        if batch is not None:
            for name, (start, end) in batch.ranges.items():
                assert start == committed[name] < end
                committed[name] = end
            assert all(committed[one.topic] > one.offset for one in batch.records)
            merged += batch.records
        if turn < 200 and data.draw(st.integers(0, 15)) == 0:
            lane = LaneMerge(committed, history=True)
            told = True
        elif not told:
            told = data.draw(st.booleans())
        if committed == ends:
            break
    assert committed == ends
    assert merged == oldest_head_first(records)


@given(logs(), st.integers(1, 30))
def test_a_limit_cuts_the_order_and_does_not_change_it(made, limit):
    records, ends = made
    lane = given_lane(*TOPICS)
    merged = []
    for topic in TOPICS:
        lane.add(topic, records[topic], ends[topic])
        lane.ended(topic, ends[topic], 0.0)
    while (batch := lane.take(limit, 0.0)) is not None:
        assert len(batch.records) <= limit
        merged += batch.records
    assert merged == oldest_head_first(records)


def test_ties_go_by_topic_then_offset():
    lane = given_lane(*TOPICS)
    for topic in reversed(TOPICS):
        lane.add(topic, log(topic, 5, 5), 2)
        lane.ended(topic, 2, 0.0)
    assert [(one.topic, one.offset) for one in lane.take(10, 0.0).records] == [
        (topic, offset) for topic in TOPICS for offset in (0, 1)
    ]


def test_a_lane_waits_for_a_topic_that_may_bring_something_earlier():
    lane = given_lane("support", "usage")
    lane.add("usage", log("usage", 10, 20), 2)
    assert lane.take(10, 0.0) is None
    lane.add("support", log("support", 15), 1)
    batch = lane.take(10, 0.1)
    assert [one.timestamp for one in batch.records] == [10, 15]
    assert batch.ranges == {"support": Range(0, 1), "usage": Range(0, 1)}
    assert lane.take(10, 0.2) is None


def test_a_topic_read_to_its_end_is_not_waited_for():
    lane = given_lane("support", "usage")
    lane.add("usage", log("usage", 10), 1)
    lane.ended("support", 0, 0.0)
    assert [one.timestamp for one in lane.take(10, 2.0).records] == [10]


def test_an_answer_older_than_three_seconds_is_not_believed():
    lane = given_lane("support", "usage")
    lane.add("usage", log("usage", 10), 1)
    lane.ended("support", 0, 0.0)
    assert lane.take(10, 3.1) is None


def test_in_a_history_an_answer_holds_for_ever():
    lane = given_lane("support", "usage", history=True)
    lane.add("usage", log("usage", 10), 1)
    lane.ended("support", 0, 0.0)
    assert lane.take(10, 10_000.0) is not None


def test_the_end_of_a_topic_never_goes_back():
    lane = given_lane("support", "usage")
    lane.add("usage", log("usage", 10), 1)
    lane.ended("support", 7, 0.0)
    lane.ended("support", 0, 1.0)  # a leader that came back and has not read its log yet
    assert lane.take(10, 1.0) is None


def test_what_a_fetch_says_of_the_end_makes_no_answer_younger():
    lane = given_lane("support", "usage")
    lane.add("usage", log("usage", 10), 1)
    lane.ended("support", 0, 0.0)
    lane.lengthened("support", 0)
    assert lane.take(10, 3.1) is None


def looked_at(lane, start, seconds, step=0.25):
    """Look again and again for so many seconds; what came out at last, and when."""
    now = start
    while now <= start + seconds:
        if (batch := lane.take(10, now)) is not None:
            return batch, now - start
        now += step
    return None, seconds


def test_a_live_lane_waits_five_seconds_at_most():
    lane = given_lane("support", "usage")
    lane.add("usage", log("usage", 10), 1)
    batch, waited = looked_at(lane, 100.0, 8.0)
    assert [one.timestamp for one in batch.records] == [10]
    assert PATIENCE <= waited <= PATIENCE + 0.5


def test_a_topic_given_up_is_not_waited_for_again_until_it_speaks():
    lane = given_lane("support", "usage")
    lane.add("usage", log("usage", 10), 1)
    _, waited = looked_at(lane, 0.0, 8.0)
    lane.add("usage", log("usage", 30, offsets=[1]), 2)
    assert lane.take(10, waited + 0.25) is not None
    lane.add("support", log("support", 20), 1)
    lane.add("usage", log("usage", 40, offsets=[2]), 3)
    assert [one.timestamp for one in lane.take(10, waited + 0.5).records] == [20]
    assert lane.take(10, waited + 0.75) is None


def test_a_process_that_stood_still_has_not_waited():
    lane = given_lane("support", "usage")
    lane.add("usage", log("usage", 10), 1)
    assert lane.take(10, 0.0) is None
    assert lane.take(10, 3_600.0) is None
    _, waited = looked_at(lane, 3_600.25, 8.0)
    assert waited >= PATIENCE - 1.0


def test_a_history_waits_for_ever():
    lane = given_lane("support", "usage", history=True)
    lane.add("usage", log("usage", 10), 1)
    assert looked_at(lane, 0.0, 60.0)[0] is None


def test_a_topic_that_runs_ahead_is_not_fetched():
    lane = given_lane("support", "usage")
    lane.add("usage", log("usage", *range(AHEAD)), AHEAD)
    assert lane.wanted() == {"support": 0}
    lane.add("support", log("support", AHEAD), 1)
    lane.take(500, 0.0)
    assert lane.wanted() == {"support": 1, "usage": AHEAD}


def test_the_key_of_a_history_is_the_events_own_time_and_a_bad_record_goes_with_the_one_before():
    times = {("usage", 0): 5, ("usage", 1): None, ("usage", 2): 9, ("support", 0): None, ("support", 1): 7}
    lane = given_lane("support", "usage", key=lambda one: times[one.topic, one.offset], history=True)
    lane.add("usage", log("usage", 0, 0, 0), 3)
    lane.add("support", log("support", 0, 0), 2)
    lane.ended("usage", 3, 0.0)
    lane.ended("support", 2, 0.0)
    assert [(one.topic, one.offset) for one in lane.take(10, 0.0).records] == [
        ("support", 0),
        ("usage", 0),
        ("usage", 1),
        ("support", 1),
        ("usage", 2),
    ]


@pytest.mark.parametrize(
    ("records", "position"),
    [
        pytest.param(log("usage", 1, offsets=[4]), 5, id="repeated records"),
        pytest.param([], 4, id="a position that went back"),
        pytest.param(log("usage", 1, offsets=[9]), 7, id="a position before the records"),
    ],
)
def test_what_does_not_follow_is_refused(records, position):
    lane = LaneMerge({"usage": 5})
    with pytest.raises(ValueError, match="do not follow offset 5"):
        lane.add("usage", records, position)


def test_an_end_is_reached_when_all_before_it_was_handed_out():
    lane = given_lane("support", "usage")
    lane.add("usage", log("usage", 10), 3)
    lane.ended("support", 0, 0.0)
    ends = {"support": 0, "usage": 3}
    assert not lane.reached(ends)
    lane.take(10, 0.0)
    assert lane.reached(ends)
    assert not lane.reached(ends | {"support": 1})
    assert lane.handed == ends


def test_holes_behind_the_last_record_go_out_without_one():
    lane = given_lane("usage")
    lane.add("usage", [], 4)
    assert lane.take(10, 0.0) is None
    assert lane.rest().ranges == {"usage": Range(0, 4)}
    assert lane.rest().ranges == {}
