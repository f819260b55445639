"""The lanes under a live owner: clocks, recorded_at, inbox, faults. The keeper and the owner's thread themselves."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine import replay
from engine.decision import MailState
from engine.errors import Fenced, LaneTaken
from engine.events import Arrived, BadEvent, decode
from engine.instants import DAY, HOUR, MINUTE, SECOND, Instant, parse_instant
from engine.keeper import Keeper
from engine.live import LiveKeeper
from engine.log import Recorded
from engine.rulebook.book import Rulebook, load_rulebook
from engine.store import Store
from engine.stores import open_store
from ringfirst.server.bodies import JSON, read_parcel
from ringfirst.server.health import Health
from ringfirst.server.metrics import Metrics
from ringfirst.server.owner import Owner
from ringfirst.server.refused import Refused
from ringfirst.server.waiting import Waiting, WaitingRoom
from tests.server.given import event

MONDAY: Instant = parse_instant("2026-03-02T09:00:00Z") or 0
BOOK = """
measures:
  uses: {count: feature.used, over: 7d}
  quiet: {days_since: feature.used, never: unknown}
  tickets: {count: ticket.opened}
rules:
  - id: busy
    owner: us@ringfirst.example
    why: They use it.
    when: [uses >= 2]
    unless: [tickets > 0]
    send: {template: hello, to: champion, class: relationship, mode: auto}
  - id: silent
    owner: us@ringfirst.example
    why: They stopped.
    when: [quiet >= 3]
    re_entry: every time
    send: {template: hello, to: champion, class: relationship, mode: auto}
"""
OVER_ALL = """
measures:
  uses: {count: feature.used, over: 7d}
  all_uses: {portfolio: uses}
rules:
  - id: load
    for: portfolio
    owner: us@ringfirst.example
    why: Much is going on.
    when: [all_uses >= 4]
    notify: {template: ours, to: rule owner}
"""


def book_of(text: str) -> Rulebook:
    files = {
        "rules/a.yml": text,
        "templates/hello/template.yml": "for: customer\n",
        "templates/ours/template.yml": "for: staff\n",
    }
    found, findings = load_rulebook(files, duties=False)
    assert found is not None, findings
    return found


@pytest.fixture(scope="module")
def book() -> Rulebook:
    return book_of(BOOK)


@pytest.fixture(params=["memory", pytest.param("postgres", marks=[pytest.mark.postgres, pytest.mark.slow])])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    url = "sqlite://" if request.param == "memory" else str(request.getfixturevalue("fresh_postgres"))
    opened = open_store(url)
    yield opened
    opened.close()


def arrived(*rows: Any, wall: Instant = MONDAY + 400 * DAY) -> list[Arrived]:
    found = [decode(json.dumps(row).encode(), wall=wall) for row in rows]
    assert not any(isinstance(one, BadEvent) for one in found), found
    return found  # type: ignore[return-value]


def champion(account: str = "acme", at: Instant = MONDAY) -> list[Any]:
    """Somebody to write to, in an account that is known to be older than the log."""
    row = event(f"who-{account}", "user.updated", account, at, role="champion", email="ada@acme.example")
    return [
        event(f"made-{account}", "account.updated", account, at, created_at="2025-01-01"),
        {**row, "user_id": "u1"},
    ]


def recorded(store: Store, account: str = "acme") -> dict[str, Instant]:
    found = store.account_entries(account)
    return {entry.event.id: entry.recorded_at for entry in found if isinstance(entry, Recorded)}


def decided(store: Store) -> list[tuple[str, str, Instant]]:
    return [(row.rule, row.outcome, row.at) for row in store.decisions()]


def verifies(store: Store) -> None:
    found = replay.verify(store)
    assert (found["missing"], found["extra"], found["different"]) == (0, 0, 0)


# -- the keeper ----------------------------------------------------------------------------------------------------
def test_an_event_counts_as_recorded_by_the_wall_clock_and_never_before_the_lanes_own(store: Store, book) -> None:
    keeper = LiveKeeper(store, book, "test", at=MONDAY)
    keeper.take_parts([arrived(event("a", at=MONDAY - 9 * DAY))], at=MONDAY)
    keeper.take_parts([arrived(event("b", at=MONDAY - HOUR))], at=MONDAY - MINUTE)
    keeper.take_parts([arrived(event("c", at=MONDAY + 3 * HOUR))], at=MONDAY + SECOND)
    keeper.stop()
    assert recorded(store) == {"a": MONDAY, "b": MONDAY, "c": MONDAY + SECOND}
    verifies(store)


def test_each_request_of_a_batch_learns_what_became_of_its_own_events(store: Store, book) -> None:
    keeper = LiveKeeper(store, book, "test", at=MONDAY)
    one, two = event("a", at=MONDAY), event("b", at=MONDAY)
    done, _ = keeper.take_parts([arrived(one, two), arrived(two), arrived(one, event("c", at=MONDAY))], at=MONDAY)
    assert [(taken.new, taken.duplicates) for taken in done] == [(2, 0), (0, 1), (1, 1)]
    keeper.stop()
    assert store.count_events() == 3


def test_the_clocks_move_without_events_and_absence_is_noticed(store: Store, book) -> None:
    keeper = LiveKeeper(store, book, "test", at=MONDAY)
    keeper.take_parts([arrived(*champion(), event("a", at=MONDAY))], at=MONDAY)
    for hour in range(4 * 24):
        keeper.tick(MONDAY + hour * HOUR, at=MONDAY + hour * HOUR)
    keeper.stop()
    assert decided(store) == [("silent", "planned", MONDAY - 9 * HOUR + 3 * DAY)]
    verifies(store)


def test_a_clock_stays_two_seconds_behind_what_is_read_and_moves_a_day_at_a_time(store: Store, book) -> None:
    keeper = LiveKeeper(store, book, "test", at=MONDAY)
    assert keeper.tick(MONDAY, at=MONDAY) == (0, False)
    assert keeper.clocks == {}, "a lane without an entry has nothing to be late for"
    keeper.take_parts([arrived(event("a", at=MONDAY))], at=MONDAY)
    assert keeper.tick(MONDAY + 10 * SECOND, at=MONDAY + DAY) == (0, False)
    assert set(keeper.clocks.values()) == {MONDAY + 8 * SECOND}
    assert keeper.tick(MONDAY, at=MONDAY + DAY) == (0, False), "and never goes back"
    assert set(keeper.clocks.values()) == {MONDAY + 8 * SECOND}
    steps = 1
    while keeper.tick(MONDAY + 5 * DAY, at=MONDAY + 5 * DAY)[1]:
        steps += 1
    assert (steps, set(keeper.clocks.values())) == (5, {MONDAY + 5 * DAY - 2 * SECOND})
    keeper.stop()
    assert {info.clock_at for info in store.lane_infos(at=MONDAY)} == {None, MONDAY + 5 * DAY - 2 * SECOND}


def test_mails_wait_for_a_sender_and_none_counts_as_gone(store: Store, book) -> None:
    keeper = LiveKeeper(store, book, "test", at=MONDAY)
    keeper.take_parts([arrived(*champion(), *(event(f"u{n}", at=MONDAY) for n in range(2)))], at=MONDAY)
    keeper.tick(MONDAY + HOUR, at=MONDAY + HOUR)
    keeper.stop()
    mail = store.outreach()[0]
    assert (mail.rule, mail.state) == ("busy", "queued")
    assert mail.due_at < MONDAY + HOUR
    assert store.mail_counts() == {"queued": 1}


def test_a_mail_is_taken_back_while_it_waits_and_not_after_its_time(store: Store, book) -> None:
    keeper = LiveKeeper(store, book, "test", at=MONDAY)
    for account in ("acme", "bolt"):
        uses = [event(f"u{n}", account=account, at=MONDAY) for n in range(2)]
        keeper.take_parts([arrived(*champion(account), *uses)], at=MONDAY)
    keeper.take_parts([arrived(event("t", "ticket.opened", at=MONDAY + MINUTE))], at=MONDAY + MINUTE)
    keeper.tick(MONDAY + HOUR, at=MONDAY + HOUR)
    late = MONDAY + HOUR + SECOND
    keeper.take_parts([arrived(event("t", "ticket.opened", "bolt", at=late))], at=late)
    keeper.stop()
    assert {row.account_id: row.state for row in store.outreach()} == {"acme": "withdrawn", "bolt": "queued"}
    verifies(store)


def test_what_the_sender_reports_is_taken_in_with_the_clock(store: Store, book) -> None:
    keeper = LiveKeeper(store, book, "test", at=MONDAY)
    keeper.take_parts([arrived(event("a", at=MONDAY))], at=MONDAY)
    row = event("outreach.sent:1", "outreach.sent", at=MONDAY, outreach_id="x")
    store.put_inbox([("acme", "event", json.dumps(row).encode())], at=MONDAY)
    keeper.tick(MONDAY + MINUTE, at=MONDAY + MINUTE)
    assert "outreach.sent:1" in recorded(store)
    assert all(not store.inbox(lane, after=0) for lane in range(store.lanes))
    keeper.stop()
    verifies(store)


def test_the_portfolio_is_measured_as_time_goes_by(store: Store) -> None:
    keeper = LiveKeeper(store, book_of(OVER_ALL), "test", at=MONDAY)
    for number in range(4):
        keeper.take_parts([arrived(event("u", account=f"a{number}", at=MONDAY))], at=MONDAY)
    keeper.tick(MONDAY + 2 * HOUR, at=MONDAY + 2 * HOUR)
    keeper.stop()
    assert ("load", "planned", MONDAY + HOUR) in decided(store)
    verifies(store)


def test_after_an_import_the_live_owner_goes_on_where_it_ended(store: Store, book) -> None:
    old = Keeper(store, book, "import", at=MONDAY)
    old.take(arrived(*champion(), event("a", at=MONDAY)), at=MONDAY)
    old.finish(at=MONDAY)
    old.stop()
    keeper = LiveKeeper(store, book, "test", at=MONDAY + 5 * DAY)
    while keeper.tick(MONDAY + 5 * DAY, at=MONDAY + 5 * DAY)[1]:
        pass
    keeper.stop()
    assert decided(store) == [("silent", "planned", MONDAY - 9 * HOUR + 3 * DAY)]
    verifies(store)


def test_an_owner_renews_its_lease_every_few_seconds_and_not_for_each_batch(store: Store, book) -> None:
    keeper = LiveKeeper(store, book, "test", at=MONDAY)
    until = []
    for second in range(12):
        keeper.tick(MONDAY + second * SECOND, at=MONDAY + second * SECOND)
        until.append(store.lane_infos(at=MONDAY)[0].lease_until)
    keeper.stop()
    assert [(one or 0) - MONDAY for one in until] == [30_000] * 5 + [35_000] * 5 + [40_000] * 2


# -- the owner's thread --------------------------------------------------------------------------------------------
class Desk:
    """An owner at work in a thread, and a room to wait in."""

    def __init__(self, store: Store, book: Rulebook) -> None:
        self.room, self.health = WaitingRoom(), Health()
        self.metrics = Metrics(self.health, self.room)
        self.owner = Owner(store, book, self.room, self.health, self.metrics)
        self.owner.start()
        self.owner.settled.wait(20)

    def send(self, *rows: Any) -> Waiting:
        body = json.dumps(rows).encode()
        return self.room.enter(read_parcel(body, JSON, wall=time.time_ns() // 1_000_000))

    def take(self, *rows: Any) -> Any:
        return self.send(*rows).answer.result(20)

    def until(self, true: Callable[[], bool], seconds: float = 20) -> None:
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end
            time.sleep(0.02)

    def close(self) -> None:
        self.room.close()
        self.owner.join(20)
        assert not self.owner.is_alive()


@pytest.fixture
def file_store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path / 'store.db'}")
    yield opened
    opened.close()


@pytest.fixture
def desk(file_store: Store, book: Rulebook) -> Iterator[Desk]:
    made = Desk(file_store, book)
    yield made
    made.close()


def test_who_waits_is_committed_together(desk: Desk, file_store: Store) -> None:
    with file_store._driver.writing():  # type: ignore[attr-defined]  # nobody else writes while this is open
        first = desk.send(event("first"))
        time.sleep(0.2)
        rest = [desk.send(event(f"e{number}")) for number in range(50)]
        assert not first.answer.done()
    assert sum(one.answer.result(20).new for one in rest) == 50
    counted = desk.metrics.registry.get_sample_value("ringfirst_batch_events_count")
    assert counted is not None
    assert counted <= 3


def test_a_fault_of_ours_hurts_only_the_request_that_brings_it(desk: Desk, file_store: Store, monkeypatch) -> None:
    take = LiveKeeper._event

    def faulty(self: Any, kept: Any, fresh: Any, at: Instant) -> None:
        if fresh.event.id == "poison":
            raise ZeroDivisionError("ada@acme.example")
        take(self, kept, fresh, at)

    monkeypatch.setattr(LiveKeeper, "_event", faulty)
    with file_store._driver.writing():  # type: ignore[attr-defined]
        desk.send(event("x"))
        time.sleep(0.2)
        good, bad, other = desk.send(event("good")), desk.send(event("poison")), desk.send(event("other"))
    assert (good.answer.result(20).new, other.answer.result(20).new) == (1, 1)
    with pytest.raises(Refused, match="a fault of the server; ZeroDivisionError") as found:
        bad.answer.result(20)
    assert found.value.status == 500
    assert "ada" not in str(found.value)
    desk.until(lambda: desk.health.state == "owner")
    assert desk.take(event("afterwards")).new == 1
    assert set(recorded(file_store)) == {"x", "good", "other", "afterwards"}


@pytest.mark.parametrize(
    ("state", "after"),
    [
        pytest.param("claimed", "withdrawn", id="claimed: it is taken back"),
        pytest.param("posting", "posting", id="being handed over: it counts as gone"),
    ],
)
def test_a_mail_in_a_senders_hand_keeps_no_ticket_waiting(
    desk: Desk, file_store: Store, state: MailState, after: str
) -> None:
    desk.take(*champion(), event("u1"), event("u2"))
    mail = file_store.outreach()[0]
    at = time.time_ns() // 1_000_000
    assert file_store.move(mail.outreach_id, ["queued"], state, at=at, by="test")
    assert desk.send(event("t", "ticket.opened")).answer.result(20).new == 1
    assert file_store.outreach()[0].state == after


def test_an_owner_that_lost_its_lanes_stops_and_says_so(desk: Desk, file_store: Store) -> None:
    at = time.time_ns() // 1_000_000
    file_store.claim(range(file_store.lanes), "another", at=at, take_over=True)
    waiting = desk.send(event("too-late"))
    with pytest.raises(Refused):
        waiting.answer.result(20)
    desk.owner.join(20)
    assert isinstance(desk.owner.failed, Fenced | LaneTaken)
    assert desk.health.state == "lost"
    assert file_store.count_events() == 0


def test_a_clean_stop_writes_snapshots_and_gives_the_lanes_up(file_store: Store, book: Rulebook) -> None:
    made = Desk(file_store, book)
    made.take(*(event("e", account=f"a{number}") for number in range(5)))
    made.close()
    assert sum(len(list(file_store.snapshots(lane))) for lane in range(file_store.lanes)) == 5
    assert all(info.owner is None for info in file_store.lane_infos(at=0))


def test_time_goes_by_for_what_arrived_and_not_for_what_still_waits() -> None:
    room = WaitingRoom()
    room.open()
    wall = time.time_ns() // 1_000_000 + 60_000
    assert room.read_until(wall) == wall
    room.enter(read_parcel(b"{}", JSON, wall=wall))
    assert room.read_until(wall) <= wall - 59_000


def test_what_lay_in_the_inbox_at_the_start_is_taken_once(store: Store, book) -> None:
    keeper = LiveKeeper(store, book, "test", at=MONDAY)
    keeper.take_parts([arrived(event("a", at=MONDAY))], at=MONDAY)
    keeper.stop()
    row = event("outreach.sent:1", "outreach.sent", at=MONDAY, outreach_id="x")
    store.put_inbox([("acme", "event", json.dumps(row).encode())], at=MONDAY)
    again = LiveKeeper(store, book, "test", at=MONDAY + MINUTE)
    again.tick(MONDAY + MINUTE, at=MONDAY + MINUTE)
    again.stop()
    assert store.count_events() == 2
