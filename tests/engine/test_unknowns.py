"""Why a value is unknown: explain says what is missing, for every way a name can have no value."""

# ruff: noqa: E501 - a row of a table is a name and all that is said of it

from collections.abc import Iterator
from typing import Any

import pytest

from engine import explain, questions
from engine.events import Arrived, encode_properties
from engine.instants import DAY, HOUR, parse_instant
from engine.keeper import Keeper
from engine.log import Event
from engine.rulebook.book import Rulebook, load_rulebook
from engine.store import Store
from engine.stores import open_store

MONDAY = parse_instant("2026-03-02T09:00:00Z") or 0
WALL = MONDAY + 400 * DAY
BOOK = """
attributes:
  account: {tier: text, renewal: date, deep: text}
  person: {level: number}
things:
  ticket:
    id: ticket_id
    opened_by: ticket.opened
    answered_by: ticket.answered
    closed_by: ticket.closed
    people: {asker: asker, opener: user_id}
    properties: {weight: number}
    measures:
      tone: {average: mood, of: ticket.answered}
      days_left: {days_to: sign_by}
      full_week: {count: ticket.answered, over: 7d, full: true}
measures:
  before_28d: {count: feature.used, over: 28d, ending: 14d ago, full: true}
  hours_full: {count: feature.used, over: 36h, full: true}
  never: {days_since: report.sent, never: unknown}
  first_export: {days_since_first: export.done}
  mean_week: {average: minutes, of: feature.used, over: 7d}
  mean_ever: {average: minutes, of: export.done}
  mean_wrong: {average: feature, of: feature.used}
  newest: {last: nothing, of: feature.used}
  nested: {attribute: deep.inner}
  as_number: {attribute: tier, as: number}
  to_renewal: {days_to: renewal}
  held: {held_days: renewal}
  mean_solve: {average: solve_hours, of: ticket, over: 30d}
  mean_weight: {average: weight, of: ticket}
  oldest_red: {maximum: weight, of: ticket, where: {grade: red}}
  to_sign: {days_to: ticket.sign_by}
  whole: {portfolio: uses}
  uses: {count: feature.used}
segments:
  good: {when: [tier == "gold", seats > 1]}
scores:
  health: {parts: {a: {value: mean_week, from: 0, to: 1, weight: 1}, b: {value: uses / 0, from: 0, to: 1, weight: 1}}}
"""


def book_of(*rules: str) -> Rulebook:
    book, findings = load_rulebook({"rules/a.yml": BOOK + "rules:\n" + "".join(rules)}, duties=False)
    assert book is not None, findings
    return book


def rule(line: str, subject: str = "account") -> str:
    return f"- {{id: r, for: {subject}, status: draft, when: ['known({line}) and {line} == {line}']}}\n"


def event(name: str, kind: str, at: int, user: str | None = None, **properties: Any) -> Arrived:
    return Arrived(Event(name, kind, "acme", user, at, properties), encode_properties(properties))


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    """One customer, ten days old."""
    opened = open_store("sqlite://", lanes=1)
    keeper = Keeper(opened, book_of(rule("uses")), "test", at=WALL)
    keeper.take(
        [
            event("a", "account.updated", MONDAY, tier=3, renewal="soon", deep={"other": 1}, plan="pro"),
            event("c", "account.updated", MONDAY + HOUR, plan=None),
            event("p", "user.updated", MONDAY, "u1", level="high"),
            event("t", "ticket.opened", MONDAY + DAY, ticket_id="t1", sign_by=12),
            event("s", "survey.answered", MONDAY + DAY, note=["a"]),
            event("f", "feature.used", MONDAY + 9 * DAY, feature="reports"),
            event("z", "other", MONDAY + 10 * DAY),
        ],
        at=WALL,
    )
    keeper.finish(at=WALL)
    keeper.stop()
    yield opened
    opened.close()


def why(store: Store, name: str, subject: str = "account", about: str | None = None, at: int | None = None) -> str:
    answer = explain.explain(store, book_of(rule(name, subject)), "acme", "r", about=about, at=at)
    line = answer["when"][0]
    assert line["values"] == {name: None}
    assert [*line["because_unknown"]] == [name]
    said: str = line["because_unknown"][name]
    assert any(f"{name} = unknown: {said}" in one for one in explain.lines(answer)), "and for a person too"
    return said


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("before_28d", "full: true, and its window begins on 2026-01-30, before the account was first seen, on 2026-03-02"),
        ("never", "it never happened"),
        ("first_export", "it never happened"),
        ("mean_ever", "it never happened"),
        ("mean_wrong", "none of its 1 events has a number in 'feature'"),
        ("mean_week", "none of its 1 events has a number in 'minutes'"),
        ("newest", "none of its 1 events has a value in 'nothing'"),
        ("seats", "the account has no trait 'seats'"),
        ("plan", "the trait 'plan' was cleared"),
        ("tier", "the trait 'tier' should be text; found a number"),
        ("deep", "the trait 'deep' should be text; found a mapping"),
        ("nested", "the trait 'deep' has no 'inner' in it"),
        ("renewal", "the trait 'renewal' should be date; found text"),
        ("to_renewal", "the trait 'renewal' should be date; found text"),
        ("held", "the trait 'renewal' should be date; found text"),
        ("mean_solve", "no ticket was closed in its window"),
        ("mean_weight", "none of the 1 open has a number in 'weight'"),
        ("oldest_red", "no ticket is open and passes its where"),
        ("to_sign", "none of the 1 open has a date in 'sign_by'"),
        ("good", "tier is unknown: the trait 'tier' should be text; found a number; seats is unknown: the account has no trait 'seats'"),
        ("health", "mean_week is unknown: none of its 1 events has a number in 'minutes'"),
    ],
)  # fmt: skip
def test_of_an_account_it_is_said_what_is_missing(store: Store, name: str, said: str) -> None:
    assert why(store, name) == said


def test_an_exact_window_says_its_instant(store: Store) -> None:
    assert why(store, "hours_full", at=MONDAY + DAY) == (
        "full: true, and its window begins 2026-03-01T21:00:00Z, before the account was first seen, 2026-03-02T09:00:00Z"
    )


def test_a_window_that_begins_on_the_day_of_the_first_event_says_so(store: Store) -> None:
    assert "during the first day of its window, 2026-03-02" in why(store, "before_28d", at=MONDAY + 41 * DAY)


def test_a_window_that_begins_before_our_log_says_so_though_the_account_is_older() -> None:
    opened = open_store("sqlite://", lanes=1)
    keeper = Keeper(opened, book_of(rule("before_28d")), "test", at=WALL)
    keeper.take([event("a", "account.updated", MONDAY, created_at="2020-01-01")], at=WALL)
    keeper.take([event("f", "feature.used", MONDAY + 50 * DAY)], at=WALL)
    keeper.finish(at=WALL)
    keeper.stop()
    said = "full: true, and its window begins on 2026-02-19, before our log of the account begins, on 2026-03-02"
    assert why(opened, "before_28d", at=MONDAY + 30 * DAY) == said
    known = [
        len(questions.who(opened, book_of(rule("uses")), "before_28d == 0", at=MONDAY + day * DAY)["accounts"])
        for day in (41, 42)
    ]
    assert known == [0, 1]
    values = [
        questions.account(opened, book_of(rule("uses")), "acme", at=MONDAY + day * DAY)["measures"] for day in (41, 42)
    ]
    assert [row["before_28d"] for row in values] == [None, 0]
    opened.close()


def test_nothing_in_a_window_is_told_from_nothing_ever(store: Store) -> None:
    assert why(store, "mean_week", at=MONDAY + 2 * DAY) == "no such event lies in its window"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("ticket.tone", "it never happened"),
        ("ticket.days_left", "the property 'sign_by' should be date; found a number"),
        ("ticket.full_week", "full: true, and its window begins on 2026-03-02, before the ticket was first seen, on 2026-03-03"),
        ("ticket.weight", "the ticket has no property 'weight'"),
        ("ticket.asker", "its 'asker' names nobody"),
        ("ticket.opener", "the event that opened it names nobody"),
        ("ticket.closed_at", "the ticket was never closed"),
    ],
)  # fmt: skip
def test_of_a_thing_it_is_said_what_is_missing(store: Store, name: str, said: str) -> None:
    at = MONDAY + 6 * DAY if name.endswith("week") else None
    assert why(store, name, "each ticket", "ticket:t1", at) == said


def test_of_a_person_it_is_said_what_is_missing(store: Store) -> None:
    said = why(store, "person.level", "each person", "person:u1")
    assert said == "the property 'level' should be number; found text"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("event.person", "the event has no user_id"),
        ("event.score", "the event has no property 'score'"),
        ("event.note", "the property 'note' should be text, a number, true or false; found a list"),
    ],
)
def test_of_an_event_it_is_said_what_is_missing(store: Store, name: str, said: str) -> None:
    assert why(store, name, "each survey.answered", "event:s") == said


def test_before_the_first_midnight_no_value_of_the_portfolio_is_known(store: Store) -> None:
    assert why(store, "whole", at=MONDAY + HOUR) == "no daily value of the portfolio has reached the account yet"


def test_the_audience_says_it_too(store: Store) -> None:
    book = book_of("- {id: r, audience: good, status: draft, when: ['uses > 0']}\n")
    answer = explain.explain(store, book, "acme", "r")
    assert answer["audience"]["because_unknown"]["seats"] == "the account has no trait 'seats'"
    assert answer["because"].endswith(
        "audience good is unknown (unknown: tier, the trait 'tier' should be text; found a number; "
        "seats, the account has no trait 'seats')"
    )
    assert answer["when"][0]["because_unknown"] == {}, "what is known needs no reason"


@pytest.mark.parametrize(("most", "listed", "more"), [(10, 1, 0), (1, 1, 0), (0, 0, 1)])
def test_as_many_events_as_were_asked_for_are_listed_and_the_rest_is_counted(
    store: Store, most: int, listed: int, more: int
) -> None:
    line = explain.explain(store, book_of(rule("uses")), "acme", "r", most=most)["when"][0]
    assert (len(line["events"]), line["more"]) == (listed, more)
