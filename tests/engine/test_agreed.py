"""Goals that were agreed with a customer, as a thing that rules and measures may ask."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.agreed import reached
from engine.cases import check_cases, run_cases
from engine.columns.layout import Layout, OddError
from engine.program import Program, waiting_for
from engine.rulebook.book import load_rulebook

HEAD = """
measures:
  hours: {sum: minutes, of: automation.run, times: 1/60, over: 28d}
  quick: {count: cart.recovered, over: 36h}
  goals_reached: {open: goal, where: {reached: true}}
values:
  hours_saved: {measure: hours, label: Hours saved, unit: hour}
  carts: {measure: quick, label: Carts}
policy: {timezone: UTC, sources: {product: {events: automation.run}}}
rules:
"""
REACHED = """
- id: goal-reached
  title: As far as was agreed
  why: Somebody should say so.
  owner: o@ringfirst.example
  for: each goal
  when: [goal.reached]
  notify: {template: n, to: rule owner}
"""
SOON = """
- id: goal-in-danger
  why: Because.
  owner: o@ringfirst.example
  for: each goal
  when: ["0 <= goal.days_to_due <= 7", goal.current < 0.5 * goal.target]
  unless: [goals_reached > 0]
  notify: {template: n, to: rule owner}
"""
TEMPLATE = {"templates/n/template.yml": "for: staff\nneeds: [goal.current, goal.target, goal.days_to_due]\n"}


def load(text: str) -> tuple[Any, list[str]]:
    book, findings = load_rulebook({"rules/a.yml": text, **TEMPLATE}, duties=False)
    return book, [str(one) for one in findings]


def failures(rule: str, cases: str) -> list[str]:
    book, said = load(HEAD + rule + "  cases:\n" + cases)
    assert book is not None, said
    assert check_cases(book) == []
    report = run_cases(book)
    assert report.passed + report.failed == cases.count("- name:")
    return [failure.message for failure in report.failures]


def test_a_goal_is_reached_when_the_value_of_its_metric_is_at_the_target():
    assert not failures(
        REACHED,
        """
  - name: an hour a day, ten agreed
    given:
    - {day: 0, event: goal.set, with: {metric: hours_saved, baseline: 2, target: 10}}
    - {day: 1, until: 20, event: automation.run, with: {minutes: 60}}
    expect: [{day: 10, about: hours_saved, values: {goal.current: 10, goal.target: 10, goal.reached: true}}]
  - name: less than before was agreed
    given:
    - {day: 0, event: automation.run, with: {minutes: 600}}
    - {day: 1, event: goal.set, with: {metric: hours_saved, baseline: 10, target: 4}}
    expect: [{day: 28, about: hours_saved}]
  - name: no value of that name
    given:
    - {day: 0, event: goal.set, with: {metric: hours, target: 0}}
    - {day: 1, event: automation.run, with: {minutes: 600}}
    expect: silent
  - name: no target
    given:
    - {day: 0, event: goal.set, with: {metric: hours_saved}}
    - {day: 1, event: automation.run, with: {minutes: 600}}
    expect: silent
  - name: an exact window ends between two midnights
    given:
    - {day: 1, at: "15:00", event: cart.recovered}
    - {day: 1, at: "16:00", event: goal.set, with: {metric: carts, baseline: 1, target: 0}}
    expect: [{day: 3, at: "03:00", about: carts}]
  - name: set anew, higher
    given:
    - {day: 0, event: goal.set, with: {metric: hours_saved, target: 10}}
    - {day: 1, event: goal.set, with: {metric: hours_saved, target: 20}}
    - {day: 2, event: automation.run, with: {minutes: 600}}
    expect: silent
""",
    )


def test_a_goal_in_danger_is_told_before_it_is_due_and_not_while_another_one_is_reached():
    assert not failures(
        SOON,
        """
  - name: a week before
    given:
    - {day: 0, event: goal.set, with: {metric: hours_saved, target: 10, due: day 20}}
    - {day: 1, event: automation.run, with: {minutes: 60}}
    until: day 30
    expect: [{day: 13, about: hours_saved}]
  - name: another one is reached
    given:
    - {day: 0, event: goal.set, with: {metric: hours_saved, target: 10, due: day 20}}
    - {day: 0, event: goal.set, with: {metric: carts, baseline: 5, target: 1}}
    - {day: 1, event: automation.run, with: {minutes: 60}}
    until: day 30
    expect: silent
""",
    )


@given(st.floats(-99, 99), st.floats(-99, 99), st.none() | st.floats(-99, 99))
def test_whoever_is_at_the_target_has_reached_it_from_either_side(current, target, baseline):
    assert reached(target, target, baseline) is True
    if baseline is not None and baseline != target:
        assert reached(baseline, target, baseline) is False
    assert reached(None, target, baseline) is None
    assert reached(current, None, baseline) is None


def test_columns_leave_such_a_rulebook_to_the_plain_state_and_hold_any_other():
    for rule in (REACHED, SOON):
        book, _ = load(HEAD + rule)
        with pytest.raises(OddError):
            Layout(Program(book))
    book, _ = load(
        HEAD + SOON.replace("goal.current < 0.5 * goal.target", "goal.target > 5").replace("goals_reached", "hours")
    )
    assert Layout(Program(replaced_needs(book))).scopes["goal"].rules == [0]


def replaced_needs(book: Any) -> Any:
    from dataclasses import replace

    return replace(book, templates={})


def test_a_rule_about_a_goal_waits_for_the_stream_that_its_value_comes_from():
    book, _ = load(HEAD + SOON)
    assert waiting_for(book) == {"product": ["goal-in-danger"]}


def test_a_goal_has_a_value_only_where_values_are():
    book, said = load(HEAD.replace(HEAD[HEAD.index("values:") : HEAD.index("policy:")], "") + REACHED)
    assert book is None
    assert "'goal.reached' is unknown for ever: the rulebook has no values" in said[0]


def test_a_rulebook_may_give_goals_measures_and_nothing_else():
    book, said = load("things: {goal: {measures: {times_set: {count: goal.set}}}}\n")
    assert book is not None, said
    assert [one.name for one in book.things["goal"].measures] == ["days_to_due", "times_set"]
    assert load("things: {goal: {id: goal_id, opened_by: goal.made}}\n")[0] is None


def test_another_value_behind_a_goal_makes_its_rules_new():
    one, _ = load(HEAD + REACHED)
    other, _ = load(HEAD.replace("over: 28d", "over: 14d") + REACHED)
    assert Program(one).rules[0].fingerprint != Program(other).rules[0].fingerprint
