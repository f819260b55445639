"""Lanes that a stream hands out: several owners over one store decide what one import decides."""

import random
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import pytest

from engine import replay
from engine.assigned import Arrival, AssignedKeeper, LanePart
from engine.decision import Decision
from engine.errors import Fenced, LaneTaken, StoreError
from engine.events import Arrived, encode_properties
from engine.instants import DAY, HOUR, MINUTE, Instant
from engine.keeper import Keeper, Taken
from engine.lanes import lane_of
from engine.log import EngineEntry, Event
from engine.rulebook.book import Rulebook, load_rulebook
from engine.store import DeadLetter, Offset, Store
from engine.stores import open_store

MONDAY = 1_772_409_600_000  # 2026-03-02T00:00:00Z
WALL = MONDAY + 400 * DAY
LANES = 3
TOPICS = ("support", "usage")
BOOK = """
things:
  ticket: {id: ticket_id, opened_by: ticket.opened, closed_by: ticket.closed}
measures:
  open_tickets: {open: ticket}
  uses_3d: {count: feature.used, over: 3d}
  quiet: {days_since: feature.used}
  all_open: {portfolio: open_tickets}
rules:
- id: load
  for: portfolio
  every: 6h
  when: [all_open >= 4]
  clear_when: all_open < 3
  re_entry: every time
  notify: {template: n, to: rule owner}
  owner: o@ringfirst.example
- id: silent
  when: [quiet >= 2]
  re_entry: every time
  notify: {template: n, to: rule owner}
  owner: o@ringfirst.example
- id: waits
  for: each ticket
  when: [ticket.open_days >= 1, uses_3d < 3]
  notify: {template: n, to: rule owner}
  owner: o@ringfirst.example
"""
WITHOUT_PORTFOLIO = (
    BOOK.replace("  all_open: {portfolio: open_tickets}\n", "")
    .replace("for: portfolio\n  every: 6h\n  ", "")
    .replace("all_open", "open_tickets")
)


def book_of(text: str = BOOK) -> Rulebook:
    files = {"rules/a.yml": text, "templates/n/template.yml": "for: staff\n"}
    book, findings = load_rulebook(files, duties=False)
    assert book is not None, [str(finding) for finding in findings]
    return book


@pytest.fixture
def store() -> Iterator[Store]:
    opened = open_store("sqlite://", lanes=LANES)
    yield opened
    opened.close()


def event(name: str, kind: str, account: str, at: Instant, **properties: Any) -> Arrived:
    return Arrived(Event(name, kind, account, None, at, properties), encode_properties(properties))


def history(seed: int, count: int = 250) -> list[Arrived]:
    """A complete log of some accounts, in the order of time, no two events at one instant."""
    rng = random.Random(seed)
    events, at, opened = [], MONDAY + rng.randrange(HOUR), dict[str, list[str]]()
    for number in range(count):
        at += rng.randrange(1, 90 * MINUTE)
        account = f"account-{rng.randrange(9)}"
        mine = opened.setdefault(account, [])
        if mine and rng.random() < 0.3:
            kind, told = "ticket.closed", {"ticket_id": mine.pop()}
        elif rng.random() < 0.4:
            mine.append(f"t{number}")
            kind, told = "ticket.opened", {"ticket_id": mine[-1]}
        else:
            kind, told = "feature.used", {}
        events.append(event(f"e{number}", kind, account, at, **told))
    return events


def imported(events: list[Arrived]) -> list[Decision]:
    store = open_store("sqlite://", lanes=LANES)
    keeper = Keeper(store, book_of(), "import:1:a", at=WALL)
    keeper.take(events, at=WALL)
    keeper.finish(at=WALL)
    keeper.stop()
    decisions = list(store.decisions())
    store.close()
    return decisions


class Topics:
    """The events of a log in two topics with as many partitions as there are lanes; offsets count the records."""

    def __init__(self, events: list[Arrived]) -> None:
        self.rows: dict[tuple[str, int], list[Arrived]] = {(t, lane): [] for t in TOPICS for lane in range(LANES)}
        for one in events:
            topic = "support" if one.event.type.startswith("ticket.") else "usage"
            self.rows[topic, lane_of(one.event.account_id, LANES)].append(one)

    def next(self, lane: int, offsets: dict[tuple[str, int], int], count: int) -> tuple[list[Arrival], list[Offset]]:
        """A lane's next batch, merged by time, and what it moves."""
        rest = [(one, topic) for topic in TOPICS for one in self.rows[topic, lane][offsets.get((topic, lane), 0) :]]
        rest.sort(key=lambda row: row[0].event.time)
        batch = rest[:count]
        moves = []
        for topic in TOPICS:
            read = sum(1 for _, of in batch if of == topic)
            old = offsets.get((topic, lane))
            if read:
                moves.append(Offset("log-1", topic, lane, old, (old or 0) + read))
        return [Arrival(one, one.event.time) for one, _ in batch], moves


def take(
    keeper: AssignedKeeper,
    lane: int,
    arrivals: Sequence[Arrival],
    letters: Sequence[DeadLetter] = (),
    moves: Sequence[Offset] = (),
) -> Taken:
    return keeper.take_parts([LanePart(lane=lane, arrivals=arrivals, letters=letters, moves=moves)], at=WALL)[""]


def assigned(store: Store, owner: str) -> AssignedKeeper:
    return AssignedKeeper(store, book_of(), owner, source="log-1", at=WALL, history=True)


def worked(store: Store, events: list[Arrived], seed: int) -> None:
    """Two owners take a whole log in, with random batches; lanes move between them, batches are cut short."""
    rng = random.Random(seed)
    topics = Topics(events)
    keepers = [assigned(store, f"worker:{number}:a") for number in range(2)]
    holder: dict[int, AssignedKeeper] = {}
    offsets: dict[int, dict[tuple[str, int], int]] = {}

    def move(lane: int, to: AssignedKeeper) -> None:
        if lane in holder and rng.random() < 0.5:
            holder[lane].give_up([lane])
        (given,) = to.assign([lane], at=WALL, take_over=True)
        offsets[lane] = given.offsets
        holder[lane] = to

    for lane in range(LANES):
        move(lane, rng.choice(keepers))
    waiting = set(range(LANES))
    while waiting:
        lane = rng.choice(sorted(waiting))
        if rng.random() < 0.1:
            move(lane, rng.choice(keepers))
        arrivals, moves = topics.next(lane, offsets[lane], rng.randrange(1, 30))
        if not arrivals:
            waiting.discard(lane)
            continue
        take(holder[lane], lane, arrivals, moves=moves)
        offsets[lane].update({(one.topic, one.partition): one.new for one in moves})
        if rng.random() < 0.3:
            for keeper in keepers:
                measured(keeper)
    until = max(one.event.time for one in events)
    for lane, keeper in holder.items():
        keeper.move_clock(lane, until)
    for keeper in keepers:
        keeper.forget([lane for lane in range(LANES) if holder[lane] is not keeper])
        while keeper.measure(at=WALL)[1]:
            pass
        keeper.stop()


def measured(keeper: AssignedKeeper) -> None:
    """As a worker does it that may have lost the lane without knowing."""
    try:
        keeper.measure(at=WALL)
    except Fenced:
        keeper.forget([lane_of("*", LANES)])


def told(decisions: list[Decision]) -> list[bytes]:
    return sorted(msgspec.json.encode(one, order="sorted") for one in decisions)


@pytest.mark.parametrize("seed", range(6))
def test_owners_of_lanes_that_come_and_go_decide_what_one_import_decides(store: Store, seed: int) -> None:
    events = history(seed)
    worked(store, events, seed)
    decisions = list(store.decisions())
    assert told(decisions) == told(imported(events))
    assert {one.rule for one in decisions} == {"load", "silent", "waits"}
    found = replay.verify(store)
    assert (found["events"], found["missing"], found["extra"], found["different"]) == (len(events), 0, 0, 0)
    assert store.mail_counts() == {"past": sum(one.outcome == "planned" for one in decisions)}


def test_each_total_of_the_portfolio_enters_the_logs_once(store: Store) -> None:
    worked(store, history(1), 1)
    for lane in range(LANES):
        rows = [one for one in store.entries(lane) if isinstance(one, EngineEntry)]
        ats = [one.body["at"] for one in rows if one.kind == "portfolio.measured"]
        assert len(ats) == len(set(ats))
        assert ats == sorted(ats)
        assert ats
        assert all(at % DAY == 0 for at in ats) == (lane != lane_of("*", LANES))


def test_daily_totals_reach_the_inbox_of_every_other_lane(store: Store) -> None:
    busy = BOOK + "- {id: all, when: [all_open >= 1], notify: {template: n, to: rule owner}, owner: o@r.example}\n"
    keeper = AssignedKeeper(store, book_of(busy), "worker:1:a", source="log-1", at=WALL)
    keeper.assign(range(LANES), at=WALL)
    accounts = {lane_of(name, LANES): name for name in (f"account-{number}" for number in range(20))}
    for lane, account in accounts.items():
        arrived = event(f"e{lane}", "ticket.opened", account, MONDAY + HOUR, ticket_id="t")
        take(keeper, lane, [Arrival(arrived, arrived.event.time)])
        keeper.move_clock(lane, MONDAY + DAY + HOUR)
    assert not [one for one in store.decisions() if one.rule == "all"]
    keeper.measure(at=WALL)
    assert {one.account_id for one in store.decisions() if one.rule == "all"} == {accounts[lane_of("*", LANES)]}
    for lane in accounts:
        keeper.move_clock(lane, MONDAY + DAY + 2 * HOUR)
    assert {one.account_id for one in store.decisions() if one.rule == "all"} == set(accounts.values())


def test_a_lane_that_stands_still_holds_the_portfolio_back(store: Store) -> None:
    keeper = assigned(store, "worker:1:a")
    keeper.assign(range(LANES), at=WALL)
    deciding = lane_of("*", LANES)
    account = next(f"a{n}" for n in range(99) if lane_of(f"a{n}", LANES) == deciding)
    opened = [event(f"e{n}", "ticket.opened", account, MONDAY + HOUR + n, ticket_id=f"t{n}") for n in range(5)]
    take(keeper, deciding, [Arrival(one, one.event.time) for one in opened])
    keeper.move_clock(deciding, MONDAY + DAY)
    keeper.measure(at=WALL)
    assert not [one for one in store.decisions() if one.rule == "load"]
    for lane in set(range(LANES)) - {deciding}:
        keeper.move_clock(lane, MONDAY + 7 * HOUR)
    keeper.measure(at=WALL)
    (decision,) = [one for one in store.decisions() if one.rule == "load"]
    assert decision.at == MONDAY + 6 * HOUR


def test_a_lane_without_events_holds_it_back_too_since_some_may_come(store: Store) -> None:
    keeper = assigned(store, "worker:1:a")
    keeper.assign(range(LANES), at=WALL)
    accounts = {lane_of(name, LANES): name for name in (f"account-{number}" for number in range(20))}
    empty, *others = range(LANES)
    for lane in others:
        opened = [
            event(f"e{lane}{n}", "ticket.opened", accounts[lane], MONDAY + HOUR + n, ticket_id=f"t{n}") for n in (1, 2)
        ]
        take(keeper, lane, [Arrival(one, one.event.time) for one in opened])
        keeper.move_clock(lane, MONDAY + 13 * HOUR)
    keeper.move_clock(empty, MONDAY + 3 * HOUR)
    keeper.measure(at=WALL)
    assert not [one for one in store.decisions() if one.rule == "load"]
    arrived = event("late", "ticket.opened", accounts[empty], MONDAY + 5 * HOUR, ticket_id="t")
    take(keeper, empty, [Arrival(arrived, arrived.event.time)])
    keeper.move_clock(empty, MONDAY + 13 * HOUR)
    keeper.measure(at=WALL)
    (decision,) = [one for one in store.decisions() if one.rule == "load"]
    assert (decision.at, decision.values["all_open"]) == (MONDAY + 6 * HOUR, 5)


@pytest.mark.parametrize("before", [BOOK.replace(">= 4", ">= 3"), WITHOUT_PORTFOLIO])
def test_a_share_of_another_rulebook_or_none_gives_no_total(store: Store, before: str) -> None:
    keeper = AssignedKeeper(store, book_of(before), "worker:1:a", source="log-1", at=WALL, history=True)
    keeper.assign(range(LANES), at=WALL)
    first, *others = range(LANES)
    for lane in range(LANES):
        account = next(f"a{n}" for n in range(99) if lane_of(f"a{n}", LANES) == lane)
        arrived = event(f"e{lane}", "ticket.opened", account, MONDAY + HOUR, ticket_id="t")
        take(keeper, lane, [Arrival(arrived, arrived.event.time)])
    keeper.move_clock(first, MONDAY + 13 * HOUR)
    keeper.stop()
    other = AssignedKeeper(
        store, book_of(BOOK.replace(">= 4", ">= 2")), "worker:2:a", source="log-1", at=WALL, history=True
    )
    other.assign(range(LANES), at=WALL)
    for lane in others:
        other.move_clock(lane, MONDAY + 19 * HOUR)
    other.measure(at=WALL)
    assert not [one for one in store.decisions() if one.account_id == "*"]
    other.move_clock(first, MONDAY + 19 * HOUR)
    other.measure(at=WALL)
    assert [one.at for one in store.decisions() if one.account_id == "*"] == [MONDAY + 18 * HOUR]


def test_an_owner_that_lost_its_lane_writes_nothing(store: Store) -> None:
    old, new = assigned(store, "worker:1:a"), assigned(store, "worker:2:a")
    old.assign([0], at=WALL)
    (given,) = new.assign([0], at=WALL, take_over=True)
    account = next(f"a{n}" for n in range(99) if lane_of(f"a{n}", LANES) == 0)
    arrivals = [Arrival(event("e", "feature.used", account, MONDAY), MONDAY)]
    with pytest.raises(Fenced):
        take(old, 0, arrivals, moves=[Offset("log-1", "usage", 0, None, 1)])
    assert (given.offsets, store.offsets(), store.count_events()) == ({}, {}, 0)
    take(new, 0, arrivals, moves=[Offset("log-1", "usage", 0, None, 1)])
    assert store.offsets() == {("log-1", "usage", 0): 1}


def test_offsets_move_from_where_the_owner_thinks_they_are_or_nothing_is_written(store: Store) -> None:
    keeper = assigned(store, "worker:1:a")
    keeper.assign([0], at=WALL)
    take(keeper, 0, [], moves=[Offset("log-1", "usage", 0, None, 5)])
    letter = DeadLetter("d1", "usage", "0:5", "no event", b"x", WALL)
    with pytest.raises(Fenced):
        take(keeper, 0, [], [letter], moves=[Offset("log-1", "usage", 0, 4, 6)])
    assert (store.offsets(), list(store.dead_letters())) == ({("log-1", "usage", 0): 5}, [])


def test_dead_letters_are_written_with_the_offsets_that_passed_them(store: Store) -> None:
    keeper = assigned(store, "worker:1:a")
    keeper.assign([0], at=WALL)
    letter = DeadLetter("d1", "usage", "0:0", "no event", b"x", WALL)
    take(keeper, 0, [], [letter], moves=[Offset("log-1", "usage", 0, None, 1)])
    assert [one.dead_letter_id for one in store.dead_letters()] == ["d1"]
    assert store.offsets("log-1") == {("log-1", "usage", 0): 1}


def test_a_lane_of_somebody_alive_is_not_taken(store: Store) -> None:
    Keeper(store, book_of(), "server:1:a", at=WALL)
    keeper = assigned(store, "worker:1:a")
    with pytest.raises(LaneTaken):
        keeper.assign([0], at=WALL)
    assert keeper.kept == {}


def test_lanes_are_given_back_when_nobody_can_see_what_a_sender_left_in_them(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper = assigned(store, "worker:1:a")

    def away(*_: object, **__: object) -> int:
        raise StoreError("away")

    monkeypatch.setattr("engine.assigned.let_go", away)
    monkeypatch.setattr("engine.keeper.let_go", away)
    with pytest.raises(StoreError, match="away"):
        keeper.assign([0], at=WALL)
    with pytest.raises(StoreError, match="away"):
        Keeper(store, book_of(), "import:1:b", at=WALL)
    assert keeper.kept == {}
    assert [info.owner for info in store.lane_infos(at=WALL)] == [None] * LANES


def test_a_lane_that_is_not_held_cannot_be_written(store: Store) -> None:
    keeper = assigned(store, "worker:1:a")
    with pytest.raises(StoreError, match="does not hold it"):
        keeper.move_clock(1, MONDAY)


def test_an_account_of_another_lane_is_refused_before_anything_is_written(store: Store) -> None:
    keeper = assigned(store, "worker:1:a")
    keeper.assign([0], at=WALL)
    stranger = next(f"a{n}" for n in range(99) if lane_of(f"a{n}", LANES) == 1)
    arrivals = [Arrival(event("e", "feature.used", stranger, MONDAY), MONDAY)]
    with pytest.raises(StoreError, match="lane 1"):
        take(keeper, 0, arrivals)
    assert store.count_events() == 0


def test_a_lane_that_is_held_is_loaded_again_only_if_it_is_not_as_stored(store: Store) -> None:
    keeper, other = assigned(store, "worker:1:a"), assigned(store, "worker:2:a")
    account = next(f"a{n}" for n in range(99) if lane_of(f"a{n}", LANES) == 0)
    arrivals = [Arrival(event(f"e{n}", "feature.used", account, MONDAY + n), MONDAY + n) for n in range(3)]
    keeper.assign([0], at=WALL)
    take(keeper, 0, arrivals[:1])
    held = keeper.kept[0].lane
    keeper.assign([0], at=WALL)
    assert keeper.kept[0].lane is held
    take(keeper, 0, arrivals[1:2])  # under the new epoch
    other.assign([0], at=WALL, take_over=True)
    take(other, 0, arrivals[2:])
    keeper.assign([0], at=WALL, take_over=True)
    assert keeper.kept[0].lane is not held
    assert keeper.kept[0].position == other.kept[0].position


def test_a_lane_whose_batch_broke_off_is_loaded_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    keeper = assigned(store, "worker:1:a")
    account = next(f"a{n}" for n in range(99) if lane_of(f"a{n}", LANES) == 0)
    arrivals = [Arrival(event("e", "feature.used", account, MONDAY), MONDAY)]
    keeper.assign([0], at=WALL)

    def away(_batches: object) -> None:
        raise StoreError("store: it is away")

    with monkeypatch.context() as broken:
        broken.setattr(store, "commit", away)
        with pytest.raises(StoreError, match="away"):
            take(keeper, 0, arrivals)
    assert keeper.kept == {}
    keeper.assign([0], at=WALL)
    assert take(keeper, 0, arrivals).new == 1


def test_who_is_alive_says_so(store: Store) -> None:
    keeper = assigned(store, "worker:1:a")
    keeper.assign([0], at=WALL)
    keeper.renew(0, at=WALL + HOUR)
    with pytest.raises(LaneTaken):
        store.claim([0], "import:1:a", at=WALL + HOUR + 20_000)
