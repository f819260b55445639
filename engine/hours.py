"""When a mail may leave: a pure function of when it was decided and of the hours in its reader's zone."""

import itertools
from datetime import date
from functools import lru_cache

from engine.holidays import is_holiday
from engine.instants import MINUTE, Instant
from engine.rulebook.spec import Hours
from engine.zones import Day, Zone, date_of, day_of, round_up_quarter

DAY_MINUTES = 24 * 60
_DAYS_AHEAD = 400
"""More than any calendar of public holidays keeps a weekday closed."""
_LOOKED_AT = day_of(date(2024, 1, 1)), day_of(date(2032, 1, 1))
"""Eight years: holidays and weekends meet in all their ways."""


@lru_cache(maxsize=64)
def longest_closed(hours: Hours) -> int:
    """The longest stretch in which nobody may be written to, in milliseconds (clock changes left out).

    Holidays are those of eight years.

    >>> longest_closed(Hours(days=(0, 1, 2, 3, 4))) // 3_600_000  # Friday 18:00 to Monday 08:00
    62
    >>> longest_closed(Hours(days=(0, 1, 2, 3, 4), holidays=("DE",))) // 3_600_000  # Thursday to Tuesday, at Easter
    110
    """
    length = (hours.end - hours.start) % DAY_MINUTES or DAY_MINUTES
    first, last = _LOOKED_AT if hours.holidays else (_LOOKED_AT[0], _LOOKED_AT[0] + 15)
    begins = [day * DAY_MINUTES for day in range(first, last) if is_open_day(day, hours)]
    gaps = [after - before - length for before, after in itertools.pairwise(begins)]
    return max([0, *gaps]) * MINUTE if begins else _DAYS_AHEAD * DAY_MINUTES * MINUTE


def due_at(at: Instant, settle: int, hours: Hours, where: Zone) -> Instant:
    """The first instant inside ``hours`` at or after ``at + settle``, rounded up to a full quarter of an hour.

    ``settle`` in milliseconds.
    """
    return opens(round_up_quarter(at + settle), hours, where)


def opens(ready: Instant, hours: Hours, where: Zone) -> Instant:
    """The first instant inside ``hours`` at or after ``ready``.

    ``hours`` is [start, end) of the local day; a window that ends before it begins runs over midnight and belongs to
    the day it began, also when the next one is a holiday. Hours that do not come in 400 days count as closed for all of
    these.
    """
    today = where.day(ready)
    for day in range(today - 1, today + _DAYS_AHEAD):
        if not is_open_day(day, hours):
            continue
        begin, end = _window(where, day, hours.start, hours.end)
        if ready < end and begin < end:
            return max(begin, ready)
    return where.start(today + _DAYS_AHEAD)


@lru_cache(maxsize=4_096)
def _window(where: Zone, day: Day, start: int, end: int) -> tuple[Instant, Instant]:
    """The window that begins on a day; many mails ask for the same."""
    return where.wall(day, start), where.wall(day + (end <= start), end)


def worked(start: Instant, end: Instant, hours: Hours, where: Zone) -> int:
    """How many milliseconds of [``start``, ``end``) lie inside ``hours``, in the days of a zone.

    >>> from engine.zones import zone
    >>> friday = zone("UTC").wall(day_of(date(2026, 3, 6)), 17 * 60)
    >>> worked(friday, friday + 64 * 60 * MINUTE, Hours(days=(0, 1, 2, 3, 4)), zone("UTC")) // MINUTE
    120
    """
    found = 0
    for day in range(where.day(start) - 1, where.day(end) + 1):
        if is_open_day(day, hours):
            begin, until = _window(where, day, hours.start, hours.end)
            found += max(min(end, until) - max(start, begin), 0)
    return found


def is_open_day(day: Day, hours: Hours) -> bool:
    """Whether a window of ``hours`` begins on that local day: by its weekday, and if it is no holiday."""
    if date_of(day).weekday() not in hours.days:
        return False
    return not hours.holidays or not is_holiday(hours.holidays, day)
