"""Stories of first weeks: orientations that are held, moved, crowded, and starts at which nobody comes."""

from engine.instants import iso
from ringfirst.made_company.calendar import is_workday, workday
from ringfirst.made_company.cooling import cancels
from ringfirst.made_company.customers import Customer, Plot
from ringfirst.made_company.pen import Pen


def _orient(pen: Pen, one: Customer, day: int, hour: float, start: int, *, number: int = 1, at: float = 10) -> str:
    meeting = f"{one.id}-m{number}"
    facts = {"meeting_id": meeting, "kind": "orientation", "starts_at": iso(pen.instant(start, at))}
    pen.note(day, hour, "meeting.scheduled", one.with_role("champion").id, **facts, timezone=one.zone)
    return meeting


def _move(pen: Pen, one: Customer, meeting: str, day: int, hour: float, start: int, *, at: float = 10) -> None:
    facts = {"meeting_id": meeting, "kind": "orientation", "starts_at": iso(pen.instant(start, at))}
    pen.note(day, hour, "meeting.rescheduled", None, **facts, timezone=one.zone)


def _hold(pen: Pen, one: Customer, meeting: str, day: int, hour: float = 11) -> None:
    pen.note(day, hour, "meeting.held", one.with_role("champion").id, meeting_id=meeting, kind="orientation")


def first_days(pen: Pen, one: Customer) -> Plot:
    """A new customer with one orientation, held when it was meant to be."""
    start = workday(one.first_day + 6, one.zone)
    _hold(pen, one, _orient(pen, one, one.first_day + 1, 11, start), start)
    return Plot()


def moved(pen: Pen, one: Customer) -> Plot:
    """An orientation that is moved twice, the second time at dawn of its eve, and held at last."""
    first, second, last = (workday(one.first_day + days, one.zone) for days in (7, 10, 15))
    meeting = _orient(pen, one, one.first_day + 1, 11, first)
    _move(pen, one, meeting, first - 2, 15, second)
    _move(pen, one, meeting, second - 1, 6.5, last)
    _hold(pen, one, meeting, last)
    return Plot()


def crowded(pen: Pen, one: Customer) -> Plot:
    """Three orientations in one week, two of them on one day."""
    day = workday(one.first_day + 7, one.zone)
    later = workday(day + 2, one.zone)
    for number, (start, at) in enumerate(((day, 9.0), (day, 14.0), (later, 11.0)), 1):
        meeting = _orient(pen, one, one.first_day + 2, 10 + number, start, number=number, at=at)
        _hold(pen, one, meeting, start, at + 1)
    return Plot()


def silent_start(pen: Pen, one: Customer) -> Plot:
    """They bought and nobody came; some begin after a nudge, some never do."""
    if one.turn % 3 == 0:
        return Plot(shares=[(one.first_day, 0.0)], ends=cancels(pen, one, one.first_day + 26, "never started"))
    return Plot(shares=[(one.first_day, 0.0), (one.first_day + (9, 18)[one.turn % 2], 1.0)])


def no_meeting(pen: Pen, one: Customer) -> Plot:
    """A new customer who needs nobody: they sign in on the first days and stay."""
    for day in range(one.first_day, one.first_day + 4):
        if is_workday(day, one.zone):
            pen.note(day, 13, "session.started", one.with_role("admin").id)
    return Plot()
