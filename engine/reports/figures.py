"""A value over a stretch of local days: the events behind it, its exact amount, and what that is worth.

Nothing is kept: a figure is a function of the events that are listed for it, so that whoever reads them again gets it
to the last digit.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from operator import attrgetter
from typing import NamedTuple

from engine.log import Event
from engine.measures.counts import Counting
from engine.measures.measure import Happening, Moment
from engine.numbers import MILLION, millionths
from engine.reports.money import rounded
from engine.rulebook.reports import ADDED
from engine.rulebook.spec import EVER, Measure, NamedValue, Window, Worth
from engine.values import nested
from engine.zones import Day, Zone, date_of

_TIME = attrgetter("time")
_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)


class Rate(NamedTuple):
    """Money for one unit; ``trait`` is the account's own one that wins over the rulebook's."""

    amount: Fraction
    currency: str
    trait: str = ""


class Priced(NamedTuple):
    """What a figure is worth, rounded, by currency; ``unpriced`` counts events that could not be priced, and why."""

    money: Mapping[str, Decimal]
    rate: Rate | None = None
    unpriced: tuple[tuple[str, int], ...] = ()

    @property
    def whole(self) -> bool:
        """Is everything in it that there was?"""
        return not self.unpriced


class Figure(NamedTuple):
    """A value over local days: its exact amount (None: unknown), the events behind it, and its worth."""

    amount: Fraction | None
    behind: list[Happening]
    worth: Priced | None


class Ledger(NamedTuple):
    """An account's events that count, in the order of time, and its own traits as of the end of the period."""

    rows: Sequence[Happening]
    zone: Zone
    traits: Mapping[str, object]


def figure(value: NamedValue, measure: Measure, ledger: Ledger, first: Day | None, last: Day) -> Figure:
    """The value over [``first``, ``last``]; without ``first`` from the beginning."""
    window = EVER if first is None else Window("days", size=last - first + 1)
    spec = replace(measure, window=window, full=False, per=None)
    moment = Moment(ledger.zone.start(last + 1) - 1, last, ledger.zone)
    start = 0 if first is None else bisect_left(ledger.rows, ledger.zone.start(first), key=_TIME)
    rows = ledger.rows[start : bisect_right(ledger.rows, moment.at, key=_TIME)]
    behind = Counting(spec).evidence(rows, moment)
    amount = _amount(spec, behind, moment)
    return Figure(amount, behind, _priced(value.worth, value.unit, amount, behind, ledger) if value.worth else None)


def counted(measure: Measure, row: Happening) -> object:
    """What one event adds to the value: one, its number, or the person, name or day that is told apart."""
    if measure.verb == "count":
        return 1
    if measure.verb == "days_active":
        return date_of(row.day).isoformat()
    if measure.prop == "user_id":
        return row.event.user_id
    return nested(row.event.properties, tuple(measure.prop.split(".")))


def rate_of(worth: Worth, unit: str, traits: Mapping[str, object]) -> Rate | None:
    """The rate that counts: the account's trait ``UNIT_rate``, in the account's currency, before the rulebook's."""
    if worth.rate is None:
        return None
    trait = f"{unit}_rate"
    own = millionths(traits.get(trait))
    if own is not None and own > 0:
        return Rate(Fraction(own, MILLION), currency_in(traits) or worth.currency, trait)
    return Rate(worth.rate, worth.currency)


def currency_in(properties: Mapping[str, object]) -> str:
    """The currency that an event or an account names, or nothing.

    >>> currency_in({"currency": "EUR"}), currency_in({"currency": "euro"}), currency_in({"currency": "A1B"})
    ('EUR', '', '')
    """
    text = properties.get("currency")
    return text if isinstance(text, str) and _CURRENCY.fullmatch(text) else ""


def money_of(worth: Worth, event: Event, traits: Mapping[str, object]) -> tuple[Fraction, str] | str:
    """The money that one event holds: (exact amount, currency), or why there is none."""
    amount = millionths(nested(event.properties, tuple(worth.prop.split("."))))
    if amount is None:
        return f"no number in {worth.prop}"
    currency = currency_in(event.properties) or worth.currency or currency_in(traits)
    return (Fraction(amount, MILLION), currency) if currency else "no currency known"


def _amount(spec: Measure, behind: Sequence[Happening], moment: Moment) -> Fraction | None:
    plain = Counting(replace(spec, times=Fraction(1)) if spec.verb in ADDED else spec)
    data = plain.fresh()
    for row in behind:
        data = plain.fold(data, row)
    if spec.verb in {"count", "sum"}:
        exact = plain.exact(data, None, moment)
        return None if exact is None else Fraction(exact) * spec.times / MILLION
    found = plain.read(data, None, moment)
    if not isinstance(found, float):
        return None
    return Fraction(found) * (spec.times if spec.verb in ADDED else 1)


def _priced(worth: Worth, unit: str, amount: Fraction | None, behind: Sequence[Happening], ledger: Ledger) -> Priced:
    rate = rate_of(worth, unit, ledger.traits)
    if rate is not None:
        exact = (amount or Fraction(0)) * rate.amount
        return Priced({rate.currency: rounded(exact, rate.currency)}, rate)
    sums: dict[str, Fraction] = {}
    missing: dict[str, int] = {}
    for row in behind:
        found = money_of(worth, row.event, ledger.traits)
        if isinstance(found, str):
            missing[found] = missing.get(found, 0) + 1
        else:
            sums[found[1]] = sums.get(found[1], Fraction(0)) + found[0]
    money = {currency: rounded(sums[currency], currency) for currency in sorted(sums)}
    return Priced(money, None, tuple(sorted(missing.items())))
