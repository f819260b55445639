"""How the money of a value comes about, and what the account paid: what a report says beside its totals."""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

from engine.numbers import MILLION, millionths
from engine.reports.figures import Figure, Rate, currency_in
from engine.reports.money import Money
from engine.reports.past import Accounts, Past
from engine.reports.told import decimal_of
from engine.rulebook.spec import NamedValue


def assumption(value: NamedValue, rate: Rate | None) -> str:
    """How the money comes about, as it must stand beside it."""
    if value.worth is None:
        return ""
    if rate is None:
        fixed = f"; {value.worth.currency} where an event names no currency" if value.worth.currency else ""
        return f"{value.label}: the {value.worth.prop.replace('_', ' ')} of each, added up{fixed}"
    whose = f", as the account says ({rate.trait})" if rate.trait else ", our assumption"
    return f"{value.label}: {rate_text(rate)} {rate.currency} per {value.unit}{whose}"


def rate_text(rate: Rate) -> str:
    """The rate as it was written.

    >>> rate_text(Rate(Fraction(91, 2), "EUR")), rate_text(Rate(Fraction(45), "EUR"))
    ('45.5', '45')
    """
    return f"{decimal_of(rate.amount):f}"


class Price(NamedTuple):
    """What the account paid in the period, as its attribute says at the end of each month; or why that is unknown."""

    amount: Decimal | None
    currency: str
    unknown: str = ""


def price_of(accounts: Accounts, past: Past, name: str) -> Price:
    """The attribute as of the last instant of each month of the period, added up."""
    total, currencies = Fraction(0), set()
    if not past.period.months():
        return Price(None, "", "it is what an account pays a month, and a week is no part of one")
    for month in past.period.months():
        end = past.zone.start(month.last + 1) - 1
        traits = past.ledger.traits if end == past.end else accounts.traits_at(past.account_id, end)
        amount = millionths(traits.get(name))
        if amount is None:
            return Price(None, "", f"{name} is unknown at the end of {month.title}")
        total += Fraction(amount, MILLION)
        currencies.add(currency_in(traits))
    if currencies == {""} or len(currencies) > 1:
        return Price(None, "", "the currency of the account is unknown, or changed in the period")
    return Price(decimal_of(total), currencies.pop())


def to_price(figures: Sequence[Figure], total: Money, price: Price | None) -> float | None:
    """Value against price; unknown where either is, where one is in another currency, and of a price of nothing."""
    if price is None or not price.amount or not wholly(figures) or set(total) - {price.currency}:
        return None
    return float(total.get(price.currency, Decimal(0)) / price.amount)


def wholly(figures: Sequence[Figure]) -> bool:
    """Could all that has a worth be priced?"""
    return all(one.worth is None or one.worth.whole for one in figures)


def price_json(price: Price) -> dict[str, Any]:
    """What was paid, or why that is unknown."""
    return {"amount": price.amount, "currency": price.currency or None, "unknown": price.unknown or None}
