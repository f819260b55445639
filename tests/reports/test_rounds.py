"""Rounds beside a sender: reports are issued as periods close, and whoever is on call hears of those that wait."""

import logging

from engine.instants import iso
from engine.keeper import Keeper
from engine.reports.issuing import Issuer
from engine.store import Store
from ringfirst import reporting
from ringfirst.reporting import Rounds
from tests.reports.given import WALL, book_of, customer, event, instant, run, take


def test_what_can_be_issued_is_and_once(store: Store):
    take(store, [*customer(), run("r1", "2026-03-10T09:00:00Z", 150)], until="2026-04-02T06:30:00Z")
    rounds = Rounds(store, book_of)
    assert (rounds.issue(), rounds.issue()) == (1, 0)
    assert Rounds(store, book_of).issue() == 1, "another process puts it once more, for it is not taken in yet"
    take(store, [], until="2026-04-02T06:45:00Z")
    assert Rounds(store, book_of).issue() == 0
    assert len(store.decisions()) == 1


def test_who_comes_in_before_the_month_is_closed_has_a_report_too(store: Store, monkeypatch):
    usa = {"timezone": "America/Los_Angeles"}
    take(store, [*customer(**usa), run("r1", "2026-03-10T09:00:00Z", 150)], until="2026-04-01T12:00:00Z")
    rounds = Rounds(store, book_of)
    assert rounds.issue() == 0
    moved_in = [*customer("bolt", **usa), run("r2", "2026-03-11T09:00:00Z", 150, "bolt")]
    take(store, [event("n", "tick", "2026-04-01T13:00:00Z", "clock")], until="2026-04-01T13:00:00Z")
    keeper = Keeper(store, book_of(), "test", at=WALL)
    keeper.take(moved_in, at=WALL)
    keeper.finish(at=WALL)
    keeper.stop()
    take(store, [], until="2026-04-02T13:00:00Z")
    assert rounds.issue() == 2
    take(store, [], until="2026-04-02T16:00:00Z")
    asked: list[int] = []

    def accounts() -> list[str]:
        asked.append(1)
        return []

    monkeypatch.setattr(store, "accounts", accounts)
    assert (rounds.issue(), asked) == (0, []), "from then on nobody can join"


def test_a_report_that_waits_for_lanes_is_told_once(store: Store, monkeypatch, caplog):
    take(store, customer(), until="2026-04-01T21:00:00Z")
    monkeypatch.setattr(reporting, "now", lambda: instant("2026-04-02T08:00:00Z"))
    rounds = Rounds(store, book_of)
    with caplog.at_level(logging.INFO, "ringfirst.reporting"):
        rounds.issue()
        rounds.issue()
        take(store, [], until="2026-04-02T08:00:00Z")
        rounds.issue()
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert said[0].startswith("reports wait: monthly of 2026-03, due 2026-04-02T07:00:00Z, waits until lanes ")
    assert iso(instant("2026-04-01T22:00:00Z")) in said[0]
    assert said[1] == "no report waits any more"


def test_a_report_that_cannot_be_made_holds_no_mail_up(store: Store, monkeypatch, caplog):
    take(store, customer(), until="2026-04-02T06:30:00Z")
    monkeypatch.setattr(reporting, "Agenda", lambda *_: 1 / 0)
    with caplog.at_level(logging.ERROR, "ringfirst.reporting"):
        assert Rounds(store, book_of).issue() == 0
    assert "reports cannot be issued; ZeroDivisionError" in caplog.text


def test_an_account_whose_report_cannot_be_made_keeps_nobody_else_from_theirs(store: Store, monkeypatch, caplog):
    names = ("acme", "bolt", "coil")
    rows = [[*customer(name), run(f"r-{name}", "2026-03-10T09:00:00Z", 150, name)] for name in names]
    take(store, [one for each in rows for one in each], until="2026-04-02T06:30:00Z")
    make, ill = Issuer.make, ["bolt"]
    monkeypatch.setattr(
        Issuer, "make", lambda self, *told, **more: 1 / 0 if told[2] in ill else make(self, *told, **more)
    )
    rounds = Rounds(store, book_of)
    with caplog.at_level(logging.ERROR, "ringfirst.reporting"):
        assert (rounds.issue(), rounds.issue()) == (2, 0)
    assert len(caplog.records) == 1
    assert "report monthly of account bolt cannot be issued; ZeroDivisionError" in caplog.text
    ill.clear()
    assert rounds.issue() == 1, "it was not forgotten"
