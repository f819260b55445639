"""A report that is due and is not there is told: which lanes it waits for, that nobody issues it, or that it failed."""

from typing import Any

import pytest

from engine.instants import DAY, HOUR, MINUTE, iso
from engine.reports.issuing import Issuer
from engine.reports.late import GRACE, late
from engine.store import LaneInfo, ReportRound, Store
from engine.stores import open_store
from outreach.channels.memory import MemoryChannel
from ringfirst.oncall.late_reports import LateReports, overdue
from ringfirst.oncall.lookout import Lookout
from ringfirst.oncall.screen import screen
from ringfirst.reporting import Rounds, issued_once, tell_rounds
from ringfirst.server.health import Health
from ringfirst.server.metrics import Metrics
from ringfirst.server.sending import Sending
from ringfirst.server.waiting import WaitingRoom
from tests.oncall.test_screen import drawn
from tests.outreach.given import SENDER
from tests.reports.given import BOOK, MARCH, book_of, customer, event, instant, issue, mails, run, take

DUE, CLOSES = instant("2026-04-02T07:00:00Z"), instant("2026-04-01T22:00:00Z")
"""On a Thursday at nine in Berlin."""


def lanes(*clocks: int | None, owner: str | None = "worker", first: int = instant("2025-12-20T09:00:00Z")) -> Any:
    return [LaneInfo(lane, 1, 5, clock, first, owner, None) for lane, clock in enumerate(clocks)]


def told(*infos: Any, at: int, rounds: Any = (), book: Any = None) -> list[tuple[str, str, str, tuple[int, ...], int]]:
    found = late(book or book_of(), infos, rounds, at)
    return [(one.report, one.period, one.cause, one.lanes, one.left) for one in found]


def test_what_is_due_waits_for_lanes_that_stand_before_the_closing():
    at = DUE + HOUR
    assert told(*lanes(at, CLOSES), at=at) == [("monthly", "2026-03", "lanes", (1,), 0)]
    assert told(*lanes(at, None), at=at) == [("monthly", "2026-03", "nobody", (), 0)], (
        "a lane without events holds none"
    )
    done = [ReportRound("monthly", "2026-02", DUE - 31 * DAY, 0, 0)]
    assert told(*lanes(at, CLOSES), at=DUE - 1, rounds=done) == []
    (one,) = late(book_of(), lanes(at, CLOSES), (), at)
    assert (one.seconds(at), iso(one.since)) == (3600, "2026-04-02T07:00:00Z")
    assert one.words == "monthly of 2026-03, due 2026-04-02T07:00:00Z, waits until lanes 1 pass 2026-04-01T22:00:00Z"


def test_a_store_of_history_alone_owes_no_reports():
    at = DUE + HOUR
    assert told(*lanes(CLOSES - DAY, CLOSES - DAY, owner=None), at=at) == []
    assert told(*lanes(CLOSES - DAY, CLOSES - DAY), at=at) != [], "somebody lives here, and stands still"
    assert told(*lanes(CLOSES - DAY, at, owner=None), at=at) != [], "a part of it went on"
    assert told(*lanes(at, at, first=CLOSES), at=at) == [], "its log began after that month"


@pytest.mark.parametrize(
    ("waiting", "failed", "after", "cause"),
    [
        (None, None, GRACE, [("nobody", 0)]),
        (None, None, GRACE - 1, []),
        (0, 0, 30 * DAY, []),
        (3, 0, GRACE, []),
        (3, 0, 6 * HOUR, [("nobody", 3)]),
        (0, 2, GRACE, [("failed", 2)]),
        (9, 2, DAY, [("failed", 2)]),
    ],
    ids=["nobody", "nobody yet", "done", "the west waits", "the west is forgotten", "failed", "failed and more"],
)
def test_what_is_closed_and_was_not_issued_is_told(waiting, failed, after, cause):
    rounds = [] if waiting is None else [ReportRound("monthly", "2026-03", DUE, waiting, failed)]
    at = DUE + after
    assert [(one.cause, one.left) for one in late(book_of(), lanes(at, at), rounds, at)] == cause


def test_before_its_day_comes_the_report_of_the_period_before_is_still_asked_for():
    book = book_of(BOOK.replace("on_day: 2", "on_day: 20"))
    at = instant("2026-04-10T09:00:00Z")
    assert told(*lanes(at, at), at=at, book=book) == [("monthly", "2026-02", "nobody", (), 0)]


def test_a_report_that_is_new_in_the_rulebook_owes_nothing_for_last_year():
    quarterly = BOOK.replace("previous month", "previous quarter").replace(
        "every: month, on_day: 2", "every: quarter, on_day: 28"
    )
    at = instant("2026-04-20T09:00:00Z")
    assert told(*lanes(at, at), at=at, book=book_of(quarterly)) == []


def test_who_issues_says_how_far_it_is_and_what_failed(store: Store, monkeypatch):
    names, make = ("acme", "bolt"), Issuer.make
    rows = [[*customer(name), run(f"r-{name}", "2026-03-10T09:00:00Z", 150, name)] for name in names]
    at = iso(DUE + HOUR)
    take(store, [one for each in rows for one in each], until=at)
    asks = LateReports(store)
    assert [one.cause for one in asks.at(DUE + HOUR)] == ["nobody"]
    ill = ["bolt"]
    monkeypatch.setattr(
        Issuer, "make", lambda self, *given, **more: 1 / 0 if given[2] in ill else make(self, *given, **more)
    )
    rounds = Rounds(store, book_of)
    assert rounds.issue() == 1
    assert [(one.cause, one.left) for one in asks.at(DUE + HOUR)] == [("failed", 1)]
    (sample,) = overdue(asks.at(DUE + HOUR)).samples
    assert (sample.labels, sample.value > 3600) == ({"rule_id": "monthly", "cause": "failed"}, True)
    before = [one for one in store.report_rounds() if one.period == "2026-03"]
    rounds.issue()
    assert [one for one in store.report_rounds() if one.period == "2026-03"] == before, "what is no news is not written"
    ill.clear()
    assert rounds.issue() == 1
    assert asks.at(DUE + HOUR) == []


def test_the_screen_names_what_is_late_and_the_answer_is_not_well(tmp_path, monkeypatch):
    url = f"sqlite:///{tmp_path / 'ringfirst.db'}"
    store = open_store(url, lanes=2)
    take(store, customer(), until=iso(DUE + 2 * HOUR))
    store.close()
    monkeypatch.setattr("ringfirst.oncall.lookout.now", lambda: DUE + 2 * HOUR)
    with Lookout(lambda: open_store(url, create=False), None) as lookout:
        found = lookout.once()
    text = " ".join(line.strip() for line in drawn(found, 100))
    assert "REPORTS LATE by 2 h: monthly of 2026-03, due 2026-04-02T07:00:00Z, was not issued: nothing here" in text
    assert "start 'ringfirst send --watch'" in text
    assert not found.well
    assert screen(found, width=60)


def test_a_command_that_asked_for_all_says_so_too(store: Store):
    usa = customer("bolt", timezone="America/Los_Angeles")
    at = DUE + 20 * MINUTE
    early = iso(CLOSES + 2)
    take(store, [*customer(), *usa, run("r1", "2026-03-10T09:00:00Z", 150)], until=early)
    tell_rounds(store, issue(store), [], at=at)
    assert [(one.waiting, one.failed) for one in store.report_rounds()] == [(1, 0)]
    assert LateReports(store).at(at) == [], "California's month is open"
    assert [one.left for one in LateReports(store).at(DUE + DAY)] == [1], "and then somebody must ask again"


def test_a_sender_from_a_timer_issues_and_an_old_store_is_history(store: Store, monkeypatch):
    took = [*customer(), run("r1", "2026-03-10T09:00:00Z", 150), event("x", "tick", iso(DUE))]
    take(store, took, until=iso(DUE))
    assert issued_once(store, book_of()) == 0, "the store stands still since months"
    monkeypatch.setattr("ringfirst.reporting.now", lambda: DUE + HOUR)
    assert (issued_once(store, book_of()), issued_once(store, book_of())) == (1, 0)
    assert {state for _, _, state in mails(store)} == {"queued"}, "it was taken in at once"
    assert {one.period for one in store.report_rounds() if not one.waiting} >= {MARCH.name}


def test_a_server_shows_what_is_late(store: Store, monkeypatch):
    take(store, customer(), until=iso(DUE + HOUR))
    monkeypatch.setattr("ringfirst.server.sending.now", lambda: DUE + HOUR)
    health = Health()
    metrics = Metrics(health, WaitingRoom())
    Sending(store, {}, MemoryChannel(), SENDER, health, metrics)._sent()
    assert b'ringfirst_report_overdue_seconds{cause="nobody",rule_id="monthly"}' in metrics.text()


def test_a_rulebook_that_this_program_cannot_read_takes_no_word_from_who_asks(store: Store, monkeypatch):
    take(store, customer(), until=iso(DUE + HOUR))
    monkeypatch.setattr(store, "rulebook", lambda _: {"rules/a.yml": "rules: [nonsense]"})
    assert LateReports(store).at(DUE + HOUR) == []
