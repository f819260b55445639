"""What reports tell, as JSON values: amounts, money, worth, and which days a period has."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

from engine.instants import iso
from engine.numbers import plain
from engine.reports.figures import Figure
from engine.reports.money import Money
from engine.reports.past import Past
from engine.rulebook.spec import CLOSE_AFTER
from engine.zones import date_of


def period_json(past: Past, close_after: int = CLOSE_AFTER) -> dict[str, Any]:
    """Which days they are, and how far one can rely on them."""
    period = past.period
    return {
        "name": period.name,
        "first_day": date_of(period.first).isoformat(),
        "last_day": date_of(period.last).isoformat(),
        "zone": past.zone.key,
        "starts": iso(past.zone.start(period.first)),
        "ends": iso(past.end + 1),
        "over": past.over,
        "closed": past.closed(close_after),
        "full": past.full(period),
        "known_since": iso(past.since),
    }


def worth_json(found: Figure) -> dict[str, Any] | None:
    """What a figure is worth, and what could not be priced."""
    if found.worth is None:
        return None
    unpriced = [{"why": why, "events": count} for why, count in found.worth.unpriced]
    return {"money": money_json(found.worth.money), "unpriced": unpriced}


def money_json(money: Money) -> list[dict[str, Any]]:
    """Amounts by currency."""
    return [{"amount": amount, "currency": currency} for currency, amount in money.items()]


def amount_json(amount: Fraction | None) -> int | float | None:
    """An amount as a whole number where it is one."""
    return None if amount is None else plain(float(amount))


def change_json(now: Fraction | None, before: Fraction | None) -> dict[str, int | float | None]:
    """How much more an amount is than another one, and by how many percent of that; unknown where either is.

    >>> change_json(Fraction(9), Fraction(15, 2)), change_json(Fraction(2), Fraction(0)), change_json(Fraction(2), None)
    ({'change': 1.5, 'percent': 20}, {'change': 2, 'percent': None}, {'change': None, 'percent': None})
    """
    if now is None or before is None:
        return {"change": None, "percent": None}
    percent = plain(round(float(100 * (now - before) / abs(before)), 1)) if before else None
    return {"change": amount_json(now - before), "percent": percent}


def decimal_of(amount: Fraction) -> Decimal:
    """An exact amount with its digits."""
    return Decimal(amount.numerator) / Decimal(amount.denominator)
