"""When a mail may leave: a pure function of when it was decided and of the hours in its reader's zone."""

from engine.instants import MINUTE, Instant
from engine.rulebook.spec import Hours
from engine.zones import Zone, date_of, round_up_quarter

DAY_MINUTES = 24 * 60
_DAYS_AHEAD = 15


def longest_closed(hours: Hours) -> int:
    """The longest stretch of a week in which nobody may be written to, in milliseconds (clock changes left out).

    >>> longest_closed(Hours(days=(0, 1, 2, 3, 4))) // 3_600_000  # Friday 18:00 to Monday 08:00
    62
    """
    length = (hours.end - hours.start) % DAY_MINUTES or DAY_MINUTES
    begins = sorted(day * DAY_MINUTES + hours.start for day in hours.days)
    following = [*begins[1:], begins[0] + 7 * DAY_MINUTES]
    gaps = [after - before - length for before, after in zip(begins, following, strict=True)]
    return max(0, *gaps) * MINUTE if len(gaps) > 1 else max(0, gaps[0]) * MINUTE


def due_at(at: Instant, settle: int, hours: Hours, where: Zone) -> Instant:
    """The first instant inside ``hours`` at or after ``at + settle``, rounded up to a full quarter of an hour.

    ``settle`` in milliseconds.
    """
    return opens(round_up_quarter(at + settle), hours, where)


def opens(ready: Instant, hours: Hours, where: Zone) -> Instant:
    """The first instant inside ``hours`` at or after ``ready``.

    ``hours`` is [start, end) of the local day; a window that ends before it begins runs over midnight and belongs to
    the day it began.
    """
    today = where.day(ready)
    for day in range(today - 1, today + _DAYS_AHEAD):
        if date_of(day).weekday() not in hours.days:
            continue
        begin = where.wall(day, hours.start)
        end = where.wall(day + (hours.end <= hours.start), hours.end)
        if ready < end and begin < end:
            return max(begin, ready)
    return ready
