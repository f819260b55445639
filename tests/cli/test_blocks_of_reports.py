"""What a report says beside its values: adoption, next steps of rules, the contract, and whom to talk to."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from engine.account import in_holdout
from engine.rulebook.reporting import TEMPLATE
from engine.rulebook.spec import Rule
from outreach.report_names import NAMES
from outreach.reported import report_context
from outreach.templates import load_templates
from tests.cli.given import lines
from tests.cli.test_reports import event, names

ROOT = Path(__file__).resolve().parents[2]
BOOK = """
attributes: {account: {modules: list}}
things:
  ticket: {id: ticket_id, opened_by: ticket.opened, answered_by: ticket.replied, closed_by: ticket.solved}
  module: {id: feature, each_in: modules, measures: {uses_28d: {count: feature.used, over: 28d}}}
measures:
  runs: {count: automation.run}
  reports_28d: {count: feature.used, where: {feature: reports}, over: 28d}
  people: {unique: user_id, of: [feature.used, session.started], over: 7d, times: 2}
values:
  runs: {measure: runs, label: Runs, unit: run, worth: {rate: 2, currency: EUR, per: run}}
  twice: {measure: people, label: Twice the people}
reports:
  - id: monthly
    period: previous month
    values: [runs, twice]
    price: mrr
    compare: [previous period]
    support: {of: ticket, hours: desk}
    adoption: {people: people, features: module.uses_28d}
    next_steps: {from_rules: [idle, buy-more, never, seats-idle], at_most: 3}
rules:
  - id: idle
    title: A module that nobody uses
    why: It is the first thing to go at the renewal.
    owner: o@ours.example
    status: draft
    for: each module
    when: [module.uses_28d == 0]
    next_step: Try what you have and do not use yet.
  - id: buy-more
    owner: o@ours.example
    status: draft
    when: [runs >= 1]
    next_step: Get more runs.
    send: {template: underused-feature, to: champion, class: marketing, with: {feature: runs}}
  - {id: never, owner: o@ours.example, status: draft, when: [runs >= 99], next_step: Nothing.}
  - {id: seats-idle, owner: o@ours.example, status: draft, holdout: 50%, when: [seats > 1], next_step: Invite somebody.}
policy:
  timezone: Europe/Berlin
  calendars: {desk: {days: mon-fri}}
  staff: {domains: [ours.example], names: {mara@ours.example: Mara Lind}}
"""
EVENTS = [
    event("l", "account.updated", "2025-12-01T00:00:00Z", None, "other"),
    event(
        "a", "account.updated", "2026-01-10T09:00:00Z", None, seats=8, owner="mara@ours.example", currency="EUR", mrr=9
    ),
    event("m", "account.updated", "2026-01-10T09:00:01Z", None, modules=["reports", "forecasts", "audits"]),
    event("s", "user.updated", "2026-01-10T09:00:02Z", "s1", email="ann@ours.example"),
    event("r0", "automation.run", "2026-01-12T09:00:00Z"),
    event("c", "subscription.created", "2026-01-20T23:30:00Z", None),
    event("r1", "automation.run", "2026-01-20T23:10:00Z"),
    event("r2", "automation.run", "2026-01-20T22:59:00Z"),
    event("f1", "feature.used", "2026-02-03T09:00:00Z", "u1", feature="reports"),
    event("f2", "feature.used", "2026-02-04T09:00:00Z", "s1", feature="audits"),
    event("f3", "feature.used", "2026-02-05T09:00:00Z", "u2", feature="dashboards"),
    event("f4", "session.started", "2026-02-06T09:00:00Z", "u3"),
    event("r3", "automation.run", "2026-02-10T09:00:00Z", "u1"),
    event("f5", "feature.used", "2026-03-03T09:00:00Z", "u1", feature="forecasts"),
    event("r4", "automation.run", "2026-03-10T09:00:00Z", "u1"),
    event("t", "account.updated", "2026-03-20T09:00:00Z", None, modules=["reports", "forecasts"], seats=10),
    event("g", "goal.set", "2026-01-10T09:00:05Z", None, metric="runs", baseline=0, target=5, due="2026-12-31"),
    event("o1", "ticket.opened", "2026-03-10T09:00:01Z", "u1", ticket_id="t1"),
    event("z", "account.updated", "2026-04-02T09:00:00Z", None, plan="pro"),
]


pytestmark = pytest.mark.usefixtures("imported")


def report(ask: Any, period: str = "2026-02", account: str = "acme") -> dict[str, Any]:
    found = ask("reports", "preview", account, "--period", period)
    assert isinstance(found, dict)
    return found


def test_adoption_counts_people_of_the_customer_against_seats_and_things_that_are_paid_for(ask):
    assert report(ask)["adoption"] == {
        "people": {"active": 3, "before": None, "seats": 8, "percent": 37.5},
        "features": {"used": ["reports"], "unused": ["audits", "forecasts"], "bought": 3},
        "not_compared": "January 2026 is not known, or in part only",
    }, "audits were used by one of us, and dashboards are not paid for"
    assert report(ask, "2026-03")["adoption"] == {
        "people": {"active": 1, "before": 3, "seats": 10, "percent": 10},
        "features": {"used": ["forecasts"], "unused": ["reports"], "bought": 2},
        "not_compared": None,
    }, "as of the end of March there were two modules and ten seats"


def test_a_scale_of_the_measure_is_in_its_value_and_not_in_the_people(ask):
    found = report(ask)
    assert [one["amount"] for one in found["values"]] == [1, 6]
    assert found["adoption"]["people"]["active"] == 3


def test_next_steps_are_those_of_rules_that_held_at_the_periods_end(ask):
    found = report(ask)
    idle, sells, *_ = found["next_steps"]
    assert idle == {
        "rule": "idle",
        "next_step": "Try what you have and do not use yet.",
        "about": ["forecasts"],
        "title": "A module that nobody uses",
        "why": "It is the first thing to go at the renewal.",
        "class": "relationship",
    }, "audits had an event, though not one of the customer: the rule counts it"
    assert (sells["rule"], sells["class"], found["class"]) == ("buy-more", "marketing", "marketing")
    assert "never" not in [one["rule"] for one in found["next_steps"]]
    late = report(ask, "2026-03")["next_steps"][0]["about"]
    assert late == ["forecasts", "reports"], "forecasts were used on 3 March, and the rule looks back 28 days"


def test_a_report_that_sells_nothing_is_no_marketing(ask, place):
    (place / "rules" / "all.yml").write_text(BOOK.replace("[idle, buy-more, never, seats-idle]", "[idle]"))
    assert ask("reports", "preview", "acme", "--period", "2026-02", "--rules", ".")["class"] == "relationship"


def test_whoever_is_held_out_of_a_rule_is_not_told_its_step_by_a_report(ask, place):
    rule = Rule("seats-idle", holdout=0.5)
    accounts = [f"a{number}" for number in range(8)]
    more = [event(f"x{one}", "account.updated", "2026-01-10T09:00:00Z", None, one, seats=5) for one in accounts]
    (place / "more.jsonl").write_text(lines(more))
    ask("import", "more.jsonl")
    told = {one: [step["rule"] for step in report(ask, account=one)["next_steps"]] for one in accounts}
    assert {one: "seats-idle" not in rules for one, rules in told.items()} == {
        one: in_holdout(rule, one) for one in accounts
    }
    assert len({in_holdout(rule, one) for one in accounts}) == 2


def test_totals_begin_with_the_day_of_the_contract(ask):
    assert report(ask)["contract"] == {
        "since": "2026-01-20T23:30:00Z",
        "from": "2026-01-20T23:30:00Z",
        "whole": True,
        "total": [{"amount": 4.0, "currency": "EUR"}],
        "values": [
            {"value": "runs", "label": "Runs", "unit": "run", "amount": 2},
            {"value": "twice", "label": "Twice the people", "unit": "", "amount": 6},
        ],
    }, "r1 fell on the contract's own day, 21 January in Berlin, and r2 on the day before"
    assert report(ask, "2026-01", "acme")["contract"]["values"][0]["amount"] == 1
    assert report(ask, "2026-01", "other")["contract"] is None


def test_a_contract_that_is_older_than_our_log_says_so(ask, place):
    old = event("o", "subscription.created", "2024-05-01T09:00:00Z", None, "other")
    (place / "more.jsonl").write_text(lines([old]))
    ask("import", "more.jsonl")
    found = report(ask, "2026-01", "other")["contract"]
    assert (found["since"], found["whole"]) == ("2024-05-01T09:00:00Z", True), "the event itself is in the log"


def test_the_owner_is_named_and_nobody_of_another_house(ask, place):
    assert report(ask)["contact"] == {"name": "Mara Lind", "address": "mara@ours.example"}
    assert report(ask, "2026-01", "other")["contact"] is None
    (place / "more.jsonl").write_text(
        lines([event("y", "account.updated", "2026-04-03T09:00:00Z", None, owner="bo@partner.example")])
    )
    ask("import", "more.jsonl")
    assert report(ask)["contact"] is None


def test_the_template_is_given_the_names_that_check_knows_and_no_other(ask):
    changes = [{"period": "2026-02", "label": "Hours", "was": 1, "is": 2}]
    found = report(ask, "2026-03")
    values = [
        {**one, "compared": [{"with": "previous period", "amount": 1, "change": 1, "percent": 100}]}
        for one in found["values"]
    ]
    parts = [{"name": "Leaf", "own": False, "values": values, "total": found["total"]}]
    told = names(report_context({**found, "changes": changes, "parts": parts}, "en"), "report")
    assert {one for one in told if not any(other.startswith(f"{one}.") for other in told)} == NAMES
    example = load_templates(ROOT / "templates")[0][TEMPLATE].manifest.example["report"]
    assert names(example, "report") <= told


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("{{ report.title }}", "{{ report.titel }}", "unknown name 'report.titel'; no report gives it to its template"),
        ("{{ step.short }}", "{{ step.shrot }}", "did you mean 'report.figures.series.short'?"),
        ("{{ report.title }}", "{{ why }}", "report monthly: unknown name 'why'"),
    ],
)
def test_a_template_that_reads_what_no_report_gives_is_found_by_check(run, place, old, new, said):
    shutil.copytree(ROOT / "templates", place / "templates")
    body = place / "templates" / TEMPLATE / "body.txt"
    body.write_text(body.read_text().replace(old, new))
    assert said in " ".join(run("check", "--rules", ".", code=1).stdout.split())


def test_a_person_reads_it_in_lines(run):
    said = run("reports", "preview", "acme", "--period", "2026-02").stdout
    assert "Adoption: 3 active people of 8 seats (37.5 %)" in said
    assert "Adoption: 1 of 3 that are paid for were used; not used: audits, forecasts" in said
    assert "Worth since the contract began, 2026-01-20: 4.00 EUR" in said
    assert "Next step: Get more runs. [rule buy-more; it sells]" in said


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("people: people,", "people: poeple,", "adoption: unknown measure 'poeple'; did you mean 'people'?"),
        ("people: people,", "people: runs,", "adoption: 'runs' counts no people; name one such as"),
        ("people: people,", "people: people, seats: plan,", "seats: 'plan' is no attribute that is a number"),
        ("module.uses_28d}", "module.uses}", "did you mean 'module.uses_28d'?"),
        ("adoption: {people: people, features: module.uses_28d}", "adoption: {seats: mrr}", "says nothing without"),
        ("[idle, buy-more", "[idel, buy-more", "next_steps: unknown rule 'idel'; did you mean 'idle'?"),
        (", next_step: Nothing.", "", "next_steps: rule never does not say next_step"),
        (
            "for: each module\n    when: [module.uses_28d == 0]",
            "for: each call.missed\n    when: [event.x == 1]",
            "rule idle is not about the account",
        ),
        ("at_most: 3", "at_most: 11", "at_most"),
    ],
)
def test_what_is_wrong_is_found_by_check(run, place, old, new, said):
    (place / "rules" / "all.yml").write_text(BOOK.replace(old, new))
    assert said in " ".join(run("check", "--rules", ".", code=1).stdout.split())
