"""A backtest on midnights gathers events by day and reads at night: the same decisions as over plain state."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from engine import backtest
from engine.columns import nightly
from engine.columns.lane import ColumnLane
from engine.columns.nightly import NightLane
from engine.decision import Decision
from engine.instants import DAY
from engine.lane import Lane
from engine.log import Event
from tests.engine.test_columns import START, TICKET, Told, rule
from tests.judge import product
from tests.judge.test_engine import scenes


@given(scenes())
@settings(suppress_health_check=list(HealthCheck), deadline=None, max_examples=15)
def test_a_backtest_by_midnights_is_the_same_over_plain_state(scene: Any) -> None:
    book, log, until, _ = scene
    assert nights(NightLane, book, log, until) == nights(Lane, book, log, until)


@given(scenes())
@settings(suppress_health_check=list(HealthCheck), deadline=None, max_examples=15)
def test_columns_know_for_whom_a_rule_is_unknown(scene: Any) -> None:
    book, log, until, _ = scene
    told = [nights(kind, book, log, until, midnights=False)[2] for kind in (ColumnLane, Lane)]
    assert told[0] == told[1]


def nights(kind: Any, book: dict[str, Any], log: list[dict[str, Any]], until: int, *, midnights: bool = True) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backtest, "NightLane" if midnights else "ColumnLane", kind)
        trial = backtest.Trial(product.book_of(book), midnights=midnights, lanes=2)
        for event in _events(log):
            trial.take(event)
        trial.finish(until)
    return trial.decisions, trial.taken_back, trial.unknown()


def _events(log: list[dict[str, Any]]) -> Iterator[Event]:
    for row in log:
        if "event" in row and not row["event"]["type"].startswith("outreach."):
            one = row["event"]
            properties = {name: product.exact(value) for name, value in one["properties"].items()}
            yield Event(one["id"], one["type"], one["account_id"], one["user_id"], one["time"], properties)


def same(told: Told, days: float) -> list[Decision]:
    """The decisions, which columns and the plain state must agree on."""
    book, until = told.log[0]["rulebook"], START + int(days * DAY)
    plain = nights(Lane, book, told.log, until)
    assert nights(NightLane, book, told.log, until) == plain
    decisions: dict[str, Decision] = plain[0]
    return sorted(decisions.values(), key=lambda one: (one.at, one.rule))


@pytest.mark.parametrize("most", [pytest.param(4_096, id="once a night"), pytest.param(7, id="also by day")])
def test_a_day_of_more_events_than_a_narrow_ring_holds_counts_in_full(
    most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nightly, "MOST", most)
    book = {
        "measures": {
            "uses": {"count": "used", "over": "3d"},
            "people": {"unique": "user_id", "of": "used", "over": "2d"},
            "spent": {"sum": "amount", "of": "used", "over": "3d"},
            "ever": {"unique": "user_id", "of": "used"},
        },
        "rules": [
            rule("much", "uses >= 300"),
            rule("none", "uses == 0", "ever >= 1"),
            rule("people", "people >= 200"),
            rule("spent", "spent >= 5000"),
            rule("crowd", "ever >= 250"),
        ],
    }
    told = Told(book)
    for at in range(300):
        told.event(1 + at / 400, "used", {"amount": 30 if at % 2 else 4}, user_id=f"u{at}")
    assert {one.rule for one in same(told, 9)} == {"much", "none", "people", "spent", "crowd"}


@pytest.mark.parametrize("amount", [9 * 10**8, -9 * 10**8, 7 * 10**12])
def test_sums_beyond_what_columns_hold_are_right_all_the_same(amount: int) -> None:
    measures = {name: {"sum": "amount", "of": "paid", "over": over} for name, over in (("week", "7d"), ("days", "2d"))}
    measures["ever"] = {"sum": "amount", "of": "paid"}
    told = Told({"measures": measures, "rules": [rule(name, f"{name} != 0") for name in measures]})
    for at in range(8):
        told.event(at / 2, "paid", {"amount": amount})
        told.event(at / 2 + 0.1, "paid", {"amount": -amount if at % 3 else 1})
    assert {one.rule for one in same(told, 12)} == {"week", "days", "ever"}


def test_what_happens_to_things_between_two_nights_is_seen_as_it_ends() -> None:
    rules = [rule("two", "open >= 2"), rule("each", "ticket.open_days >= 1", **{"for": "each ticket"})]
    told = Told({"things": {"ticket": TICKET}, "measures": {"open": {"open": "ticket"}}, "rules": rules})
    for at, kind, ticket in (
        (0.1, "ticket.opened", "a"),
        (0.2, "ticket.opened", "b"),
        (0.3, "ticket.solved", "b"),
        (2.1, "ticket.solved", "a"),
        (2.2, "ticket.opened", "a"),
        (4.1, "ticket.solved", "a"),
        (5.1, "ticket.opened", "b"),
        (5.2, "ticket.opened", "c"),
    ):
        told.event(at, kind, {"ticket_id": ticket})
    decided = [(one.rule, one.subject.id if one.subject else "", (one.at - START) // DAY) for one in same(told, 9)]
    assert ("two", "", 6) in decided
    assert {one for one in decided if one[0] == "each"} >= {("each", "a", 1), ("each", "b", 6), ("each", "c", 6)}


def test_an_account_that_is_built_anew_keeps_what_its_day_had_brought() -> None:
    measures = {"uses": {"count": "used", "over": "3d"}, "quiet": {"days_since": "used"}}
    told = Told({"measures": measures, "rules": [rule("busy", "uses >= 6"), rule("quiet", "quiet >= 3")]})
    for at in range(8):
        told.event(at / 10, "used")
        if at == 5:
            told.event(at / 10 + 0.01, "account.updated", {"timezone": "Asia/Kathmandu"})
    told.event(1.5, "used", time=START - 5 * DAY)
    assert [one.rule for one in same(told, 6)] == ["busy", "quiet"]


@pytest.mark.parametrize("midnights", [pytest.param(True, id="by night"), pytest.param(False, id="after each event")])
def test_an_account_that_was_silent_for_want_of_a_value_is_named_long_after_its_last_event(midnights: bool) -> None:
    told = Told(
        {"measures": {"uses": {"count": "used", "over": "30d"}}, "rules": [rule("big", "seats > 5", "uses > 0")]}
    )
    told.event(0.5, "used")
    kinds = (NightLane if midnights else ColumnLane, Lane)
    book, until = told.log[0]["rulebook"], START + 9 * DAY
    for kind in kinds:
        assert nights(kind, book, told.log, until, midnights=midnights)[2] == {"big": {"seats": 1}}
