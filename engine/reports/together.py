"""The figures of a report with parts: those of the account itself and of each one below it, and of all of them.

What is counted or added up is the sum of the parts, and so is all money: a reader who adds up what stands below gets
what stands above. What cannot be added (different things, days, means and medians) is read anew from the events of all.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from fractions import Fraction
from operator import attrgetter
from typing import Any, NamedTuple

from engine.errors import UsageError
from engine.instants import iso
from engine.reports.families import families
from engine.reports.figures import Counted, Figure, Ledger, Priced, Rate, figure
from engine.reports.goals import Goal
from engine.reports.money import added
from engine.reports.past import Accounts, Past
from engine.reports.periods import Period
from engine.reports.told import amount_json, change_json, money_json, worth_json
from engine.reports.values import Shown, assumed_json, shown_of, value_json
from engine.reports.worths import Price, assumption, price_json, price_of
from engine.rulebook.reports import ACTS
from engine.rulebook.spec import Measure, NamedValue, Report
from engine.zones import Day

_TURN = attrgetter("time", "event.account_id", "position")


class Part(NamedTuple):
    """One account of a report: itself, or one below it."""

    past: Past
    shown: tuple[Shown, ...]
    price: Price | None


def name_of(past: Past) -> str:
    """What people call an account: its trait ``name``, else its id."""
    named = past.ledger.traits.get("name")
    return named if isinstance(named, str) and named.strip() else past.account_id


def pasts_of(accounts: Accounts, past: Past, report: Report) -> list[Past]:
    """The account, and those that are parts of its report; who was forgotten since is none any more."""
    found = [past]
    with accounts.aside():
        for child in families(accounts, report, past.period).below.get(past.account_id, ()):
            try:
                found.append(accounts.past(child, past.period))
            except UsageError:
                continue
    return found


def part_of(accounts: Accounts, past: Past, report: Report, goals: Sequence[Goal]) -> Part:
    """The values of one account, as it had them alone."""
    values = [accounts.book.values[name] for name in report.values]
    shown = tuple(shown_of(accounts, past, value, report.compare, goals) for value in values)
    return Part(past, shown, price_of(accounts, past, report.price) if report.price else None)


def is_added(measure: Measure) -> bool:
    """Is it, over several accounts, the sum of theirs? A person is somebody of one account."""
    return measure.verb in {"count", "sum", *ACTS} or (measure.verb == "unique" and measure.prop == "user_id")


def together(accounts: Accounts, parts: Sequence[Part], number: int, goals: Sequence[Goal]) -> Shown:
    """The value of that number over all parts. What one part cannot be compared with, all cannot."""
    rows = [part.shown[number] for part in parts]
    value = rows[0].value
    measure = accounts.book.measures[value.measure]
    earlier = []
    for inner in zip(*(row.earlier for row in rows), strict=True):
        word, other, _, why = inner[0]
        known = [one[2] for one in inner if one[2] is not None]
        whole = len(known) == len(inner)
        if not whole and not why and other is not None:
            why = f"{other.title} is not known of {len(inner) - len(known)} of {len(inner)} accounts, or in part only"
        earlier.append((word, other, _all_of(measure, known) if whole else None, why))
    periods = [one for one, _ in rows[0].series if all(one in dict(row.series) for row in rows)]
    return Shown(
        value,
        _all_of(measure, [row.figure for row in rows]),
        tuple(earlier),
        _all_of(measure, [row.ever for row in rows]),
        tuple((one, _amount_of(measure, parts, rows, value, one)) for one in periods),
        _goal(value, goals, rows[0]),
    )


def figure_of(value: NamedValue, measure: Measure, ledgers: Sequence[Ledger], first: Day | None, last: Day) -> Figure:
    """The value of several accounts over local days, each by its own zone."""
    found = [figure(value, measure, one, first, last) for one in ledgers]
    return found[0] if len(found) == 1 else _all_of(measure, found)


def _all_of(measure: Measure, found: Sequence[Figure]) -> Figure:
    behind = sorted((row for one in found for row in one.behind), key=_TURN)
    worths = [one.worth for one in found if one.worth is not None]
    return Figure(_amount(measure, found, behind), behind, _worth(worths) if worths else None)


def _amount(measure: Measure, found: Sequence[Figure], behind: list[Any]) -> Fraction | None:
    if is_added(measure):
        return sum((one.amount or Fraction(0) for one in found), Fraction(0))
    return Counted(measure, behind).amount(slice(0, len(behind)))


def _amount_of(
    measure: Measure, parts: Sequence[Part], rows: Sequence[Shown], value: NamedValue, period: Period
) -> Fraction | None:
    if is_added(measure):
        return sum((dict(row.series)[period] or Fraction(0) for row in rows), Fraction(0))
    return figure_of(value, measure, [part.past.ledger for part in parts], period.first, period.last).amount


def _worth(worths: Sequence[Priced]) -> Priced:
    """The worths as they were rounded, added up; the rate is told where it is the same everywhere."""
    missing: dict[str, int] = {}
    for why, count in (inner for one in worths for inner in one.unpriced):
        missing[why] = missing.get(why, 0) + count
    rates = {one.rate for one in worths}
    rate = rates.pop() if len(rates) == 1 else None
    return Priced(added(one.money for one in worths), rate, tuple(sorted(missing.items())))


def _goal(value: NamedValue, goals: Sequence[Goal], own: Shown) -> tuple[Goal | None, str] | None:
    if own.goal is None:
        return None
    return next((one for one in goals if one.metric == value.name), None), own.goal[1]


def goals_together(accounts: Accounts, pasts: Sequence[Past], goals: Iterable[Goal]) -> list[Goal]:
    """What was agreed with the account, held against the values of all: it is what the report shows."""
    found = []
    for goal in goals:
        value = accounts.book.values.get(goal.metric)
        if value is not None:
            measure, period = accounts.book.measures[value.measure], pasts[0].period
            ledgers = [one.ledger for one in pasts]
            current = figure_of(value, measure, ledgers, period.first, period.last).amount
            unknown = "" if current is not None else goal.unknown
            goal = goal._replace(current=current, unknown=unknown)  # noqa: PLW2901, the same goal
        found.append(goal)
    return found


def price_together(parts: Sequence[Part], name: str) -> Price:
    """What all of them paid. Who has no price pays with its parent; one that is unknown otherwise leaves it unknown."""
    own = [part for part in parts if part.past.ledger.traits.get(name) is not None]
    prices = [part.price for part in own if part.price is not None]
    missing = next((one for one in prices if one.amount is None), None)
    if not prices or missing is not None:
        first = parts[0].price
        return missing or (
            first if first is not None and first.amount is None else Price(None, "", "no price is known")
        )
    currencies = sorted({one.currency for one in prices})
    if len(currencies) > 1:
        return Price(None, "", f"prices in {' and '.join(currencies)} are not added without a rate")
    return Price(sum((one.amount for one in prices if one.amount is not None), Decimal(0)), currencies[0])


def total_json(past: Past, one: Shown, parts: Sequence[Shown], measure: Measure) -> dict[str, Any]:
    """A value of all parts as JSON; ``added``: is it the sum of theirs?"""
    rates = _rates(parts)
    assumed = [assumption(one.value, rate) for rate in rates]
    return {
        **value_json(past, one),
        "assumption": "; ".join(text for text in assumed if text) or None,
        "assumed": assumed_json(one.value, rates[0]) if rates else None,
        "rates": [assumed_json(one.value, rate) for rate in rates],
        "added": is_added(measure),
    }


def _rates(parts: Sequence[Shown]) -> list[Rate | None]:
    return list(dict.fromkeys(one.figure.worth.rate for one in parts if one.figure.worth is not None))


def part_json(part: Part, report: Report, *, own: bool) -> dict[str, Any]:
    """One part as JSON: what it is called, and its values with their change."""
    past = part.past
    return {
        "account_id": past.account_id,
        "name": name_of(past),
        "own": own,
        "zone": past.zone.key,
        "full": past.full(past.period),
        "known_since": iso(past.since),
        "values": [_part_value(one) for one in part.shown],
        "total": money_json(added(one.figure.worth.money for one in part.shown if one.figure.worth)),
        "price": price_json(part.price) if part.price is not None and report.price else None,
    }


def _part_value(one: Shown) -> dict[str, Any]:
    found = one.figure
    compared = [
        {
            "with": word,
            "amount": None if earlier is None else amount_json(earlier.amount),
            **change_json(found.amount, None if earlier is None else earlier.amount),
            "not_compared": why or None,
        }
        for word, _, earlier, why in one.earlier
    ]
    return {
        "value": one.value.name,
        "label": one.value.label,
        "unit": one.value.unit,
        "amount": amount_json(found.amount),
        "worth": worth_json(found),
        "events": len(found.behind),
        "compared": compared,
    }


def by_size(parts: Sequence[Part]) -> list[Part]:
    """The account itself, and the others with the largest first: by what they got in money, then by the first value."""
    return [parts[0], *sorted(parts[1:], key=_size)]


def _size(part: Part) -> tuple[Decimal, Fraction, str]:
    money = added(one.figure.worth.money for one in part.shown if one.figure.worth)
    return -max(money.values(), default=Decimal(0)), -(part.shown[0].figure.amount or Fraction(0)), part.past.account_id
