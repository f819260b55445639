"""Goals of a report: what was agreed with the account, and how far the values of the period are."""

from fractions import Fraction
from typing import Any, NamedTuple

from engine.agreed import reached
from engine.numbers import MILLION, exactly
from engine.reports.figures import amount_of
from engine.reports.past import Accounts, Past
from engine.reports.told import amount_json
from engine.rulebook.agreed import GOAL
from engine.slots import day_of_date
from engine.values import Date, Value
from engine.views import ThingView
from engine.zones import Day, date_of


class Goal(NamedTuple):
    """A goal as of the end of the period: ``current`` is its value over the period, ``due`` a local day.

    ``unknown`` says why there is no ``current``.
    """

    metric: str
    label: str
    unit: str
    baseline: Fraction | None
    target: Fraction
    current: Fraction | None
    due: Day | None
    days_to_due: int | None
    unknown: str = ""


def goals_of(accounts: Accounts, past: Past) -> list[Goal]:
    """Goals with a target that were not due before the period began: those that are due first come first."""
    found = [goal for one in past.view.open_things(GOAL) if (goal := _goal(accounts, past, one)) is not None]
    return sorted(found, key=lambda goal: (goal.due is None, goal.due or 0, goal.metric))


def goal_json(goal: Goal) -> dict[str, Any]:
    """A goal as JSON; ``percent`` is how much of the way from the baseline (else from zero) lies behind.

    It is null where there is no way: to where it began, or to below zero from an unknown beginning. What is not reached
    is less than 100.
    """
    current, target, baseline = (_double(one) for one in (goal.current, goal.target, goal.baseline))
    return {
        "metric": goal.metric,
        "label": goal.label,
        "unit": goal.unit,
        "baseline": amount_json(goal.baseline),
        "current": amount_json(goal.current),
        "target": amount_json(goal.target),
        "due": None if goal.due is None else date_of(goal.due).isoformat(),
        "days_to_due": goal.days_to_due,
        "reached": reached(current, target, baseline),
        "percent": _percent(goal),
        "unknown": goal.unknown or None,
    }


def _goal(accounts: Accounts, past: Past, one: ThingView) -> Goal | None:
    target, due = _exact(one.value("target")), one.value("due")
    day = day_of_date(due, past.zone) if isinstance(due, Date) else None
    if target is None or (day is not None and day < past.period.first):
        return None
    value, current = accounts.book.values.get(one.id), None
    unknown = f"the rulebook has no value '{one.id[:60]}'"
    if value is not None:
        measure = accounts.book.measures[value.measure]
        current = amount_of(measure, past.ledger, past.period.first, past.period.last)
        unknown = "" if current is not None else "nothing of it happened in the period"
    return Goal(
        one.id,
        value.label if value else one.id,
        value.unit if value else "",
        _exact(one.value("baseline")),
        target,
        current,
        day,
        None if day is None else day - past.view.moment.today,
        unknown,
    )


def _percent(goal: Goal) -> int | float | None:
    start = Fraction(0) if goal.baseline is None else goal.baseline
    if goal.current is None or goal.target == start or (goal.baseline is None and goal.target < 0):
        return None
    share = (goal.current - start) / (goal.target - start)
    tenths = round(1000 * share)
    return amount_json(Fraction(tenths if share >= 1 else min(tenths, 999), 10))


def _exact(value: Value) -> Fraction | None:
    found = exactly(value) if isinstance(value, float) else None
    return None if found is None else Fraction(found, MILLION)


def _double(amount: Fraction | None) -> float | None:
    return None if amount is None else float(amount)
