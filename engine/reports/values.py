"""The values of a report: over the period, those it is compared with, the last six, and from the beginning."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from engine.instants import iso
from engine.reports.figures import Figure, Rate, amount_of, figure
from engine.reports.goals import Goal
from engine.reports.past import Accounts, Past
from engine.reports.periods import Period
from engine.reports.told import amount_json, change_json, decimal_of, worth_json
from engine.reports.worths import assumption
from engine.rulebook.agreed import GOAL
from engine.rulebook.spec import NamedValue

LAST = 6
"""Periods of a chart."""


class Shown(NamedTuple):
    """One value of a report: over the period, over the periods it is compared with, and from the beginning."""

    value: NamedValue
    figure: Figure
    earlier: tuple[tuple[str, Period | None, Figure | None, str], ...]
    ever: Figure
    series: tuple[tuple[Period, Fraction | None], ...]
    goal: tuple[Goal | None, str] | None = None
    """The goal that the value is compared with and why it cannot be; None: it is not to be compared."""


def shown_of(
    accounts: Accounts, past: Past, value: NamedValue, compare: tuple[str, ...], goals: Sequence[Goal]
) -> Shown:
    """One value, over every stretch that the report shows."""
    measure = accounts.book.measures[value.measure]
    period, ledger = past.period, past.ledger
    earlier = []
    for word in (word for word in compare if word != GOAL):
        other = period.before() if word == "previous period" else period.year_before()
        why = not_compared(past, other)
        found = None if why or other is None else figure(value, measure, ledger, other.first, other.last)
        earlier.append((word, other, found, why))
    return Shown(
        value,
        figure(value, measure, ledger, period.first, period.last),
        tuple(earlier),
        figure(value, measure, ledger, None, period.last),
        tuple((one, amount_of(measure, ledger, one.first, one.last)) for one in _last_whole(past)),
        _goal(past, value, goals) if GOAL in compare else None,
    )


def _goal(past: Past, value: NamedValue, goals: Sequence[Goal]) -> tuple[Goal | None, str]:
    goal = next((one for one in goals if one.metric == value.name), None)
    return goal, "no goal was set for it" if goal is None else not_compared(past, past.period)


def _last_whole(past: Past) -> list[Period]:
    """The last six periods up to this one, oldest first, without those that are parts."""
    found: list[Period] = []
    one = past.period
    while len(found) < LAST and past.full(one):
        if one is not past.period or past.over:
            found.append(one)
        one = one.before()
    return found[::-1]


def not_compared(past: Past, other: Period | None) -> str:
    """Why two periods are not compared; a part of one never is."""
    if other is None:
        return "that year has no such week"
    if not past.over:
        return f"{past.period.title} is not over"
    if not past.full(past.period):
        return f"{past.period.title} is known in part only"
    if not past.full(other):
        return f"{other.title} is not known, or in part only"
    return ""


def value_json(past: Past, one: Shown) -> dict[str, Any]:
    """One value as JSON."""
    found = one.figure
    return {
        "value": one.value.name,
        "label": one.value.label,
        "unit": one.value.unit,
        "amount": amount_json(found.amount),
        "worth": worth_json(found),
        "assumption": assumption(one.value, found.worth.rate if found.worth else None) or None,
        "assumed": assumed_json(one.value, found.worth.rate if found.worth else None),
        "events": len(found.behind),
        "compared": [*(_earlier_json(found, *row) for row in one.earlier), *_against(one)],
        "series": [{"period": period.name, "amount": amount_json(amount)} for period, amount in one.series],
        "ever": {"since": iso(past.since), "amount": amount_json(one.ever.amount), "worth": worth_json(one.ever)},
    }


def assumed_json(value: NamedValue, rate: Rate | None) -> dict[str, Any] | None:
    """What ``assumption`` says, in pieces: a rate (``trait``: the account's own), or the property that is summed."""
    if value.worth is None:
        return None
    if rate is None:
        return {"sum": value.worth.prop, "currency": value.worth.currency or None}
    return {"rate": decimal_of(rate.amount), "currency": rate.currency, "unit": value.unit, "trait": rate.trait or None}


def _against(one: Shown) -> list[dict[str, Any]]:
    """The value beside its goal, as beside a period: ``amount`` is the target."""
    if one.goal is None:
        return []
    goal, why = one.goal
    target = None if goal is None or why else goal.target
    return [
        {
            "with": GOAL,
            "period": None,
            "amount": amount_json(target),
            "worth": None,
            **change_json(one.figure.amount, target),
            "not_compared": why or None,
        }
    ]


def _earlier_json(found: Figure, word: str, other: Period | None, earlier: Figure | None, why: str) -> dict[str, Any]:
    return {
        "with": word,
        "period": other.name if other else None,
        "amount": amount_json(earlier.amount) if earlier else None,
        "worth": worth_json(earlier) if earlier else None,
        **change_json(found.amount, earlier.amount if earlier else None),
        "not_compared": why or None,
    }
