"""When a mail may leave: a pure function of when it was decided and of the hours in its reader's zone."""

from engine.instants import Instant
from engine.rulebook.spec import Hours
from engine.zones import Zone, date_of, round_up_quarter

_DAYS_AHEAD = 15


def due_at(at: Instant, settle: int, hours: Hours, where: Zone) -> Instant:
    """The first instant inside ``hours`` at or after ``at + settle``, rounded up to a full quarter of an hour.

    ``settle`` in milliseconds; ``hours`` is [start, end) of the local day; a window that ends before it begins runs
    over midnight and belongs to the day it began.
    """
    ready = round_up_quarter(at + settle)
    today = where.day(ready)
    for day in range(today - 1, today + _DAYS_AHEAD):
        if date_of(day).weekday() not in hours.days:
            continue
        begin = where.wall(day, hours.start)
        end = where.wall(day + (hours.end <= hours.start), hours.end)
        if ready < end and begin < end:
            return max(begin, ready)
    return ready
