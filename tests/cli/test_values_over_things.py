"""Values of things: how many were opened, answered and closed, how long that took, and what closed things are worth."""

from pathlib import Path
from statistics import median
from typing import Any

import pytest

from tests.cli.given import lines
from tests.cli.test_reports import event
from tests.cli.test_support_in_reports import ticket

BOOK = """
things:
  ticket:
    id: ticket_id
    opened_by: [ticket.opened, ticket.reopened]
    answered_by: {event: ticket.replied, where: {by: agent}}
    closed_by: ticket.solved
    where: {test: {known: false}}
  contract: {id: contract_id, opened_by: contract.sent, closed_by: [contract.signed, contract.voided]}
  module: {id: feature, each_in: modules}
  line: {id: line, in: portfolio, opened_by: ticket.opened}
attributes: {account: {modules: list}}
measures:
  solved_bugs: {closed: ticket, where: {area: bug}, over: 7d}
  opened: {opened: ticket}
  speed: {median: answer_hours, of: ticket}
  waited: {sum: solve_hours, of: ticket, times: 1/24}
  signed: {closed: contract, where: {state: signed}}
  open_now: {open: ticket}
  oldest: {maximum: open_days, of: ticket}
  modules_seen: {opened: module}
  lines_seen: {opened: line}
values:
  bugs: {measure: solved_bugs, label: Bugs solved, unit: bug, worth: {rate: 60, currency: EUR, per: bug}}
  opened: {measure: opened, label: Tickets}
  speed: {measure: speed, label: Hours to an answer, unit: hour}
  waited: {measure: waited, label: Days waited, unit: day}
  signed: {measure: signed, label: Contracts signed, unit: contract, worth: {sum: deal.amount}}
reports:
  - id: monthly
    period: previous month
    values: [bugs, opened, speed, waited, signed]
    compare: [previous period, goal]
    send_if: [value.bugs >= 1, value_total > 0]
    schedule: {every: month, on_day: 2, at: "09:00"}
    to: [champion]
policy:
  timezone: Europe/Berlin
  staff: {domains: [ours.example]}
"""


def contract(number: str, kind: str, time: str, **more: Any) -> dict[str, Any]:
    return event(f"{number}{kind}", f"contract.{kind}", time, "u1", contract_id=number, **more)


EVENTS = [
    event("z", "account.updated", "2025-12-01T00:00:00Z", None, "other", plan="pro"),
    event("a", "account.updated", "2026-01-01T09:00:00Z", None, currency="EUR"),
    event("s", "user.updated", "2026-01-01T09:00:01Z", "s1", email="ann@ours.example"),
    event("g", "goal.set", "2026-01-01T09:00:02Z", None, metric="bugs", target=4),
    ticket("t0", "opened", "2026-02-10T09:00:00Z", area="bug"),
    ticket("t0", "replied", "2026-02-10T11:00:00Z", "s1", by="agent"),
    ticket("t0", "solved", "2026-02-10T13:00:00Z"),
    ticket("t1", "opened", "2026-02-27T16:00:00Z", area="question"),
    ticket("t1", "replied", "2026-03-02T10:00:00Z", "s1", by="agent"),
    contract("c1", "sent", "2026-03-01T09:00:00Z", deal={"amount": 1200.5}, currency="USD"),
    contract("c2", "sent", "2026-03-01T10:00:00Z", deal={"amount": 7}),
    ticket("t2", "opened", "2026-03-05T09:00:00Z", "u2"),
    ticket("t2", "replied", "2026-03-05T10:00:00Z", None, by="agent", area="bug"),
    ticket("ours", "opened", "2026-03-06T09:00:00Z", "s1", area="bug"),
    ticket("ours", "solved", "2026-03-06T10:00:00Z", "s1"),
    ticket("probe", "opened", "2026-03-06T11:00:00Z", "u2", test=True),
    ticket("t2", "solved", "2026-03-20T09:00:00Z", "u2"),
    contract("c1", "signed", "2026-03-21T09:00:00Z", state="signed"),
    contract("c2", "voided", "2026-03-22T09:00:00Z", state="void"),
    ticket("t2", "reopened", "2026-03-31T21:30:00Z", "u2"),
    ticket("t1", "solved", "2026-03-31T21:59:59Z", area="bug"),
    ticket("t2", "solved", "2026-03-31T22:00:00Z", "u2"),
    event("q", "tick", "2026-04-02T07:30:00Z", None),
    event("r", "tick", "2026-04-02T07:30:00Z", None, "other"),
]
MARCH = ("acme", "--period", "2026-03")
pytestmark = pytest.mark.usefixtures("imported")


def values(ask: Any, period: str = "2026-03", *more: str) -> dict[str, Any]:
    found = ask("reports", "preview", "acme", "--period", period, *more)["values"]
    return {one["value"]: one for one in found}


def test_what_happened_to_things_counts_on_its_own_day_beside_the_month_before(ask):
    found = values(ask)
    assert {name: one["amount"] for name, one in found.items()} == {
        "bugs": 2,
        "opened": 2,
        "speed": 33.5,
        "waited": pytest.approx(47 + (5 * 3600 + 59 * 60 + 59) / 86400),
        "signed": 1,
    }, "t2 became a bug when it was answered; what we opened, and a test, are left out; the last solving is in April"
    assert {name: one["compared"][0]["amount"] for name, one in found.items()} == {
        "bugs": 1,
        "opened": 2,
        "speed": 2,
        "waited": pytest.approx(4 / 24),
        "signed": 0,
    }
    assert found["bugs"]["compared"][1]["amount"] == 4, "the goal"
    assert found["opened"]["ever"]["amount"] == 4
    assert [one["amount"] for one in found["bugs"]["series"]] == [1, 2]
    assert values(ask, "2026-04")["bugs"]["amount"] == 1


def test_what_closed_things_are_worth_is_what_they_say(ask):
    found = ask("reports", "preview", *MARCH)
    worth = {one["value"]: one["worth"]["money"] for one in found["values"] if one["worth"]}
    assert worth == {
        "bugs": [{"amount": 120.0, "currency": "EUR"}],
        "signed": [{"amount": 1200.5, "currency": "USD"}],
    }, "the amount stands in contract.sent, and the signature need not repeat it"
    why = "for its worth is in EUR and USD, which are never added"
    assert found["because"] == f"send_if value_total > 0 is unknown, {why}"


def test_their_traces_name_thing_and_events_and_give_the_figure(ask):
    bugs = ask("reports", "trace", "acme", "2026-03", "bugs")
    assert [(one["thing"], one["type"], one["counted"]) for one in bugs["events"]] == [
        ("t2", "ticket.solved", 1),
        ("t1", "ticket.solved", 1),
    ]
    assert bugs["formula"] == "ticket: closed in 2 events = 2"
    assert bugs["earlier"][0]["amount"] == 1
    speed = ask("reports", "trace", "acme", "2026-03", "speed")
    lengths = [one["milliseconds"] for one in speed["events"] if one["counted"] is not None]
    assert speed["amount"] == median(lengths) / 3_600_000
    assert [one["type"] for one in speed["events"]] == ["ticket.opened", "ticket.replied"] * 2
    assert speed["formula"] == "median of 2 times from opened to answered, in hours = 33.5"
    waited = ask("reports", "trace", "acme", "2026-03", "waited")
    lengths = [one["milliseconds"] for one in waited["events"] if one["counted"] is not None]
    assert waited["amount"] == sum(lengths) / 3_600_000 / 24
    (signed,) = ask("reports", "trace", "acme", "2026-03", "signed")["events"]
    assert (signed["id"], signed["money"]) == ("c1signed", {"amount": 1200.5, "currency": "USD"})
    assert ask("reports", "trace", "acme", "2026-03", "goal.bugs")["amount"] == 2


def test_what_was_issued_stays_and_the_next_report_says_what_changed(ask, run, place: Path):
    book = place / "rules" / "all.yml"
    book.write_text(book.read_text().replace(", value_total > 0", ""))
    run("import", "events.jsonl")
    ask("reports", "send")
    late = [ticket("t9", "opened", "2026-03-10T09:00:00Z"), event("n", "tick", "2026-05-02T07:30:00Z", None)]
    (place / "late.jsonl").write_text(lines([*late, event("n", "tick", "2026-05-02T07:30:00Z", None, "other")]))
    ask("import", "late.jsonl")
    assert values(ask)["opened"]["amount"] == 2
    assert values(ask, "2026-03", "--anew")["opened"]["amount"] == 3
    told = ask("reports", "trace", "acme", "2026-03", "opened")["issued"]
    assert (told["amount"], told["differs"], told["now"]) == (2, None, 3)
    book.write_text(book.read_text().replace("closed_by: ticket.solved", "closed_by: [ticket.solved, ticket.gone]"))
    ask("reports", "send")
    changes = ask("reports", "preview", "acme", "--period", "2026-04")["changes"]
    assert [(one["value"], one["was"], one["is"]) for one in changes] == [("opened", 2, 3)]
    run("replay", "--verify")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "measure: opened,",
            "measure: open_now,",
            "'open_now' tells of things at an instant, and a report counts over its",
        ),
        (
            "measure: opened,",
            "measure: oldest,",
            "write {opened: ticket}, {closed: ticket} or {median: answer_hours, of:",
        ),
        ("measure: opened,", "measure: modules_seen,", "is over module, which neither opens nor closes in an account"),
        ("measure: opened,", "measure: lines_seen,", "is over line, which neither opens nor closes in an account"),
        ("unit: hour}", "worth: {rate: 1, currency: EUR, per: hour}}", "a median has no price; only answered, closed"),
        (
            "label: Tickets}",
            "label: Tickets, worth: {rate: 1, currency: EUR, per: ticket}}",
            None,
        ),
    ],
)
def test_what_has_no_meaning_over_a_period_is_refused_with_what_to_write(run, place, old, new, said):
    (place / "rules" / "all.yml").write_text(BOOK.replace(old, new))
    found = " ".join(run("check", "--rules", ".", code=1 if said else 0).stdout.split())
    assert said is None or said in found
    assert "both put a price on the same events" not in found, "to open and to close are different acts"
