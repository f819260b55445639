"""The portfolio: values over all accounts at fixed instants, the rules that look at them, what accounts read of it."""

from collections.abc import Iterator
from typing import Any

import pytest

from engine.decision import Decision
from engine.events import Arrived, encode_properties
from engine.instants import DAY, HOUR, MINUTE, Instant, iso
from engine.keeper import Keeper
from engine.lanes import lane_of
from engine.log import EngineEntry, Event
from engine.replay import verify
from engine.rulebook.book import Rulebook, load_rulebook
from engine.store import Store
from engine.stores import open_store

MONDAY = 1_772_409_600_000  # 2026-03-02T00:00:00Z
ACCOUNTS = ("acme", "bolt", "cone", "dune", "echo")
HEAD = """
things:
  ticket: {id: ticket_id, opened_by: ticket.opened, closed_by: ticket.closed}
  kind_of_question:
    id: question_type
    in: portfolio
    opened_by: ticket.opened
    measures:
      now: {count: ticket.opened, over: 1d}
      norm: {count: ticket.opened, over: 7d, per: day}
measures:
  open_tickets: {open: ticket}
  waits: {average: open_days, of: ticket}
  all_open: {portfolio: open_tickets}
  most_open: {portfolio: open_tickets, take: maximum}
  middle_open: {portfolio: open_tickets, take: median}
  pro_open: {portfolio: open_tickets, segment: pro}
  mean_wait: {portfolio: waits, take: average}
segments: {pro: {when: 'plan == "pro"'}}
rules:
"""
LOAD = """
- id: load
  for: portfolio
  when: [all_open >= 3]
  clear_when: all_open < 2
  re_entry: every time
  notify: {template: n, to: rule owner}
  owner: o@ringfirst.example
"""
QUIET = """
- id: quiet
  for: portfolio
  when: [all_open == 0]
  notify: {template: n, to: rule owner}
  owner: o@ringfirst.example
"""
SPIKE = """
- id: spike
  for: each kind_of_question
  when: [kind_of_question.now >= 3]
  re_entry: every time
  notify: {template: n, to: rule owner}
  owner: o@ringfirst.example
"""
BUSY_EVERYWHERE = """
- id: everywhere
  when: [all_open >= 2, open_tickets >= 1]
  notify: {template: n, to: rule owner}
  owner: o@ringfirst.example
"""


def book_of(*rules: str) -> Rulebook:
    files = {"rules/a.yml": HEAD + "".join(rules), "templates/n/template.yml": "for: staff\n"}
    book, findings = load_rulebook(files, duties=False)
    assert book is not None, [str(finding) for finding in findings]
    return book


class Desk:
    """Events of made-up accounts on their way through a keeper."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.rows: list[tuple[Instant, str, str, dict[str, Any]]] = []

    def opens(self, hour: float, account: str, ticket: str, **properties: Any) -> "Desk":
        return self.event(hour, account, "ticket.opened", ticket_id=ticket, **properties)

    def closes(self, hour: float, account: str, ticket: str) -> "Desk":
        return self.event(hour, account, "ticket.closed", ticket_id=ticket)

    def event(self, hour: float, account: str, kind: str, **properties: Any) -> "Desk":
        self.rows.append((MONDAY + int(hour * HOUR), account, kind, properties))
        return self

    def run(self, book: Rulebook, *, at_once: int = 1_000) -> list[Decision]:
        keeper = Keeper(self.store, book, "desk:1:a", at=MONDAY)
        arrived = []
        for number, (at, account, kind, properties) in enumerate(sorted(self.rows, key=lambda row: row[0])):
            event = Event(f"e{number}", kind, account, None, at, properties)
            arrived.append(Arrived(event, encode_properties(properties)))
        for start in range(0, len(arrived), at_once):
            keeper.take(arrived[start : start + at_once], at=MONDAY)
        keeper.finish(at=MONDAY)
        keeper.stop()
        return list(self.store.decisions())

    def measured(self) -> dict[str, dict[str, Any]]:
        """What entered the log of the portfolio's lane, by instant."""
        entries = self.store.entries(lane_of("*", self.store.lanes), after=0)
        rows = [entry for entry in entries if isinstance(entry, EngineEntry) and entry.kind == "portfolio.measured"]
        return {iso(row.recorded_at): dict(row.body) for row in rows}


@pytest.fixture
def desk() -> Iterator[Desk]:
    store = open_store("sqlite://")
    yield Desk(store)
    store.close()


def ats(decisions: list[Decision]) -> list[str]:
    return [iso(decision.at) for decision in decisions]


def test_a_portfolio_rule_is_looked_at_on_the_full_hour(desk: Desk) -> None:
    desk.opens(1.2, "acme", "t1").opens(2.3, "bolt", "t1").opens(3.5, "cone", "t1").event(6, "dune", "x")
    (decision,) = desk.run(book_of(LOAD))
    assert (iso(decision.at), decision.account_id, decision.subject) == ("2026-03-02T04:00:00Z", "*", None)
    assert decision.values["all_open"] == 3
    assert [mail.to for mail in decision.mails] == ["o@ringfirst.example"]


def test_what_is_recorded_at_the_very_hour_is_not_yet_in_it(desk: Desk) -> None:
    desk.opens(1, "acme", "t1").opens(1.5, "bolt", "t1").opens(3, "cone", "t1").event(6, "dune", "x")
    assert ats(desk.run(book_of(LOAD))) == ["2026-03-02T04:00:00Z"]


def test_what_comes_and_goes_between_two_looks_is_never_seen(desk: Desk) -> None:
    desk.opens(1.1, "acme", "t1").opens(1.1, "bolt", "t1").opens(1.2, "cone", "t1").closes(1.3, "cone", "t1")
    assert desk.event(9, "dune", "x").run(book_of(LOAD)) == []


def test_clear_when_holds_up_until_it_holds(desk: Desk) -> None:
    for account in ACCOUNTS[:3]:
        desk.opens(0.5, account, "t1")
    desk.closes(1.5, "acme", "t1").opens(2.5, "acme", "t2")  # 3, 2, 3: never cleared
    desk.closes(3.5, "acme", "t2").closes(3.5, "bolt", "t1")  # 1: cleared
    desk.opens(4.5, "acme", "t3").opens(4.5, "bolt", "t3")  # 3 again
    desk.event(7, "dune", "x")
    assert ats(desk.run(book_of(LOAD))) == ["2026-03-02T01:00:00Z", "2026-03-02T05:00:00Z"]


@pytest.mark.parametrize(
    ("every", "expected"),
    [
        ("5m", "2026-03-02T03:35:00Z"),
        ("30m", "2026-03-02T04:00:00Z"),
        ("2h", "2026-03-02T04:00:00Z"),
        ("1d", "2026-03-03T00:00:00Z"),
    ],
)
def test_a_rule_may_be_looked_at_at_steps_of_its_own(desk: Desk, every: str, expected: str) -> None:
    for account in ACCOUNTS[:3]:
        desk.opens(3.55, account, "t1")
    assert ats(desk.event(30, "dune", "x").run(book_of(LOAD.rstrip() + f"\n  every: {every}\n"))) == [expected]


def test_steps_of_one_rule_do_not_look_at_another(desk: Desk) -> None:
    other = LOAD.replace("id: load", "id: slow").rstrip() + "\n  every: 1d\n"
    for account in ACCOUNTS[:3]:
        desk.opens(3.55, account, "t1")
    decisions = desk.event(30, "dune", "x").run(book_of(LOAD, other))
    assert [(decision.rule, iso(decision.at)) for decision in decisions] == [
        ("load", "2026-03-02T04:00:00Z"),
        ("slow", "2026-03-03T00:00:00Z"),
    ]


def test_the_last_look_is_the_last_full_step_of_the_log(desk: Desk) -> None:
    desk.opens(1, "acme", "t1").opens(1, "bolt", "t1").opens(3.5, "cone", "t1").event(3.9, "dune", "x")
    assert desk.run(book_of(LOAD)) == []


def test_how_accounts_add_up(desk: Desk) -> None:
    desk.event(0, "acme", "account.updated", plan="pro").opens(1, "acme", "t1").opens(1, "acme", "t2")
    desk.opens(1, "bolt", "t1").event(1, "cone", "x").event(50, "dune", "x").run(book_of(LOAD))
    values = desk.measured()["2026-03-04T00:00:00Z"]["accounts"]
    assert values == {"all_open": 3, "most_open": 2, "middle_open": 1, "pro_open": 2, "mean_wait": 2}


def test_of_nothing_known_the_portfolio_is_unknown(desk: Desk) -> None:
    desk.event(0, "acme", "x").event(30, "acme", "x").run(book_of(QUIET))
    values = desk.measured()["2026-03-03T00:00:00Z"]["accounts"]
    assert (values["mean_wait"], values["pro_open"], values["all_open"]) == (None, None, 0)


def test_a_rule_over_nothing_at_all_fires_once(desk: Desk) -> None:
    assert ats(desk.event(0.5, "acme", "x").event(30, "acme", "x").run(book_of(QUIET))) == ["2026-03-02T01:00:00Z"]


@pytest.mark.parametrize("at_once", [1, 2, 3, 1_000])
def test_how_the_log_is_cut_into_batches_changes_nothing(desk: Desk, at_once: int) -> None:
    for number, account in enumerate(ACCOUNTS * 4):
        desk.opens(1 + number * 1.7, account, f"t{number}", question_type="billing" if number % 2 else "login")
        if number % 3 == 0:
            desk.closes(2 + number * 1.7, account, f"t{number}")
    decisions = desk.event(80, "acme", "x").run(book_of(LOAD, SPIKE, BUSY_EVERYWHERE), at_once=at_once)
    other = Desk(open_store("sqlite://", lanes=1))
    other.rows = desk.rows
    same = other.run(book_of(LOAD, SPIKE, BUSY_EVERYWHERE))
    other.store.close()
    assert len(decisions) >= 4
    assert [one.decision_id for one in decisions] == [one.decision_id for one in same]
    assert [(one.at, one.values) for one in decisions] == [(one.at, one.values) for one in same]


def test_a_spike_is_found_in_each_thing_of_the_portfolio(desk: Desk) -> None:
    for number, account in enumerate(ACCOUNTS[:3]):
        desk.opens(5 + number / 10, account, "t1", question_type="billing")
    desk.opens(5, "dune", "t1", question_type="login").opens(5, "dune", "t2")
    (decision,) = desk.event(9, "echo", "x").run(book_of(SPIKE))
    assert decision.subject is not None
    assert (decision.subject.kind, decision.subject.id, iso(decision.at)) == (
        "kind_of_question",
        "billing",
        "2026-03-02T06:00:00Z",
    )
    assert decision.values["kind_of_question.now"] == 3
    assert desk.measured()["2026-03-02T06:00:00Z"]["things"]["kind_of_question"]["login"]["now"] == 1


def test_a_spike_that_is_over_may_come_again(desk: Desk) -> None:
    for day in (0, 3):
        for number, account in enumerate(ACCOUNTS[:3]):
            desk.opens(day * 24 + 5, account, f"t{day}{number}", question_type="billing")
    decisions = desk.event(100, "echo", "x").run(book_of(SPIKE))
    assert ats(decisions) == ["2026-03-02T06:00:00Z", "2026-03-05T06:00:00Z"]


def test_an_account_reads_the_last_daily_value(desk: Desk) -> None:
    desk.opens(5, "acme", "t1").opens(6, "bolt", "t1").event(40, "cone", "x")
    decisions = desk.run(book_of(BUSY_EVERYWHERE))
    assert sorted((one.account_id, iso(one.at)) for one in decisions) == [
        ("acme", "2026-03-03T00:00:00Z"),
        ("bolt", "2026-03-03T00:00:00Z"),
    ]
    assert all(one.values["all_open"] == 2 for one in decisions)


def test_between_two_midnights_the_daily_value_stays(desk: Desk) -> None:
    desk.opens(5, "acme", "t1").opens(6, "bolt", "t1").closes(26, "bolt", "t1")
    desk.event(1, "cone", "x").opens(30, "cone", "t1")  # still 2 by yesterday's count
    desk.closes(31, "acme", "t1").closes(31, "cone", "t1").event(60, "dune", "x")
    decisions = desk.run(book_of(BUSY_EVERYWHERE))
    assert ("cone", "2026-03-03T06:00:00Z") in [(one.account_id, iso(one.at)) for one in decisions]


def test_how_many_lanes_there_are_changes_no_decision(desk: Desk) -> None:
    desk.opens(5, "acme", "t1").opens(6, "bolt", "t1").opens(30, "cone", "t1").event(40, "dune", "x")
    single = Desk(open_store("sqlite://", lanes=1))
    single.rows = desk.rows
    expected = [one.decision_id for one in single.run(book_of(BUSY_EVERYWHERE))]
    single.store.close()
    assert [one.decision_id for one in desk.run(book_of(BUSY_EVERYWHERE))] == expected


def test_an_account_without_a_midnight_before_it_knows_no_portfolio(desk: Desk) -> None:
    desk.opens(5, "acme", "t1").opens(6, "bolt", "t1").event(23, "cone", "x")
    assert desk.run(book_of(BUSY_EVERYWHERE)) == []


def test_a_keeper_that_starts_again_goes_on_where_it_stood(desk: Desk) -> None:
    book = book_of(LOAD, SPIKE, BUSY_EVERYWHERE)
    first = ACCOUNTS[:3]
    for account in first:
        desk.opens(1.5, account, "t1", question_type="billing")
    desk.run(book)
    early = desk.store.decisions()
    keeper = Keeper(desk.store, book, "desk:1:b", at=MONDAY + MINUTE)
    later = Event("late", "x", "dune", None, MONDAY + 2 * DAY, {})
    keeper.take([Arrived(later, b"{}")], at=MONDAY)
    keeper.finish(at=MONDAY)
    keeper.stop()
    found = {(one.rule, one.account_id, iso(one.at)) for one in desk.store.decisions()}
    assert early == []
    assert found == {
        ("load", "*", "2026-03-02T02:00:00Z"),
        ("spike", "*", "2026-03-02T02:00:00Z"),
        *(("everywhere", account, "2026-03-03T00:00:00Z") for account in first),
    }


@pytest.mark.parametrize("before", [1, 0])
def test_a_new_account_after_a_restart_knows_the_daily_totals_and_no_later_ones(desk: Desk, before: int) -> None:
    book = book_of(LOAD, BUSY_EVERYWHERE)
    home = lane_of("*", desk.store.lanes)
    mate, newcomer = [name for name in map("a{}".format, range(100)) if lane_of(name, desk.store.lanes) == home][:2]
    elsewhere = [name for name in ACCOUNTS if lane_of(name, desk.store.lanes) != home][:3]
    for number, account in enumerate(elsewhere):
        desk.opens(30 + number / 10, account, f"t{number}")
    desk.closes(34.4, elsewhere[0], "t0")
    if before:  # it stands further on in the log than the portfolio
        desk.opens(34.5, mate, "t8")
    assert desk.run(book)[0].rule == "load"
    later = Event("late", "ticket.opened", newcomer, None, MONDAY + int(34.6 * HOUR), {"ticket_id": "t9"})
    keeper = Keeper(desk.store, book, "desk:1:b", at=MONDAY)
    keeper.take([Arrived(later, encode_properties(later.properties))], at=MONDAY)
    keeper.finish(at=MONDAY)
    keeper.stop()
    assert [one.rule for one in desk.store.decisions()] == ["load"]
    found = verify(desk.store)
    assert (found["missing"], found["extra"], found["different"]) == (0, 0, 0)
