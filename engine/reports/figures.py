"""A value over a stretch of local days: the events behind it, its exact amount, and what that is worth.

Nothing is stored: a figure is a function of the events that are listed for it, so that whoever reads them again gets
it to the last digit.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from itertools import accumulate
from operator import attrgetter
from typing import Any, NamedTuple

from engine.instants import HOUR, Instant
from engine.measures.counts import Counting
from engine.measures.measure import Happening, Moment
from engine.numbers import MILLION, millionths, plain
from engine.reports.money import rounded
from engine.reports.spells import Acted
from engine.rulebook.reports import ACTS, ADDED, is_priced
from engine.rulebook.spec import EVER, Measure, NamedValue, Worth
from engine.slots import aggregate
from engine.values import nested
from engine.zones import Day, Zone, date_of, zone

_TURN = attrgetter("time", "position")
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


class Ledger:
    """An account's events that count, in the order of time, and its own traits as of the end of the period.

    What a measure counts is looked for once; any stretch of days is a slice of it then.
    """

    __slots__ = ("_acts", "_by_type", "_counted", "rows", "traits", "zone")

    def __init__(
        self,
        rows: Sequence[Happening],
        zone: Zone,
        traits: Mapping[str, object],
        acts: Callable[[Measure], list[Happening]] = lambda _: [],
    ) -> None:
        """``acts`` gives the events that a measure over things counts."""
        self._acts = acts
        self.rows = rows
        self.zone = zone
        self.traits = traits
        self._by_type: dict[str, list[Happening]] | None = None
        self._counted: dict[tuple[str, str], Counted] = {}

    def counted(self, measure: Measure) -> "Counted":
        """The events that a measure counts, over all time."""
        key = measure.scope, measure.name
        found = self._counted.get(key)
        if found is None:
            rows = self._acts(measure) if measure.thing else self._of_types(measure)
            found = self._counted[key] = Counted(measure, rows)
        return found

    def _of_types(self, measure: Measure) -> list[Happening]:
        if self._by_type is None:
            self._by_type = {}
            for row in self.rows:
                self._by_type.setdefault(row.event.type, []).append(row)
        found = [rows for kind, rows in self._by_type.items() if measure.types and measure.types.match(kind)]
        return found[0] if len(found) == 1 else sorted((row for rows in found for row in rows), key=_TURN)


class Counted:
    """The events that one measure counts, in the order of time, and what any stretch of them comes to."""

    def __init__(self, measure: Measure, rows: Sequence[Happening]) -> None:
        self._verb = "count" if measure.verb in ACTS else measure.verb
        self._times = measure.times if is_priced(measure) else Fraction(1)
        self._hours = measure.times / HOUR if measure.thing else None
        self._divisor = HOUR if measure.thing else MILLION
        if measure.thing:
            self.rows, brought = list(rows), [_lasted(row) for row in rows]
            self._keep(brought)
            return
        within = Fraction(1) if measure.verb in ADDED else measure.times
        self._counting = Counting(replace(measure, window=EVER, full=False, per=None, times=within))
        self._moment = Moment(rows[-1].time if rows else 0, 0, zone("UTC"))
        counted = list(self._counting.counted(rows))
        self.rows = [row for row, _ in counted]
        self._keep([value for _, value in counted])

    def _keep(self, brought: list[Any]) -> None:
        self._brought = list(accumulate(brought, initial=0)) if self._verb == "sum" else brought
        self._at = [row.time for row in self.rows]
        self._money: dict[Worth, list[tuple[int, str] | str]] = {}

    def within(self, since: Instant | None, until: Instant) -> slice:
        """The rows of a stretch of time, both ends inside; without ``since`` from the beginning."""
        return slice(0 if since is None else bisect_left(self._at, since), bisect_right(self._at, until))

    def amount(self, part: slice) -> Fraction | None:
        """What a stretch of the rows comes to, exactly; None where it is unknown."""
        if self._verb == "count":
            return self._scaled(len(self.rows[part]))
        if self._verb == "sum":
            return self._scaled(self._brought[part.stop] - self._brought[part.start], self._divisor)
        if self._verb in ADDED:
            return self._scaled(len(set(self._brought[part])))
        return self._read(part)

    def _scaled(self, number: int, divisor: int = 1) -> Fraction:
        # One fraction made of whole numbers costs half as much as two that are multiplied.
        return Fraction(number * self._times.numerator, divisor * self._times.denominator)

    def money(self, worth: Worth, traits: Mapping[str, object], part: slice) -> list[tuple[int, str] | str]:
        """What each row of a stretch holds of money, in millionths of a currency, or why there is none."""
        found = self._money.get(worth)
        if found is None:
            path = tuple(worth.prop.split("."))
            found = self._money[worth] = [_held(worth, path, told_by(row), traits) for row in self.rows]
        return found[part]

    def _read(self, part: slice) -> Fraction | None:
        if self._hours is not None:
            hours = aggregate(self._verb, [length * MILLION for length in self._brought[part]], self._hours)
            return Fraction(hours) if isinstance(hours, float) else None
        data = self._counting.fresh()
        for row in self.rows[part]:
            data = self._counting.fold(data, row)
        found = self._counting.read(data, None, self._moment)
        return Fraction(found) if isinstance(found, float) else None


def figure(value: NamedValue, measure: Measure, ledger: Ledger, first: Day | None, last: Day) -> Figure:
    """The value over [``first``, ``last``]; without ``first`` from the beginning."""
    rows, part = _stretch(measure, ledger, first, last)
    amount, worth = rows.amount(part), None
    if value.worth is not None:
        rate = rate_of(value.worth, value.unit, ledger.traits)
        worth = _rated(rate, amount) if rate else _added(rows.money(value.worth, ledger.traits, part))
    return Figure(amount, rows.rows[part], worth)


def amount_of(measure: Measure, ledger: Ledger, first: Day | None, last: Day) -> Fraction | None:
    """The amount of ``figure`` alone."""
    rows, part = _stretch(measure, ledger, first, last)
    return rows.amount(part)


def _stretch(measure: Measure, ledger: Ledger, first: Day | None, last: Day) -> tuple[Counted, slice]:
    found = ledger.counted(measure)
    start = None if first is None else ledger.zone.start(first)
    return found, found.within(start, ledger.zone.start(last + 1) - 1)


def counted(measure: Measure, row: Happening) -> object:
    """What one event adds to the value: one, its number, hours, or the person, name or day that is told apart."""
    if isinstance(row, Acted) and measure.prop:
        return plain(round(row.lasted / HOUR, 4))
    if measure.verb == "count" or measure.verb in ACTS:
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


def money_of(worth: Worth, row: Happening, traits: Mapping[str, object]) -> tuple[Fraction, str] | str:
    """The money that one event, or the thing it is of, holds: (exact amount, currency), or why there is none."""
    found = _held(worth, tuple(worth.prop.split(".")), told_by(row), traits)
    return found if isinstance(found, str) else (Fraction(found[0], MILLION), found[1])


def told_by(row: Happening) -> Mapping[str, object]:
    """What an event says; one that something happened to a thing by, what the thing says by the period's end."""
    return row.told if isinstance(row, Acted) else row.event.properties


def _lasted(row: Happening) -> int:
    return row.lasted if isinstance(row, Acted) else 0


def _held(
    worth: Worth, path: tuple[str, ...], told: Mapping[str, object], traits: Mapping[str, object]
) -> tuple[int, str] | str:
    amount = millionths(nested(told, path))
    if amount is None:
        return f"no number in {worth.prop}"
    currency = currency_in(told) or worth.currency or currency_in(traits)
    return (amount, currency) if currency else "no currency known"


def _rated(rate: Rate, amount: Fraction | None) -> Priced:
    return Priced({rate.currency: rounded((amount or Fraction(0)) * rate.amount, rate.currency)}, rate)


def _added(held: Iterable[tuple[int, str] | str]) -> Priced:
    sums: dict[str, int] = {}
    missing: dict[str, int] = {}
    for one in held:
        if isinstance(one, str):
            missing[one] = missing.get(one, 0) + 1
        else:
            sums[one[1]] = sums.get(one[1], 0) + one[0]
    money = {currency: rounded(Fraction(sums[currency], MILLION), currency) for currency in sorted(sums)}
    return Priced(money, None, tuple(sorted(missing.items())))
