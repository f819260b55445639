"""Goals from the command line: told of an account, asked of all, decided on, replayed, and shown in its report."""

from pathlib import Path

import pytest

from tests.cli.given import lines
from tests.cli.test_reports import event

BOOK = """
measures:
  hours: {sum: minutes, of: automation.run, times: 1/60, over: 28d}
  runs: {count: automation.run}
values:
  hours: {measure: hours, label: Hours saved, unit: hour}
  runs: {measure: runs, label: Runs}
reports:
  - id: monthly
    period: previous month
    values: [hours, runs]
    compare: [goal, previous period]
    lead_with: goals
rules:
  - id: reached
    why: Because.
    owner: o@ours.example
    status: draft
    for: each goal
    when: [goal.reached]
policy: {timezone: Europe/Berlin, staff: {domains: [ours.example]}}
"""
EVENTS = [
    event("a", "account.updated", "2025-12-01T09:00:00Z", None, plan="pro"),
    event("s", "user.updated", "2025-12-01T09:00:00Z", "s1", email="ann@ours.example"),
    event("r1", "automation.run", "2026-01-10T09:00:00Z", minutes=90),
    event("g1", "goal.set", "2026-01-20T09:00:00Z", "s1", metric="hours", baseline=1.5, target=4, due="2026-06-30"),
    event("g2", "goal.set", "2026-01-20T09:00:01Z", None, metric="answers", target=10),
    event("g3", "goal.set", "2026-01-20T09:00:02Z", None, metric="runs", target=9, due="2026-01-31"),
    event("r2", "automation.run", "2026-02-10T09:00:00Z", minutes=150),
    event("r3", "automation.run", "2026-02-28T22:59:59Z", minutes=120),
    event("r4", "automation.run", "2026-03-01T09:00:00Z", minutes=30),
    event("g4", "goal.set", "2026-03-02T09:00:00Z", None, metric="hours", target=20),
]


@pytest.fixture(autouse=True)
def imported(ask, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "rules").mkdir()
    (place / "rules" / "all.yml").write_text(BOOK)
    monkeypatch.setenv("RINGFIRST_RULES", str(place))
    (place / "events.jsonl").write_text(lines(EVENTS))
    ask("import", "events.jsonl")


def test_a_report_says_how_far_each_goal_is_as_of_the_periods_end(ask):
    found = ask("reports", "preview", "acme", "--period", "2026-02")
    assert found["lead_with"] == "goals"
    assert found["goals"] == [
        {
            "metric": "hours",
            "label": "Hours saved",
            "unit": "hour",
            "baseline": 1.5,
            "current": 4.5,
            "target": 4,
            "due": "2026-06-30",
            "days_to_due": 122,
            "reached": True,
            "percent": 120,
            "unknown": None,
        },
        {
            "metric": "answers",
            "label": "answers",
            "unit": "",
            "baseline": None,
            "current": None,
            "target": 10,
            "due": None,
            "days_to_due": None,
            "reached": None,
            "percent": None,
            "unknown": "the rulebook has no value 'answers'",
        },
    ], "the goal of runs was due before February"
    hours, runs = found["values"]
    assert hours["compared"][-1] == {
        "with": "goal",
        "period": None,
        "amount": 4,
        "worth": None,
        "change": 0.5,
        "percent": 12.5,
        "not_compared": None,
    }
    assert runs["compared"][-1]["not_compared"] == "no goal was set for it"


def test_the_goal_of_january_was_shown_in_january(ask, run):
    goals = ask("reports", "preview", "acme", "--period", "2026-01")["goals"]
    assert [(one["metric"], one["current"], one["reached"]) for one in goals[:2]] == [
        ("runs", 1, False),
        ("hours", 1.5, False),
    ]
    said = run("reports", "preview", "acme", "--period", "2026-02").stdout
    assert "Goal: Hours saved: 4.5 of 4 hour, from 1.5, due 2026-06-30; reached" in said
    assert "Goal: answers: unknown of 10; the rulebook has no value 'answers'" in said


def test_a_month_that_is_not_over_is_not_held_against_a_goal(ask):
    found = ask("reports", "preview", "acme", "--period", "2026-03")
    assert found["values"][0]["compared"][-1]["not_compared"] == "March 2026 is not over"
    assert found["goals"][0]["target"] == 20, "set anew in March"


def test_questions_and_decisions_know_goals_and_a_replay_decides_the_same(ask, run):
    assert [
        one["subject"]["id"] for one in ask("who", "goal.reached", "--each", "goal", "--at", "2026-03-01")["accounts"]
    ] == ["hours"]
    found = ask("accounts", "show", "acme")["things"]["goal"]
    assert [(one["id"], one["current"], one["reached"]) for one in found] == [
        ("answers", None, None),
        ("hours", 5, False),
        ("runs", 4, False),
    ]
    decided = ask("decisions", "list")
    assert [(one["rule"], one["subject"]["id"], one["at"]) for one in decided] == [
        ("reached", "hours", "2026-02-28T22:59:59Z")
    ]
    assert "no value 'answers'" in run("explain", "acme", "reached", "--about", "goal:answers").stdout
    run("replay", "--verify")
