"""Sources that fall silent: what each lane hears is added up by the hour, and a change enters every lane's log."""

from collections.abc import Iterator

import msgspec
import pytest

from engine import replay
from engine.assigned import Arrival, AssignedKeeper, LanePart
from engine.backtest import Trial
from engine.decision import Decision
from engine.events import Arrived, encode_properties
from engine.explain import explain, lines
from engine.instants import DAY, HOUR, MINUTE, Instant, iso
from engine.keeper import Keeper
from engine.lanes import lane_of
from engine.live import LiveKeeper
from engine.log import EngineEntry, Event
from engine.rulebook.book import Rulebook, load_rulebook
from engine.sources import Hour, Ledger, Listener
from engine.store import DeadLetter, Store
from engine.stores import open_store

MONDAY = 1_772_409_600_000  # 2026-03-02T00:00:00Z
LANES = 3
BOOK = """
measures:
  uses_2d: {count: feature.used, over: 2d}
rules:
- id: silent
  when: [uses_2d == 0]
  re_entry: every time
  owner: o@ringfirst.example
  notify: {template: n, to: rule owner}
policy:
  settle: 0m
"""
SOURCES = """
  sources:
    product: {events: feature.used, late_after: 2h, least: 50%}
"""


def book_of(text: str = BOOK + SOURCES) -> Rulebook:
    files = {"rules/a.yml": text, "templates/n/template.yml": "for: staff\n"}
    book, findings = load_rulebook(files, duties=False)
    assert book is not None, [str(finding) for finding in findings]
    return book


@pytest.fixture
def store() -> Iterator[Store]:
    opened = open_store("sqlite://", lanes=LANES)
    yield opened
    opened.close()


def account_in(lane: int, number: int = 0) -> str:
    names = (name for n in range(10_000) if lane_of(name := f"account-{n}", LANES) == lane)
    return [next(names) for _ in range(number + 1)][-1]


def arrived(at: Instant, account: str, kind: str = "feature.used") -> Arrived:
    return Arrived(Event(f"{kind}-{at}", kind, account, None, at, {}), encode_properties({}))


def history(days: float, *, silent: tuple[float, float] = (0, 0)) -> list[Arrived]:
    """One event of each lane's account every half hour, but for a silence from one day to another."""
    found = []
    for step in range(int(days * 48)):
        if not silent[0] <= step / 48 < silent[1]:
            found += [arrived(MONDAY + step * 30 * MINUTE + MINUTE + lane, account_in(lane)) for lane in range(LANES)]
    return found


def stated(store: Store) -> list[list[tuple[str, Instant]]]:
    """What every lane's log says of sources."""
    logs: list[list[tuple[str, Instant]]] = []
    for lane in range(LANES):
        entries = [one for one in store.entries(lane) if isinstance(one, EngineEntry)]
        logs.append([(one.kind, one.recorded_at) for one in entries if one.kind.startswith("source.")])
    return logs


def imported(store: Store, events: list[Arrived], *, pieces: int = 1, text: str = BOOK + SOURCES) -> list[Decision]:
    """Import in so many runs, each by an owner of its own."""
    size = len(events) // pieces + 1
    for start in range(0, len(events), size):
        keeper = Keeper(store, book_of(text), f"import:{start}:a", at=MONDAY)
        for at in range(start, min(start + size, len(events)), 100):
            keeper.take(events[at : min(at + 100, start + size)], at=MONDAY)
        keeper.finish(at=MONDAY)
        keeper.stop()
    return list(store.decisions())


# -- the arithmetic ------------------------------------------------------------------------------------------------
PRODUCT = book_of().policy.sources[0]


def ledger(counts: list[int], *, live: bool = True, **last: int) -> Ledger:
    found = Ledger([PRODUCT], live=live)
    for number, count in enumerate(counts):
        more = last if number == len(counts) - 1 else {}
        found.add(MONDAY + number * HOUR, [{PRODUCT.mark: Hour(count, **more)}])
    return found


@pytest.mark.parametrize(
    ("counts", "late"),
    [
        pytest.param([10] * 24 * 16, False, id="as usual"),
        pytest.param([10] * 24 * 15 + [10] * 12 + [0] * 12, False, id="half of it is just enough"),
        pytest.param([10] * 24 * 15 + [10] * 11 + [0] * 13, True, id="less than half"),
        pytest.param([10] * 24 * 8 + [0] * 24, False, id="one week before says nothing"),
        pytest.param([10] + [10] * 24 * 14 + [0] * 24, True, id="two weeks do"),
        pytest.param([10] * 24 * 14 + [0] * 24, False, id="the first hour may be half a one"),
        pytest.param([0] * 24 * 16, False, id="nothing is usual"),
        pytest.param([9] * 24 * 7 + [0] * 24 * 7 + [9] * 24 * 7 + [0] * 24 * 8, False, id="usually nothing"),
    ],
)
def test_a_source_is_late_when_a_day_holds_less_than_its_share_of_the_usual(counts: list[int], *, late: bool) -> None:
    assert (ledger(counts).why_late(PRODUCT) is not None) is late
    assert (ledger(counts, live=False).why_late(PRODUCT) is not None) is late


def test_where_usually_little_comes_a_few_less_are_chance_but_what_was_late_stays_late() -> None:
    found = ledger([5] + [0] * 23 + ([19] + [0] * 23) * 15 + [9] + [0] * 23)
    assert found.changes(()) == []
    assert found.changes(["product"]) == []
    enough = ledger([5] + [0] * 23 + ([20] + [0] * 23) * 15 + [9] + [0] * 23)
    assert [kind for kind, _ in enough.changes(())] == ["source.late"]


def test_it_says_how_much_less() -> None:
    found = ledger([10] * 24 * 15 + [1] * 24)
    assert found.changes(()) == [
        (
            "source.late",
            {
                "source": "product",
                "why": "24 events in 24 hours, usually 240",
                "since": MONDAY + (24 * 16 - 1) * HOUR,
            },
        )
    ]
    assert found.changes(["product"]) == []
    assert ledger([10] * 24 * 16).changes(["product"]) == [("source.well", {"source": "product"})]


@pytest.mark.parametrize(
    ("events", "letters", "late"),
    [
        pytest.param(98, 1, False, id="fewer than 100 records"),
        pytest.param(99, 1, False, id="one in a hundred"),
        pytest.param(98, 2, True, id="two in a hundred"),
    ],
)
def test_dead_letters_make_a_live_source_late(events: int, letters: int, *, late: bool) -> None:
    assert (ledger([events], letters=letters).why_late(PRODUCT) is not None) is late
    assert ledger([events], letters=letters, live=False).why_late(PRODUCT) is None


def test_records_that_are_old_when_they_come_make_a_live_source_late() -> None:
    assert ledger([5], age=3 * HOUR).why_late(PRODUCT) == "a record was 180 minutes old when it came"
    assert ledger([5], age=3 * HOUR, live=False).why_late(PRODUCT) is None


def test_an_hour_that_nobody_knows_makes_it_learn_anew() -> None:
    found = ledger([10] * 24 * 15)
    found.add(MONDAY + 24 * 15 * HOUR, [None])
    for number in range(24):
        found.add(MONDAY + (24 * 15 + 1 + number) * HOUR, [{PRODUCT.mark: [0, 0, 0]}])
    assert found.why_late(PRODUCT) is None


def test_a_letter_counts_for_the_sources_that_name_its_type_and_an_unreadable_one_for_all() -> None:
    sources = book_of(BOOK + SOURCES + '    support: {events: ["ticket.*"]}\n').policy.sources
    ear = Listener(sources)
    product, support = (one.mark for one in sources)
    ear.letter(b'{"type": "ticket.opened", "time": 1}')
    assert {mark: hour.letters for mark, hour in ear.heard().items()} == {product: 0, support: 1}
    ear.letter(b'{"type": 1}')
    ear.letter(b'{"type": "ticket.op')
    assert {mark: hour.letters for mark, hour in ear.turn().items()} == {product: 2, support: 3}
    assert {mark: hour.letters for mark, hour in ear.turn().items()} == {product: 0, support: 0}


# -- import --------------------------------------------------------------------------------------------------------
OUTAGE = (21.5, 23.5)


@pytest.mark.parametrize("pieces", [1, 3, 7])
def test_an_import_that_finds_a_source_silent_holds_what_rests_on_it(store: Store, pieces: int) -> None:
    decisions = imported(store, history(26, silent=OUTAGE), pieces=pieces)
    logs = stated(store)
    assert logs[0] == logs[1] == logs[2]
    late, well = MONDAY + 22 * DAY + HOUR, MONDAY + 24 * DAY
    assert logs[0] == [("source.late", late), ("source.well", well)]
    assert len(decisions) == 3
    assert {one.outcome for one in decisions} == {"withdrawn"}, "the silence ended before the source was well"
    verified = replay.verify(store)
    assert not verified["missing"] + verified["extra"] + verified["different"]


def test_without_sources_the_same_silence_is_read_as_silent_customers(store: Store) -> None:
    decisions = imported(store, history(26, silent=(21.5, 24.1)), text=BOOK)
    assert [one.outcome for one in decisions] == ["planned"] * 3
    assert {row.state for row in store.outreach()} == {"past"}


def test_a_backtest_sees_what_an_import_sees(store: Store) -> None:
    events = history(26, silent=(21.5, 24.1))
    decisions = imported(store, events)
    trial = Trial(book_of(), lanes=LANES)
    for one in events:
        trial.take(one.event)
    trial.finish(events[-1].event.time)
    found = sorted(trial.decisions.values(), key=lambda one: (one.at, one.decision_id))
    assert msgspec.json.encode(found) == msgspec.json.encode(decisions)
    assert len(found) == 3


def test_a_backtest_counts_the_mails_that_waited() -> None:
    trial = Trial(book_of(BOOK.replace("settle: 0m", "hold_for: 1d") + SOURCES), lanes=LANES)
    for one in history(26, silent=(21.5, 25.5)):
        trial.take(one.event)
    trial.finish(MONDAY + 26 * DAY)
    mails = [mail.outreach_id for one in trial.decisions.values() for mail in one.mails]
    assert trial.held == dict.fromkeys(mails, "source product is late")
    assert len(mails) == 3


def test_an_explanation_says_what_a_held_mail_waits_for(store: Store) -> None:
    imported(store, [*history(24), arrived(MONDAY + 26 * DAY, account_in(0), "other")])
    told = explain(store, book_of(), account_in(1), "silent", at=MONDAY + 26 * DAY)
    assert told["waits"] == {
        "sources": ["product"],
        "why": "source product is late",
        "held_until": iso(MONDAY + 28 * DAY),
    }
    assert told["decisions"][0]["mails"][0]["held"] == "source product is late"
    assert lines(told)[-1] == (
        "  source product is late: missing events could make the rule true, so its mail is held until it is well, "
        f"at most until {iso(MONDAY + 28 * DAY)}"
    )
    before = explain(store, book_of(), account_in(1), "silent", at=MONDAY + 23 * DAY)
    assert before["waits"] is None


# -- live, over lanes that come and go -----------------------------------------------------------------------------
class Live:
    """A worker's keeper with a clock that a test moves; every lane has an account that uses the product."""

    def __init__(self, store: Store, *, days: int = 16, owners: int = 1) -> None:
        """After so many days that were imported."""
        self.store, self.text = store, BOOK + SOURCES
        self.now = MONDAY + days * DAY
        imported(store, history(days))
        self.keepers: list[AssignedKeeper] = []
        self.start(owners)

    def start(self, owners: int) -> None:
        self.keepers = [
            AssignedKeeper(self.store, book_of(self.text), f"worker:{n}:{self.now}", source="log", at=self.now)
            for n in range(owners)
        ]
        for lane in range(LANES):
            self.keepers[lane % owners].assign([lane], at=self.now, take_over=True)

    def keeper(self, lane: int) -> AssignedKeeper:
        return self.keepers[lane % len(self.keepers)]

    def hours(self, count: int, *, using: bool = True, each: int = 2, age: int = 0, lanes: int = LANES) -> None:
        """Some hours go by, with some events of each lane in each; clocks go on by themselves."""
        for _ in range(count):
            self.now += HOUR
            for lane in range(lanes):
                times = [self.now - age - number * MINUTE for number in range(each if using else 0, 0, -1)]
                rows = [Arrival(arrived(at + lane, account_in(lane)), at) for at in times]
                part = LanePart(lane=lane, arrivals=rows, until=self.now - 2_000 - age)
                self.keeper(lane).take_parts([part], at=self.now)
            self.measure()

    def measure(self) -> None:
        for keeper in self.keepers:
            keeper.measure(at=self.now)

    def states(self) -> dict[str, int]:
        return dict(self.store.mail_counts())


@pytest.mark.parametrize("owners", [1, 2])
def test_a_worker_holds_what_rests_on_a_source_that_fell_silent(store: Store, owners: int) -> None:
    live = Live(store, owners=owners)
    live.hours(3)
    assert stated(store) == [[], [], []]
    live.hours(14, using=False)
    live.start(owners)  # the workers start again: what was heard is in the store
    live.hours(48, using=False)
    assert [[kind for kind, _ in log] for log in stated(store)] == [["source.late"]] * LANES
    assert live.states() == {"held": 3}
    for row in store.outreach():
        assert (row.why, row.due_at) == ("source product is late", row.at + 3 * DAY)
    live.hours(1)
    live.start(owners)
    live.hours(24)
    assert [[kind for kind, _ in log] for log in stated(store)] == [["source.late", "source.well"]] * LANES
    assert live.states() == {"withdrawn": 3}
    verified = replay.verify(store)
    assert not verified["missing"] + verified["extra"] + verified["different"]


def test_events_that_come_in_late_take_everything_back_and_nothing_leaves(store: Store) -> None:
    live = Live(store)
    live.hours(62, using=False)
    before = live.now
    for lane in range(LANES):  # two days of events at once, as they happened
        rows = [arrived(before - hour * HOUR - lane, account_in(lane)) for hour in range(60)]
        live.keeper(lane).take_parts(
            [LanePart(lane=lane, arrivals=[Arrival(one, live.now) for one in rows], until=live.now)], at=live.now
        )
    live.hours(24)
    assert live.states() == {"withdrawn": 3}


def test_a_lane_that_stands_still_holds_the_judgement_back(store: Store) -> None:
    live = Live(store)
    live.hours(30, using=False, lanes=2)
    assert stated(store) == [[], [], []]
    live.keeper(2).take_parts([LanePart(lane=2, until=live.now - 2_000)], at=live.now)
    live.keeper(2).move_clock(2, live.now - 2_000)
    live.measure()
    assert [kind for kind, _ in stated(store)[lane_of("*", LANES)]] == ["source.late"]


def test_a_backlog_makes_the_source_late_until_it_is_taken_in(store: Store) -> None:
    live = Live(store, days=1)
    live.hours(5)
    live.hours(7, age=3 * HOUR)
    assert [[kind for kind, _ in log] for log in stated(store)] == [["source.late"]] * LANES
    why = [one.body["why"] for one in store.entries(0) if isinstance(one, EngineEntry) and one.kind == "source.late"]
    assert why == ["a record was 182 minutes old when it came"]
    live.hours(5)
    assert [[kind for kind, _ in log] for log in stated(store)] == [["source.late", "source.well"]] * LANES


def test_a_history_is_counted_and_not_judged(store: Store) -> None:
    keeper = AssignedKeeper(store, book_of(), "worker:1:a", source="log", at=MONDAY, history=True)
    keeper.assign(list(range(LANES)), at=MONDAY)
    events = history(22, silent=(20, 22)) + [arrived(MONDAY + 22 * DAY + lane, account_in(lane)) for lane in range(3)]
    for lane in range(LANES):
        mine = [one for one in events if lane_of(one.event.account_id, LANES) == lane]
        part = LanePart(lane=lane, arrivals=[Arrival(one, one.event.time) for one in mine])
        keeper.take_parts([part], at=MONDAY + 400 * DAY)
    while keeper.measure(at=MONDAY)[1]:
        pass
    assert stated(store) == [[], [], []]
    assert sum(one.values["sources"][PRODUCT.mark][0] for one in store.shares()) == len(events)


def test_dead_letters_of_the_lane_are_counted_with_its_events(store: Store) -> None:
    live = Live(store, days=1)
    live.hours(3, each=40)
    for number in range(20):
        letter = DeadLetter(f"d{number}", "usage", f"0:{number}", "no JSON", b"{", live.now)
        live.keeper(0).take_parts([LanePart(lane=0, letters=[letter])], at=live.now)
    live.hours(3, each=40)
    assert [kind for kind, _ in stated(store)[0]] == ["source.late", "source.well"]


def test_the_embedded_owner_judges_too(store: Store) -> None:
    imported(store, history(16))
    now = MONDAY + 16 * DAY
    keeper = LiveKeeper(store, book_of(), "run:1:a", at=now)
    for _ in range(24):
        now += HOUR
        keeper.take_parts([[]], at=now)
        keeper.tick(now, at=now)
    assert [[kind for kind, _ in log] for log in stated(store)] == [["source.late"]] * LANES
    keeper.stop()


def test_a_rulebook_that_names_a_source_anew_counts_it_anew(store: Store) -> None:
    live = Live(store)
    live.text = BOOK + SOURCES.replace("feature.used", "[feature.used, other]")
    live.start(1)
    live.hours(48, using=False)
    assert stated(store) == [[], [], []]


def test_a_rulebook_that_drops_its_sources_lets_everything_go(store: Store) -> None:
    live = Live(store)
    live.hours(62, using=False)
    assert live.states() == {"held": 3}
    live.text = BOOK
    live.start(1)
    live.hours(1, using=False)
    assert live.states() == {"queued": 3}
