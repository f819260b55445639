"""When reports are made and when they go out: instants of an account's own zone, by its local days."""

from collections.abc import Iterator

from engine.hours import is_open_day
from engine.instants import DAY, HOUR, Instant
from engine.reports.periods import Period, period_before
from engine.rulebook.reporting import LATE_BY
from engine.rulebook.spec import CLOSE_AFTER, Hours, Schedule
from engine.zones import Zone, zone

EARLIEST, LATEST = 14 * HOUR, 12 * HOUR
"""How much earlier than in UTC a day begins somewhere, and how much later."""
_LOOKED_AT = 40
"""Days in which some one is open: longer no calendar of public holidays keeps anybody."""


def closing(period: Period, where: Zone, close_after: int = CLOSE_AFTER) -> Instant:
    """When a period is closed for accounts of a zone: what is recorded by then makes its figures, for ever."""
    return where.start(period.last + 1) + close_after


def closed_everywhere(period: Period, close_after: int = CLOSE_AFTER) -> Instant:
    """When a period is closed for accounts of whatever zone."""
    return zone("UTC").start(period.last + 1) + LATEST + close_after


def due(schedule: Schedule, period: Period, where: Zone, hours: Hours) -> Instant:
    """When a report of the period should leave: on its day at its time, or on the next day that is open.

    >>> from engine.reports.periods import read_period
    >>> from engine.instants import iso
    >>> monthly = Schedule("month", 2, 9 * 60)
    >>> iso(due(monthly, read_period("2026-10"), zone("Europe/Berlin"), Hours(days=(0, 1, 2, 3, 4))))
    '2026-11-02T08:00:00Z'
    >>> iso(due(monthly, read_period("2026-04"), zone("Europe/Berlin"), Hours(days=(0, 1, 2, 3, 4))))
    '2026-05-04T07:00:00Z'
    """
    day = period.last + schedule.on_day
    found = next((one for one in range(day, day + _LOOKED_AT) if is_open_day(one, hours)), day)
    return where.wall(found, schedule.minute)


def periods_at(
    schedule: Schedule, at: Instant, since: Instant | None = None, *, close_after: int = CLOSE_AFTER
) -> Iterator[Period]:
    """Periods that may be closed somewhere at ``at`` and whose report may still leave, the newest first.

    With ``since``: all that end after it, however old they are.
    """
    utc = zone("UTC")
    period = period_before(schedule.every, utc.day(at + EARLIEST))
    while True:
        ends = utc.start(period.last + 1)
        last = ends + (schedule.on_day + _LOOKED_AT) * DAY + LATE_BY if since is None else ends + LATEST
        if last < (at if since is None else since):
            return
        if ends - EARLIEST + close_after < at:
            yield period
        period = period.before()
