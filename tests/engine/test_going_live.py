"""Going live: who was inside is left alone until somebody lets them in, and replay gives the same."""

from collections.abc import Iterator
from typing import Any

import pytest

from engine import explain, replay
from engine.insiders import insiders
from engine.instants import DAY, HOUR, MINUTE, Instant
from engine.keeper import Keeper
from engine.rulebook.book import Rulebook
from engine.store import Store
from engine.stores import open_store
from ringfirst.releases import release, take_back
from tests.engine.test_keeper import MONDAY, WALL, book_of, champion, event, uses

RULE = """
things:
  ticket: {id: ticket_id, opened_by: ticket.opened, closed_by: ticket.closed}
measures:
  uses: {count: feature.used}
  tickets: {open: ticket}
rules:
  - id: busy
    owner: us@ringfirst.example
    why: They use it a lot.
    when: [uses >= 2]
    unless: [tickets > 0]
    re_entry: RE
    status: STATUS
    send: {template: hello, to: champion, class: relationship, mode: auto}
  - id: each-ticket
    owner: us@ringfirst.example
    why: It is open.
    for: each ticket
    when: [ticket.open]
    re_entry: every time
    status: STATUS
    send: {template: hello, to: champion, class: relationship, mode: auto}
"""
NAMES = ["acme", "birch", "cedar", "dune"]


def book(status: str = "live", again: str = "never") -> Rulebook:
    return book_of(RULE.replace("STATUS", status).replace("RE\n", f"{again}\n"))


@pytest.fixture
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    url = request.getfixturevalue("fresh_postgres") if getattr(request, "param", "") == "postgres" else "sqlite://"
    opened = open_store(url, create=True, lanes=2)
    yield opened
    opened.close()


both = pytest.mark.parametrize("store", ["sqlite", "postgres"], indirect=True)


def day(store: Store, number: int, rulebook: Rulebook, *more: Any) -> None:
    """An owner comes, takes ``more`` in and what every account does on a day, and goes."""
    keeper = Keeper(store, rulebook, "test", at=WALL)
    keeper.take([*more, *(event(f"day-{number}-{one}", "other", on(number), one) for one in NAMES)], at=WALL)
    keeper.finish(at=WALL)
    keeper.stop()


def on(number: int) -> Instant:
    return MONDAY + number * DAY


def gone_live(store: Store, again: str = "never") -> None:
    """Four accounts came to be inside while the rule was a draft, and it is live since."""
    history = [one for name in NAMES for one in (champion(name), *uses(3, account=name))]
    day(store, 1, book("draft", again), *sorted(history, key=lambda one: one.event.time))
    day(store, 2, book(again=again))


def let(store: Store, *, per_day: int | None = None, rule: str = "busy", at: Instant) -> int:
    return release(store, rule, insiders(store, rule), per_day=per_day, at=at, who="ann", why="x")[0]


def planned(store: Store, rule: str = "busy") -> list[str]:
    return [one.account_id for one in store.decisions(rule=rule) if one.outcome == "planned"]


def same(store: Store) -> None:
    for plain in (False, True):
        found = replay.verify(store, plain=plain)
        assert (found["missing"], found["extra"], found["different"]) == (0, 0, 0)


def test_going_live_writes_to_nobody_who_is_inside_and_says_who_they_are(store: Store) -> None:
    gone_live(store)
    day(store, 9, book())
    assert planned(store) == []
    found = insiders(store, "busy")
    assert [(one.account_id, one.place, one.values) for one in found] == [
        (name, "inside", {"uses": 3, "tickets": 0}) for name in NAMES
    ]


def test_who_is_let_in_is_decided_for_once_however_often_it_is_typed(store: Store) -> None:
    gone_live(store)
    assert let(store, at=on(3)) == 4
    assert let(store, at=on(3)) == 0, "what lies in the inbox counts"
    day(store, 3, book())
    assert sorted(planned(store)) == NAMES
    assert let(store, at=on(3)) == 0
    assert [one.place for one in insiders(store, "busy")] == ["decided"] * 4
    day(store, 5, book())
    assert sorted(planned(store)) == NAMES
    assert len(store.outreach()) == 4
    same(store)


@pytest.mark.parametrize("again", ["never", "every time", "every 30d"])
def test_a_release_that_is_told_twice_decides_once(store: Store, again: str) -> None:
    gone_live(store, again)
    found = insiders(store, "busy")
    for number in (3, 4):
        release(store, "busy", found, per_day=None, at=on(number), who="ann", why="x")
        day(store, number, book(again=again))
    assert sorted(planned(store)) == NAMES
    same(store)


@both
def test_each_is_asked_at_a_time_of_its_own_whether_it_is_true_still(store: Store) -> None:
    gone_live(store)
    assert let(store, per_day=1, at=on(2)) == 4
    order = [one.account_id for one in sorted(insiders(store, "busy"), key=lambda one: one.at or 0)]
    day(store, 3, book())
    assert planned(store) == order[:2]
    assert [one.decision_id for one in store.decisions(since=on(3) - HOUR)], "decided at its own instant"
    ticket = event("t1", "ticket.opened", on(3) + HOUR, order[2], ticket_id="t1")
    day(store, 4, book(), ticket)
    assert [one.place for one in insiders(store, "busy") if one.account_id == order[3]] == ["released"]
    day(store, 9, book())
    assert sorted(planned(store)) == sorted([*order[:2], order[3]])
    assert let(store, at=on(9)) == 0, "who is no longer inside cannot be let in"
    same(store)


@both
def test_snapshots_keep_what_is_to_come(store: Store) -> None:
    gone_live(store)
    let(store, per_day=1, at=on(2))
    day(store, 3, book())  # its owner writes snapshots when it stops
    assert list(store.snapshots(0)) or list(store.snapshots(1))
    day(store, 9, book())
    assert sorted(planned(store)) == NAMES
    store.delete_snapshots()
    day(store, 10, book())
    assert sorted(planned(store)) == NAMES
    same(store)


def test_releases_can_be_taken_back_until_their_time_comes(store: Store) -> None:
    gone_live(store)
    let(store, per_day=1, at=on(2) + HOUR)
    day(store, 3, book())
    done = len(planned(store))
    assert take_back(store, "busy", insiders(store, "busy"), at=on(3), who="ann", why="x") == 4 - done
    day(store, 9, book())
    assert 0 < len(planned(store)) == done < 4
    same(store)


def test_a_rule_that_is_changed_meanwhile_lets_nobody_in(store: Store) -> None:
    gone_live(store)
    let(store, per_day=1, at=on(4))
    other = book_of(RULE.replace("STATUS", "live").replace("RE\n", "never\n").replace("uses >= 2", "uses >= 1"))
    day(store, 3, book())
    day(store, 4, other)
    day(store, 9, other)
    assert planned(store) == []
    same(store)


@pytest.mark.parametrize("again", ["never", "every time"])
def test_a_release_of_a_draft_decides_nothing(store: Store, again: str) -> None:
    gone_live(store, again)
    drafts = len(store.decisions(rule="busy"))
    let(store, per_day=1, at=on(4))
    day(store, 3, book(again=again))
    day(store, 4, book("draft", again))
    day(store, 9, book("draft", again))
    assert len(store.decisions(rule="busy")) == drafts
    same(store)


def test_a_mail_of_a_release_is_taken_back_like_every_other(store: Store) -> None:
    gone_live(store)
    let(store, at=on(2))
    day(store, 3, book(), event("t1", "ticket.opened", on(2) + 5 * MINUTE, "acme", ticket_id="t1"))
    outcome = {one.account_id: one.outcome for one in store.decisions(rule="busy") if one.outcome != "draft"}
    assert outcome == {name: "withdrawn" if name == "acme" else "planned" for name in NAMES}
    assert [one.place for one in insiders(store, "busy")] == ["decided"] * 3
    same(store)


def test_things_are_let_in_each_by_itself(store: Store) -> None:
    tickets = [event(name, "ticket.opened", MONDAY + HOUR, "acme", ticket_id=name) for name in ("t1", "t2")]
    day(store, 1, book("draft"), champion(), *tickets)
    day(store, 2, book())
    found = insiders(store, "each-ticket")
    assert [(one.subject.kind, one.subject.id) for one in found if one.subject] == [("ticket", "t1"), ("ticket", "t2")]
    release(store, "each-ticket", found[1:], per_day=None, at=on(3), who="ann", why="x")
    day(store, 3, book())
    (decision,) = [one for one in store.decisions(rule="each-ticket") if one.outcome == "planned"]
    assert decision.subject is not None
    assert decision.subject.id == "t2"
    same(store)


def test_the_holdout_is_let_in_as_such(store: Store) -> None:
    held = book_of(RULE.replace("STATUS", "live").replace("RE\n", "never\n    holdout: 99%\n"))
    gone_live(store)
    day(store, 3, held)
    found = insiders(store, "busy")
    release(store, "busy", found, per_day=None, at=on(4), who="ann", why="x")
    day(store, 4, held)
    outcome = {one.account_id: one.outcome for one in store.decisions(rule="busy") if one.outcome != "draft"}
    assert outcome == {one.account_id: "held_out" if one.held_out else "planned" for one in found}
    assert "held_out" in outcome.values()
    same(store)


@both
def test_the_audit_knows_who_let_them_in_with_the_release_itself(store: Store) -> None:
    gone_live(store)
    before = len(explain.explain(store, book(), "acme", "busy")["decisions"])
    let(store, at=on(3) + MINUTE)
    with store._driver.reading() as connection:  # type: ignore[attr-defined]  # the audit has no reader of its own
        rows = connection.exec_driver_sql("select who, what, detail from audit").all()
    assert [(who, what) for who, what, _ in rows] == [("ann", "release")]
    assert before == 1
