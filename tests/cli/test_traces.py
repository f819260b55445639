"""Every figure of a report is traced to events, and these give the figure to the last digit; nobody asks the engine."""

import json
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from tests.cli.given import lines
from tests.cli.test_reports import event
from tests.cli.test_support_in_reports import ticket

BOOK = """
attributes: {account: {modules: list}}
things:
  ticket:
    id: ticket_id
    opened_by: [ticket.opened, ticket.reopened]
    answered_by: {event: ticket.replied, where: {by: agent}}
    closed_by: ticket.solved
  module: {id: feature, each_in: modules, measures: {uses_28d: {count: feature.used, over: 28d}}}
measures:
  hours: {sum: minutes, of: automation.run, times: 1/60}
  runs: {count: automation.run}
  won: {count: cart.recovered}
  people: {unique: user_id, of: [feature.used, automation.run]}
values:
  hours: {measure: hours, label: Hours saved, unit: hour, worth: {rate: 45, currency: EUR, per: hour}}
  won: {measure: won, label: Orders won, unit: order, worth: {sum: total}}
  people: {measure: people, label: People}
reports:
  - id: monthly
    audience: all
    period: previous month
    values: [hours, won, people]
    price: mrr
    compare: [previous period, same period last year, goal]
    support: {of: ticket, hours: desk}
    adoption: {people: people, features: module.uses_28d}
    next_steps: {from_rules: [idle, more, never]}
    schedule: {every: month, on_day: 2, at: "09:00"}
    to: [champion]
segments: {all: {when: mrr > 0, owner: o@ours.example}}
rules:
  - {id: idle, owner: o@ours.example, status: draft, for: each module, when: [module.uses_28d == 0], next_step: Try it.}
  - {id: more, owner: o@ours.example, status: draft, when: [runs >= 2, mrr > 50], next_step: Run more.}
  - {id: never, owner: o@ours.example, status: draft, when: [runs >= 99], next_step: Nothing.}
policy:
  timezone: Europe/Berlin
  staff: {domains: [ours.example]}
  calendars: {desk: {zone: Europe/London, days: mon-fri, from: "09:00", until: "17:00", holidays: GB-ENG}}
"""
EVENTS = [
    event("z", "account.updated", "2025-11-01T00:00:00Z", None, "other", mrr=1),
    event("a", "account.updated", "2026-01-01T09:00:00Z", None, mrr=100, currency="EUR", seats=4),
    event("m", "account.updated", "2026-01-01T09:00:01Z", None, modules=["reports", "forecasts", "audits"]),
    event("s", "user.updated", "2026-01-01T09:00:02Z", "s1", email="ann@ours.example"),
    event("u", "user.updated", "2026-01-01T09:00:03Z", "u1", role="champion", email="u1@acme.example"),
    event("g", "goal.set", "2026-01-02T09:00:00Z", None, metric="hours", baseline=0.5, target=4, due="2026-06-30"),
    event("g2", "goal.set", "2026-02-02T09:00:00Z", None, metric="hours", target=5),
    event("g3", "goal.set", "2026-01-02T09:00:01Z", None, metric="nps", target=9),
    event("j1", "automation.run", "2026-01-12T09:00:00Z", minutes=55),
    event("c", "subscription.created", "2026-01-20T23:30:00Z", None),
    event("f1", "automation.run", "2026-02-03T09:00:00Z", minutes=100),
    event("f2", "automation.run", "2026-02-04T09:00:00Z", "s1", minutes=600),
    event("f3", "cart.recovered", "2026-02-05T09:00:00Z", total=19.99, currency="EUR"),
    event("f4", "feature.used", "2026-02-06T09:00:00Z", "u2", feature="reports"),
    ticket("t0", "opened", "2026-02-10T09:00:00Z"),
    ticket("t0", "replied", "2026-02-10T11:00:00Z", "s1", by="agent"),
    ticket("t0", "solved", "2026-02-10T13:00:00Z"),
    ticket("t1", "opened", "2026-02-27T16:00:00Z"),
    ticket("t1", "replied", "2026-03-02T10:00:00Z", "s1", by="agent"),
    event("m1", "automation.run", "2026-03-03T09:00:00Z", minutes=50),
    ticket("t2", "opened", "2026-03-05T09:00:00Z", "u2"),
    ticket("t2", "replied", "2026-03-05T10:00:00Z", None, by="agent"),
    ticket("t2", "replied", "2026-03-05T11:00:00Z", None, by="agent"),
    ticket("ours", "opened", "2026-03-06T09:00:00Z", "s1"),
    ticket("ours", "solved", "2026-03-06T10:00:00Z", "s1"),
    event("m2", "cart.recovered", "2026-03-10T09:00:00Z", "u3", total=100.015, currency="EUR"),
    event("m3", "feature.used", "2026-03-11T09:00:00Z", "u2", feature="forecasts"),
    event("m4", "feature.used", "2026-03-12T09:00:00Z", "u2", feature="dashboards"),
    ticket("t2", "solved", "2026-03-20T09:00:00Z", "u2"),
    event("p", "account.updated", "2026-03-20T09:00:00Z", None, mrr=120.5, modules=["reports", "forecasts"]),
    ticket("t2", "reopened", "2026-03-21T09:00:00Z", "u2"),
    ticket("t1", "solved", "2026-03-31T21:59:59Z", "s1"),
    event("m5", "automation.run", "2026-03-31T21:30:00Z", minutes=70),
    event("q1", "automation.run", "2026-03-31T22:00:00Z", minutes=6),
    event("q2", "tick", "2026-04-02T07:30:00Z", None),
    event("q3", "tick", "2026-04-02T07:30:00Z", None, "other"),
]
RAW: dict[str, Any] = {one["id"]: one for one in EVENTS}
pytestmark = pytest.mark.usefixtures("imported")


def number(told: dict[str, Any], figure: str) -> Any:
    """A figure made of the events of its trace alone, by hand."""
    own, _, rest = figure.partition(".")
    counts = [one for one in told["events"] if one["counted"] is not None]
    says = {key: value for one in told["events"] for key, value in one.get("says", {}).items()}
    if own in {"hours", "goal"} and rest != "nps":
        return float(sum(Decimal(str(one["counted"])) for one in counts) / 60)
    if own in {"people", "adoption"}:
        return len({one["counted"] for one in counts})
    if own == "won" or rest in {"opened", "solved", "open"}:
        return sum(one["counted"] for one in counts)
    if own == "support":
        return round(median(one["milliseconds"] for one in counts) / 3_600_000, 2) if counts else None
    if own == "price":
        return says["mrr"]
    if own == "value_total":
        minutes = sum((Decimal(RAW[one["id"]]["properties"].get("minutes", 0)) for one in counts), Decimal(0))
        sold = (Decimal(str(RAW[one["id"]]["properties"].get("total", 0))) for one in counts)
        return float(round(minutes / 60 * 45, 2) + round(sum(sold, Decimal(0)), 2))
    return None


def printed(found: dict[str, Any]) -> dict[str, Any]:
    """Every figure of a preview by the name that it is traced by."""
    shown = {one["value"]: one["amount"] for one in found["values"]}
    shown |= {f"{one['value']}.ever": one["ever"]["amount"] for one in found["values"]}
    shown |= {f"{one['value']}.contract": one["amount"] for one in found["contract"]["values"]}
    shown |= {f"support.{one['figure']}": one["amount"] for one in found["support"]["figures"]}
    shown |= {f"goal.{one['metric']}": one["current"] for one in found["goals"]}
    return shown | {
        "value_total": found["value_total"],
        "value_total.ever": found["total_ever"][0]["amount"],
        "value_total.contract": found["contract"]["total"][0]["amount"],
        "value_to_price": found["value_to_price"],
        "price": found["price"]["amount"],
        "adoption.people": found["adoption"]["people"]["active"],
        "adoption.features": len(found["adoption"]["features"]["used"]),
    }


@pytest.mark.parametrize("month", ["2026-02", "2026-03"])
def test_every_printed_figure_is_listed_and_its_events_give_it_to_the_last_digit(ask, month):
    shown = printed(ask("reports", "preview", "acme", "--period", month))
    listed = {one["figure"]: one["amount"] for one in ask("reports", "trace", "acme", month)}
    steps = {"step.idle", "step.more", "step.never"}
    assert listed == shown | dict.fromkeys(steps)
    for name, amount in shown.items():
        told = ask("reports", "trace", "acme", month, name)
        assert told["amount"] == amount, name
        if name != "value_to_price":
            assert number(told, name) == amount, name
        for one in told["events"]:
            assert RAW[one["id"]]["time"] == one["time"], "each is an event of the log"


def test_the_time_that_a_ticket_took_is_that_between_its_events(ask):
    told = ask("reports", "trace", "acme", "2026-03", "support.answer_hours")
    assert [(one["thing"], one["counted"]) for one in told["events"]] == [
        ("t1", None),
        ("t1", 66),
        ("t2", None),
        ("t2", 1),
    ]
    for opened, answered in zip(told["events"][::2], told["events"][1::2], strict=True):
        apart = at(answered["time"]) - at(opened["time"])
        assert answered["milliseconds"] == apart.total_seconds() * 1000
    assert told["formula"] == "median of 2 times from opened to answered, in hours to two decimals = 33.5"
    solved = ask("reports", "trace", "acme", "2026-03", "support.solved")
    assert [one["thing"] for one in solved["events"]] == ["t2", "t1"], "what we opened ourselves is left out"
    left = ask("reports", "trace", "acme", "2026-03", "support.open")
    assert [(one["thing"], one["type"]) for one in left["events"]] == [("t2", "ticket.reopened")]


def at(time: str) -> datetime:
    return datetime.fromisoformat(time)


def test_what_stands_beside_a_figure_has_events_of_its_own(ask):
    found = ask("reports", "preview", "acme", "--period", "2026-03")
    support = {f"support.{one['figure']}": one["before"] for one in found["support"]["figures"]}
    before = support | {one["value"]: one["compared"][0]["amount"] for one in found["values"]}
    before |= {"adoption.people": found["adoption"]["people"]["before"]}
    for name, amount in before.items():
        (told,) = ask("reports", "trace", "acme", "2026-03", name)["earlier"]
        assert (told["with"], told["period"], told["amount"]) == ("previous period", "2026-02", amount)
        assert number(told, name) == amount, name


def test_a_goal_is_traced_to_what_was_agreed_and_to_what_was_measured(ask):
    told = ask("reports", "trace", "acme", "2026-03", "goal.hours")
    assert {one["id"]: one.get("says") for one in told["events"]} == {
        "m1": None,
        "m5": None,
        "g": {"baseline": 0.5, "due": "2026-06-30"},
        "g2": {"target": 5},
    }
    assert told["formula"] == (
        "2 (value hours) of 5, from 0.5; (2 - 0.5) / (5 - 0.5) = 33.3 % of the way; due 2026-06-30"
    )
    assert ask("reports", "trace", "acme", "2026-03", "goal.nps")["formula"] == (
        "the rulebook has no value 'nps'; the target is 9"
    )


def test_seats_and_what_is_paid_for_are_traced_to_what_set_them(ask):
    people = ask("reports", "trace", "acme", "2026-03", "adoption.people")
    assert people["events"][-1]["says"] == {"seats": 4}
    assert people["formula"].endswith("; 2 of 4 seats = 50 %")
    used = ask("reports", "trace", "acme", "2026-03", "adoption.features")
    assert [(one["id"], one["counted"], one.get("says")) for one in used["events"]] == [
        ("m3", "forecasts", None),
        ("p", None, {"modules": ["reports", "forecasts"]}),
    ]


def test_a_next_step_is_traced_to_the_conditions_of_its_rule(ask, run):
    idle = ask("reports", "trace", "acme", "2026-03", "step.idle")
    assert idle["about"] == ["reports"]
    assert [(one["is"], one["about"], one["truth"], one["values"]) for one in idle["lines"]] == [
        ("when", "reports", "yes", {"module.uses_28d": 0})
    ]
    more = ask("reports", "trace", "acme", "2026-03", "step.more")
    assert {one["id"] for one in more["events"]} == {"j1", "f1", "f2", "m1", "m5", "p"}, "a rule counts ours too"
    assert "gives no step" in ask("reports", "trace", "acme", "2026-03", "step.never")["formula"]
    said = run("reports", "trace", "acme", "2026-03", "step.more").stdout
    assert "when runs >= 2: yes; runs = 5" in said


def test_a_person_reads_it_with_its_formula_and_what_it_is_compared_with(run):
    said = run("reports", "trace", "acme", "2026-03", "value_total").stdout
    assert "90.00 EUR (hours) + 100.02 EUR (won) = 190.02 EUR\n" in said
    assert "hours: 2, worth 90.00 EUR: 2 x 45 EUR per hour (our assumption), rounded once" in said
    said = run("reports", "trace", "acme", "2026-03", "support.opened").stdout
    assert "ticket: opened in March 2026 = 2" in said
    assert "previous period, 2026-02: ticket: opened in February 2026 = 2; 2 events" in said
    said = run("reports", "trace", "acme", "2026-03", "value_to_price").stdout
    assert "190.02 EUR (value_total) / 120.5 EUR (price) = 1.57" in said
    assert "support.answer_hours" in run("reports", "trace", "acme", "2026-03").stdout


def test_a_measure_of_the_brief_is_traced_too(ask, run):
    told = ask("reports", "trace", "acme", "2026-03", "measure.runs")
    assert [one["id"] for one in told["events"]] == ["m1", "m5"]
    wrong = ("reports", "trace", "acme", "2026-03")
    assert "did you mean 'support.opened'?" in run(*wrong, "support.opend", code=2).stderr
    assert "not in the report or the values of the rulebook" in run(*wrong, "measure.nothing", code=2).stderr


def test_what_was_issued_is_traced_as_it_was_and_says_what_is_known_since(ask, run, place: Path):
    ask("reports", "send")
    assert "unknown" not in run("reports", "trace", "acme", "2026-03", "measure.runs").stderr, "nothing came since"
    before = {one["figure"]: one["amount"] for one in ask("reports", "trace", "acme", "2026-03")}
    late = [
        event("late", "automation.run", "2026-03-30T09:00:00Z", minutes=60),
        ticket("t9", "opened", "2026-03-30T09:00:00Z"),
        event("n", "tick", "2026-04-03T09:00:00Z"),
    ]
    (place / "late.jsonl").write_text(lines(late))
    ask("import", "late.jsonl")
    assert {one["figure"]: one["amount"] for one in ask("reports", "trace", "acme", "2026-03")} == before
    for name, amount in before.items():
        told = ask("reports", "trace", "acme", "2026-03", name)
        assert (told["amount"], told["issued"]["differs"]) == (amount, None), name
        assert "late" not in json.dumps(told["events"])
    told = ask("reports", "trace", "acme", "2026-03", "support.opened")
    assert (told["amount"], told["issued"]["amount"], told["issued"]["now"]) == (2, 2, 3)
    said = run("reports", "trace", "acme", "2026-03", "hours").stderr
    assert "these are the figures as they were issued" in said
    assert "from what is known now it is 3" in said
    assert ask("reports", "trace", "acme", "2026-03", "hours", "--anew")["amount"] == 3
    ask("reports", "correct", "acme", "2026-03", "--why", "an event was stuck")
    assert ask("reports", "trace", "acme", "2026-03", "hours")["amount"] == 3
    assert ask("reports", "trace", "acme", "2026-03", "hours", "--number", 1)["amount"] == 2
    words = ("reports", "trace", "acme", "2026-03", "hours")
    assert "no report of 2026-03 was issued so often" in run(*words, "--number", 3, code=2).stderr
    assert "--number is of what was issued" in run(*words, "--number", 1, "--anew", code=2).stderr


def test_what_was_issued_of_nothing_is_what_the_log_gives(ask, run, place: Path):
    rules = place / "rules" / "all.yml"
    book = rules.read_text()  # with a rate there would be 0 EUR, and so there is no money at all
    rules.write_text(book.replace("values: [hours, won, people]", "values: [won, people]"))
    run("import", "events.jsonl")
    ask("reports", "send")
    for row in ask("reports", "trace", "other", "2026-03"):
        told = ask("reports", "trace", "other", "2026-03", row["figure"])
        if row["report"] is None:
            assert (row["figure"], told["issued"]) == ("hours", None), "a value that the report does not show"
            continue
        assert told["issued"]["differs"] is None, row
        assert told["amount"] == row["amount"], row


def test_a_value_that_is_called_as_a_figure_of_the_report_is_traced_by_its_whole_name(ask, place: Path):
    book = (place / "rules" / "all.yml").read_text()
    book = book.replace("  won: {measure: won, label: Orders won", "  price: {measure: won, label: Orders won")
    (place / "rules" / "all.yml").write_text(book.replace("values: [hours, won, people]", "values: [hours, price]"))
    words = ("reports", "trace", "acme", "2026-03", "--rules", place)
    assert ask(*words, "price")["amount"] == 120.5
    assert ask(*words, "value.price")["amount"] == 1
    assert {one["figure"]: one["amount"] for one in ask(*words)}["value.price.ever"] == 2
    assert ask(*words, "value.price.ever")["amount"] == 2


def test_a_quarter_was_paid_at_the_end_of_each_month(ask, place: Path):
    book = (place / "rules" / "all.yml").read_text()
    (place / "rules" / "all.yml").write_text(
        book.replace("previous month", "previous quarter").replace("every: month", "every: quarter")
    )
    told = ask("reports", "trace", "acme", "2026-Q1", "price", "--rules", place)
    assert told["amount"] == 320.5
    assert "100 at the end of February 2026 + 120.5 at the end of March 2026 = 320.5 EUR" in told["formula"]
    assert [(one["id"], one["says"]) for one in told["events"]] == [
        ("a", {"mrr": 100, "currency": "EUR"}),
        ("p", {"mrr": 120.5}),
    ]


def test_where_the_log_no_longer_gives_what_was_issued_it_says_so(ask, run):
    ask("reports", "send")
    ask("forget", "--account", "acme", "--person", "s1", "--yes")
    told = ask("reports", "trace", "acme", "2026-03", "support.opened")
    assert (told["amount"], told["issued"]["amount"]) == (3, 2)
    assert "it was issued as 2, and the events known then give 3: somebody in it was forgotten since" in (
        run("reports", "trace", "acme", "2026-03", "support.opened").stderr
    )


def test_of_several_reports_one_is_named(ask, run, place: Path):
    book = (place / "rules" / "all.yml").read_text()
    second = "  - {id: other-one, period: previous month, values: [won], support: {of: ticket}}\nsegments:"
    (place / "rules" / "all.yml").write_text(book.replace("segments:", second, 1))
    words = ("reports", "trace", "acme", "2026-03", "--rules", place)
    assert "monthly, other-one have one each; name one with --report" in run(*words, "support.opened", code=2).stderr
    assert ask(*words, "support.opened", "--report", "other-one")["report"] == "other-one"
    assert ask(*words, "won")["amount"] == 1, "a value is the same in all of them"
    assert ask(*words, "support.answer_working_hours")["report"] == "monthly"
    wrong = run("reports", "trace", "acme", "2026-Q1", "won", "--report", "monthly", code=2).stderr
    assert "report monthly: is about a month; found 2026-Q1" in wrong
    assert ask("reports", "trace", "acme", "2026-Q1", "won")["amount"] == 2, (
        "values alone, where no report is of quarters"
    )
