"""The periods of reports: weeks, months and quarters as local days, by name."""

import re
from datetime import date
from functools import lru_cache
from typing import NamedTuple

from engine.errors import UsageError
from engine.zones import Day, calendar_window, date_of, day_of, monday

_NAME = re.compile(r"(\d{4})-(?:(0[1-9]|1[0-2])|Q([1-4])|W(\d\d))", re.ASCII)
_MONTHS = {"month": 1, "quarter": 3}
MONTH_NAMES = (
    "January February March April May June July August September October November December".split()  # noqa: SIM905
)


class Period(NamedTuple):
    """Local days from ``first`` to ``last``, both inside."""

    unit: str
    first: Day
    last: Day

    @property
    def name(self) -> str:
        """Its one spelling: ``2026-10``, ``2026-Q3`` or ``2026-W40``."""
        first = date_of(self.first)
        if self.unit == "week":
            year, week, _ = first.isocalendar()
            return f"{year:04d}-W{week:02d}"
        if self.unit == "quarter":
            return f"{first.year:04d}-Q{(first.month + 2) // 3}"
        return f"{first.year:04d}-{first.month:02d}"

    @property
    def title(self) -> str:
        """The name for a heading.

        >>> read_period("2026-10").title, read_period("2026-Q3").title, read_period("2026-W40").title
        ('October 2026', 'Q3 2026', 'week 40 of 2026')
        """
        year, _, part = self.name.partition("-")
        if self.unit == "month":
            return f"{MONTH_NAMES[int(part) - 1]} {year}"
        return f"{part} {year}" if self.unit == "quarter" else f"week {int(part[1:])} of {year}"

    def before(self) -> "Period":
        """The period that ends where this one begins."""
        return period_before(self.unit, self.first)

    def year_before(self) -> "Period | None":
        """The same month, quarter or ISO week a year earlier; None for a week 53 of a year that had none.

        >>> read_period("2027-W53") if False else read_period("2026-W53").year_before()
        >>> read_period("2026-W40").year_before().name, read_period("2026-Q1").year_before().name
        ('2025-W40', '2025-Q1')
        """
        year, _, part = self.name.partition("-")
        try:
            return read_period(f"{int(year) - 1:04d}-{part}")
        except UsageError:
            return None

    def months(self) -> "list[Period]":
        """The months it is made of; none of a week."""
        if self.unit == "week":
            return []
        first, found = self.first, []
        while first <= self.last:
            last = _after_month(first) - 1
            found.append(Period("month", first, last))
            first = last + 1
        return found


def period_before(unit: str, day: Day) -> Period:
    """The newest whole period that lies before the period of a day.

    >>> period_before("month", day_of(date(2026, 3, 2))).name
    '2026-02'
    """
    return Period(unit, *calendar_window(unit, day, previous=True))


@lru_cache(maxsize=1024)
def read_period(text: str) -> Period:
    """Read ``2026-10``, ``2026-Q3`` or ``2026-W40``. Raises ``UsageError``.

    >>> [date_of(day).isoformat() for day in read_period("2026-Q3")[1:]]
    ['2026-07-01', '2026-09-30']
    """
    found = _NAME.fullmatch(text)
    if found is None or not date.min.year < int(found[1]) < date.max.year:
        raise UsageError(
            f"period: found '{text[:40]}'; write a month as 2026-10, a quarter as 2026-Q3 or a week as 2026-W40"
        )
    year = int(found[1])
    if found[4]:
        try:
            first = monday(day_of(date.fromisocalendar(year, int(found[4]), 1)))
        except ValueError:
            raise UsageError(f"period: {year} has no week {int(found[4])}; its last is week {_weeks(year)}") from None
        return Period("week", first, first + 6)
    unit = "month" if found[2] else "quarter"
    month = int(found[2]) if found[2] else 3 * int(found[3]) - 2
    first = last = day_of(date(year, month, 1))
    for _ in range(_MONTHS[unit]):
        last = _after_month(last)
    return Period(unit, first, last - 1)


def quarter_of(month: Period) -> Period:
    """The quarter in which a month lies.

    >>> quarter_of(read_period("2026-05")).name
    '2026-Q2'
    """
    at = date_of(month.first)
    return read_period(f"{at.year:04d}-Q{(at.month + 2) // 3}")


def _weeks(year: int) -> int:
    return date(year, 12, 28).isocalendar().week


def _after_month(day: Day) -> Day:
    at = date_of(day)
    return day_of(date(at.year + at.month // 12, at.month % 12 + 1, 1))
