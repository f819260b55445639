"""The days of the story: when it begins and ends, and on which days nobody works."""

from datetime import date

from engine.zones import Day, day_of

MONDAY: Day = day_of(date(2025, 3, 3))
"""Day 0. Daylight saving time begins on the way, at other week-ends in America than in Europe."""
DAYS = 150
TODAY = DAYS - 1
"""The last day, a Wednesday: what is decided on it is what somebody should do something about."""
SATURDAY = 5

_EASTER = [date(2025, 4, 18), date(2025, 4, 21)]
_HOLIDAYS = {
    "Europe/Berlin": [*_EASTER, date(2025, 5, 1), date(2025, 5, 29), date(2025, 6, 9)],
    "Europe/London": [*_EASTER, date(2025, 5, 5), date(2025, 5, 26)],
    "Europe/Lisbon": [_EASTER[0], date(2025, 4, 25), date(2025, 5, 1), date(2025, 6, 10)],
    "America/New_York": [date(2025, 5, 26), date(2025, 6, 19), date(2025, 7, 4)],
    "America/Los_Angeles": [date(2025, 5, 26), date(2025, 6, 19), date(2025, 7, 4)],
    "Asia/Tokyo": [date(2025, 4, 29), date(2025, 5, 5), date(2025, 5, 6)],
    "Australia/Sydney": [*_EASTER, date(2025, 4, 25), date(2025, 6, 9)],
}
CLOSED = {zone: frozenset(day_of(day) - MONDAY for day in days) for zone, days in _HOLIDAYS.items()}
"""Public holidays by zone, as days of the story."""


def is_workday(day: int, zone: str) -> bool:
    """Does a company in this zone work on this day of the story?

    >>> is_workday(0, "Europe/Berlin"), is_workday(5, "Europe/Berlin"), is_workday(46, "Europe/Berlin")
    (True, False, False)
    """
    return day % 7 < SATURDAY and day not in CLOSED.get(zone, ())


def workday(day: int, zone: str) -> int:
    """The first day from this one on, on which the company works."""
    while not is_workday(day, zone):
        day += 1
    return day


def date_text(day: int) -> str:
    """The calendar date of a day of the story.

    >>> date_text(0), date_text(TODAY)
    ('2025-03-03', '2025-07-30')
    """
    return date.fromordinal(date(2025, 3, 3).toordinal() + day).isoformat()
