"""What a worker writes of its lanes' batches, without a broker: merged records in, the store's rows out."""

import itertools
import json
import threading
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from engine import replay
from engine.assigned import AssignedKeeper
from engine.errors import Fenced, LaneTaken, StoreError
from engine.events import MAX_BYTES, Arrived, decode
from engine.instants import DAY, HOUR, Instant, iso
from engine.keeper import Keeper
from engine.lanes import lane_of
from engine.store import Store
from engine.stores import open_store
from streams.batch import LaneBatch, Partition, Range, Record
from streams.merge import LaneMerge
from streams.writer import LaneWriter
from tests.engine.test_assigned import LANES, MONDAY, TOPICS, book_of, history, told

WALL = MONDAY + 400 * DAY
ACCOUNTS = {lane_of(name, LANES): name for name in (f"account-{number}" for number in range(20))}


class Row(msgspec.Struct, frozen=True):
    topic: str
    partition: int
    offset: int
    timestamp: int
    value: bytes | None
    key: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


@pytest.fixture
def store() -> Iterator[Store]:
    opened = open_store("sqlite://", lanes=LANES)
    yield opened
    opened.close()


def writer(store: Store, owner: str = "w1", *, source: str = "log-1", **more: Any) -> LaneWriter:
    return LaneWriter(
        store,
        book_of(),
        owner,
        source=source,
        now=lambda: WALL,
        gives_way=lambda other: other.startswith("w"),
        **more,
    )


def line(name: str, account: str = ACCOUNTS[0], time: Instant = MONDAY, **more: Any) -> bytes:
    row = {"id": name, "type": "feature.used", "account_id": account, "time": iso(time), **more}
    return json.dumps(row).encode()


def rows(*values: bytes | None, timestamp: Instant = MONDAY, first: int = 0) -> list[Record]:
    return [Row("usage", 0, first + number, timestamp, value) for number, value in enumerate(values)]


def batch(epoch: int, records: list[Record], **more: Any) -> LaneBatch:
    ends = {Partition(one.topic, one.partition): one.offset + 1 for one in records}
    starts = {Partition(one.topic, one.partition): one.offset for one in reversed(records)}
    ranges = {place: Range(starts[place], end) for place, end in ends.items()}
    return LaneBatch(0, epoch, 1, records, ranges, **more)


def test_a_batch_stands_in_the_store_with_the_offsets_it_moved(store: Store) -> None:
    ours = writer(store)
    claimed = ours.claim([0], TOPICS)[0]
    assert claimed.offsets == {Partition("support", 0): None, Partition("usage", 0): None}
    ours.commit([batch(claimed.epoch, rows(line("a"), line("b")))])
    ours.commit([batch(claimed.epoch, rows(line("c"), first=2))])
    assert store.count_events() == 3
    assert store.offsets() == {("log-1", "usage", 0): 3}
    assert ours.claim([0], TOPICS)[0].offsets == {Partition("support", 0): None, Partition("usage", 0): 3}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"{", "not an event"),
        (b'{"id": "x", "type": "t", "account_id": "a", "time": "2026-03-01T00:00:00Z", "properties": {"n": NaN}}', "N"),
        (b"\xff\xfe", "not an event"),
        (b"[]", "not an event"),
        (line("x", time=WALL + 2 * DAY), "24 h"),
        (b'{"id": "x", "type": "t", "time": "2026-03-01T00:00:00Z"}', "account_id"),
        (line("x", properties={"n": "y" * MAX_BYTES}), "larger than 256 KB"),
        (line("x", ACCOUNTS[1]), "belongs to partition 1; found it in 0"),
        (None, "tombstone"),
    ],
)
def test_a_bad_record_is_a_dead_letter_with_its_place_and_the_good_ones_beside_it_are_taken(
    store: Store, value: bytes | None, reason: str
) -> None:
    ours = writer(store)
    epoch = ours.claim([0], TOPICS)[0].epoch
    ours.commit([batch(epoch, rows(line("a"), value, line("b"), first=0))])
    (letter,) = store.dead_letters()
    assert (letter.source, letter.where, letter.raw) == ("usage", "0:1", (value or b"")[:MAX_BYTES])
    assert reason in letter.reason
    assert (store.count_events(), store.offsets()) == (2, {("log-1", "usage", 0): 3})
    again = writer(store, "w2")
    again.commit([batch(again.claim([0], TOPICS)[0].epoch, rows(value, first=3))])
    assert {one.where for one in store.dead_letters()} == {"0:1", "0:3"}


@pytest.mark.parametrize(
    ("stamp", "recorded"), [(MONDAY + HOUR, MONDAY + HOUR), (WALL + DAY, WALL), (-1, WALL), (MONDAY, MONDAY)]
)
def test_an_event_is_recorded_when_its_record_says_and_never_later_than_now(
    store: Store, stamp: Instant, recorded: Instant
) -> None:
    ours = writer(store)
    ours.commit([batch(ours.claim([0], TOPICS)[0].epoch, rows(line("a"), timestamp=stamp))])
    (entry,) = [one for one in store.account_entries(ACCOUNTS[0]) if one.account_id]
    assert entry.recorded_at == recorded


def test_a_batch_of_an_older_epoch_is_refused_by_the_owner_itself(store: Store) -> None:
    ours = writer(store)
    old = ours.claim([0], TOPICS)[0].epoch
    ours.claim([0], TOPICS)
    with pytest.raises(Fenced, match="epoch"):
        ours.commit([batch(old, rows(line("a")))])
    assert store.count_events() == 0


def test_a_batch_of_a_worker_that_lost_the_lane_is_refused_by_the_store(store: Store) -> None:
    old, new = writer(store, "w1"), writer(store, "w2")
    epoch = old.claim([0], TOPICS)[0].epoch
    new.claim([0], TOPICS)
    with pytest.raises(Fenced):
        old.commit([batch(epoch, rows(line("a")))])
    assert (store.count_events(), store.offsets()) == (0, {})


def two(owner: LaneWriter, second: bytes = line("b", ACCOUNTS[1])) -> list[LaneBatch]:
    """A batch of each of two lanes."""
    claimed = owner.claim([0, 1], TOPICS)
    first = batch(claimed[0].epoch, rows(line("a")))
    place = Partition("usage", 1)
    return [first, LaneBatch(1, claimed[1].epoch, 1, [Row(*place, 0, MONDAY, second)], {place: Range(0, 1)})]


def test_of_two_lanes_the_one_that_is_lost_says_so_and_the_other_is_claimed_again(store: Store) -> None:
    old, new = writer(store, "w1"), writer(store, "w2")
    batches = two(old)
    epoch = new.claim([0], TOPICS)[0].epoch
    with pytest.raises(Fenced):
        old.commit(batches)
    with pytest.raises(Fenced):
        old.commit(batches[:1])
    with pytest.raises(StoreError, match="claim it again"):
        old.commit(batches[1:])
    assert (store.count_events(), store.lane_infos(at=WALL)[0].epoch) == (0, epoch)
    old.commit([two(old)[1]])
    assert store.count_events() == 1


def test_what_is_written_is_not_written_again_when_only_its_clock_was_not_moved(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = writer(store)
    first, second = two(ours)
    first = msgspec.structs.replace(first, read_until=MONDAY + 5 * DAY)

    def lost(lane: int, _until: Instant) -> int:
        ours._keeper.forget([lane])
        raise Fenced(f"lane {lane}: this owner has lost it")

    with monkeypatch.context() as broken:
        broken.setattr(ours._keeper, "move_clock", lost)
        with pytest.raises(Fenced):
            ours.commit([first, second])
    ours.commit([second])
    with pytest.raises(StoreError, match="claim it again"):
        ours.commit([first])
    assert store.count_events() == 2
    assert store.offsets() == {("log-1", "usage", 0): 1, ("log-1", "usage", 1): 1}


def test_a_lane_of_an_import_that_is_alive_is_not_taken(store: Store) -> None:
    Keeper(store, book_of(), "import", at=WALL)
    with pytest.raises(LaneTaken):
        writer(store).claim([0], TOPICS)


def test_a_clock_that_is_years_behind_comes_up_little_by_little(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.writer.CLOCK_SECONDS", 0.0)
    ours = writer(store)
    epoch = ours.claim([0], TOPICS)[0].epoch
    clocks = []
    for first in range(4):
        records = rows(line("a")) if first == 0 else []
        ours.commit([batch(epoch, records, read_until=MONDAY + 3 * DAY)])
        clocks.append(store.lane_infos(at=WALL)[0].clock_at)
    assert clocks == [MONDAY + 2 * DAY, MONDAY + 3 * DAY, MONDAY + 3 * DAY, MONDAY + 3 * DAY]


def test_the_clock_goes_where_everything_is_read_until(store: Store) -> None:
    ours = writer(store)
    epoch = ours.claim([0], TOPICS)[0].epoch
    ours.commit([batch(epoch, rows(line("a")), read_until=MONDAY + 5 * DAY)])
    assert store.lane_infos(at=WALL)[0].clock_at == MONDAY + 5 * DAY
    assert [one.rule for one in store.decisions()] == ["silent"]
    ours.commit([batch(epoch, [], read_until=MONDAY + 6 * DAY)])
    assert store.lane_infos(at=WALL)[0].clock_at == MONDAY + 6 * DAY


def test_topics_of_another_log_halt_the_lane_until_somebody_decides(store: Store) -> None:
    ours = writer(store)
    ours.commit([batch(ours.claim([0], TOPICS)[0].epoch, rows(line("a")))])
    moved = writer(store, "w2", source="log-2").claim([0], TOPICS)[0]
    assert moved.halted is not None
    assert "log-2" in moved.halted
    assert "log-1" in moved.halted
    assert writer(store, "w3").claim([0], TOPICS)[0].halted is None


def test_a_worker_that_gave_its_lanes_up_leaves_them_to_anybody(store: Store) -> None:
    ours = writer(store)
    ours.claim([0, 1], TOPICS)
    ours.drop([0])
    ours.stop()
    assert [one.owner for one in store.lane_infos(at=WALL)] == [None] * LANES


def published(events: list[Arrived]) -> dict[Partition, list[Record]]:
    """The events in the topics' partitions; two bad records beside each event, to be in the way."""
    found: dict[Partition, list[Record]] = {Partition(t, lane): [] for t in TOPICS for lane in range(LANES)}
    for one in events:
        event = one.event
        topic = "support" if event.type.startswith("ticket.") else "usage"
        place = Partition(topic, lane_of(event.account_id, LANES))
        value = line(event.id, event.account_id, event.time, type=event.type, properties=event.properties)
        for raw in (b"not json", value):
            found[place].append(Row(*place, len(found[place]), WALL, raw))
    return found


class Work:
    """One worker over some lanes of a log, by hand: merge, write, one batch after the other."""

    def __init__(self, store: Store, owner: str, log: dict[Partition, list[Record]]) -> None:
        self.writer = writer(store, owner, ends=lambda: {place: len(records) for place, records in log.items()})
        self.log = log
        self.merges: dict[int, tuple[int, LaneMerge]] = {}

    def claim(self, lanes: list[int]) -> None:
        for lane, one in self.writer.claim(lanes, TOPICS).items():
            merge = LaneMerge(
                {place.topic: offset or 0 for place, offset in one.offsets.items()}, key=self.writer.key, history=True
            )
            self.merges[lane] = one.epoch, merge

    def step(self, lane: int, count: int) -> bool:
        """Fetch something, write something; False at the end of the lane's history."""
        epoch, merge = self.merges[lane]
        for topic, position in merge.wanted().items():
            records = self.log[Partition(topic, lane)]
            merge.ended(topic, len(records), 0.0)
            merge.add(topic, records[position : position + count], min(len(records), position + count))
        merged = merge.take(count, 0.0)
        ranges = {Partition(topic, lane): one for topic, one in merged.ranges.items()} if merged else {}
        done = merge.at_end(0.0)
        self.writer.commit([LaneBatch(lane, epoch, 1, merged.records if merged else [], ranges, at_end=done)])
        return not done


@pytest.mark.parametrize("seed", range(4))
def test_the_history_of_a_log_is_decided_as_an_import_decides_it(store: Store, seed: int) -> None:
    log = published(history(seed))
    lines = sorted((one.event for one in history(seed)), key=lambda event: event.time)
    one, two = Work(store, "w1", log), Work(store, "w2", log)
    one.claim([0, 2])
    two.claim([1])
    while one.step(0, 7 + seed):
        pass
    assert not one.writer.tick()
    one.step(2, 5)
    two.claim([2])  # in the middle of it, from a worker that does not know
    while two.step(2, 3):
        pass
    while two.step(1, 50):
        pass
    one.writer.drop([2])
    ended = [False, False]
    for _ in range(4):
        ended = [work.writer.tick() for work in (one, two)]
    assert ended == [True, True]
    other = open_store("sqlite://", lanes=LANES)
    keeper = Keeper(other, book_of(), "import", at=WALL)
    arrived = [decode(line(e.id, e.account_id, e.time, type=e.type, properties=e.properties), wall=WALL) for e in lines]
    keeper.take([found for found in arrived if isinstance(found, Arrived)], at=WALL)
    keeper.finish(at=WALL)
    assert told(list(store.decisions())) == told(list(other.decisions()))
    assert {one.rule for one in store.decisions()} == {"load", "silent", "waits"}
    assert [info.clock_at for info in store.lane_infos(at=0)] == [info.clock_at for info in other.lane_infos(at=0)]
    found = replay.verify(store)
    assert (found["missing"], found["extra"], found["different"]) == (0, 0, 0)
    assert len(store.dead_letters()) == len(lines)
    other.close()


def test_a_history_is_not_at_its_end_while_the_totals_of_its_portfolio_could_not_be_written(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = published(history(1))
    ours = Work(store, "w1", log)
    ours.claim(list(range(LANES)))
    for lane in range(LANES):
        while ours.step(lane, 50):
            pass
    with monkeypatch.context() as broken:
        broken.setattr(AssignedKeeper, "measure", away())
        with pytest.raises(StoreError, match="away"):
            ours.writer.tick()
    assert not ours.writer.tick(), "its lanes are not at hand"
    ours.claim(list(range(LANES)))
    assert not ours.writer.tick(), "they have not said that they are at their end"
    assert [ours.step(lane, 50) for lane in range(LANES)] == [False] * LANES
    assert ours.writer.tick()
    assert "load" in {one.rule for one in store.decisions()}


def away() -> Any:
    """Measures once, when the lanes are not at one instant yet; then the store is away."""
    answers = [(0, False)]

    def measure(*_given: object, **_more: object) -> tuple[int, bool]:
        if not answers:
            raise StoreError("away")
        return answers.pop()

    return measure


def test_a_worker_whose_lanes_are_through_waits_for_the_others_before_it_moves_a_clock(store: Store) -> None:
    events = history(1)
    last = max((one.event for one in events), key=lambda event: event.time)
    mine = lane_of(last.account_id, LANES)
    also, theirs = (lane for lane in range(LANES) if lane != mine)
    log = published(events)
    one, two = Work(store, "w1", log), Work(store, "w2", log)
    one.claim([mine, also])
    two.claim([theirs])
    for lane in (mine, also):
        while one.step(lane, 50):
            pass
    before = [info.clock_at for info in store.lane_infos(at=0)]
    assert not one.writer.tick()
    assert [info.clock_at for info in store.lane_infos(at=0)] == before
    while two.step(theirs, 50):
        pass
    assert not one.writer.tick(), "the other's lane is not there yet, and the last totals wait for it"
    assert store.lane_infos(at=0)[also].clock_at == last.time
    assert two.writer.tick()
    assert one.writer.tick()


def test_snapshots_are_written_behind_when_much_was_taken_in(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.assigned.SNAPSHOT_EVERY", 2)
    ours = writer(store)
    epoch = ours.claim([0], TOPICS)[0].epoch
    ours.commit([batch(epoch, rows(line("a")))])
    ours.tick()
    assert not list(store.snapshots(0))
    ours.commit([batch(epoch, rows(line("b"), first=1))])
    ours.tick()
    assert [one.account_id for one in store.snapshots(0)] == [ACCOUNTS[0]]


def test_a_worker_says_that_it_is_alive_as_long_as_it_writes(store: Store) -> None:
    clock = [WALL]
    ours = LaneWriter(store, book_of(), "w1", source="log-1", now=lambda: clock[0], gives_way=lambda _other: False)
    epoch = ours.claim([0], TOPICS)[0].epoch
    for number in range(4):
        clock[0] += 15_000
        ours.commit([batch(epoch, rows(line(f"e{number}"), first=number))])
    with pytest.raises(LaneTaken):
        store.claim([0], "import", at=clock[0] + 20_000)


def test_lanes_are_claimed_in_one_thread_while_another_looks_into_records_of_a_history(store: Store) -> None:
    ours = writer(store, threaded=True, ends=dict)
    ours.claim([0, 1], TOPICS)
    records = rows(*(line(f"e{number}") for number in range(3_000)))
    looked, over = threading.Event(), threading.Event()

    def look() -> None:
        for turn in itertools.count():
            for record in records:
                ours.key(Row(record.topic, 0, record.offset + turn * len(records), MONDAY, record.value))
            looked.set()
            if over.is_set():
                return

    looking = threading.Thread(target=look)
    looking.start()
    looked.wait(30)
    try:
        for _ in range(100):
            ours.claim([1], TOPICS)
    finally:
        over.set()
        looking.join(30)
